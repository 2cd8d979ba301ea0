"""Small networks of every kind that scores must cope with, and batches for them."""

import numpy as np
import pytest

import tickets_tf
import tensorflow as tf
import tf_keras as keras

LAYERS = keras.layers


def nested():
  """A functional model with a sequential one in it, a residual connection, dropout and odd layers."""
  inner = keras.Sequential([
      LAYERS.Conv2D(4, 3, padding='same', activation='elu'),
      LAYERS.BatchNormalization(scale=False),
      LAYERS.DepthwiseConv2D(3, padding='same'),
  ], name='inner')
  inputs = keras.Input((8, 8, 3))
  x = LAYERS.Conv2D(4, 3, padding='same', use_bias=False)(inputs)
  x = LAYERS.Activation('elu')(LAYERS.BatchNormalization()(x))
  x = LAYERS.Dropout(0.5)(x + inner(x))
  x = LAYERS.SeparableConv2D(5, 3, strides=2, activation='elu')(x)
  x = LAYERS.BatchNormalization()(LAYERS.Flatten()(x))
  return keras.Model(inputs, LAYERS.Dense(5, name='classifier')(x), name='nested')


class Subclassed(keras.Model):
  """A subclassed model with a dense layer that is used twice."""

  def __init__(self):
    super().__init__(name='subclassed')
    self.first = LAYERS.Conv2D(6, 3, strides=2, padding='same')
    self.norm = LAYERS.BatchNormalization()
    self.drop = LAYERS.SpatialDropout2D(0.5)
    self.twice = LAYERS.Dense(6, activation='elu')
    self.last = LAYERS.Dense(5)

  def call(self, inputs, training=None):
    x = self.drop(tf.nn.elu(self.norm(self.first(inputs), training=training)), training=training)
    x = tf.reduce_mean(self.twice(self.twice(x)), axis=[1, 2])
    return self.last(x)


def subclassed():
  model = Subclassed()
  model.build((None, 8, 8, 3))
  return model


def resnet():
  return tickets_tf.build_model('resnet8', (8, 8, 3), 5, width=4)


@pytest.fixture(params=[nested, subclassed, resnet], ids=lambda builder: builder.__name__)
def network(request):
  """A compiled network whose weights, biases and statistics are no longer those of its initialisation."""
  keras.utils.set_random_seed(3)
  model = request.param()
  rng = np.random.default_rng(4)
  for variable in model.variables:
    if 'variance' in variable.name or 'gamma' in variable.name:
      variable.assign(rng.uniform(0.5, 2, variable.shape))
    else:
      variable.assign_add(rng.normal(0, 0.3, variable.shape))
  model.compile(keras.optimizers.SGD(0.1, momentum=0.9), 'mse')
  model.optimizer.build(model.trainable_variables)
  return model


@pytest.fixture
def batch():
  """30 float images 8x8x3 and labels of five classes that take turns."""
  rng = np.random.default_rng(5)
  return rng.normal(size=(30, 8, 8, 3)).astype(np.float32), np.arange(30) % 5


@pytest.fixture
def relative():
  """A function: the largest relative L2 error over the layers."""
  def largest(found, expected):
    return max(np.linalg.norm(np.asarray(one) - other) / np.linalg.norm(other)
               for one, other in zip(found, expected, strict=True))

  return largest
