import pytest
import tf_keras as keras

import tickets_tf
from tickets_tf import sparse
from tickets_tf.errors import UsageError
from tickets_tf.pruning.mask import Mask


def names(model):
  return [kernel.name for kernel in tickets_tf.prunable_kernels(model)]


def sequential():
  return keras.Sequential([
      keras.Input((8, 8, 3)),
      keras.layers.Conv2D(4, 3, name='first'),
      keras.layers.BatchNormalization(),
      keras.layers.DepthwiseConv2D(3, name='depthwise'),
      keras.layers.SeparableConv2D(5, 3, name='separable'),
      keras.layers.Flatten(),
      keras.layers.Dense(7, name='hidden'),
      keras.layers.Dense(2, name='last'),
  ], name='chain')


class Subclassed(keras.Model):

  def __init__(self):
    super().__init__()
    self.inner = sequential()
    self.blocks = [keras.layers.Dense(3, name='block'), keras.layers.Dense(4, name='block')]

  def call(self, inputs):
    x = self.inner(inputs)
    for block in self.blocks:
      x = block(x)
    return x


class Custom(keras.layers.Layer):
  """A user's own layer, which tells tfmot what may be pruned."""

  def build(self, shape):
    self.table = self.add_weight('table', (int(shape[-1]), 3))
    self.scale = self.add_weight('scale', (3,))

  def get_prunable_weights(self):
    return [self.table]

  def call(self, inputs):
    return inputs @ self.table * self.scale


def test_a_chain():
  kernels = tickets_tf.prunable_kernels(sequential())
  assert [(kernel.name, kernel.kind) for kernel in kernels] == [
      ('first', 'conv'), ('depthwise', 'conv'), ('separable/0', 'conv'), ('separable/1', 'conv'), ('hidden', 'dense'),
      ('last', 'dense')]
  assert [kernel.classifier for kernel in kernels] == [False] * 5 + [True]
  assert not kernels[0].residual


def test_a_nested_functional_model_keeps_the_order_and_the_path():
  inputs = keras.Input((8, 8, 3))
  x = keras.layers.Conv2D(3, 1, name='before')(inputs)
  x = sequential()(x)
  model = keras.Model(inputs, keras.layers.Dense(5, name='after')(x))
  assert names(model) == ['before', 'chain/first', 'chain/depthwise', 'chain/separable/0', 'chain/separable/1',
                          'chain/hidden', 'chain/last', 'after']


def test_a_subclassed_model():
  model = Subclassed()
  with pytest.raises(UsageError, match='has no weights yet'):
    tickets_tf.prunable_kernels(model)
  model.build((None, 8, 8, 3))
  assert names(model)[-2:] == ['block', 'block_2'] and names(model)[0] == 'chain/first'
  assert len(names(model)) == 8


def test_a_users_own_layer():
  inputs = keras.Input((4,))
  model = keras.Model(inputs, keras.layers.Dense(2, name='last')(Custom(name='own')(inputs)))
  kernels = tickets_tf.prunable_kernels(model)
  assert [(kernel.name, kernel.shape, kernel.kind) for kernel in kernels] == [
      ('own', (4, 3), 'dense'), ('last', (3, 2), 'dense')]


def test_a_layer_used_twice_is_listed_once():
  inputs = keras.Input((4,))
  shared = keras.layers.Dense(4, name='shared')
  assert names(keras.Model(inputs, shared(shared(inputs)))) == ['shared']


def test_attention_is_made_of_dense_layers():
  inputs = keras.Input((5, 8))
  model = keras.Model(inputs, keras.layers.MultiHeadAttention(2, 4, name='attention')(inputs, inputs))
  assert len(names(model)) == 4 and all(name.startswith('attention/') for name in names(model))


def test_sums_of_tensors_are_residual_connections():
  inputs = keras.Input((4,))
  hidden = keras.layers.Dense(4)(inputs)
  assert tickets_tf.prunable_kernels(keras.Model(inputs, keras.layers.Dense(2)(hidden + inputs)))[0].residual
  assert not tickets_tf.prunable_kernels(keras.Model(inputs, keras.layers.Dense(2)(hidden + 1.0)))[0].residual


def test_nothing_to_prune():
  inputs = keras.Input((4,))
  with pytest.raises(UsageError, match='no convolution or dense layer'):
    tickets_tf.prunable_kernels(keras.Model(inputs, keras.layers.BatchNormalization()(inputs)))


def test_wrapping_changes_no_name(small_model):
  before = tickets_tf.prunable_kernels(small_model)
  wrapped = sparse.wrap(small_model, Mask.dense(before))
  assert tickets_tf.prunable_kernels(wrapped) == before


def flattened(*layers, shape=(6, 8, 3)):
  """`flattened` of every dense layer in a chain of layers, given as (class, arguments...), and of two after it."""
  chain = [layer(*arguments) for layer, *arguments in layers]
  model = keras.Sequential([keras.Input(shape), *chain, keras.layers.Dense(3), keras.layers.Dense(3)])
  return [kernel.flattened for kernel in tickets_tf.prunable_kernels(model) if kernel.kind == 'dense']


def test_knows_the_feature_map_that_is_flattened_for_a_dense_layer():
  conv, flat, norm = (keras.layers.Conv2D, 5, 3), (keras.layers.Flatten,), (keras.layers.BatchNormalization,)
  relu, dropout = (keras.layers.ReLU,), (keras.layers.Dropout, 0.5)
  assert flattened(conv, flat) == [(4, 6, 5), None]
  assert flattened(conv, norm, relu, dropout, flat, norm, relu, dropout) == [(4, 6, 5), None]
  assert flattened(conv, (keras.layers.Reshape, (-1,))) == [(4, 6, 5), None]
  assert flattened(conv, (keras.layers.GlobalAveragePooling2D,)) == [None, None]
  assert flattened(flat, shape=(6, 8)) == [None, None]
  assert flattened((keras.layers.Dense, 4), flat) == [None, (6, 8, 4), None]
  # The network arranges PyTorch's order itself.
  assert flattened(conv, (keras.layers.Permute, (3, 1, 2)), flat) == [None, None]
  assert [kernel.flattened for kernel in tickets_tf.prunable_kernels(sequential())][-2:] == [(2, 2, 5), None]
