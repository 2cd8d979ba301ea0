"""Batch norm as scores need it: by the batch's statistics with a second derivative, or by the moving statistics.

Keras' own layer has three shortcomings here. In inference mode its gradient has no deterministic form on GPUs. If it is
not fused, it takes the variance from `tf.nn.moments`, whose stop_gradient gives correct first but wrong second
derivatives. If it is fused, the gradient of its gradient is some thirty operations per layer, each a pass over the
activations; with a formula instead, GraSP takes a sixth less time.
"""

from collections.abc import Callable
import functools
from typing import NamedTuple

import tensorflow as tf
import tf_keras as keras

# The least that cuDNN takes. Keras raises a smaller epsilon to it; raw operations do not.
_LEAST_EPSILON = 1.001e-5


def rescale(layer: keras.layers.BatchNormalization, inputs: tf.Tensor) -> tf.Tensor:
  """Normalises by the moving statistics: an affine function of the inputs.

  Args:
    layer: a built batch norm layer.
    inputs: floats [N, ...].

  Returns:
    The outputs, of the shape of `inputs`.
  """
  shape = [size if axis in layer.axis else 1 for axis, size in enumerate(inputs.shape)]
  scale = tf.math.rsqrt(layer.moving_variance + (max(layer.epsilon, _LEAST_EPSILON) if layer.fused else layer.epsilon))
  if layer.scale:
    scale *= layer.gamma
  shift = -layer.moving_mean * scale
  if layer.center:
    shift += layer.beta
  return inputs * tf.reshape(scale, shape) + tf.reshape(shift, shape)


def normalise(layer: keras.layers.BatchNormalization, inputs: tf.Tensor, derivatives: int = 2) -> tf.Tensor:
  """Normalises by the statistics of the batch; moving statistics are neither used nor changed.

  Args:
    layer: a built batch norm layer; its parameters are constants here.
    inputs: floats [N, ...].
    derivatives: how often the outputs can be differentiated, at most; by the inputs alone, if twice.

  Returns:
    The outputs, of the shape of `inputs`.
  """
  shape = [size if axis in layer.axis else 1 for axis, size in enumerate(inputs.shape)]
  gamma = tf.reshape(layer.gamma, shape) if layer.scale else tf.ones(shape, inputs.dtype)
  beta = tf.reshape(layer.beta, shape) if layer.center else tf.zeros(shape, inputs.dtype)
  if inputs.dtype == tf.float32 and len(shape) == 4 and list(layer.axis) == [3]:
    arguments = inputs, tf.reshape(gamma, [-1]), tf.reshape(beta, [-1]), max(layer.epsilon, _LEAST_EPSILON)
    return _fused(*arguments) if derivatives > 1 else _fused_once(*arguments)
  axes = [axis for axis in range(len(shape)) if axis not in layer.axis]
  mean = tf.reduce_mean(inputs, axes, keepdims=True)
  variance = tf.reduce_mean(tf.square(inputs - mean), axes, keepdims=True)
  return (inputs - mean) * tf.math.rsqrt(variance + layer.epsilon) * gamma + beta


def _fused_once(inputs: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor, epsilon: float) -> tf.Tensor:
  # As `_fused`, with TensorFlow's own gradient, for which the outputs need not stay in memory.
  return tf.raw_ops.FusedBatchNormV3(x=inputs, scale=gamma, offset=beta, mean=[], variance=[], epsilon=epsilon,
                                     is_training=True).y


def _fused(inputs: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor, epsilon: float) -> tf.Tensor:
  """As `normalise`, by TensorFlow's fused operations and a formula for the second derivative.

  With a the gradient that arrives at the outputs, x' the normalised inputs, s = 1 / sqrt(variance + epsilon) and means
  over batch and positions, the gradient at the inputs is

    G(a) = gamma s (a - mean(a) - x' mean(a x'))

  (Ioffe and Szegedy 2015, section 3). It is linear and symmetric in a, so that the gradient of <u, G(a)> by a is G(u).

  Args:
    inputs: float32 [N, height, width, channels].
    gamma: [channels].
    beta: [channels].
    epsilon: at least what cuDNN takes.

  Returns:
    The outputs.
  """
  count = float(inputs.shape[0] * inputs.shape[1] * inputs.shape[2])

  @tf.custom_gradient  # type: ignore[untyped-decorator]
  def outputs_of(x: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
    y, mean, unbiased, *saved = tf.raw_ops.FusedBatchNormV3(
        x=x, scale=gamma, offset=beta, mean=[], variance=[], epsilon=epsilon, is_training=True)
    # G, together with count * mean(. x') and count * mean(.).
    fused_gradient = functools.partial(
        tf.raw_ops.FusedBatchNormGradV3, x=x, scale=gamma, reserve_space_1=saved[0], reserve_space_2=saved[1],
        reserve_space_3=saved[2], epsilon=epsilon, is_training=True)

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def gradient(a: tf.Tensor, x: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]]:
      by_x, a_dot, a_sum, *_ = fused_gradient(y_backprop=a)

      def second_gradient(u: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        by_a, u_dot, u_sum, *_ = fused_gradient(y_backprop=u)
        squared = 1 / (unbiased * ((count - 1) / count) + epsilon)
        return by_a, _by_inputs(x, mean, squared, gamma, _Factor(a, a_dot / count, a_sum / count),
                                _Factor(u, u_dot / count, u_sum / count))

      return by_x, second_gradient

    return y, lambda a: gradient(a, x)

  return outputs_of(inputs)


class _Factor(NamedTuple):
  """A factor of <u, G(a)>: u or a, with its means over batch and positions, [channels] each."""
  value: tf.Tensor
  mean_product: tf.Tensor  # With the normalised inputs: mean(a x').
  mean: tf.Tensor


def _by_inputs(x: tf.Tensor, mean: tf.Tensor, squared: tf.Tensor, gamma: tf.Tensor, a: _Factor,
               u: _Factor) -> tf.Tensor:
  """Returns the gradient of <u, G(a)> of `_fused` by the inputs.

  With c = mean(a x'), e = mean(u x') and q = mean(a u) - mean(a) mean(u) - c e, that is

    -gamma s^2 (x' (q - 2 c e) + e (a - mean(a)) + c (u - mean(u))).

  Args:
    x: the inputs, [N, height, width, channels].
    mean: their means, [channels].
    squared: s^2, [channels].
    gamma: [channels].
    a: the gradient that arrived at the outputs.
    u: what the gradient at the inputs is multiplied by.
  """
  c, e = a.mean_product, u.mean_product
  q = tf.reduce_mean(a.value * u.value, [0, 1, 2]) - a.mean * u.mean - c * e
  factor = -gamma * squared
  of_x, of_a, of_u = factor * tf.sqrt(squared) * (q - 2 * c * e), factor * e, factor * c
  constant = of_x * mean + of_a * a.mean + of_u * u.mean
  return tf.add_n([x * of_x, a.value * of_a, u.value * of_u - constant])
