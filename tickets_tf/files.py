"""Writing files so that each is complete or absent, however a run ends, and what is told if the system refuses."""

import contextlib
import os
import pathlib
import secrets
import shutil
from collections.abc import Iterator

from tickets_tf import storage
from tickets_tf.errors import StorageError
from tickets_tf.errors import TicketsError


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[pathlib.Path]:
  """Gives a temporary path next to `path` to write a file or folder at, and renames it to `path` at the end.

  Args:
    path: the file or folder to make or replace.

  Yields:
    The temporary path; its name ends with that of `path`.

  Raises:
    TicketsError: if it cannot be written, a StorageError if the system refuses it; an earlier file or folder of that
      name is left as it was.
  """
  target = pathlib.Path(path)
  temporary = target.with_name(f'.{secrets.token_hex(4)}.tmp.{target.name}')
  try:
    yield temporary
    _sync(temporary)
    _rename(temporary, target)
  except Exception as error:
    told = storage.told(error, f'{target}: cannot be written')
    if told is None and isinstance(error, OSError):
      raise TicketsError(f'{target}: cannot be written: {error.strerror or error}') from error
    if told is None or (isinstance(error, TicketsError) and str(temporary) not in str(told)):
      raise
    # A file inside a folder is named as it would have been.
    raise StorageError(str(told).replace(str(temporary), str(target)), told.code) from error
  finally:
    with contextlib.suppress(OSError):  # It may not exist, or the folder not answer.
      if temporary.is_dir():
        shutil.rmtree(temporary, ignore_errors=True)
      else:
        temporary.unlink()


def write_text(path: str | os.PathLike[str], text: str) -> None:
  """Writes text to a file, completely or not at all; errors as for `replacing`, after a while of trying again."""
  def write() -> None:
    with replacing(path) as temporary:
      temporary.write_text(text, encoding='utf-8')

  storage.patiently(write)


def read_text(path: str | os.PathLike[str]) -> str:
  """Returns the text of a file; raises OSError, after a while of trying again if the file's folder does not answer."""
  return storage.patiently(lambda: pathlib.Path(path).read_text(encoding='utf-8'))


def remove_begun(folder: pathlib.Path) -> None:
  """Removes what writers that were killed have left in a folder that nobody else writes to now."""
  for path in folder.glob('.*.tmp.*'):
    if path.is_dir():
      shutil.rmtree(path, ignore_errors=True)
    else:
      path.unlink(missing_ok=True)


def _rename(temporary: pathlib.Path, target: pathlib.Path) -> None:
  if not target.is_dir():
    os.replace(temporary, target)
    return
  # No folder can be put in the place of one that holds something.
  earlier = target.with_name(f'{temporary.name}.earlier')
  os.rename(target, earlier)
  try:
    os.rename(temporary, target)
  except OSError:
    os.rename(earlier, target)
    raise
  shutil.rmtree(earlier, ignore_errors=True)


def _sync(path: pathlib.Path) -> None:
  for file in [path] if path.is_file() else (entry for entry in path.rglob('*') if entry.is_file()):
    with open(file, 'rb') as opened:
      os.fsync(opened.fileno())
