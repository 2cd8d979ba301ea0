"""What all programs in bin/ share: flags in, one line and an exit code out."""

import contextlib
import importlib
import os
import sys
import tempfile
import traceback

from absl import app
from absl import flags
from absl import logging

from tickets_tf.errors import TicketsError, UsageError

FLAGS = flags.FLAGS
_TRACEBACK = flags.DEFINE_bool('traceback', False, 'show where an error came from')


def run(main):
  """Parses the flags, calls `main()` and ends the process.

  Exit codes: 0, or 1 where `main` returned False or failed, 2 for bad usage, 130 when interrupted. Errors are one
  line on standard error; `--traceback` adds where they came from.

  Args:
    main: function without arguments.
  """
  logging.set_verbosity(logging.WARNING)
  logging.use_absl_handler()
  logging.get_absl_handler().setFormatter(None)
  app.run(lambda _: sys.exit(_guarded(main)), flags_parser=_parse)


def load(*names):
  """Imports modules of this package that need TensorFlow, without TensorFlow's start-up notes on standard error.

  Set `TF_CPP_MIN_LOG_LEVEL` below 2 to see the notes.

  Args:
    *names: modules, e.g. `'run'`.

  Returns:
    The module, or a list of them where there are several names.
  """
  with _start_up_notes_dropped():
    modules = [importlib.import_module(f'tickets_tf.{name}') for name in names]
    # Looks for devices now: what TensorFlow says while it does belongs to the notes.
    importlib.import_module('tensorflow').config.list_physical_devices()
  return modules[0] if len(modules) == 1 else modules


@contextlib.contextmanager
def _start_up_notes_dropped():
  # They come from C++ before its logging is set up, so that neither its level nor Python's streams hold them.
  if os.environ.get('TF_CPP_MIN_LOG_LEVEL', '0') < '2':
    yield
    return
  sys.stderr.flush()
  kept = os.dup(2)
  with tempfile.TemporaryFile() as notes:
    os.dup2(notes.fileno(), 2)
    try:
      yield
    except BaseException:
      notes.seek(0)
      os.write(kept, notes.read())
      raise
    finally:
      sys.stderr.flush()
      os.dup2(kept, 2)
      os.close(kept)


def _parse(arguments):
  try:
    rest = FLAGS(arguments)
  except flags.Error as error:
    _say(error)
    sys.exit(2)
  except SystemExit:  # --help has been shown, which is no failure.
    sys.exit(0)
  if len(rest) > 1:
    _say(f'unexpected argument {rest[1]!r}; settings are given as --name=value, see --help')
    sys.exit(2)
  return rest


def _guarded(main):
  try:
    return 1 if main() is False else 0
  except UsageError as error:
    _say(error)
    return 2
  except TicketsError as error:
    _say(error)
    return 1
  except KeyboardInterrupt:
    _say('interrupted; the same command goes on from here')
    return 130
  except Exception as error:  # pylint: disable=broad-except
    _say(f'{type(error).__name__}: {error}')
    return 1


def _say(error):
  if _TRACEBACK.value if FLAGS.is_parsed() else '--traceback' in sys.argv:
    traceback.print_exc()
  print(f'{sys.argv[0]}: error: {" ".join(str(error).split())}', file=sys.stderr)
