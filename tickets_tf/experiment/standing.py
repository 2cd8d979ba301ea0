"""How far a run is, by what is in its folder."""

import filelock

from tickets_tf.runs.folder import RunFolder
from tickets_tf.runs.prospect import State


def state(folder: RunFolder) -> State:
  """Returns how far the run of a folder is; a run is at work if a process holds its lock."""
  if folder.is_done():
    return State.DONE
  if not folder.path.is_dir():
    return State.TO_DO
  return State.AT_WORK if is_at_work(folder) else State.BEGUN


def is_at_work(folder: RunFolder) -> bool:
  """Returns whether a process is at work in a run's folder.

  It takes the lock for a moment, if it is free. A process that comes just then waits for a fifth of a second.
  """
  if not folder.lock.exists():
    return False
  try:
    with filelock.FileLock(folder.lock, blocking=False):
      return False
  except filelock.Timeout:
    return True
  except OSError:  # It was taken away meanwhile, or is not ours to open.
    return False
