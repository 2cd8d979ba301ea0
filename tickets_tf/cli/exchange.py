"""Takes tickets to PyTorch and networks of PyTorch into runs.

    tickets-exchange --run=DIR --to=torch --output=DIR

leaves weights and masks in a .safetensors file, and beside it a module in plain PyTorch that loads them.

    tickets-exchange --from=FILE --output=DIR --model=resnet20 --dataset=cifar10

takes masks, weights and batch norm of the same network out of a file into a folder, and judges them in a run, which can
be exported. --epochs trains them on. All other settings are those of tickets-train.
"""

import dataclasses
import os
import pathlib

from absl import flags

from tickets_tf.cli import command
from tickets_tf.cli.flags import define_flags as define_settings
from tickets_tf.cli.flags import from_flags
from tickets_tf.errors import UsageError

_TEMPLATE = '?'
# What --from says itself.
_OWN = ('mask', 'weights', 'pruner', 'ratio', 'check')


def define_flags() -> None:
  """Defines the program's flags."""
  define_settings()
  flags.DEFINE_string('run', '', 'folder of a finished run')
  flags.DEFINE_enum('to', 'torch', ['torch'], 'what to write of --run: a folder for PyTorch')
  flags.DEFINE_string('from', '', 'file of PyTorch: .safetensors or .npz; Keras\' files give their masks')
  flags.DEFINE_string('output', '', 'folder to write')
  flags.DEFINE_bool('fold_masks', False, 'with --run: write weights whose zeros are the mask, in place of weight_orig '
                    'and weight_mask')
  flags.DEFINE_string('names', '', 'with --from: JSON file that says what layers are called in the file; ?: write one '
                      'to complete, names.json in --output')
  flags.DEFINE_enum('missing', 'fail', ['fail', 'dense'], 'with --from: dense: layers that the file lacks are kept '
                    'whole, with the weights of their initialisation')
  flags.DEFINE_bool('masks_only', False, 'with --from: leave the weights in the file alone')


def main() -> None:
  """Writes the folder that the flags ask for and, with weights from a file, a run."""
  values = flags.FLAGS
  if bool(values.run) == bool(values['from'].value):
    raise UsageError('one of --run and --from is needed: the folder of a finished run, or a file of PyTorch')
  if not values.output:
    raise UsageError('--output is needed: the folder to write')
  if values.run:
    with command.loading_tensorflow():
      from tickets_tf.export import torch_folder
    torch_folder.export_torch(values.run, values.output, values.data_dir, values.fold_masks, values.settle)
  else:
    _take(values['from'].value, pathlib.Path(values.output).expanduser())


def _take(path: str, output: pathlib.Path) -> None:
  values = flags.FLAGS
  given = [name for name in _OWN if values[name].present]
  if given:
    raise UsageError(f'--{given[0]}: does not go with --from; take the file first, and give what it leaves in --output '
                     'to bin/train')
  path = os.path.expanduser(path)
  if not os.path.isfile(path):
    raise UsageError(f'--from={path}: there is no such file')
  settings = from_flags()
  with command.loading_tensorflow():
    from tickets_tf import data
    from tickets_tf import report
    from tickets_tf.experiment import taking
    from tickets_tf.experiment.train import train
    from tickets_tf.runs.run import Run
  dataset = data.load_dataset(settings.dataset, settings.data_dir or None, settings.image_size,
                              settings.train_examples, settings.validation_split, settings.images_in,
                              settings.image_memory)
  if values.names == _TEMPLATE:
    taking.write_template(path, settings, dataset, output)
    return
  how = taking.Reading(values.names, values.missing, values.masks_only)
  found = taking.take(path, settings, dataset, output, how)
  print(f'{found.mask}: the mask, for --mask')
  if not found.weights:
    return
  print(f'{found.weights}: the weights, for --weights')
  record = train(found if values['epochs'].present else dataclasses.replace(found, epochs=0))
  print(report.layer_table(record))
  print(report.summary(record))
  print(f'run: {Run(record.settings).folder}')


def run() -> None:
  """Runs the program: `tickets-exchange` and `bin/exchange`."""
  command.run(main, define=define_flags, text=__doc__)
