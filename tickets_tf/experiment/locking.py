"""One process at a time in a run's folder."""

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import time

import filelock

from tickets_tf.errors import UsageError
from tickets_tf.runs.folder import RunFolder

_WAIT = 0.2  # seconds between two looks


@contextlib.contextmanager
def locked(folder: RunFolder, is_done: Callable[[], bool], say: Callable[[str], None]) -> Iterator[bool]:
  """Makes a run's folder and keeps other processes out of it, or waits until another has done the work.

  The lock is the operating system's: that of a process that died is free.

  Args:
    folder: the run's folder.
    is_done: tells whether the work is done.
    say: takes lines for the user.

  Yields:
    Whether there is work left, which nobody else can do meanwhile.

  Raises:
    UsageError: if the folder cannot be written to.
  """
  lock = filelock.FileLock(folder.lock)
  try:
    folder.path.mkdir(parents=True, exist_ok=True)
    is_ours = _acquire(lock)
  except OSError as error:
    raise UsageError(f'--output_dir={folder.path.parent}: cannot be written to: {error.strerror}') from error
  if not is_ours:
    say(f'{folder}: another process is at work here; waiting for it')
  while not is_ours and not is_done():
    time.sleep(_WAIT)
    is_ours = _acquire(lock)
  try:
    yield not is_done()
  finally:
    lock.release()


def _acquire(lock: filelock.BaseFileLock) -> bool:
  try:
    lock.acquire(blocking=False)
  except filelock.Timeout:
    return False
  return True
