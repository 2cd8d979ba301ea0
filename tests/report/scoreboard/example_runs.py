"""Folders of runs with records of known accuracies, for tests of reports; nothing is trained."""

from tests import example_records
from tickets_tf.runs import records
from tickets_tf.runs.run import Run
from tickets_tf.runs.settings import Settings

PROTOCOL = {'model': 'resnet8', 'epochs': 4, 'width': 8}
DIGITS = records.DatasetSize('digits', 1437, 360, 0, 10, (8, 8, 1))


def write(folder, accuracies, changes=None, **settings):
  """Writes the records of seeds 0, 1, ... with settled accuracies in percent, and returns their folders.

  Args:
    folder: the folder of runs.
    accuracies: one a seed.
    changes: what of the record is other than in `example_records.record`.
    **settings: of the runs, beside `PROTOCOL`.
  """
  folders = []
  for seed, accuracy in enumerate(accuracies):
    run = Run(Settings(**{**PROTOCOL, 'seed': seed, **settings, 'output_dir': str(folder)}))
    run.folder.path.mkdir(parents=True)
    layers = example_records.record(run).layers
    if not run.rule.prunes:
      layers = tuple(records.Layer(each.name, each.shape, each.weights, each.weights, None, None) for each in layers)
    records.write(run.folder.path, example_records.record(run, **{
        'dataset': DIGITS, 'settled_accuracy': accuracy / 100, 'best_accuracy': min(accuracy + 1, 100) / 100,
        'layers': layers,
        **(changes or {})}))
    folders.append(run.folder.path)
  return folders


def study(folder):
  """Writes a small study: the dense network, three rules at two ratios, one check; snip at 0.98 is worse for sure."""
  write(folder, (98.0, 98.2, 97.9), pruner='dense')
  write(folder, (95.0, 95.5, 95.2), pruner='random', ratio=0.95)
  write(folder, (90.0, 90.3, 90.1), pruner='random', ratio=0.98)
  write(folder, (95.1, 95.3, 95.2), pruner='snip', ratio=0.95)
  write(folder, (80.0, 80.4, 80.1), pruner='snip', ratio=0.98)
  write(folder, (95.0, 95.4, 95.3), pruner='snip', ratio=0.95, check='rearrange')
  write(folder, (96.0, 95.9), pruner='lr_rewinding', ratio=0.98)
