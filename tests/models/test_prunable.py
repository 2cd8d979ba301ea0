import inspect
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

import tickets_tf
from tickets_tf import models
from tickets_tf import sparse
from tickets_tf.errors import UsageError
from tickets_tf.models import residual
from tickets_tf.pruning import allocation
from tickets_tf.pruning.mask import Mask
from tickets_tf.training import checkpoints


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


def without_names():
  inputs = keras.Input((8, 8, 3))
  x = keras.layers.Conv2D(4, 3)(inputs)
  x = keras.layers.TimeDistributed(keras.layers.Conv1D(4, 3))(keras.layers.Conv2D(4, 3, name='mine')(x))
  x = keras.Sequential([keras.layers.Conv2D(3, 1), keras.layers.Conv2D(3, 1)])(x)
  x = keras.layers.Bidirectional(keras.layers.LSTM(3))(keras.layers.Reshape((-1, 3))(x))
  return keras.Model(inputs, keras.layers.Dense(2)(Custom()(x)))


def test_names_follow_from_the_structure():
  first, second = without_names(), without_names()
  assert first.layers[-1].name != second.layers[-1].name  # Keras counts on.
  assert names(first) == names(second) == [
      'conv2d', 'mine', 'conv1d', 'sequential/conv2d', 'sequential/conv2d_1', 'forward_lstm/0', 'forward_lstm/1',
      'backward_lstm/0', 'backward_lstm/1', 'custom', 'dense']


def test_names_that_a_user_gave_stay():
  inputs = keras.Input((4,))
  x = keras.layers.Dense(4, name='dense_of_mine')(keras.layers.Dense(4, name='conv2d')(inputs))
  model = keras.Model(inputs, keras.layers.Dense(2, name='dense')(keras.layers.Dense(2, name='a/b')(x)))
  assert names(model) == ['conv2d', 'dense_of_mine', 'a/b', 'dense']


def test_no_two_kernels_have_one_name():
  model = keras.Sequential([keras.layers.Dense(4, name='a_2'), keras.layers.Dense(4, name='a')])
  both = keras.Sequential([keras.Input((4,)), model, keras.layers.Dense(4, name='sequential/a')])
  assert len(set(names(both))) == 3


def test_weights_files_fit_another_build_in_the_same_process(tmp_path):
  first, second = without_names(), without_names()
  checkpoints.save_weights(first, tmp_path / 'a.weights.h5')
  checkpoints.load_weights(second, tmp_path / 'a.weights.h5')
  for one, other in zip(first.get_weights(), second.get_weights(), strict=True):
    np.testing.assert_array_equal(one, other)


def unnamed():
  return keras.Sequential([keras.layers.Conv2D(4, 3, input_shape=(8, 8, 1)), keras.layers.Conv2D(4, 3),
                           keras.layers.Flatten(), keras.layers.Dense(2)])


def test_a_mask_fits_the_unnamed_network_of_another_process(tmp_path):
  for _ in range(3):
    model = unnamed()
  assert not model.layers[0].name.endswith('conv2d'), 'Keras counts on'
  mask = Mask((kernel.name, np.arange(kernel.size).reshape(kernel.shape) % 3 == 0)
              for kernel in tickets_tf.prunable_kernels(model))
  mask.save(tmp_path / 'mask.npz')
  code = ('import tf_keras as keras, tickets_tf\nfrom tickets_tf import sparse\n' + inspect.getsource(unnamed)
          + f'model = sparse.wrap(unnamed(), tickets_tf.load_mask({str(tmp_path / "mask.npz")!r}))\n'
          'print(sparse.mask_of(model).digest())\n')
  done = subprocess.run([sys.executable, '-c', code], stdout=subprocess.PIPE, text=True, check=True)
  assert done.stdout.split() == [mask.digest()]


def axes_of(layer, *shape):
  inputs = keras.Input(shape)
  kernels = tickets_tf.prunable_kernels(keras.Model(inputs, layer(inputs)))
  return [(kernel.kind, kernel.shape, kernel.inputs, kernel.outputs) for kernel in kernels]


def test_axes():
  layers = keras.layers
  assert axes_of(layers.Conv2D(6, 3, groups=2), 8, 8, 4) == [('conv', (3, 3, 2, 6), (2,), (3,))]
  assert axes_of(layers.Conv2DTranspose(6, 3), 8, 8, 4) == [('conv', (3, 3, 6, 4), (3,), (2,))]
  assert axes_of(layers.Dense(6), 4) == [('dense', (4, 6), (0,), (1,))]
  assert axes_of(layers.EinsumDense('abx,xhk->abhk', (5, 2, 3)), 5, 8) == [('dense', (8, 2, 3), (0,), (1, 2))]
  assert axes_of(layers.LSTM(3), 4, 5) == [('recurrent', (5, 12), (0,), (1,)), ('recurrent', (3, 12), (0,), (1,))]
  assert axes_of(layers.GRU(3), 4, 5) == [('recurrent', (5, 9), (0,), (1,)), ('recurrent', (3, 9), (0,), (1,))]
  assert axes_of(layers.SimpleRNN(3), 4, 5) == [('recurrent', (5, 3), (0,), (1,)), ('recurrent', (3, 3), (0,), (1,))]
  assert axes_of(layers.RNN([layers.LSTMCell(3), layers.GRUCell(2)]), 4, 5) == [
      ('recurrent', shape, (0,), (1,)) for shape in [(5, 12), (3, 12), (3, 6), (2, 6)]]
  assert axes_of(layers.ConvLSTM2D(3, 3), 4, 8, 8, 2) == [
      ('recurrent', (3, 3, 2, 12), (2,), (3,)), ('recurrent', (3, 3, 3, 12), (2,), (3,))]
  assert axes_of(layers.Embedding(7, 3), 4) == [('embedding', (7, 3), (0,), (1,))]
  assert axes_of(layers.LocallyConnected1D(3, 2), 4, 5) == [('local', (3, 10, 3), (1,), (2,))]
  assert axes_of(layers.LocallyConnected2D(3, 2), 4, 4, 5) == [('local', (9, 20, 3), (1,), (2,))]


def test_attention_joins_its_heads():
  inputs = keras.Input((5, 16))
  kernels = tickets_tf.prunable_kernels(keras.Model(inputs, keras.layers.MultiHeadAttention(2, 8)(inputs, inputs)))
  assert [kernel.fans for kernel in kernels] == [(16, 16)] * 4
  assert len(set(allocation.allocate(kernels, 0.9, 'er'))) <= 2  # Up to one weight of rounding.
  values = np.arange(256).reshape(kernels[0].shape)
  np.testing.assert_array_equal(kernels[0].arranged(values), values.reshape(16, 16))
  for kernel in kernels:
    values = np.arange(256).reshape(kernel.shape)
    np.testing.assert_array_equal(kernel.restored(kernel.arranged(values)), values)


def test_locally_connected_layers_of_another_form_are_refused():
  inputs = keras.Input((4, 5))
  model = keras.Model(inputs, keras.layers.LocallyConnected1D(3, 2, implementation=3)(inputs))
  with pytest.raises(UsageError, match=r'locally_connected1d.*: its implementation=3 .* implementation=1'):
    tickets_tf.prunable_kernels(model)


def test_a_concatenation_is_no_residual_connection():
  inputs = keras.Input((4,))
  hidden = keras.layers.Dense(4)(inputs)
  for merge, expected in ((keras.layers.Concatenate, False), (keras.layers.Add, True)):
    model = keras.Model(inputs, keras.layers.Dense(2)(merge()([hidden, inputs])))
    assert {kernel.residual for kernel in tickets_tf.prunable_kernels(model)} == {expected}


class OwnMatrix(keras.layers.Layer):

  def build(self, shape):
    self.matrix = self.add_weight('matrix', (int(shape[-1]), 3))
    self.offset = self.add_weight('offset', (3,))

  def call(self, inputs):
    return inputs @ self.matrix + self.offset


def test_what_no_rule_can_prune_is_named():
  inputs = keras.Input((5, 8))
  x = OwnMatrix()(OwnMatrix()(keras.layers.LayerNormalization((1, 2))(inputs)))
  x = keras.layers.GRU(3)(keras.layers.MultiHeadAttention(2, 4)(x, x))  # Both have biases of two axes.
  model = keras.Model(inputs, keras.layers.Dense(2)(Custom()(x)))
  assert models.unpruned_weights(model) == [('own_matrix/matrix', 24), ('own_matrix_1/matrix', 9)]
  assert models.unpruned_weights(sequential()) == []


class Block(keras.layers.Layer):

  def __init__(self, join, **kwargs):
    super().__init__(**kwargs)
    self.join, self.dense, self.norm = join, keras.layers.Dense(4), keras.layers.LayerNormalization()

  def call(self, inputs):
    return self.join(self.norm(self.dense(inputs)), inputs)


def test_residual_connections_inside_a_layer_of_ones_own():
  for join, expected in [(lambda x, y: x + y, True), (lambda x, y: tf.concat([x, y], -1), False),
                         (lambda x, y: x + 1.0, False), (lambda x, y: x * y, False)]:
    inputs = keras.Input((4,))
    block = Block(join)
    model = keras.Model(inputs, keras.layers.Dense(2)(block(inputs)))
    assert {kernel.residual for kernel in tickets_tf.prunable_kernels(model)} == {expected}
    assert 'call' not in vars(block.dense)
  model = Subclassed()
  model.build((None, 8, 8, 3))
  assert not tickets_tf.prunable_kernels(model)[0].residual


def test_a_network_that_cannot_be_searched_is_told(monkeypatch):
  class Eager(Subclassed):

    def call(self, inputs, training=False):
      if not tf.executing_eagerly():
        raise NotImplementedError('this network runs eagerly alone')
      return super().call(inputs)

  said = []
  monkeypatch.setattr(residual.logging, 'warning', lambda text, *values: said.append(text % values))
  model = Eager()
  model(tf.zeros((1, 8, 8, 3)))
  assert not tickets_tf.prunable_kernels(model)[0].residual
  line, = said
  assert 'is taken for one without; --allocation_options=residual=True says otherwise: ' in line
  assert 'this network runs eagerly alone' in line
