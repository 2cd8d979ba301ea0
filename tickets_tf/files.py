"""Files that are there whole or not at all, however a run ends."""

import contextlib
import os
import pathlib
import secrets
import shutil

from tickets_tf.errors import TicketsError


@contextlib.contextmanager
def replacing(path):
  """Gives a temporary path beside `path` to write a file or folder at, and renames it to `path` at the end.

  Args:
    path: the file or folder to make or replace.

  Yields:
    A `pathlib.Path` whose name ends as that of `path` does.

  Raises:
    TicketsError: where it cannot be written; what was there before is then as it was.
  """
  path = pathlib.Path(path)
  temporary = path.with_name(f'.{secrets.token_hex(4)}.tmp.{path.name}')
  try:
    yield temporary
    _sync(temporary)
    if path.is_dir():
      shutil.rmtree(path)
    os.replace(temporary, path)
  except OSError as error:
    raise TicketsError(f'{path}: cannot be written: {error.strerror or error}') from error
  finally:
    if temporary.is_dir():
      shutil.rmtree(temporary, ignore_errors=True)
    else:
      with contextlib.suppress(OSError):  # It may never have come to be.
        temporary.unlink()


def write_text(path, text):
  """Writes text to a file, whole or not at all; errors as for `replacing`."""
  with replacing(path) as temporary:
    temporary.write_text(text, encoding='utf-8')


def _sync(path):
  for file in [path] if path.is_file() else (entry for entry in path.rglob('*') if entry.is_file()):
    with open(file, 'rb') as opened:
      os.fsync(opened.fileno())
