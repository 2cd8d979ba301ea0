"""What the system says of files that cannot be written or read: in one line, and tried again if it may pass.

Python, TensorFlow and HDF5 each have exceptions of their own for the same reasons, such as a full disk.
"""

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import errno
import os
import re
import time
from typing import TypeVar

from absl import logging

from tickets_tf.errors import StorageError
from tickets_tf.errors import TicketsError

PATIENCE = 60.0  # seconds in which a folder that does not answer may come back
_PAUSE = 0.5  # seconds between two tries

_Value = TypeVar('_Value')

# The reasons of a network folder that does not answer. They can pass by themselves.
_PASSING = {errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ENOTCONN, errno.EHOSTDOWN, errno.EHOSTUNREACH,
            errno.ENETDOWN, errno.ENETUNREACH, errno.ECONNRESET, errno.ECONNABORTED, errno.ECONNREFUSED}
# What the place refuses that was asked for.
REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS}
# How TensorFlow says that another worker is gone, with the same reasons as if a network folder were.
_OTHER_WORKER = re.compile('grpc|collective', re.IGNORECASE)
_REASONS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, *REFUSED, *_PASSING}


def told(error: BaseException, what: str) -> StorageError | None:
  """Returns the error of one line for an exception that the system is the reason of; None for any other.

  Args:
    error: the exception, or one that was raised from it.
    what: begins the line, as in `'runs/a/mask.npz: cannot be written'`; the reason follows.
  """
  for each in _causes(error):
    if isinstance(each, StorageError):
      return each
    code = _code(each)
    if code in _REASONS:
      return StorageError(f'{what}: {os.strerror(code)}', code)
  return None


@contextlib.contextmanager
def reporting(what: str) -> Iterator[None]:
  """Makes a StorageError of an exception inside that the system is the reason of; its line begins with `what`."""
  try:
    yield
  except TicketsError:
    raise
  except Exception as error:
    found = told(error, what)
    if found is None:
      raise
    raise found from error


def may_pass(error: BaseException) -> bool:
  """Returns whether the reason of an exception is a folder that does not answer, which may come back."""
  found = told(error, '')
  return found is not None and found.code in _PASSING


def patiently(work: Callable[[], _Value]) -> _Value:
  """Returns what some work returns; begins it again for a while, with a warning, if a folder does not answer."""
  deadline = None
  while True:
    try:
      return work()
    except (OSError, TicketsError) as error:
      if not may_pass(error):
        raise
      if deadline is None:
        deadline = time.monotonic() + PATIENCE
        logging.warning('%s; trying again for %.0f seconds', one_line(error), PATIENCE)
      if time.monotonic() >= deadline:
        raise
      time.sleep(_PAUSE)


def one_line(error: BaseException) -> str:
  """Returns the message of an exception in one line."""
  return ' '.join(str(error).split())


def _causes(error: BaseException) -> Iterator[BaseException]:
  each: BaseException | None = error
  while each is not None:
    yield each
    each = each.__cause__


def _code(error: BaseException) -> int:
  """Returns the system's number of the reason of an exception, 0 if there is none."""
  if isinstance(error, StorageError):
    return error.code
  if isinstance(error, OSError) and error.errno:
    return error.errno
  # TensorFlow and HDF5 have it in words, and so has `shutil.Error`.
  if isinstance(error, OSError | RuntimeError) or type(error).__module__.startswith('tensorflow.'):
    text = str(error)
    if _OTHER_WORKER.search(text):
      return 0
    return next((code for code in _REASONS if os.strerror(code) in text), 0)
  return 0
