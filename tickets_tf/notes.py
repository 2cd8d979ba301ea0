"""Start-up messages of C++ libraries, which go to standard error past every log level and stream of Python."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator

from tickets_tf.errors import TicketsError


@contextlib.contextmanager
def dropped() -> Iterator[None]:
  """Drops what is written to standard error inside the block; shows it if the block raises anything but TicketsError.

  Set `TF_CPP_MIN_LOG_LEVEL` below 2 to see everything.
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
