"""Which axes of a kernel count its layer's inputs and outputs."""

import tensorflow as tf
import tf_keras as keras

_TRANSPOSED = (keras.layers.Conv1DTranspose, keras.layers.Conv2DTranspose, keras.layers.Conv3DTranspose)


def kernel_axes(layer: keras.layers.Layer, weight: tf.Variable) -> tuple[tuple[int, ...], tuple[int, ...]]:
  """Returns the (inputs, outputs) of a kernel, see `tickets_tf.pruning.kernels.Kernel`.

  A grouped convolution has the inputs of one group; a depthwise one has its channels for inputs, and for outputs those
  of one channel. A layer that is split into heads has the outputs, or inputs, of all heads together.
  """
  if isinstance(layer, keras.layers.EinsumDense):
    operands, outputs = layer.equation.split('->')
    images, letters = operands.split(',')
    return (tuple(axis for axis, letter in enumerate(letters) if letter in images and letter not in outputs),
            tuple(axis for axis, letter in enumerate(letters) if letter in outputs and letter not in images))
  if isinstance(layer, _TRANSPOSED):
    return (len(weight.shape) - 1,), (len(weight.shape) - 2,)
  return (-2,), (-1,)
