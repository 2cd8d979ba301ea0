"""Batch-norm statistics of final weights: the running ones may be ruined by channels that are nearly dead.

A running variance near zero divides by next to nothing, so that a network which is right in training mode is wrong in
inference mode. One pass over the training images with the weights untouched gives statistics that fit the weights.
"""

from collections.abc import Callable
from collections.abc import Iterator
import contextlib
import pathlib

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tf_keras as keras

from tickets_tf import files
from tickets_tf import models
from tickets_tf.data import Pipeline
from tickets_tf.errors import UsageError

Statistics = list[npt.NDArray[np.float32]]

_KEPT = '_tickets_statistics_of_a_batch'  # attribute of a network


def statistics_of(model: keras.Model) -> Statistics:
  """Returns the mean and the variance of every batch norm of a network, in order, [channels] each."""
  return [value.numpy() for layer in _batch_norms(model) for value in (layer.moving_mean, layer.moving_variance)]


def set_statistics(model: keras.Model, statistics: Statistics) -> None:
  """Gives a network's batch norms other statistics, in the order of `statistics_of`."""
  variables = [variable for layer in _batch_norms(model) for variable in (layer.moving_mean, layer.moving_variance)]
  for variable, value in zip(variables, statistics, strict=True):
    variable.assign(value)


def save(statistics: Statistics, path: pathlib.Path) -> None:
  """Writes statistics to a `.npz` file, whole or not at all."""
  with files.replacing(path) as temporary:
    np.savez(temporary, *statistics)


def load(path: pathlib.Path) -> Statistics:
  """Reads what `save` wrote.

  Raises:
    UsageError: if the file is missing or damaged.
  """
  try:
    with np.load(path, allow_pickle=False) as stored:
      return [stored[f'arr_{number}'] for number in range(len(stored.files))]
  except (OSError, ValueError, KeyError) as error:
    raise UsageError(f'{path}: cannot be read as batch-norm statistics: {error}') from error


def settled_statistics(model: keras.Model, pipeline: Pipeline, seed: int) -> Statistics:
  """Estimates the statistics afresh by one epoch of training images in training mode; the network is left as it was.

  Every batch counts equally: the estimate is the mean of the statistics of all batches, summed in float64.

  Args:
    model: the network with its final weights.
    pipeline: the batches of its training; those of the first epoch are used.
    seed: seed of layers that are random in training mode.

  Returns:
    Statistics in the order of `statistics_of`; empty if the network has no batch norm.
  """
  variables = [variable for layer in _batch_norms(model) for variable in (layer.moving_mean, layer.moving_variance)]
  if not variables:
    return []
  before = model.get_weights()
  sums = [np.zeros(variable.shape, np.float64) for variable in variables]
  if models.may_be_random(model):
    keras.utils.set_random_seed(seed)
  try:
    for images, _ in pipeline.dataset(0, pipeline.steps_per_epoch):
      for total, value in zip(sums, _of_a_batch(model)(images), strict=True):
        total += value.numpy()
    return [(total / pipeline.steps_per_epoch).astype(np.float32) for total in sums]
  finally:
    model.set_weights(before)


def _of_a_batch(model: keras.Model) -> Callable[[tf.Tensor], list[tf.Tensor]]:
  """Returns the function from images to the statistics of that batch alone, in the order of `statistics_of`.

  It is compiled and kept with the network, unless a layer may be random: what is random in a graph depends on how often
  it was called before.
  """
  if _KEPT in vars(model):
    kept: Callable[[tf.Tensor], list[tf.Tensor]] = vars(model)[_KEPT]
    return kept
  layers = _batch_norms(model)
  variables = [variable for layer in layers for variable in (layer.moving_mean, layer.moving_variance)]

  def of_a_batch(images: tf.Tensor) -> list[tf.Tensor]:
    momenta = [layer.momentum for layer in layers]
    try:
      for layer in layers:
        layer.momentum = 0.0
      for variable in variables:
        variable.assign(tf.zeros_like(variable))  # So that no rounding is left of what it was.
      model(images, training=True)
      return [tf.convert_to_tensor(variable) for variable in variables]
    finally:
      for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum

  if models.may_be_random(model) or model.distribute_strategy.num_replicas_in_sync > 1:
    return of_a_batch
  # Not by setattr: Keras would look for variables in it.
  vars(model)[_KEPT] = tf.function(of_a_batch, autograph=False)
  return vars(model)[_KEPT]  # type: ignore[no-any-return]


@contextlib.contextmanager
def settled(model: keras.Model, statistics: Statistics) -> Iterator[None]:
  """Gives a network other statistics within a `with` block."""
  before = statistics_of(model)
  set_statistics(model, statistics)
  try:
    yield
  finally:
    set_statistics(model, before)


def _batch_norms(model: keras.Model) -> list[keras.layers.Layer]:
  # A frozen one computes in inference mode whatever it is told.
  return [layer for layer in model._flatten_layers()  # pylint: disable=protected-access
          if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable]
