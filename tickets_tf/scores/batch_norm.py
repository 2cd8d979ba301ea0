"""Batch norm in training mode whose second derivative is one formula.

TensorFlow differentiates the gradient of its fused batch norm through some thirty operations a layer, each a pass over
the activations. GraSP is computed once a run, operation by operation, so they cost a sixth of its time.
"""

import functools

import tensorflow as tf

# Keras raises epsilon to what cuDNN wants at least; raw operations do not.
_LEAST_EPSILON = 1.001e-5


def can_normalise(layer, inputs):
  """Returns whether `normalise` can stand in for a batch norm layer on these inputs."""
  return bool(layer.fused) and list(layer.axis) == [3] and inputs.shape.rank == 4 and inputs.dtype == tf.float32


def normalise(layer, inputs):
  """Normalises by the statistics of the batch and leaves the moving statistics alone.

  With a the gradient that arrives at the outputs, x' the normalised inputs, s = 1 / sqrt(variance + epsilon) and means
  over batch and positions, the gradient at the inputs is

    G(a) = gamma s (a - mean(a) - x' mean(a x'))

  (Ioffe and Szegedy 2015, section 3). It is linear and symmetric in a, so that the gradient of <u, G(a)> by a is G(u).
  By the inputs it is, with c = mean(a x'), e = mean(u x') and q = mean(a u) - mean(a) mean(u) - c e,

    -gamma s^2 (x' (q - 2 c e) + e (a - mean(a)) + c (u - mean(u))).

  Args:
    layer: a batch norm layer that `can_normalise` takes; its parameters are constants here.
    inputs: float32 [N, height, width, channels].

  Returns:
    The outputs, of the shape of `inputs`, twice differentiable by them.
  """
  ones, zeros = tf.ones(inputs.shape[3]), tf.zeros(inputs.shape[3])
  gamma = tf.convert_to_tensor(layer.gamma) if layer.scale else ones
  beta = tf.convert_to_tensor(layer.beta) if layer.center else zeros
  epsilon = max(layer.epsilon, _LEAST_EPSILON)
  count = float(inputs.shape[0] * inputs.shape[1] * inputs.shape[2])

  @tf.custom_gradient
  def outputs_of(x):
    y, mean, unbiased, *saved = tf.raw_ops.FusedBatchNormV3(
        x=x, scale=gamma, offset=beta, mean=[], variance=[], epsilon=epsilon, is_training=True)
    # G, together with count * mean(. x') and count * mean(.).
    fused_gradient = functools.partial(
        tf.raw_ops.FusedBatchNormGradV3, x=x, scale=gamma, reserve_space_1=saved[0], reserve_space_2=saved[1],
        reserve_space_3=saved[2], epsilon=epsilon, is_training=True)

    @tf.custom_gradient
    def gradient(a, x):
      by_x, a_dot, a_sum, *_ = fused_gradient(y_backprop=a)

      def second_gradient(u):
        by_a, u_dot, u_sum, *_ = fused_gradient(y_backprop=u)
        c, e, a_mean, u_mean = a_dot / count, u_dot / count, a_sum / count, u_sum / count
        q = tf.reduce_mean(a * u, [0, 1, 2]) - a_mean * u_mean - c * e
        squared = 1 / (unbiased * ((count - 1) / count) + epsilon)
        factor = -gamma * squared
        of_x, of_a, of_u = factor * tf.sqrt(squared) * (q - 2 * c * e), factor * e, factor * c
        constant = of_x * mean + of_a * a_mean + of_u * u_mean
        return by_a, tf.add_n([x * of_x, a * of_a, u * of_u - constant])

      return by_x, second_gradient

    return y, lambda a: gradient(a, x)

  return outputs_of(inputs)
