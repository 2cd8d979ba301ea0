"""The folder of versions that TensorFlow Serving watches."""

import os
import pathlib
import secrets
import shutil

from tickets_tf import storage
from tickets_tf.errors import TicketsError, UsageError

_ATTEMPTS = 100  # others may take the number that was free


def check(folder: str | os.PathLike[str]) -> None:
  """Raises UsageError if a folder cannot be one of versions, because it is something else."""
  path = pathlib.Path(folder)
  if path.exists() and not path.is_dir():
    raise UsageError(f'--serving={folder}: is no folder')
  if (path / 'saved_model.pb').exists():
    raise UsageError(f'--serving={folder}: is a SavedModel; give the folder above its version')


def add_version(saved_model: pathlib.Path, folder: str | os.PathLike[str]) -> pathlib.Path:
  """Copies a SavedModel to the next version of a folder, whole or not at all.

  TensorFlow Serving loads the highest number, and passes over the hidden folder that the copy is until it is whole.

  Args:
    saved_model: the SavedModel.
    folder: the folder of versions; it need not exist.

  Returns:
    The folder written: `1`, or the number after the highest that is there.

  Raises:
    TicketsError: if it cannot be written.
  """
  path = pathlib.Path(folder).absolute()
  temporary = path / f'.{secrets.token_hex(4)}.tmp'
  try:
    path.mkdir(parents=True, exist_ok=True)
    shutil.copytree(saved_model, temporary)
    return _rename(temporary)
  except OSError as error:
    told = storage.told(error, f'--serving={folder}: cannot be written')
    raise told or TicketsError(f'--serving={folder}: cannot be written: {error.strerror or error}') from error
  finally:
    shutil.rmtree(temporary, ignore_errors=True)


def _rename(temporary: pathlib.Path) -> pathlib.Path:
  for _ in range(_ATTEMPTS):
    versions = [int(path.name) for path in temporary.parent.iterdir() if path.name.isdecimal()]
    target = temporary.with_name(str(max(versions, default=0) + 1))
    try:
      temporary.rename(target)  # refuses a folder that holds something
      return target
    except OSError:
      if not target.exists():
        raise
  raise TicketsError(f'{temporary.parent}: other programs write versions all the time')
