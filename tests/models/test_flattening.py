"""Dense layers that read a flattened map: in which order is it?"""

import pytest
import tensorflow as tf
import tf_keras as keras

import tickets_tf
from tickets_tf.models.modules import modules

L = keras.layers


class ChannelsFirst(L.Flatten):

  def call(self, inputs):
    return tf.reshape(tf.transpose(inputs, (0, 3, 1, 2)), (-1, 192))


def classifier_of(model):
  return tickets_tf.prunable_kernels(model)[-1]


@pytest.mark.parametrize('layer, flattened, unknown', [
    (L.Flatten, (8, 8, 3), False), (lambda: L.Reshape((192,)), (8, 8, 3), False),
    (lambda: keras.Sequential([keras.Input((8, 8, 3)), L.Flatten()]), (8, 8, 3), False),
    (ChannelsFirst, None, True), (lambda: L.Lambda(lambda x: tf.reshape(x, (-1, 192))), None, True),
    (lambda: lambda x: tf.reshape(x, (-1, 192)), None, True), (L.GlobalMaxPooling2D, None, False)])
def test_layers_before_a_dense_layer(layer, flattened, unknown):
  inputs = keras.Input((8, 8, 3))
  x = L.ReLU()(layer()(L.Conv2D(3, 1)(inputs)))
  kernel = classifier_of(keras.Model(inputs, L.Dense(10)(x)))
  assert (kernel.flattened, kernel.unknown_order) == (flattened, unknown)


class Subclassed(keras.Model):

  def __init__(self, *parts):
    super().__init__()
    self.parts = list(parts)

  def call(self, inputs):
    for part in self.parts:
      inputs = part(inputs)
    return inputs


@pytest.mark.parametrize('parts, unknown', [
    (lambda: (L.Conv2D(4, 3), L.Flatten(), L.Dense(6), L.Dense(6), L.Dense(2)), [True, False, False]),
    (lambda: (L.Conv2D(4, 3), L.GlobalAveragePooling2D(), L.Dense(8), L.Dense(2)), [False, False]),
    (lambda: (L.Flatten(), L.Dense(8), L.Dense(2)), [True, False]),
    (lambda: (L.Conv2D(1, 3), L.Flatten(), L.Dense(2)), [False])])
def test_subclassed_networks(parts, unknown):
  model = Subclassed(*parts())
  model.build((None, 8, 8, 3))
  assert [kernel.unknown_order for kernel in tickets_tf.prunable_kernels(model) if kernel.kind == 'dense'] == unknown


def test_modules_have_the_norm_behind_their_convolution():
  inputs = keras.Input((8, 8, 3))
  x = L.BatchNormalization(name='norm', center=False)(L.SeparableConv2D(4, 3, name='apart')(inputs))
  x = L.LayerNormalization(name='scale')(L.GlobalAveragePooling2D()(x))
  found = {module.name: module for module in modules(keras.Model(inputs, L.Dense(2, name='last')(x)))}
  assert {name: sorted(module.vectors) for name, module in found.items()} == {
      'apart/0': [], 'apart/1': ['bias'], 'norm': ['running_mean', 'running_var', 'weight'],
      'scale': ['bias', 'weight'], 'last': ['bias']}
  assert [module.after for module in found.values()] == ['', '', 'apart/1', '', '']
  assert [module.channels for module in found.values()] == [1, 4, 4, 4, 2]
