"""Turns a trained ticket into a SavedModel and TFLite files, each run on the test set.

    tickets-export --run=DIR

Prints a table of the files' sizes, accuracies and latencies, and writes it beside them.
"""

from absl import flags

from tickets_tf.cli import command
from tickets_tf.errors import TicketsError, UsageError


def define_flags() -> None:
  """Defines the program's flags."""
  flags.DEFINE_string('run', '', 'folder of a finished run')
  flags.DEFINE_string('saved_model', '', 'SavedModel of a ticket, in place of --run')
  flags.DEFINE_string('output', '', 'folder to write; empty: export/ in the run or beside the SavedModel')
  flags.DEFINE_enum('tflite', 'best', ['best', 'all', 'none'], 'best: the best file within --tolerance, those that are '
                    'faster than all smaller ones, and a dense one for runtimes that lack DENSIFY')
  flags.DEFINE_string('best', 'size', 'what the best file is the least of: size, gzip, latency, size_and_latency '
                      '(their product), or package.module:name of your own')
  flags.DEFINE_float('tolerance', 0.5, 'points of test accuracy that the best file may lose', lower_bound=0)
  flags.DEFINE_list('variants', [], 'forms to try, such as sparse_int8 (docs/export.md has their table), '
                    'or package.module:name of your own; empty: all')
  flags.DEFINE_bool('compact', False, 'remove channels that have no weights left')
  flags.DEFINE_bool('settle', False, 'take the batch-norm statistics of the settled accuracy in the record')
  flags.DEFINE_bool('onnx', False, 'also write model.onnx; needs pip install "tickets_tf[onnx]"')
  flags.DEFINE_bool('keras', False, 'also write the network, as trained, and its masks for Keras 3: ticket.keras, '
                    'ticket.weights.h5 and ticket.masks.npz')
  flags.DEFINE_string('serving', '', 'folder of a model for TensorFlow Serving: the SavedModel is also written there, '
                      'as its next version')
  flags.DEFINE_string('licence', '', 'licence of the model, for its card')
  flags.DEFINE_string('data_dir', '', 'folder of the data set, if it has moved since the training')
  flags.DEFINE_integer('rounds', 11, 'pairs of measurements of latency', lower_bound=5)


def main() -> None:
  """Writes the files and prints the table of what they are."""
  values = flags.FLAGS
  if bool(values.run) == bool(values.saved_model):
    raise UsageError('one of --run and --saved_model is needed: the folder of a finished run, or the SavedModel of one')
  with command.loading_tensorflow():
    from tickets_tf.export import bundle
    from tickets_tf.export import card
    from tickets_tf.export.options import Options
  options = Options(values.tflite, values.tolerance, tuple(values.variants), values.rounds, values.compact,
                    values.data_dir, values.settle, values.best, values.onnx, values.serving, values.licence,
                    values.keras)
  write = bundle.export_run if values.run else bundle.export_saved_model
  report = write(values.run or values.saved_model, values.output or None, options)
  print(card.table(report))
  if options.onnx and not report.onnx:
    raise TicketsError('no ONNX file could be made; all other files are written')
  if report.failed and not report.tflite:
    raise TicketsError('no form could be made as a TFLite file; the SavedModel is written, and --tflite=none writes it '
                       'alone')


def run() -> None:
  """Runs the program: `tickets-export` and `bin/export`."""
  command.run(main, define=define_flags, text=__doc__)
