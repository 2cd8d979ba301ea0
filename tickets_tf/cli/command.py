"""What all programs in bin/ share: flags in, one line and an exit code out."""

import functools
import importlib
import sys
import traceback

from absl import app
from absl import flags
from absl import logging

from tickets_tf import notes
from tickets_tf.errors import TicketsError, UsageError

FLAGS = flags.FLAGS
_TRACEBACK = flags.DEFINE_bool('traceback', False, 'show where an error came from')


def run(main, arguments=''):
  """Parses the flags, calls `main()` and ends the process.

  Exit codes: 0, or 1 where `main` returned False or failed, 2 for bad usage, 130 when interrupted. Errors are one
  line on standard error; `--traceback` adds where they came from.

  Args:
    main: function without arguments.
    arguments: what the program takes beside flags, e.g. `'images'`; `main` then gets them as a list of strings, and
      there must be at least one. Empty: it takes none.
  """
  logging.set_verbosity(logging.WARNING)
  logging.use_absl_handler()
  logging.get_absl_handler().setFormatter(None)
  app.run(lambda rest: sys.exit(_guarded(functools.partial(main, rest[1:]) if arguments else main)),
          flags_parser=functools.partial(_parse, arguments))


def load(*names):
  """Imports modules of this package that need TensorFlow, without TensorFlow's start-up notes on standard error.

  Set `TF_CPP_MIN_LOG_LEVEL` below 2 to see the notes.

  Args:
    *names: modules, e.g. `'run'`.

  Returns:
    The module, or a list of them where there are several names.
  """
  with notes.dropped():
    modules = [importlib.import_module(f'tickets_tf.{name}') for name in names]
    # Looks for devices now: what TensorFlow says while it does belongs to the notes.
    importlib.import_module('tensorflow').config.list_physical_devices()
  return modules[0] if len(modules) == 1 else modules


def _parse(expected, arguments):
  try:
    rest = FLAGS(arguments)
  except flags.Error as error:
    _say(error)
    sys.exit(2)
  except SystemExit:  # --help has been shown, which is no failure.
    sys.exit(0)
  if expected and not rest[1:]:
    _say(f'{expected} are needed, see --help')
    sys.exit(2)
  if rest[1:] and not expected:
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
