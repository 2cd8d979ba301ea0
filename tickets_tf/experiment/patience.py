"""A run whose folder does not answer, as one on a network can: it waits, and goes on from its last checkpoint."""

from collections.abc import Callable
import errno
import pathlib
import tempfile
import time
from typing import TypeVar

from absl import logging

from tickets_tf import storage
from tickets_tf.errors import StorageError

TRIES = 5  # A fault that comes again and again does not pass.
_PAUSE = 1.0  # seconds before each look

_Value = TypeVar('_Value')


def resuming(work: Callable[[], _Value], folder: pathlib.Path, tries: int = TRIES) -> _Value:
  """Returns what some work returns; waits and begins it again if its folder does not answer, or is gone.

  Args:
    work: what to do; done again, it resumes.
    folder: the folder that it works in.
    tries: how often to begin it.

  Raises:
    StorageError: if the system refuses to write or read a file, and it does not pass in `storage.PATIENCE` seconds.
  """
  while True:
    try:
      with storage.reporting(f'{folder}: cannot be written'):
        return work()
    except Exception as error:
      tries -= 1
      gone = isinstance(error, StorageError) and error.code == errno.ENOENT
      if not gone and not storage.may_pass(error):
        raise
      reason = storage.one_line(storage.told(error, str(folder)) or error)
      if tries > 0:
        logging.warning('%s; waiting for it for %.0f seconds', reason, storage.PATIENCE)
      if tries <= 0 or not _comes_back(folder, gone):
        raise StorageError(f'{reason}; nothing that was written is lost: the same command resumes') from error
      logging.warning('%s: is back; going on from the last checkpoint', folder)


def _comes_back(folder: pathlib.Path, gone: bool) -> bool:
  """Returns whether a folder can be written to again, as soon as it can.

  Args:
    folder: the folder of a run.
    gone: whether it was there before. Another folder must not be made in its place: a folder that is mounted may come
      over it.
  """
  deadline = time.monotonic() + storage.PATIENCE
  while True:
    time.sleep(_PAUSE)  # First, since what works again at once may fail again at once.
    try:
      there = folder if gone else next(path for path in (folder, *folder.absolute().parents) if path.exists())
      with tempfile.TemporaryFile(dir=there) as file:
        file.write(b'here')
        file.flush()
      return True
    except OSError:
      if time.monotonic() >= deadline:
        return False
