"""Layers with the constants of the paper's networks, which are not Keras' defaults."""

import tf_keras as keras


def batch_norm(x, name):
  """Batch norm with epsilon 1e-5 and a running average that takes 0.1 of the new value."""
  return keras.layers.BatchNormalization(epsilon=1e-5, momentum=0.9, name=name)(x)


def conv(x, filters, size, stride, initializer, use_bias, name):
  """Convolution padded by size // 2 pixels on every side, where TensorFlow's SAME may pad right and bottom alone."""
  if stride > 1 and size > 1:
    x = keras.layers.ZeroPadding2D(size // 2, name=f'{name}_pad')(x)
  padding = 'same' if stride == 1 else 'valid'
  return keras.layers.Conv2D(filters, size, stride, padding, use_bias=use_bias, kernel_initializer=initializer,
                             name=name)(x)


def classifier(x, num_classes):
  """Dense layer with kernels N(0, 0.01^2); logits are float32 also under mixed precision."""
  initializer = keras.initializers.RandomNormal(stddev=0.01)
  x = keras.layers.Dense(num_classes, kernel_initializer=initializer, name='classifier')(x)
  return keras.layers.Activation('linear', dtype='float32', name='logits')(x)


def normal(mode):
  """Initialiser N(0, 2 / fan); `mode` is `'fan_in'` or `'fan_out'`."""
  return keras.initializers.VarianceScaling(2.0, mode, 'untruncated_normal')
