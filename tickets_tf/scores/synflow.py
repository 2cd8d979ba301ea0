"""SynFlow: a weight matters as much as the flow through it."""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tf_keras as keras

from tickets_tf.errors import UsageError
from tickets_tf.models import prunable_kernels
from tickets_tf.scores import modes


def synflow(model: keras.Model, images: npt.ArrayLike | None, labels: npt.ArrayLike | None,
            rng: np.random.Generator) -> list[np.ndarray]:
  """Scores by synaptic flow, theta * dR/dtheta (Tanaka et al. 2020, equation 2); one round of it.

  R is the sum of the network's outputs for one input of ones. All its parameters have their absolute values, biases
  too, as in the authors' code, and batch norm is the identity. R grows with the product of the layers' fan-ins and
  overflows float32 for a ResNet32 of width 32. So all layers compute in float64, which is enough for more than
  ResNet110, and the scores are float64. No term is negative, so nothing cancels.

  Args:
    model: a built `tf_keras` model.
    images: only their shape is used; needed if the model does not know the shape of its input.
    labels: not used.
    rng: not used.

  Returns:
    One float64 array per kernel, none below zero.

  Raises:
    UsageError: if the input's shape is not known, or a layer cannot compute in float64.
  """
  del labels, rng
  kernels = prunable_kernels(model)
  ones = tf.ones([1, *_input_shape(model, images)])
  layers = modes.layers_of(model)
  weights = [tf.constant(np.abs(kernel.variable.numpy().astype(np.float64))) for kernel in kernels]
  values = {**_absolute(layers), **{id(kernel.variable): each for kernel, each in zip(kernels, weights, strict=True)}}
  attributes: list[modes.Replacement] = [
      (layer, name, values[id(variable)]) for layer in layers for name, variable in vars(layer).items()
      if id(variable) in values]
  _check_held(model, layers, [kernel.variable for kernel in kernels])
  with (modes.precision(layers, 'float64'), modes.replaced(attributes), modes.no_batch_norm(model),
        tf.GradientTape(watch_accessed_variables=False) as tape):
    tape.watch(weights)
    flow = tf.reduce_sum(_outputs(model, ones))
  gradients = tape.gradient(flow, weights, unconnected_gradients=tf.UnconnectedGradients.ZERO)
  return [(weight * each).numpy() for weight, each in zip(weights, gradients, strict=True)]


def _outputs(model: keras.Model, ones: tf.Tensor) -> tf.Tensor:
  try:
    return model(ones, training=False)
  except (TypeError, ValueError, tf.errors.InvalidArgumentError) as error:
    raise UsageError(f'model {model.name!r} cannot compute in float64, which SynFlow needs: one of its layers '
                     'insists on another dtype') from error


def _input_shape(model: keras.Model, images: npt.ArrayLike | None) -> Sequence[int]:
  if images is not None:
    return np.shape(images)[1:]
  try:
    shape = tf.TensorShape(model.input_shape)[1:]
  except (AttributeError, RuntimeError, TypeError, ValueError):
    shape = tf.TensorShape(None)
  if not shape.is_fully_defined():
    raise UsageError(f'model {model.name!r} does not know the shape of its input: pass images')
  sizes: list[int] = shape.as_list()
  return sizes


def _absolute(layers: Iterable[keras.layers.Layer]) -> dict[int, tf.Tensor]:
  # Variable's id -> absolute values, for every floating variable that a layer owns, trainable or not.
  variables = [variable for layer in layers for variable in vars(layer).values() if isinstance(variable, tf.Variable)]
  return {id(variable): tf.abs(tf.cast(variable, tf.float64)) for variable in variables if variable.dtype.is_floating}


def _check_held(model: keras.Model, layers: Iterable[keras.layers.Layer], variables: Iterable[tf.Variable]) -> None:
  held = {id(value) for layer in layers for value in vars(layer).values()}
  for variable in [*variables, *model.trainable_variables]:
    if id(variable) not in held:
      raise UsageError(f'model {model.name!r}: {variable.name} must be an attribute of its layer for SynFlow')
