"""A run's network for PyTorch: a folder of its weights, its masks and a module that loads them."""

import importlib.util
import os
import pathlib
import pprint
import runpy
from collections.abc import Callable, Sequence
from typing import Any

import jinja2
import numpy as np
import numpy.typing as npt
import safetensors.numpy
import tf_keras as keras

from tickets_tf import data
from tickets_tf import exchange
from tickets_tf import files
from tickets_tf import models
from tickets_tf import sparse
from tickets_tf.errors import TicketsError, UsageError
from tickets_tf.export import torch_program
from tickets_tf.pruning.mask import Mask, load_mask
from tickets_tf.runs import records
from tickets_tf.runs.folder import RunFolder
from tickets_tf.training import checkpoints
from tickets_tf.training import settling

WEIGHTS = 'model.safetensors'
MODULE = 'network.py'
NAMES = 'names.json'
_COMPARED = 256  # test images
_TOLERANCE = 1e-4  # of a logit, or of the largest one if that is above 1
_TEMPLATES = jinja2.Environment(loader=jinja2.PackageLoader('tickets_tf.export'), undefined=jinja2.StrictUndefined,
                                trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)


def export_torch(folder: str | os.PathLike[str], output: str | os.PathLike[str], data_dir: str = '',
                 fold_masks: bool = False, settle: bool = False, say: Callable[[str], object] = print) -> None:
  """Writes the trained network of a run for PyTorch: `model.safetensors`, `network.py` and `names.json`.

  If PyTorch is installed, the module that was written is run on test images and compared with the network.

  Args:
    folder: the folder of a finished run.
    output: the folder to write, whole or not at all; an earlier one is replaced.
    data_dir: folder of the data set, if it has moved.
    fold_masks: write weights alone, whose zeros are the mask.
    settle: take the batch-norm statistics of the settled accuracy.
    say: takes lines for the user.

  Raises:
    UsageError: if the run has not finished, `output` holds other things, or a layer is not known in PyTorch.
    TicketsError: if something cannot be read or written, or the module computes something else.
  """
  run = RunFolder(pathlib.Path(folder))
  record = records.read(run.path)
  output = _free(output)
  used = record.settings
  dataset = data.load_dataset(used.dataset, data_dir or used.data_dir or None, used.image_size, used.train_examples,
                              used.validation_split, used.images_in, used.image_memory)
  network = models.build_model(used.model, dataset.image_shape, dataset.num_classes, width=used.width)
  checkpoints.load_weights(network, run.final)
  mask = load_mask(run.final_mask)
  sparse.check_removed(network, mask)
  if settle:
    settling.set_statistics(network, settling.load(run.settled))
  title = f'{network.name} trained on {dataset.name}, which keeps {mask.kept:,} of {mask.size:,} prunable weights'
  write_torch(network, mask, dataset, output, title, fold_masks, say)


def write_torch(network: keras.Model, mask: Mask, dataset: data.Dataset, output: pathlib.Path, title: str,
                fold_masks: bool, say: Callable[[str], object]) -> None:
  """Writes a network for PyTorch, see `export_torch`.

  Args:
    network: a functional or sequential network to logits.
    mask: its mask.
    dataset: what it was trained on.
    output: the folder to write.
    title: what the network is, for people who read the module.
    fold_masks: see `export_torch`.
    say: takes lines for the user.
  """
  program = torch_program.program(network)
  arrays = program.arrays(network, mask, fold_masks)
  masks = sum(name.endswith('.weight_mask') for name in arrays)
  text = _TEMPLATES.get_template('torch_network.jinja').render(
      title=title, shape=list(dataset.image_shape), masks=bool(masks), modules=program.modules, steps=program.steps,
      class_names=pprint.pformat(list(dataset.class_names), width=100, compact=True), classes=dataset.num_classes,
      mean=_numbers(dataset.mean), std=_numbers(dataset.std), result=program.result,
      attention=any('(attention(' in expression for _, expression in program.steps))
  with files.replacing(output) as temporary:
    temporary.mkdir(parents=True)
    (temporary / WEIGHTS).write_bytes(safetensors.numpy.save(arrays, {'format': 'pt'}))
    (temporary / MODULE).write_text(text, encoding='utf-8')
    exchange.write_names(temporary / NAMES, program.name_map(network))
    compared = _compare(network, dataset, temporary)
  say(f'{output / WEIGHTS}: {len(arrays)} arrays, ' + (
      'weights whose zeros are the mask' if not masks else
      f'weight_orig and weight_mask of {masks} kernels, as torch.nn.utils.prune names them'))
  say(f'{output / MODULE}: the network in plain PyTorch; network.load() gives it with these weights')
  say(f'{output / NAMES}: names here and there, for bin/exchange --names')
  say(compared)


def _compare(network: keras.Model, dataset: data.Dataset, folder: pathlib.Path) -> str:
  """Returns a line on how the logits of the written module differ; raises TicketsError if they differ by more."""
  if importlib.util.find_spec('torch') is None:
    return 'PyTorch is not installed here, so the module was not run (pip install "tickets_tf[torch]")'
  images = dataset.test.images[:_COMPARED]
  found = _logits(folder / MODULE, images)
  expected = network(data.normalise(images, dataset.mean, dataset.std), training=False).numpy()
  difference = float(np.abs(found - expected).max())
  if not difference <= _TOLERANCE * max(1.0, float(np.abs(expected).max())):
    raise TicketsError(f'--to=torch: logits of the module and of the network differ by {difference:.2g} on '
                       f'{len(images)} test images; nothing is written')
  return f'logits of the module and of the network differ by at most {difference:.1e} on {len(images)} test images'


def _logits(module: pathlib.Path, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
  import torch
  written: dict[str, Any] = runpy.run_path(str(module))
  with torch.no_grad():
    logits: npt.NDArray[np.float32] = written['load']()(written['prepare'](torch.tensor(images))).numpy()
  return logits


def _numbers(values: Sequence[float]) -> list[float]:
  return [float(value) for value in values]


def _free(output: str | os.PathLike[str]) -> pathlib.Path:
  output = pathlib.Path(output).expanduser().absolute()
  if output.exists() and not (output / MODULE).is_file() and not (output.is_dir() and not any(output.iterdir())):
    raise UsageError(f'--output={output}: exists and holds no {MODULE}; give a folder that is new, empty or an earlier '
                     'export')
  return output
