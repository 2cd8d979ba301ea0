"""Trains one ticket twice with orders that differ from some epoch on, and judges the line between the two.

    tickets-instability --pruner=lottery --ratio=0.9 --share_epochs=0,1,2,5

For every number of shared epochs it tells the accuracies of both trainings, the lowest accuracy on the line between
their final weights, and the barrier: the highest error on the line less the mean error of its ends. The orders differ
by --order_seed (the seed after --seed if it is not given). Every other setting is that of tickets-train. Killed, the
same command resumes.
"""

import pathlib

from absl import flags

from tickets_tf.cli import command
from tickets_tf.cli.flags import define_flags as define_settings
from tickets_tf.cli.flags import from_flags
from tickets_tf.cli.flags import parse_list
from tickets_tf.errors import UsageError
from tickets_tf.judging.instability import check_epochs
from tickets_tf.runs.run import Run


def define_flags() -> None:
  """Defines the program's flags."""
  define_settings()
  flags.DEFINE_list('share_epochs', ['0'], 'numbers of epochs that both trainings share')
  flags.DEFINE_integer('points', 11, 'points of a line at which accuracy is measured, its ends included',
                       lower_bound=3)
  flags.DEFINE_float('tolerance', 2, 'highest barrier in percent points at which two trainings count as connected',
                     lower_bound=0)
  flags.DEFINE_integer('parallel', 1, 'trainings to do at a time, each in a process of its own', lower_bound=1)
  flags.DEFINE_string('report', '', 'folder of instability.json and instability.svg; empty: one below --output_dir')


def main() -> None:
  """Does the trainings, judges the lines, prints their table and writes all points and a picture."""
  values = flags.FLAGS
  base = from_flags()
  shares = check_epochs(parse_list('share_epochs', 'epochs', values.share_epochs), base.epochs)
  with command.loading_tensorflow():
    from tickets_tf.experiment import instability
    from tickets_tf.report import instability as report
  first, _ = instability.trainings(base, shares)
  folder = pathlib.Path(values.report or Run(base).folder.path.parent / f'instability-{first.name}').expanduser()
  try:
    folder.mkdir(parents=True, exist_ok=True)
  except OSError as error:
    flag = f'--report={values.report}' if values.report else f'--output_dir={base.output_dir}'
    raise UsageError(f'{flag}: cannot be written to: {error.strerror}') from error
  found = instability.instability(base, shares, folder / 'instability.json', values.points, values.tolerance,
                                  values.parallel)
  report.write_instability(found, folder / 'instability.svg')
  print(report.instability_table(found))
  print(f'all points: {folder / "instability.json"}')


def run() -> None:
  """Runs the program: `tickets-instability` and `bin/instability`."""
  command.run(main, define=define_flags, text=__doc__)
