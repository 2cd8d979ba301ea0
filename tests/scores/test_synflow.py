"""SynFlow against products of matrices, and far beyond float32."""

import numpy as np
import pytest

import tickets_tf
import tensorflow as tf
import tf_keras as keras
from tickets_tf.errors import UsageError

L = keras.layers


def chain():
  """Dense layers with batch norm between them; no ReLU can cut a positive network."""
  keras.utils.set_random_seed(1)
  model = keras.Sequential([keras.Input((6,)), L.Dense(5), L.BatchNormalization(), L.ReLU(),
                            L.Dense(4), L.BatchNormalization(), L.ReLU(), L.Dense(3)])
  rng = np.random.default_rng(2)
  for variable in model.variables:
    if 'bias' not in variable.name:
      variable.assign(rng.normal(size=variable.shape))
  return model


def test_it_is_the_flow_through_each_weight(relative):
  model = chain()
  first, second, third = (np.abs(kernel.variable.numpy().astype(np.float64))
                          for kernel in tickets_tf.prunable_kernels(model))
  left, right = np.ones(6), np.ones(3)
  expected = [np.outer(left, second @ third @ right) * first, np.outer(left @ first, third @ right) * second,
              np.outer(left @ first @ second, right) * third]
  scores = tickets_tf.score_weights(model, 'synflow')
  assert relative(scores, expected) < 1e-12
  assert all(each.dtype == np.float64 for each in scores)


def test_masked_weights_carry_nothing(relative):
  model = chain()
  rng = np.random.default_rng(3)
  kernels = tickets_tf.prunable_kernels(model)
  mask = tickets_tf.Mask((kernel.name, rng.random(kernel.shape) < 0.7) for kernel in kernels)
  scores = tickets_tf.score_weights(model, 'synflow', mask=mask)
  assert all(not each[~kept].any() for each, kept in zip(scores, mask.arrays, strict=True))
  for kernel in kernels:
    kernel.variable.assign(kernel.variable * mask[kernel.name])
  assert relative(scores, tickets_tf.score_weights(model, 'synflow')) < 1e-15


def test_biases_count_by_their_absolute_values():
  model = chain()
  plain = tickets_tf.score_weights(model, 'synflow')
  model.layers[0].bias.assign(np.full(5, -2.0))
  minus = tickets_tf.score_weights(model, 'synflow')
  model.layers[0].bias.assign(np.full(5, 2.0))
  plus = tickets_tf.score_weights(model, 'synflow')
  assert all(map(np.array_equal, plus, minus))
  np.testing.assert_allclose(plus[0], plain[0])
  assert (plus[1] > plain[1]).all()


@pytest.mark.parametrize('name, depth', [('resnet', 56), ('vgg', 19)])
def test_deep_networks_do_not_overflow(name, depth):
  model = tickets_tf.build_model(name, (8, 8, 3), 10, depth=depth, width=32)
  scores = tickets_tf.score_weights(model, 'synflow')
  assert all(np.isfinite(each).all() and each.min() >= 0 for each in scores)
  # What flows in by the first layer flows out by the last.
  np.testing.assert_allclose(scores[0].sum(), scores[-1].sum(), rtol=1e-10)
  if name == 'resnet':
    assert scores[-1].sum() > np.finfo(np.float32).max


def test_models_in_models_stay_in_float64():
  def stage():
    inputs = keras.Input((4,))
    return keras.Model(inputs, L.Dense(4, kernel_initializer=keras.initializers.Constant(1e13))(inputs))

  model = keras.Sequential([keras.Input((4,)), stage(), stage(), stage(), stage()])
  scores = tickets_tf.score_weights(model, 'synflow')
  np.testing.assert_allclose([each.sum() for each in scores], 4**5 * 1e52, rtol=1e-5)


def test_the_input_shape_must_be_known(small_model):
  class Own(keras.Model):
    def __init__(self):
      super().__init__(name='own')
      self.last = L.Dense(2)

    def call(self, inputs):
      return self.last(tf.reduce_mean(inputs, [1, 2]))

  model = Own()
  model(np.zeros((1, 4, 4, 3), np.float32))
  expected = tickets_tf.score_weights(model, 'synflow', np.zeros((9, 4, 4, 3), np.float32))
  assert expected[0].shape == (3, 2)
  unknown = keras.Sequential([keras.Input((None, None, 3)), L.Conv2D(2, 1), L.GlobalAveragePooling2D()], name='free')
  with pytest.raises(UsageError, match="model 'free' does not know the shape of its input: pass images"):
    tickets_tf.score_weights(unknown, 'synflow')


def test_weights_that_are_no_attributes_are_refused():
  class Listed(L.Layer):
    def build(self, shape):
      self.parts = [self.add_weight(name='part', shape=(int(shape[-1]), 2))]

    def call(self, inputs):
      return inputs @ self.parts[0]

    def get_prunable_weights(self):
      return self.parts

  model = keras.Sequential([keras.Input((3,)), Listed(), L.Dense(2)])
  with pytest.raises(UsageError, match='part:0 must be an attribute of its layer for SynFlow'):
    tickets_tf.score_weights(model, 'synflow')


def test_layers_that_insist_on_float32_are_named():
  model = keras.Sequential([keras.Input((3,)), L.Dense(2), L.Lambda(lambda x: x * tf.constant(2.0)), L.Dense(2)],
                           name='strict')
  with pytest.raises(UsageError, match="model 'strict' cannot compute in float64"):
    tickets_tf.score_weights(model, 'synflow')


@pytest.mark.parametrize('normalisation', [
    L.BatchNormalization, L.LayerNormalization, L.UnitNormalization, lambda: L.GroupNormalization(4),
    lambda: L.GroupNormalization(-1)])
def test_the_same_flows_through_every_layer_whatever_normalises_between_them(normalisation):
  model = keras.Sequential([L.Conv2D(8, 3, use_bias=False, input_shape=(8, 8, 3)), normalisation(), L.ReLU(),
                            L.Conv2D(8, 3, use_bias=False), L.GlobalAveragePooling2D(), L.Dense(5)])
  scores = tickets_tf.score_weights(model, 'synflow')
  totals = [score.sum() for score in scores]
  assert min(score.min() for score in scores) >= 0 < totals[0]
  assert totals == pytest.approx([totals[0]] * 3)


def test_the_same_flows_through_grouped_convolutions():
  model = keras.Sequential([L.Conv2D(8, 3, groups=2, use_bias=False, input_shape=(8, 8, 4)), L.ReLU(),
                            L.Conv2D(6, 3, groups=2, use_bias=False, dilation_rate=2), L.GlobalAveragePooling2D(),
                            L.Dense(5)])
  totals = [score.sum() for score in tickets_tf.score_weights(model, 'synflow')]
  assert totals == pytest.approx([totals[0]] * 3) and totals[0] > 0


def attention():
  inputs = keras.Input((8, 6))
  return keras.Model(inputs, L.Dense(5)(L.GlobalAveragePooling1D()(L.MultiHeadAttention(2, 4)(inputs, inputs))))


class Standardised(L.Conv2D):
  def call(self, x):
    kernel = self.kernel - tf.reduce_mean(self.kernel, [0, 1, 2], keepdims=True)
    return tf.nn.conv2d(x, kernel, self.strides, 'VALID')


@pytest.mark.parametrize('build, expected', [
    (attention, 'SynFlow is not defined for multi_head_attention.*, a MultiHeadAttention, which multiplies'),
    (lambda: keras.Sequential([L.LSTM(4, input_shape=(8, 6)), L.Dense(5)]),
     'SynFlow is not defined for lstm.*, a LSTM'),
    (lambda: keras.Sequential([Standardised(8, 3, input_shape=(8, 8, 3)), L.GlobalAveragePooling2D(), L.Dense(5)]),
     'SynFlow of standardised.* is negative: its layer, or one behind it, does more than sum')])
def test_layers_that_do_not_let_it_flow_are_refused_by_name(build, expected):
  with pytest.raises(UsageError, match=expected):
    tickets_tf.score_weights(build(), 'synflow')
