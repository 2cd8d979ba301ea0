"""SynFlow: a weight matters as much as the flow through it."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tf_keras as keras

from tickets_tf.errors import UsageError
from tickets_tf.models import prunable_kernels
from tickets_tf.pruning.kernels import Kernel
from tickets_tf.scores import modes
from tickets_tf.scores.score import data_free
from tickets_tf.scores.score import traceable


# They multiply activations with each other.
_NOT_LINEAR = (keras.layers.MultiHeadAttention, keras.layers.Attention, keras.layers.AdditiveAttention,
               keras.layers.Dot, keras.layers.RNN)
_ROUNDING = 1e-9  # of the largest score of a kernel


@data_free
@traceable
def synflow(model: keras.Model, images: npt.ArrayLike | None, labels: npt.ArrayLike | None,
            rng: np.random.Generator) -> list[tf.Tensor]:
  """Scores by synaptic flow, theta * dR/dtheta (Tanaka et al. 2020, equation 2); one round of it.

  R is the sum of the network's outputs for one input of ones. All its parameters have their absolute values, biases
  too, as in the authors' code, and every normalisation is the identity. R grows with the product of the layers' fan-
  ins and overflows float32 for a ResNet32 of width 32. So all layers compute in float64, which is enough for more
  than ResNet110, and the scores are float64. No term is negative, so nothing cancels.

  Args:
    model: a built `tf_keras` model.
    images: only their shape is used; needed if the model does not know the shape of its input.
    labels: not used.
    rng: not used.

  Returns:
    One float64 tensor per kernel, none below zero.

  Raises:
    UsageError: if the input's shape is not known, a layer cannot compute in float64, or a layer is not linear with
      weights that are all positive, such as attention, recurrent layers and layers that standardise their weights.
  """
  del labels, rng
  kernels = prunable_kernels(model)
  ones = tf.ones([1, *_input_shape(model, images)])
  layers = modes.layers_of(model)
  _check_linear(model, layers)
  _check_held(model, layers, [kernel.variable for kernel in kernels])
  values = _absolute(layers)
  weights = [values[id(kernel.variable)] for kernel in kernels]
  attributes: list[modes.Replacement] = [
      (layer, name, values[id(variable)]) for layer in layers for name, variable in vars(layer).items()
      if id(variable) in values]
  with (modes.precision(layers, 'float64'), modes.replaced(attributes), modes.no_normalisation(model),
        modes.replaced([(layer, 'convolution_op', _by_group(layer)) for layer in layers if _is_grouped(layer)]),
        tf.GradientTape(watch_accessed_variables=False) as tape):
    tape.watch(weights)
    flow = tf.reduce_sum(_outputs(model, ones))
  gradients = tape.gradient(flow, weights, unconnected_gradients=tf.UnconnectedGradients.ZERO)
  scores = [weight * each for weight, each in zip(weights, gradients, strict=True)]
  if tf.executing_eagerly():
    _check_positive(model, kernels, scores)
  return scores


def _check_positive(model: keras.Model, kernels: Iterable[Kernel], scores: Iterable[tf.Tensor]) -> None:
  for kernel, each in zip(kernels, map(np.asarray, scores), strict=True):
    if each.size and each.min() < -_ROUNDING * np.abs(each).max():
      raise UsageError(f'model {model.name!r}: SynFlow of {kernel.name} is negative: its layer, or one behind it, does '
                       'more than sum its inputs with positive weights; expected another score')


def _check_linear(model: keras.Model, layers: Iterable[keras.layers.Layer]) -> None:
  for layer in layers:
    if isinstance(layer, _NOT_LINEAR):
      raise UsageError(f'model {model.name!r}: SynFlow is not defined for {layer.name}, a {type(layer).__name__}, '
                       'which multiplies activations; expected another score')


def _is_grouped(layer: keras.layers.Layer) -> bool:
  return getattr(layer, 'groups', 1) > 1 and hasattr(layer, 'convolution_op')


def _by_group(layer: keras.layers.Layer) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
  """Returns a grouped convolution as one convolution a group: CPUs have no gradient of grouped ones."""
  convolve, groups = layer.convolution_op, layer.groups
  axis = -1 if layer.data_format == 'channels_last' else 1

  def by_group(inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    pairs = zip(tf.split(inputs, groups, axis), tf.split(kernel, groups, -1), strict=True)
    return tf.concat([convolve(some, its) for some, its in pairs], axis)

  return by_group


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
  variables = {id(variable): variable for layer in layers for variable in vars(layer).values()
               if isinstance(variable, tf.Variable) and variable.dtype.is_floating}
  return {key: tf.abs(tf.cast(variable, tf.float64)) for key, variable in variables.items()}


def _check_held(model: keras.Model, layers: Iterable[keras.layers.Layer], variables: Iterable[tf.Variable]) -> None:
  held = {id(value) for layer in layers for value in vars(layer).values()}
  for variable in [*variables, *model.trainable_variables]:
    if id(variable) not in held:
      raise UsageError(f'model {model.name!r}: {variable.name} must be an attribute of its layer for SynFlow')
