"""Computes what a run's record says from its SavedModel again: accuracies, losses, images right, effective weights.

    tickets-evaluate --run=DIR

The settled figures take batch-norm statistics that are estimated again from the training images. If a figure differs
from the record by more than --tolerance, the exit code is 1.
"""

from absl import flags

from tickets_tf.cli import command
from tickets_tf.errors import UsageError


def define_flags() -> None:
  """Defines the program's flags."""
  flags.DEFINE_string('run', '', 'folder of a finished run')
  flags.DEFINE_float('tolerance', 0.1, 'points by which accuracies may differ; as many percent of the images may be '
                     'others, and losses may differ by that share', lower_bound=0)


def main() -> bool:
  """Prints every figure twice; returns whether all agree."""
  folder, tolerance = flags.FLAGS.run, flags.FLAGS.tolerance
  if not folder:
    raise UsageError('--run is needed: the folder of a finished run')
  with command.loading_tensorflow():
    from tickets_tf.experiment.evaluate import evaluate
  found = evaluate(folder, tolerance)
  print(f'{folder}: from the SavedModel, and in the record')
  for figure in found.figures:
    verdict = '' if figure.agrees else f'  differ by more than {tolerance:g} points'
    print(f'  {figure.name:30} {figure.found:>18}  {figure.recorded}{verdict}')
  for line in found.left_out:
    print(f'  left out: {line}')
  print('they agree' if found.agrees else f'they differ by more than {tolerance:g} points in '
        + ', '.join(figure.name for figure in found.figures if not figure.agrees))
  return found.agrees


def run() -> None:
  """Runs the program: `tickets-evaluate` and `bin/evaluate`."""
  command.run(main, define=define_flags, text=__doc__)
