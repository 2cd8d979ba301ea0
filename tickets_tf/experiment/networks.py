"""The network of a run, drawn from its seed, and the batches that it trains on."""

from collections.abc import Iterator
import contextlib
import pathlib

import tensorflow as tf
import tf_keras as keras

from tickets_tf import data
from tickets_tf import models
from tickets_tf import seeds
from tickets_tf.data import Dataset
from tickets_tf.errors import TicketsError, UsageError
from tickets_tf.models import keras3
from tickets_tf.models import layers
from tickets_tf.models import narrow
from tickets_tf.pruning.narrowed import Narrowed
from tickets_tf.runs.run import Run
from tickets_tf.training import checkpoints


INITIALISATION = 'initialisation'


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
  found = data.Pipeline(dataset.train, settings.batch_size, run.order_seed, augmentation, dataset.crop_padding,
                        dataset.mean, dataset.std, run.first_order_seed, max(settings.order_epoch, 0))
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
