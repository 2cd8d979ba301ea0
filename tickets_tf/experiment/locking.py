"""One process at a time in a run's folder."""

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import shutil
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
    Whether there is work left, which nobody else can do meanwhile. If the work fails before anything is done, the
    folder is removed again.

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
  folder.path.mkdir(parents=True, exist_ok=True)  # Whoever was here before may have failed and taken it away.
  try:
    yield not is_done()
  except BaseException:
    _remove_if_nothing_is_done(folder)
    raise
  finally:
    lock.release()


def _remove_if_nothing_is_done(folder: RunFolder) -> None:
  """Removes a run's folder, and the folder of runs if nothing else is in it, unless there is work to resume from."""
  trivial = {folder.lock, folder.settings, folder.environment}
  if set(folder.path.iterdir()) <= trivial:
    shutil.rmtree(folder.path, ignore_errors=True)
    with contextlib.suppress(OSError):  # Other runs are there.
      folder.path.parent.rmdir()


def _acquire(lock: filelock.BaseFileLock) -> bool:
  try:
    lock.acquire(blocking=False)
  except filelock.Timeout:
    return False
  return True
