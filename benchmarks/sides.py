"""Measurements of several programs in turn, each in a process of its own that stays and waits for the next turn.

Two frameworks in one process would share its threads and memory; a new process each time would mostly import.
"""

from collections.abc import Callable, Iterator
import contextlib
import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import time

from benchmarks.training_case import TrainingCase
from tickets_tf.errors import TicketsError

_ROOT = pathlib.Path(__file__).resolve().parents[1]

Train = Callable[[], None]


# Each imports its framework itself, so that a process holds only one of them.
def _tickets_tf(case: TrainingCase, steps: int) -> Train:
  from benchmarks import tf_training
  return tf_training.prepare(case, steps)


def _products(case: TrainingCase, steps: int) -> Train:
  from benchmarks import tf_training
  return tf_training.prepare_products(case, steps)


def _torch(layout: str) -> Callable[[TrainingCase, int], Train]:
  def prepare(case: TrainingCase, steps: int) -> Train:
    from benchmarks import torch_training
    return torch_training.prepare(case, steps, layout)

  return prepare


SIDES: dict[str, Callable[[TrainingCase, int], Train]] = {
    'tickets_tf': _tickets_tf,
    'products': _products,
    'torch_channels_first': _torch('channels_first'),
    'torch_channels_last': _torch('channels_last'),
}


@dataclasses.dataclass(frozen=True)
class Side:
  """A process that measures when it is asked to.

  Attributes:
    name: a key of `SIDES`.
    process: the process.
  """
  name: str
  process: subprocess.Popen[str]

  def seconds(self) -> float:
    """Lets it train once and returns how long that took.

    Raises:
      TicketsError: if the process has failed.
    """
    assert self.process.stdin and self.process.stdout and self.process.stderr, 'all three are pipes'
    with contextlib.suppress(BrokenPipeError):
      self.process.stdin.write('\n')
      self.process.stdin.flush()
    answer = self.process.stdout.readline()
    if not answer:
      raise TicketsError(f'{self.name}: {(self.process.stderr.read().strip().splitlines() or ["no message"])[-1]}')
    return float(answer)


@contextlib.contextmanager
def started(name: str, case: TrainingCase, steps: int) -> Iterator[Side]:
  """Starts the process of a side for the time of a `with` block.

  Args:
    name: a key of `SIDES`.
    case: what it trains.
    steps: training steps of a measurement.
  """
  environment = {**os.environ, 'PYTHONPATH': os.pathsep.join([str(_ROOT), os.environ.get('PYTHONPATH', '')]),
                 'TF_CPP_MIN_LOG_LEVEL': '3'}
  arguments = json.dumps([name, dataclasses.asdict(case), steps])
  with subprocess.Popen([sys.executable, '-m', 'benchmarks.sides', arguments], env=environment, text=True,
                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
    try:
      yield Side(name, process)
    finally:
      process.kill()


def _serve(name: str, case: TrainingCase, steps: int) -> None:
  # On as many cores as threads: TensorFlow would else run several operations at once, each with that many threads.
  if hasattr(os, 'sched_setaffinity'):
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:case.threads])
  train = SIDES[name](case, steps)
  train()  # traces, and fills caches
  for _ in sys.stdin:
    start = time.perf_counter()
    train()
    print(time.perf_counter() - start, flush=True)


if __name__ == '__main__':
  _name, _case, _steps = json.loads(sys.argv[1])
  _serve(_name, TrainingCase(**{**_case, 'image': tuple(_case['image'])}), _steps)
