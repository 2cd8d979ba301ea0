"""Takes the trained network of a run to PyTorch.

    tickets-exchange --run=DIR --to=torch --output=DIR

leaves weights and masks in a .safetensors file, and beside it a module in plain PyTorch that loads them.
"""

from absl import flags

from tickets_tf.cli import command
from tickets_tf.errors import UsageError


def define_flags() -> None:
  """Defines the program's flags."""
  flags.DEFINE_string('run', '', 'folder of a finished run')
  flags.DEFINE_enum('to', 'torch', ['torch'], 'what to write of --run: a folder for PyTorch')
  flags.DEFINE_string('output', '', 'folder to write')
  flags.DEFINE_bool('fold_masks', False, 'write weights whose zeros are the mask, in place of weight_orig and '
                    'weight_mask')
  flags.DEFINE_bool('settle', False, 'take the batch-norm statistics of the settled accuracy in the record')
  flags.DEFINE_string('data_dir', '', 'folder of the data set, if it has moved since the training')


def main() -> None:
  """Writes the folder that the flags ask for."""
  values = flags.FLAGS
  if not values.run:
    raise UsageError('--run is needed: the folder of a finished run')
  if not values.output:
    raise UsageError('--output is needed: the folder to write')
  with command.loading_tensorflow():
    from tickets_tf.export import torch_folder
  torch_folder.export_torch(values.run, values.output, values.data_dir, values.fold_masks, values.settle)


def run() -> None:
  """Runs the program: `tickets-exchange` and `bin/exchange`."""
  command.run(main, define=define_flags, text=__doc__)
