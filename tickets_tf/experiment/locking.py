"""One process at a time in a run's folder."""

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import errno
import os
import shutil
import time

import filelock

from tickets_tf import files
from tickets_tf import storage
from tickets_tf.errors import StorageError
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
    StorageError: if its disk is full or does not answer, or the folder is gone when the work fails.
  """
  lock = filelock.FileLock(folder.lock)
  try:
    folder.path.mkdir(parents=True, exist_ok=True)
    is_ours = _acquire(lock)
  except OSError as error:
    told = storage.told(error, f'{folder.path}: cannot be made')
    if told and told.code not in storage.REFUSED:
      raise told from error
    raise UsageError(f'--output_dir={folder.path.parent}: cannot be written to: {error.strerror}') from error
  if not is_ours:
    say(f'{folder}: another process is at work here; waiting for it')
  while not is_ours and not is_done():
    time.sleep(_WAIT)
    is_ours = _acquire(lock)
  folder.path.mkdir(parents=True, exist_ok=True)  # Whoever was here before may have failed and taken it away.
  try:
    has_work = not is_done()
    if has_work:
      files.remove_begun(folder.path)
    yield has_work
  except BaseException as error:
    # Whatever could not be read then: a folder on a network can go away.
    gone = isinstance(error, Exception) and not os.path.exists(folder.path)
    _remove_if_nothing_is_done(folder)
    if gone:
      raise StorageError(f'{folder}: is gone', errno.ENOENT) from error
    raise
  finally:
    lock.release()


def _remove_if_nothing_is_done(folder: RunFolder) -> None:
  """Removes a run's folder, and the folder of runs if nothing else is in it, unless there is work to resume from."""
  trivial = {folder.lock, folder.settings, folder.environment}
  with contextlib.suppress(OSError):  # Other runs are there, or the folder does not answer.
    if set(folder.path.iterdir()) <= trivial:
      shutil.rmtree(folder.path, ignore_errors=True)
      folder.path.parent.rmdir()


def _acquire(lock: filelock.BaseFileLock) -> bool:
  try:
    lock.acquire(blocking=False)
  except filelock.Timeout:
    return False
  return True
