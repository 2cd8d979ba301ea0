"""What it takes to load, filter and sum up the records of a folder that holds many runs."""

import dataclasses
import itertools
import json
import os
import pathlib
import subprocess
import sys

from tickets_tf.errors import TicketsError
from tickets_tf.pruning.collapse import Collapse
from tickets_tf.runs import records
from tickets_tf.runs.folder import RunFolder
from tickets_tf.runs.index import NAME
from tickets_tf.runs.records import Layer
from tickets_tf.runs.run import Run
from tickets_tf.runs.settings import Settings

_ROOT = pathlib.Path(__file__).resolve().parents[1]
_RULES = ('random', 'snip', 'grasp', 'synflow', 'magnitude')
_RATIOS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)
_LAYERS = tuple(Layer(f'stage{stage}_block{block}_conv{conv}', (3, 3, 64, 64), 36864, 3686, 2359296, 235929)
                for stage, block, conv in itertools.product((1, 2, 3), range(1, 6), (1, 2)))

# In a process of its own, so that neither modules nor memory of an earlier measurement help.
_MEASURE = """
import json, pathlib, sys, time
from tickets_tf.runs.columns import Condition
from tickets_tf.runs.index import Index
def kilobytes(name):
  lines = pathlib.Path('/proc/self/status').read_text().splitlines()
  return next(int(line.split()[1]) for line in lines if line.startswith(name + ':'))
pathlib.Path('/proc/self/clear_refs').write_text('5')  # The peak counts from here on; only Linux tells it.
before = kilobytes('VmRSS')
start = time.perf_counter()
with Index(sys.argv[1]) as index:
  groups = index.summaries(['pruner', 'ratio'], 'settled_accuracy', [Condition.parse('ratio>=0.9')])
  counted = sum(group.count for group in groups)
seconds = time.perf_counter() - start
print(json.dumps({'seconds': seconds, 'opened': index.opened, 'counted': counted,
                  'kilobytes': kilobytes('VmHWM') - before}))
"""


@dataclasses.dataclass(frozen=True)
class Cost:
  """What one opening of an index took, with a table of it.

  Attributes:
    seconds: from the opening to the table.
    opened: number of records that were read.
    counted: number of records in the table.
    kilobytes: most memory that the process had on top of what it had before.
  """
  seconds: float
  opened: int
  counted: int
  kilobytes: int


def make(folder: pathlib.Path, count: int) -> None:
  """Makes the records of runs that nobody did, of ResNet32's size.

  Args:
    folder: an empty folder.
    count: number of records.
  """
  kinds = list(itertools.product(_RULES, _RATIOS))
  for number in range(count):
    seed, (rule, ratio) = number // len(kinds), kinds[number % len(kinds)]
    run = Run(Settings(pruner=rule, ratio=ratio, seed=seed, output_dir=str(folder)))
    run.folder.path.mkdir()
    # Not by `records.write`, which waits for the disk after every file.
    RunFolder(run.folder.path).record.write_text(json.dumps(records.to_json(_record(run, number)), indent=2))


def measure(folder: pathlib.Path) -> tuple[Cost, Cost]:
  """Returns the cost of opening a folder's records without an index, and with the one that this leaves."""
  (folder / NAME).unlink(missing_ok=True)
  return _measure(folder), _measure(folder)


def _measure(folder: pathlib.Path) -> Cost:
  environment = {**os.environ, 'PYTHONPATH': os.pathsep.join([str(_ROOT), os.environ.get('PYTHONPATH', '')])}
  done = subprocess.run([sys.executable, '-c', _MEASURE, str(folder)], env=environment, capture_output=True, text=True)
  if done.returncode:
    raise TicketsError(f'records: {(done.stderr.strip().splitlines() or ["no message"])[-1]}')
  return Cost(**json.loads(done.stdout))


def _record(run: Run, number: int) -> records.Record:
  accuracy = 0.9 + (number * 7919 % 1000) / 1e5
  return records.Record(
      settings=run.settings, digest=run.digest, seed=run.settings.seed, order_seed=run.order_seed,
      init_seed=run.init_seed, rule=records.Choices.of(run.rule), needed=(), proof={}, network='resnet32',
      dataset=records.DatasetSize('cifar10', 50000, 10000, 0, 10, (32, 32, 3)), mask=f'{number:016x}',
      pattern=records.PatternKept('unstructured', ()), layers=_LAYERS, all_weights=1861322, unpruned={},
      collapse=Collapse([], True, {layer.name: 0 for layer in _LAYERS}, 110580, run.settings.ratio, []),
      effective_weights=110580, final_accuracy=accuracy, settled_accuracy=accuracy, test_loss=0.3, settled_loss=0.3,
      balanced_accuracy=accuracy, class_accuracy=(accuracy,) * 10, best_accuracy=accuracy, best_epoch=3, best_on='test',
      seconds=records.Seconds(1.0, 2.0, 3600.0, 4.0), environment={'commit': 'f' * 40}, notes=())
