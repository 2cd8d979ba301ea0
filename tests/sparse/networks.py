"""Networks whose kernels lie anywhere but in the layers of a functional model, for the tests of masks."""

import tensorflow as tf
import tf_keras as keras

LAYERS = keras.layers


@keras.utils.register_keras_serializable('tests')
class Block(LAYERS.Layer):
  """A residual block with a helper that is a `tf.function`."""

  def __init__(self, filters, **kwargs):
    super().__init__(**kwargs)
    self.filters = filters
    self.first, self.norm = LAYERS.Conv2D(filters, 3, padding='same'), LAYERS.BatchNormalization()
    self.rest = [LAYERS.SeparableConv2D(filters, 3, padding='same'), LAYERS.Conv2D(filters, 1)]

  @tf.function
  def _main(self, x):
    return tf.nn.relu(self.first(x))

  def call(self, x, training=None):
    y = self.norm(self._main(x), training=training)
    for layer in self.rest:
      y = layer(y)
    return tf.nn.relu(y + x)

  def get_config(self):
    return {**super().get_config(), 'filters': self.filters}


@keras.utils.register_keras_serializable('tests')
class Listed(LAYERS.Layer):
  """Matrices in a list, which no attribute holds."""

  def build(self, input_shape):
    self.matrices = [self.add_weight(f'matrix{index}', (input_shape[-1],) * 2) for index in range(2)]

  def get_prunable_weights(self):
    return list(self.matrices)

  def call(self, x):
    for matrix in self.matrices:
      x = tf.nn.tanh(x @ matrix)
    return x


@keras.utils.register_keras_serializable('tests')
class Standardised(LAYERS.Conv2D):
  """Weight standardisation, a subclass of a layer of Keras."""

  def call(self, x):
    mean, variance = tf.nn.moments(self.kernel, [0, 1, 2], keepdims=True)
    y = tf.nn.conv2d(x, (self.kernel - mean) / tf.sqrt(variance + 1e-5), self.strides, self.padding.upper())
    return tf.nn.bias_add(y, self.bias)


@keras.utils.register_keras_serializable('tests')
class Subclassed(keras.Model):
  """A subclassed model, which has no graph of layers."""

  def __init__(self, **kwargs):
    super().__init__(**kwargs)
    self.first, self.norm, self.second = LAYERS.Conv2D(8, 3), LAYERS.BatchNormalization(), LAYERS.Conv2D(16, 3)
    self.pool, self.head = LAYERS.GlobalAveragePooling2D(), LAYERS.Dense(10)

  @tf.function
  def call(self, x, training=False):
    return self.head(self.pool(self.second(tf.nn.relu(self.norm(self.first(x), training=training)))))


def blocks():
  inputs = keras.Input((8, 8, 3))
  x = Block(8, name='two')(Block(8, name='one')(LAYERS.Conv2D(8, 1, name='stem')(inputs)))
  return keras.Model(inputs, LAYERS.Dense(10, name='head')(LAYERS.GlobalAveragePooling2D()(x)))


def attention():
  inputs = keras.Input((8, 8, 3))
  x = LAYERS.Dense(16, name='embed')(LAYERS.Reshape((8, 24))(inputs))
  y = LAYERS.LayerNormalization()(x)
  x = x + LAYERS.MultiHeadAttention(2, 8, name='attention')(y, y)
  return keras.Model(inputs, LAYERS.Dense(10, name='head')(LAYERS.GlobalAveragePooling1D()(x)))


def over_time():
  inputs = keras.Input((8, 8, 3))
  x = LAYERS.Reshape((2, 4, 8, 3))(inputs)
  x = LAYERS.TimeDistributed(LAYERS.Conv2D(8, 3, padding='same', name='conv'), name='each')(x)
  return keras.Model(inputs, LAYERS.Dense(10, name='head')(LAYERS.Flatten()(x)))


def spectral():
  inputs = keras.Input((8, 8, 3))
  x = LAYERS.SpectralNormalization(LAYERS.Conv2D(8, 3, name='conv'), name='spectral')(inputs)
  return keras.Model(inputs, LAYERS.Dense(10, name='head')(LAYERS.GlobalAveragePooling2D()(x)))


def separable():
  inputs = keras.Input((8, 8, 3))
  x = LAYERS.DepthwiseConv2D(3, name='depthwise')(LAYERS.SeparableConv2D(8, 3, name='separable')(inputs))
  x = LAYERS.ReLU()(Standardised(8, 3, padding='same', name='standardised')(x))
  return keras.Model(inputs, LAYERS.Dense(10, name='head')(LAYERS.GlobalAveragePooling2D()(x)))


def listed():
  inputs = keras.Input((8, 8, 3))
  return keras.Model(inputs, LAYERS.Dense(10, name='head')(Listed(name='listed')(LAYERS.Flatten()(inputs))))


def recurrent():
  inputs = keras.Input((8, 8, 3))
  x = LAYERS.Bidirectional(LAYERS.LSTM(4, return_sequences=True), name='both')(LAYERS.Reshape((8, 24))(inputs))
  x = LAYERS.RNN([LAYERS.SimpleRNNCell(4, name='cell1'), LAYERS.GRUCell(4, name='cell2')], name='stacked')(x)
  return keras.Model(inputs, LAYERS.Dense(10, name='head')(x))


def subclassed():
  model = Subclassed(name='own')
  model.build((None, 8, 8, 3))
  return model


def nested():
  """A subclassed model in a functional one in a sequential one."""
  inputs = keras.Input((8, 8, 3))
  inner = keras.Model(inputs, Subclassed(name='own')(LAYERS.Conv2D(3, 1, name='before')(inputs)), name='inner')
  return keras.Sequential([keras.Input((8, 8, 3)), inner, LAYERS.Dense(10, name='head')])


ALL = (blocks, attention, over_time, spectral, separable, listed, recurrent, subclassed, nested)
