"""What C++ libraries write to standard error when they start up, which no level and no stream of Python's holds."""

import contextlib
import os
import sys
import tempfile

from tickets_tf.errors import TicketsError


@contextlib.contextmanager
def dropped():
  """Drops what is written to standard error meanwhile, unless the work fails without a message of this package's.

  Set `TF_CPP_MIN_LOG_LEVEL` below 2 to see it all.
  """
  if os.environ.get('TF_CPP_MIN_LOG_LEVEL', '0') < '2':
    yield
    return
  sys.stderr.flush()
  kept = os.dup(2)
  with tempfile.TemporaryFile() as notes:
    os.dup2(notes.fileno(), 2)
    try:
      yield
    except TicketsError:
      raise
    except BaseException:
      notes.seek(0)
      os.write(kept, notes.read())
      raise
    finally:
      sys.stderr.flush()
      os.dup2(kept, 2)
      os.close(kept)
