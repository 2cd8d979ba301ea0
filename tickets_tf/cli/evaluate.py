"""Computes a run's test accuracy from its SavedModel again and compares it with the record.

    tickets-evaluate --run=DIR

If they differ by more than --tolerance points, the exit code is 1.
"""

from absl import flags

from tickets_tf.cli import command
from tickets_tf.errors import UsageError


def define_flags() -> None:
  """Defines the program's flags."""
  flags.DEFINE_string('run', '', 'folder of a finished run')
  flags.DEFINE_float('tolerance', 0.1, 'points by which the two may differ', lower_bound=0)


def main() -> bool:
  """Prints both accuracies; returns whether they agree."""
  folder, tolerance = flags.FLAGS.run, flags.FLAGS.tolerance
  if not folder:
    raise UsageError('--run is needed: the folder of a finished run')
  with command.loading_tensorflow():
    from tickets_tf.experiment.evaluate import evaluate
  found, recorded = evaluate(folder)
  agree: bool = abs(found - recorded) <= tolerance / 100
  print('they agree' if agree else f'they differ by more than {tolerance:g} points')
  return agree


def run() -> None:
  """Runs the program: `tickets-evaluate` and `bin/evaluate`."""
  command.run(main, define=define_flags, text=__doc__)
