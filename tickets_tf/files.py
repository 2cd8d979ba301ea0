"""Writing files so that each is complete or absent, however a run ends."""

import contextlib
import os
import pathlib
import secrets
import shutil
from collections.abc import Iterator

from tickets_tf.errors import TicketsError


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[pathlib.Path]:
  """Gives a temporary path next to `path` to write a file or folder at, and renames it to `path` at the end.

  Args:
    path: the file or folder to make or replace.

  Yields:
    The temporary path; its name ends with that of `path`.

  Raises:
    TicketsError: if it cannot be written; an earlier file or folder of that name is left as it was.
  """
  target = pathlib.Path(path)
  temporary = target.with_name(f'.{secrets.token_hex(4)}.tmp.{target.name}')
  try:
    yield temporary
    _sync(temporary)
    if target.is_dir():
      shutil.rmtree(target)
    os.replace(temporary, target)
  except OSError as error:
    raise TicketsError(f'{target}: cannot be written: {error.strerror or error}') from error
  finally:
    if temporary.is_dir():
      shutil.rmtree(temporary, ignore_errors=True)
    else:
      with contextlib.suppress(OSError):  # It may not exist.
        temporary.unlink()


def write_text(path: str | os.PathLike[str], text: str) -> None:
  """Writes text to a file, completely or not at all; errors as for `replacing`."""
  with replacing(path) as temporary:
    temporary.write_text(text, encoding='utf-8')


def _sync(path: pathlib.Path) -> None:
  for file in [path] if path.is_file() else (entry for entry in path.rglob('*') if entry.is_file()):
    with open(file, 'rb') as opened:
      os.fsync(opened.fileno())
