"""The network of a run, drawn from its seed, and the batches that it trains on."""

import collections
from collections.abc import Iterator
import contextlib
import dataclasses
import pathlib
from typing import Any

import numpy.typing as npt
import tensorflow as tf
import tf_keras as keras

from tickets_tf import data
from tickets_tf import models
from tickets_tf import seeds
from tickets_tf import training
from tickets_tf.data import Dataset
from tickets_tf.errors import TicketsError, UsageError
from tickets_tf.models import keras3
from tickets_tf.models import layers
from tickets_tf.models import narrow
from tickets_tf.pruning.narrowed import Narrowed
from tickets_tf.runs.run import Run
from tickets_tf.runs.settings import MachineSettings
from tickets_tf.runs.settings import NetworkSettings
from tickets_tf.training import checkpoints


INITIALISATION = 'initialisation'


@dataclasses.dataclass(frozen=True, eq=False)
class _Kept:
  """A network that later runs use again, and the weights of an initialisation.

  Attributes:
    structure: all that its structure depends on.
    model: the network.
    seed: that of the initialisation.
    initial: its weights.
  """
  structure: tuple[Any, ...]
  model: keras.Model
  seed: int
  initial: list[npt.NDArray[Any]]


# The networks that `again` returned last, of different structures: that of the tickets and the small dense one.
_kept: list[_Kept] = []
_MOST_KEPT = 2
# The batches of the last runs: runs of one seed see the same.
_pipelines: collections.deque[tuple[tuple[Any, ...], data.Pipeline]] = collections.deque(maxlen=_MOST_KEPT)


def again(run: Run, dataset: Dataset, strategy: tf.distribute.Strategy) -> keras.Model:
  """Returns the network of a run at its initialisation, as `network` does, but uses that of the run before if it can.

  Building a small network takes as long as some epochs of its training, and what was compiled for it is compiled once.
  If a setting names code of one's own, the network is built for each run: such layers may keep what is not in their
  weights, and such scores may draw from generators that are set before a network is built.

  Args:
    run: the run.
    dataset: its data set.
    strategy: that of its training.

  Returns:
    The network, to be used until the next call.

  Raises:
    UsageError: as `network`.
  """
  settings = run.settings
  if settings.weights or any(field.metadata['names'].own_code(getattr(settings, field.name))
                             for field in dataclasses.fields(settings)
                             if field.metadata['names'] and getattr(settings, field.name)):
    return network(run, dataset, strategy, INITIALISATION)
  structure = (settings.group(NetworkSettings), settings.group(MachineSettings), network_width(run, dataset),
               dataset.image_shape, dataset.num_classes, id(strategy))
  found = [kept for kept in _kept if kept.structure == structure]
  before = found[0] if found and not training.holds(found[0].model) else None
  if before and before.seed == run.init_seed:
    initial = before.initial
  else:
    model = network(run, dataset, strategy, INITIALISATION)
    initial = model.get_weights()
  model = before.model if before else model
  model.set_weights(initial)
  others = [kept for kept in _kept if kept.structure != structure]
  _kept[:] = [_Kept(structure, model, run.init_seed, initial), *others][:_MOST_KEPT]
  return model


def network(run: Run, dataset: Dataset, strategy: tf.distribute.Strategy, purpose: str) -> keras.Model:
  """Returns the network of a run with fresh weights.

  Args:
    run: the run.
    dataset: its data set.
    strategy: that of its training.
    purpose: what the weights are for: another purpose draws others from the same seed. `INITIALISATION` has a seed of
      its own, or weights from a file, if the settings give them.

  Raises:
    UsageError: if there is no such network, or the file does not have its weights.
  """
  width = network_width(run, dataset)
  # Layers without names are counted from the start, so that every build gives the same names.
  keras.backend.reset_uids()
  keras3.reset_names()
  settings = run.settings
  keras.utils.set_random_seed(seeds.integer(run.init_seed if purpose == INITIALISATION else settings.seed, purpose))
  with strategy.scope(), _precision(settings.mixed_precision), layers.synchronised(settings.sync_batch_norm):
    model = models.build_model(settings.model, dataset.image_shape, dataset.num_classes, width=width)
    if settings.sync_batch_norm:
      _check_synchronised(model, settings.model)
    # A network of another width than that of the file starts fresh.
    if settings.weights and purpose == INITIALISATION and not run.rule.narrows:
      _load(model, settings.weights)
    return model


def narrowed(run: Run, dataset: Dataset) -> Narrowed | None:
  """Returns how the width of a run's small dense network is chosen; None if it trains the network of its settings."""
  settings = run.settings
  if not run.rule.narrows:
    return None
  # What an earlier network left in Keras' state is no matter: its random numbers are set before the network is made.
  return narrow.narrowed(settings.model, dataset.image_shape, dataset.num_classes, settings.width, settings.ratio,
                         settings.match, str(run.rule.allocation))


def network_width(run: Run, dataset: Dataset) -> int:
  """Returns the width of the network that a run trains; 0: the network's own."""
  found = narrowed(run, dataset)
  return found.width if found else run.settings.width


def pipeline(run: Run, dataset: Dataset, strategy: tf.distribute.Strategy) -> data.Pipeline:
  """Returns the batches that a run trains on.

  Args:
    run: the run.
    dataset: the data set as the training is to see it.
    strategy: that of the training.

  Raises:
    UsageError: if the replicas cannot share the batches equally.
  """
  settings = run.settings
  augmentation = dataset.augmentation if settings.augmentation == 'auto' else settings.augmentation
  made_of = (settings.batch_size, run.order_seed, augmentation, dataset.crop_padding, dataset.mean, dataset.std,
             run.first_order_seed, max(settings.order_epoch, 0))
  found = next((each for of, each in _pipelines if of == made_of and each.examples is dataset.train), None)
  found = found or data.Pipeline(dataset.train, *made_of)
  _pipelines.append((made_of, found))
  if found.batch_size % strategy.num_replicas_in_sync:
    raise UsageError(f'--batch_size={settings.batch_size}: batches of {found.batch_size} images cannot be shared '
                     f'equally by {strategy.num_replicas_in_sync} replicas')
  return found


def _check_synchronised(model: keras.Model, name: str) -> None:
  """Raises UsageError if a batch norm of a network would take the statistics of each replica's share."""
  apart = [layer.name for layer in model.submodules
           if isinstance(layer, keras.layers.BatchNormalization) and not layer.synchronized]
  if apart:
    raise UsageError(f'--sync_batch_norm: {name} makes its own batch norm ({apart[0]} and {len(apart) - 1} more), '
                     'which cannot be changed from outside; expected BatchNormalization(synchronized=True) in it')


def _load(model: keras.Model, path: str) -> None:
  expanded = pathlib.Path(path).expanduser()
  if not expanded.name.endswith('.weights.h5'):
    raise UsageError(f'--weights={path}: expected a file of Keras weights, .weights.h5; bin/exchange --from makes one '
                     'of PyTorch\'s')
  try:
    checkpoints.load_weights(model, expanded)
  except TicketsError as error:
    raise UsageError(f'--weights={path}{str(error).removeprefix(str(expanded))}') from error


@contextlib.contextmanager
def _precision(name: str) -> Iterator[None]:
  # Keras knows only a process-wide policy; layers keep the one that they were made under.
  before = keras.mixed_precision.global_policy()
  keras.mixed_precision.set_global_policy('float32' if name == 'none' else f'mixed_{name}')
  try:
    yield
  finally:
    keras.mixed_precision.set_global_policy(before)
