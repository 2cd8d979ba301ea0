"""What all programs share: flags in, one line and an exit code out."""

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import functools
import importlib
import os
import sys
import traceback

from absl import app
from absl import flags
from absl import logging

from tickets_tf import collecting
from tickets_tf import notes
from tickets_tf import storage
from tickets_tf.cli import stopping
from tickets_tf.errors import TicketsError
from tickets_tf.errors import UsageError

FLAGS = flags.FLAGS


def run(main: Callable[..., bool | None], arguments: str = '', *, define: Callable[[], None] = lambda: None,
        text: str | None = None) -> None:
  """Defines and parses the flags, calls `main()` and ends the process.

  Exit codes: 0, or 1 if `main` returned False or failed, 2 for bad usage, 130 on Ctrl-C, 143 on SIGTERM. Errors are
  one line on standard error; `--traceback` adds where they came from.

  Args:
    main: function without arguments.
    arguments: what the program takes beside flags, e.g. `'images'`; `main` then gets them as a list of strings, and
      there must be at least one. Empty: it takes none.
    define: defines the program's flags. They are defined here and not at import, so that a module of a program can be
      imported beside others.
    text: what `--help` shows above the flags; None: the docstring of the program's file.
  """
  logging.set_verbosity(logging.WARNING)
  logging.use_absl_handler()
  logging.get_absl_handler().setFormatter(None)
  if text is not None:
    sys.modules['__main__'].__doc__ = text  # Which is what absl shows.
  _define_as_own(define)
  stopping.end_on_signals()
  app.run(lambda rest: sys.exit(_exit_code(functools.partial(main, rest[1:]) if arguments else main)),
          flags_parser=functools.partial(_parse, arguments))


@contextlib.contextmanager
def loading_tensorflow() -> Iterator[None]:
  """Imports inside the `with` leave none of TensorFlow's start-up notes on standard error, unless they fail.

  Set `TF_CPP_MIN_LOG_LEVEL` below 2 to see the notes.
  """
  with notes.dropped(), collecting.paused():
    yield
    # Looks for devices now: what TensorFlow says while it does belongs to the notes.
    importlib.import_module('tensorflow').config.list_physical_devices()


def _define_as_own(define: Callable[[], None]) -> None:
  """Defines the program's flags so that `--help` lists them, whichever module they are defined in."""
  before = set(FLAGS)
  flags.DEFINE_bool('traceback', False, 'show where an error came from')
  define()
  for name in set(FLAGS) - before:
    FLAGS.register_key_flag_for_module(sys.argv[0], FLAGS[name])


def _parse(expected: str, arguments: list[str]) -> list[str]:
  try:
    rest: list[str] = FLAGS(arguments)
  except flags.Error as error:
    _say(error)
    sys.exit(2)
  except SystemExit:  # --help has been shown, which is no failure.
    sys.exit(0)
  except BrokenPipeError:  # As in --help | head.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(0)
  if expected and not rest[1:]:
    _say(f'{expected} are needed, see --help')
    sys.exit(2)
  if rest[1:] and not expected:
    _say(f'unexpected argument {rest[1]!r}; settings are given as --name=value, see --help')
    sys.exit(2)
  return rest


def _exit_code(main: Callable[[], bool | None]) -> int:
  try:
    return 1 if main() is False else 0
  except UsageError as error:
    _say(error)
    return 2
  except TicketsError as error:
    _say(error)
    return 1
  except KeyboardInterrupt as error:
    _say('interrupted; the same command resumes from here')
    return 128 + error.args[0] if isinstance(error, stopping.Stopped) else 130
  except Exception as error:
    _say(storage.told(error, str(getattr(error, 'filename', None) or 'a file')) or f'{type(error).__name__}: {error}')
    return 1


def _say(error: object) -> None:
  if FLAGS.traceback if FLAGS.is_parsed() else '--traceback' in sys.argv:
    traceback.print_exc()
  print(f'{sys.argv[0]}: error: {" ".join(str(error).split())}', file=sys.stderr)
