"""The gradient of strided 1x1 convolutions: as TensorFlow's, but without what writes outside its memory."""

from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf

from tickets_tf import models  # noqa: F401  # It installs the gradient.

_Convolution = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def _derivatives(convolution: _Convolution, images: tf.Tensor, kernel: tf.Tensor) -> list[tf.Tensor]:
  # First and second derivatives, by images and kernel.
  with tf.GradientTape() as outer:
    outer.watch([images, kernel])
    with tf.GradientTape() as inner:
      inner.watch([images, kernel])
      total = tf.reduce_sum(convolution(images, kernel)**3)
    first = inner.gradient(total, [images, kernel])
    squares = tf.add_n([tf.reduce_sum(each**2) for each in first])
  return [*first, *outer.gradient(squares, [images, kernel])]


@pytest.mark.parametrize(('inputs', 'convolution'), [
    (4, lambda images, kernel: tf.nn.conv2d(images, kernel, 2, 'SAME')),
    (4, lambda images, kernel: tf.nn.conv2d(images, kernel, [1, 3, 1, 1], 'VALID')),
    (4, lambda images, kernel: tf.nn.conv2d(images, kernel, 2, [[0, 0], [1, 2], [3, 0], [0, 0]])),
    (8, lambda images, kernel: tf.nn.conv2d_transpose(images, kernel, [7, 18, 18, 4], 2, 'SAME')),
    (8, lambda images, kernel: tf.nn.conv1d(images[:, :, 0], tf.transpose(kernel, [0, 1, 3, 2])[0], 2, 'SAME')),
], ids=['same', 'one axis', 'padded', 'transposed', '1-D'])
def test_derivatives_are_those_of_float64_and_no_strided_gradient_of_a_kernel_is_computed(
    inputs: int, convolution: _Convolution) -> None:
  rng = np.random.default_rng(0)
  images, kernel = rng.normal(size=(7, 9, 9, inputs)), rng.normal(size=(1, 1, 4, 8))
  expected = _derivatives(convolution, tf.constant(images), tf.constant(kernel))
  narrow = tf.constant(images, tf.float32), tf.constant(kernel, tf.float32)
  graph = tf.function(_derivatives).get_concrete_function(convolution, *narrow).graph
  strides = [op.get_attr('strides') for op in graph.get_operations() if op.type == 'Conv2DBackpropFilter']
  # A process that computes the other gradient may end here.
  assert strides and all(each == [1, 1, 1, 1] for each in strides)
  for found, each in zip(_derivatives(convolution, *narrow), expected, strict=True):
    np.testing.assert_allclose(found, each, rtol=1e-4, atol=1e-4 * np.abs(each).max())


def test_other_convolutions_keep_their_gradient() -> None:
  def types(size: int, channels: int, stride: int) -> list[list[int]]:
    images, kernel = tf.ones([2, 8, 8, channels]), tf.ones([size, size, channels, 3])

    def gradient(kernel: tf.Tensor) -> tf.Tensor:
      with tf.GradientTape() as tape:
        tape.watch(kernel)
        total = tf.reduce_sum(tf.nn.conv2d(images, kernel, stride, 'SAME'))
      return tape.gradient(total, kernel)

    graph = tf.function(gradient).get_concrete_function(kernel).graph
    return [op.get_attr('strides') for op in graph.get_operations() if op.type == 'Conv2DBackpropFilter']

  assert types(3, 4, 2) == types(1, 16, 2) == [[1, 2, 2, 1]]
  assert types(1, 4, 1) == [[1, 1, 1, 1]]
