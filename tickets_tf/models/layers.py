"""Layers with the constants of the paper's networks, which are not Keras' defaults."""

import tensorflow as tf
import tf_keras as keras


def batch_norm(x: tf.Tensor, name: str) -> tf.Tensor:
  """Applies batch norm with epsilon 1e-5; each batch moves the running averages by a tenth of the difference."""
  return keras.layers.BatchNormalization(epsilon=1e-5, momentum=0.9, name=name)(x)


def conv(x: tf.Tensor, filters: int, size: int, stride: int, initializer: keras.initializers.Initializer,
         use_bias: bool, name: str) -> tf.Tensor:
  """Applies a convolution padded by size // 2 pixels on every side; TensorFlow's SAME may pad only right and bottom."""
  if stride > 1 and size > 1:
    x = keras.layers.ZeroPadding2D(size // 2, name=f'{name}_pad')(x)
  padding = 'same' if stride == 1 else 'valid'
  return keras.layers.Conv2D(filters, size, stride, padding, use_bias=use_bias, kernel_initializer=initializer,
                             name=name)(x)


def classifier(x: tf.Tensor, num_classes: int) -> tf.Tensor:
  """Applies a dense layer with weights from N(0, 0.01^2); logits are float32, under mixed precision too."""
  initializer = keras.initializers.RandomNormal(stddev=0.01)
  x = keras.layers.Dense(num_classes, kernel_initializer=initializer, name='classifier')(x)
  return keras.layers.Activation('linear', dtype='float32', name='logits')(x)


def normal(mode: str) -> keras.initializers.Initializer:
  """Returns the initialiser N(0, 2 / fan); `mode` is `'fan_in'` or `'fan_out'`."""
  return keras.initializers.VarianceScaling(2.0, mode, 'untruncated_normal')
