"""Time from a command to its first training step, over that of importing TensorFlow."""

from collections.abc import Sequence
import pathlib
import subprocess
import sys
import tempfile
import time

from benchmarks import ratios
from benchmarks import verdict_time
from tickets_tf.errors import TicketsError

_EVERY = 0.02  # seconds between two looks for the first step


def first_step_over_import(flags: Sequence[str], rounds: int) -> list[float]:
  """Returns the time until the first step of bin/train over that of `import tensorflow`, for pairs made in turn.

  Each process is a new one; the first pair, which reads the files of the programs from the disk, does not count.

  Args:
    flags: those of bin/train beside its folder.
    rounds: pairs.

  Raises:
    TicketsError: if a run ends before its first step is seen; with its last line.
  """
  steps, imports = [], []
  for _ in range(rounds + 1):
    imports.append(_import_seconds())
    steps.append(_step_seconds(flags))
  return ratios.in_turn(steps[1:], imports[1:])


def _import_seconds() -> float:
  start = time.monotonic()
  subprocess.run([sys.executable, '-c', 'import tensorflow'], check=True, capture_output=True)
  return time.monotonic() - start


def _step_seconds(flags: Sequence[str]) -> float:
  with tempfile.TemporaryDirectory(prefix='startup-') as name:
    watching = pathlib.Path(name) / 'watching'
    environment = verdict_time.watched(watching, verdict_time.ROOT)
    start = time.monotonic()
    with subprocess.Popen([sys.executable, verdict_time.ROOT / 'bin' / 'train', *flags, '--noprogress',
                           f'--output_dir={name}/runs'], env=environment, cwd=name, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True) as process:
      while process.poll() is None:
        if seen := list(watching.glob('*.step')):
          process.kill()
          return float(seen[0].read_text()) - start
        time.sleep(_EVERY)
      assert process.stderr is not None, 'it is a pipe'
      lines = process.stderr.read().strip().splitlines()
  raise TicketsError('bin/train ended before its first step was seen: ' + (lines or ['no message'])[-1])
