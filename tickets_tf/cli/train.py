"""Finds a ticket, trains it and leaves a SavedModel.

    tickets-train --pruner=random --ratio=0.95

Every setting is a flag. --config reads a whole protocol, and flags behind it change what they name:

    tickets-train --config=cifar10_resnet32 --ratio=0.98
"""

from tickets_tf.cli import command
from tickets_tf.cli.flags import define_flags
from tickets_tf.cli.flags import from_flags
from tickets_tf.runs.run import Run


def main() -> None:
  """Trains what the flags ask for and prints its table, its accuracy and where it is."""
  chosen = from_flags()
  with command.loading_tensorflow():
    from tickets_tf import report
    from tickets_tf.experiment.train import train
  record = train(chosen)
  print(report.layer_table(record))
  print(report.summary(record))
  folder = Run(record.settings).folder
  print(f'ticket: {folder.saved_model if folder.saved_model.exists() else folder}')


def run() -> None:
  """Runs the program: `tickets-train` and `bin/train`."""
  command.run(main, define=define_flags, text=__doc__)
