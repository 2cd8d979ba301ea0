"""Networks of PyTorch as runs: masks and weights out of a file, to judge, export, score or train on."""

import dataclasses
import math
import pathlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow as tf
import tf_keras as keras

from tickets_tf import exchange
from tickets_tf import files
from tickets_tf import models
from tickets_tf.data import Dataset
from tickets_tf.errors import UsageError
from tickets_tf.exchange import Told
from tickets_tf.experiment import networks
from tickets_tf.models.modules import Module, modules
from tickets_tf.models.prunable import named_layers
from tickets_tf.pruning.mask import Mask
from tickets_tf.pruning.rules import RULES
from tickets_tf.runs.run import Run
from tickets_tf.runs.settings import Settings
from tickets_tf.training import checkpoints

MASK = 'mask.npz'
WEIGHTS = 'network.weights.h5'
NAMES = 'names.json'
_EPSILON = 1e-5  # PyTorch's of batch norm; files do not tell it


@dataclasses.dataclass(frozen=True)
class Reading:
  """How a file is read.

  Attributes:
    names: name map, see `tickets_tf.exchange.name_map`; empty: none.
    missing: `'fail'`, or `'dense'`: layers that the file lacks are kept whole, with their weights of initialisation.
    masks_only: leave weights in the file alone.
  """
  names: str = ''
  missing: str = 'fail'
  masks_only: bool = False


def take(path: str, settings: Settings, dataset: Dataset, output: pathlib.Path, how: Reading,
         say: Callable[[str], object] = print) -> Settings:
  """Takes masks and weights out of a file into a folder: `mask.npz`, `network.weights.h5` and `names.json`.

  Args:
    path: the file, of PyTorch or another program.
    settings: the settings of the network that the file is of.
    dataset: their data set.
    output: the folder to write, whole or not at all; an earlier one is replaced.
    how: how to read it.
    say: takes lines for the user.

  Returns:
    The settings of a run that starts from what was taken.

  Raises:
    UsageError: if it is not certain what belongs together; the message names the file and what is left.
    TicketsError: if the folder cannot be written.
  """
  exchange.check_kind(path)
  _check_free(output)
  network = _network(settings, dataset)
  told = exchange.read_names(how.names) if how.names else {}
  _check_names(network, told, how.names)
  found_modules = _told(_modules(network, how.masks_only), told, how.names)
  with exchange.naming(path), exchange.opened(path) as container:
    found = exchange.read_network(container, found_modules, settings.mask_layout, _layers(told), how.missing,
                                  how.masks_only)
  for line in found.lines:
    say(line)
  if found.weights is not None:
    _assign(found.weights, found.vectors, found_modules, say)
  mask = Mask.from_arrays(models.prunable_kernels(network),
                          [found.masks[kernel.name] for kernel in models.prunable_kernels(network)])
  with files.replacing(output) as temporary:
    temporary.mkdir(parents=True)
    mask.save(temporary / MASK)
    exchange.write_names(temporary / NAMES, {name: told.get(name, Told(layer)) for name, layer in found.names.items()})
    if found.weights is not None:
      checkpoints.save_weights(network, temporary / WEIGHTS)
  return dataclasses.replace(settings, pruner=RULES.of_a_mask(), mask=str(output / MASK), mask_layout='auto',
                             weights=str(output / WEIGHTS) if found.weights is not None else '')


def write_template(path: str, settings: Settings, dataset: Dataset, output: pathlib.Path,
                   say: Callable[[str], object] = print) -> None:
  """Writes `names.json` into a folder: what each layer is called in a file, as far as that is known.

  A dense layer whose inputs may be flattened in an unknown order has a "flattened" to fill in.

  Args:
    path: the file.
    settings: as for `take`.
    dataset: as for `take`.
    output: the folder.
    say: takes lines for the user.
  """
  exchange.check_kind(path)
  asked = _modules(_network(settings, dataset), masks_only=False)
  found: Mapping[str, str] = {}
  with exchange.naming(path), exchange.opened(path) as container:
    arrays = [f'{array.name} {array.shape}' for array in container.arrays]
    try:
      certain = [_with_flattened(module, None) for module in asked]
      found = exchange.read_network(container, certain, settings.mask_layout, {}, 'dense').names
    except exchange.Mismatch as error:
      say(f'what belongs together is not certain: {error}')
  unknown = {module.name for module in asked if module.kernel is not None and module.kernel.unknown_order}
  output.mkdir(parents=True, exist_ok=True)
  exchange.write_template(output / NAMES, [module.name for module in asked], found, unknown)
  say('\n  '.join([f'{path} has:', *arrays]))
  say(f'{output / NAMES}: {sum(module.name in found for module in asked)} of {len(asked)} layers found; fill in the '
      'others and give it to --names')


def _network(settings: Settings, dataset: Dataset) -> keras.Model:
  run = Run(dataclasses.replace(settings, pruner='dense', mask='', weights='', check=''))
  return networks.network(run, dataset, tf.distribute.get_strategy(), networks.INITIALISATION)


def _check_names(network: keras.Model, told: Mapping[str, Told], path: str) -> None:
  known = [kernel.name for kernel in models.prunable_kernels(network)]
  unknown = sorted(set(told) - {*known, *(name for _, name in named_layers(network))})
  if unknown:
    raise UsageError(f'--names={path}: no layers of the network: {", ".join(unknown)}; --names=? writes a file with '
                     'all that it has')


def _modules(network: keras.Model, masks_only: bool) -> list[Module]:
  if not masks_only:
    return modules(network)
  return [Module(kernel.name, kernel.layer, kernel, {}, 0) for kernel in models.prunable_kernels(network)]


def _layers(told: Mapping[str, Told]) -> dict[str, str]:
  return {name: each.module for name, each in told.items() if each.module}


def _told(found: Sequence[Module], told: Mapping[str, Told], path: str) -> list[Module]:
  """Returns the modules with what a name map says of the order of their inputs."""
  return [_with_flattened(module, told[module.name].flattened, path)
          if module.name in told and told[module.name].says_order else module for module in found]


def _with_flattened(module: Module, flattened: tuple[int, int, int] | None, path: str = '') -> Module:
  if module.kernel is None:
    return module
  if flattened is not None and math.prod(flattened) != module.kernel.shape[0]:
    raise UsageError(f'--names={path}: {module.name}: flattened={list(flattened)} are {math.prod(flattened)} values, '
                     f'and it has {module.kernel.shape[0]} inputs')
  kernel = dataclasses.replace(module.kernel, flattened=flattened, unknown_order=False)
  return dataclasses.replace(module, kernel=kernel)


def _assign(weights: Mapping[str, np.ndarray], vectors: Mapping[tuple[str, str], np.ndarray],
            all_modules: Sequence[Module], say: Callable[[str], object]) -> None:
  """Puts what was found into the network; layers that the file lacks keep their weights."""
  for module in all_modules:
    if module.kernel is not None and module.name in weights:
      module.kernel.variable.assign(weights[module.name])
    for role, variable in module.vectors.items():
      if (module.name, role) in vectors:
        variable.assign(vectors[module.name, role].reshape(variable.shape))
  other = sorted({module.layer.epsilon for module in all_modules if module.kernel is None} - {_EPSILON})
  if other:
    say(f'normalisation computes with epsilon={", ".join(map(str, other))} here, as the network says; PyTorch\'s '
        f'default is {_EPSILON:g}, and the file does not tell')


def _check_free(output: pathlib.Path) -> None:
  if output.exists() and not (output / MASK).is_file() and not (output.is_dir() and not any(output.iterdir())):
    if output.is_dir() and [each.name for each in output.iterdir()] == [NAMES]:
      return
    raise UsageError(f'--output={output}: exists and holds no {MASK}; give a folder that is new, empty or an earlier '
                     'exchange')
