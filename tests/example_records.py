"""A record as a finished run leaves it, for tests that train nothing."""

import dataclasses

from tickets_tf.pruning.collapse import Collapse
from tickets_tf.runs import records
from tickets_tf.runs.run import Run


def record(run: Run, **changes):
  """Returns the record of a run of a network of one layer; `changes` replace parts of it."""
  found = records.Record(
      settings=run.settings, digest=run.digest, seed=run.settings.seed,
      order_seed=run.order_seed, init_seed=run.init_seed, rule=records.Choices.of(run.rule),
      needed=tuple(other.name for other in run.before()), proof={}, network='resnet8',
      dataset=records.DatasetSize('digits', 1437, 360, 0, 10, (8, 8, 1)), mask='0123456789abcdef',
      pattern=records.PatternKept('unstructured', ()), layers=(records.Layer('conv1', (3, 3, 1, 4), 36, 4, 2304, 256),),
      all_weights=60, unpruned={},
      collapse=Collapse([], True, {'conv1': 0}, 4, 1 - 4 / 36, []), effective_weights=4,
      final_accuracy=0.9, settled_accuracy=0.9, test_loss=0.3, settled_loss=0.3,
      balanced_accuracy=0.9, class_accuracy=(0.9,) * 10, best_accuracy=0.95, best_epoch=3, best_on='test',
      seconds=records.Seconds(0.1, 0.2, 0.3, 0.4), environment={'commit': 'f' * 40}, notes=())
  return dataclasses.replace(found, **changes)
