"""A score timed in a new process from its first call on, so that nothing is traced or cached before."""

import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from benchmarks import cases
from tickets_tf.errors import TicketsError

_ROOT = pathlib.Path(__file__).resolve().parents[1]

Scoring = Callable[[], list[npt.NDArray[np.floating]]]


@dataclasses.dataclass(frozen=True)
class Cost:
  """What a score took in a process of its own.

  Attributes:
    seconds: of each call, in order.
    peak: most bytes that the first call held above what the process held before; None if the system does not tell.
  """
  seconds: tuple[float, ...]
  peak: int | None


# Each imports its framework itself, so that a process holds only one of them.
def _tickets_tf(case: cases.Case, score: str) -> Scoring:
  from benchmarks import tf_scores
  return tf_scores.prepare(case, score)


def _tf_loop(case: cases.Case, score: str) -> Scoring:
  from benchmarks import tf_scores
  return tf_scores.prepare_loop(case, score)


def _torch(layout: str) -> Callable[[cases.Case, str], Scoring]:
  def prepare(case: cases.Case, score: str) -> Scoring:
    from benchmarks import torch_scores
    return torch_scores.prepare(case, score, layout)

  return prepare


SIDES: dict[str, Callable[[cases.Case, str], Scoring]] = {
    'tickets_tf': _tickets_tf,
    'tensorflow_loop': _tf_loop,
    'torch_channels_first': _torch('channels_first'),
    'torch_channels_last': _torch('channels_last'),
}


def measure(path: str | os.PathLike[str], side: str, score: str, count: int, calls: int = 2,
            scores_path: str | os.PathLike[str] | None = None) -> Cost:
  """Runs a score in a new process. Imports, network and data are ready before the timing starts.

  Args:
    path: file of a `cases.Case`.
    side: a key of `SIDES`.
    score: name of the score.
    count: number of the case's examples to score.
    calls: how many times to call it.
    scores_path: `.npz` file to write the scores to, or None.

  Raises:
    TicketsError: if the process fails.
  """
  environment = {**os.environ, 'PYTHONPATH': os.pathsep.join([str(_ROOT), os.environ.get('PYTHONPATH', '')])}
  arguments = [str(path), side, score, count, calls, scores_path and str(scores_path)]
  done = subprocess.run([sys.executable, '-m', 'benchmarks.fresh', json.dumps(arguments)],
                        env=environment, capture_output=True, text=True)
  if done.returncode:
    raise TicketsError(f'{side} {score}: {(done.stderr.strip().splitlines() or ["no message"])[-1]}')
  found = json.loads(done.stdout.splitlines()[-1])
  return Cost(tuple(found['seconds']), found['peak'])


def _run(path: str, side: str, score: str, count: int, calls: int, scores_path: str | None) -> Cost:
  call = SIDES[side](cases.load(path).first(count), score)
  before, peak, seconds = _reset_peak(), None, []
  for _ in range(calls):
    start = time.perf_counter()
    scores = call()
    seconds.append(time.perf_counter() - start)
    if before is not None and len(seconds) == 1:
      peak = _memory('VmHWM') - before
  if scores_path:
    np.savez(scores_path, *scores)
  return Cost(tuple(seconds), peak)


def _reset_peak() -> int | None:
  # Only Linux tells the peak since a chosen moment.
  try:
    pathlib.Path('/proc/self/clear_refs').write_text('5')
    return _memory('VmRSS')
  except OSError:
    return None


def _memory(name: str) -> int:
  lines = pathlib.Path('/proc/self/status').read_text().splitlines()
  return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f'{name}:'))


if __name__ == '__main__':
  print(json.dumps(dataclasses.asdict(_run(*json.loads(sys.argv[1])))))
