"""Keras 3 networks: what is rebuilt in tf_keras with equal outputs, and what is refused by name."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import tickets_tf
from tickets_tf import data
from tickets_tf.errors import UsageError
from tickets_tf.experiment import networks
from tickets_tf.models import keras3
from tickets_tf.models import own
from tickets_tf.runs.run import Run

keras = pytest.importorskip('keras', minversion='3', reason='Keras 3 is not installed')
L = keras.layers
ops = keras.ops
SHAPE, CLASSES = (8, 8, 3), 5


def images(shape=SHAPE, count=3):
  return np.random.default_rng(1).normal(size=(count, *shape)).astype(np.float32)


def network(*calls, shape=SHAPE):
  x = inputs = keras.Input(shape)
  for call in calls:
    x = call(x)
  return keras.Model(inputs, x)


def plain():
  return keras.Sequential([keras.Input(SHAPE), L.Conv2D(4, 3, activation='relu'), L.GlobalAveragePooling2D(),
                           L.Dense(CLASSES)])


def convolutions():
  return network(L.Rescaling(1 / 2, 0.1), L.DepthwiseConv2D(3, depthwise_regularizer='l2'), L.BatchNormalization(),
                 L.ReLU(6.0), L.SeparableConv2D(4, 3, activation='leaky_relu'), L.Conv2DTranspose(4, 2),
                 L.GroupNormalization(2), L.PReLU(), L.LeakyReLU(0.1), L.SpatialDropout2D(0.1, seed=3),
                 L.AveragePooling2D(2), L.Conv2D(4, 1, activation='hard_silu'), L.Activation('hard_sigmoid'),
                 L.GlobalMaxPooling2D(keepdims=True), L.Flatten(), L.Dense(CLASSES))


def attention():
  x = inputs = keras.Input(SHAPE)
  x = L.Dense(6)(L.Reshape((8, 24))(x))
  y = L.LayerNormalization()(x)
  x = x + L.MultiHeadAttention(2, 3, dropout=0.1)(y, y, use_causal_mask=True)
  x = x + L.Dense(6)(L.Dense(9, activation='gelu')(L.LayerNormalization()(x)))
  return keras.Model(inputs, L.Dense(CLASSES)(x[:, 0]))


def recurrent():
  return network(L.Reshape((2, 4, 8, 3)), L.TimeDistributed(L.Conv2D(3, 3)),
                 L.TimeDistributed(keras.Sequential([L.BatchNormalization(), L.Flatten(), L.Dense(4)])),
                 L.Bidirectional(L.LSTM(3, return_sequences=True)), L.GRU(3, return_sequences=True), L.SimpleRNN(4))


def branches():
  x = inputs = keras.Input(SHAPE)
  shared, inner = L.Conv2D(3, 3, padding='same'), keras.Sequential([L.Conv2D(3, 1), L.BatchNormalization()], name='in')
  x = ops.concatenate([shared(shared(x)), inner(x), 1 - 2 * inner(shared(x))], axis=-1)
  x = L.Add()([x, L.Multiply()([x, x])]) / 2
  inner.trainable = False
  return keras.Model(inputs, ops.mean(ops.relu(x), axis=(1, 2)))


def operations():
  return network(lambda x: ops.transpose(x, (0, 2, 1, 3)), lambda x: ops.reshape(x, (-1, 64, 3)),
                 lambda x: ops.max(x, axis=1, keepdims=True) - ops.sum(x, axis=1, keepdims=True) / 64,
                 lambda x: ops.squeeze(x, 1) * np.arange(3, dtype=np.float32), lambda x: ops.hard_silu(x) + ops.tanh(x),
                 lambda x: ops.softmax(ops.maximum(x, -x)))


@pytest.mark.parametrize('build', [plain, convolutions, attention, recurrent, branches, operations])
def test_a_network_is_rebuilt_with_equal_outputs(build, caplog):
  model = build()
  weights = model.get_weights()
  rebuilt = tickets_tf.from_keras3(model)
  assert isinstance(rebuilt, tf_keras.Model) and rebuilt.count_params() == model.count_params()
  assert rebuilt.name == model.name
  names = {layer.name for layer in rebuilt.layers}
  assert {layer.name for layer in model.layers} <= names | {'activation'}  # One without twin is some operations.
  x = images()
  np.testing.assert_allclose(rebuilt(x, training=False), ops.convert_to_numpy(model(x, training=False)), atol=1e-6)
  for before, after in zip(weights, model.get_weights(), strict=True):
    np.testing.assert_array_equal(before, after)
  assert 'a Keras 3 model, rebuilt in tf_keras; its outputs differ by at most' in caplog.text


def test_flags_and_sharing_are_kept():
  model = branches()
  rebuilt = tickets_tf.from_keras3(model)
  assert not rebuilt.get_layer('in').trainable and not rebuilt.get_layer('in').layers[1].trainable
  assert len(rebuilt.trainable_weights) == len(model.trainable_weights) == 2
  assert [kernel.shape for kernel in tickets_tf.prunable_kernels(rebuilt)] == [(3, 3, 3, 3), (1, 1, 3, 3)]


def test_regularisers_and_dropout_are_kept():
  rebuilt = tickets_tf.from_keras3(network(L.Dense(3, kernel_regularizer=keras.regularizers.L2(0.5)), L.Dropout(0.25)))
  assert float(rebuilt.layers[1].kernel_regularizer.l2) == 0.5 and rebuilt.layers[2].rate == 0.25


def test_constants_in_fresh_weights_hide_nothing(monkeypatch):
  model = network(L.BatchNormalization(), L.Dense(CLASSES, kernel_initializer='zeros'))
  twin = keras3.keras3_layers.twin

  def other(layer, *args):
    made = twin(layer, *args)
    return tf_keras.layers.BatchNormalization(epsilon=0.1, name=made.name) if 'batch' in made.name else made

  monkeypatch.setattr(keras3.keras3_layers, 'twin', other)
  with pytest.raises(UsageError, match=r'^mine: rebuilt in tf_keras, its outputs differ by up to .* expected at most'):
    tickets_tf.from_keras3(model, name='mine')


class Block(L.Layer):
  def call(self, x):
    return x + 1


class Subclassed(keras.Model):
  def call(self, x):
    return x


@pytest.mark.parametrize('calls, expected', [
    ([Block(name='b')], r"model: the Keras 3 layer 'b' \(Block\) has no twin in tf_keras"),
    ([L.RMSNormalization(name='n')], r"the Keras 3 layer 'n' \(RMSNormalization\) has no twin"),
    ([L.Lambda(lambda x: x, name='f')], r"the Keras 3 layer 'f' \(Lambda\) has no twin"),
    ([L.BatchNormalization(renorm=True, name='n')], r"'n' \(BatchNormalization\) has no twin in tf_keras: renorm=True"),
    ([L.Dense(2, activation='celu', name='d')], r"'d' \(Dense\): the Keras 3 activation 'celu' has no twin"),
    ([L.Reshape((8, 24)), L.LSTM(2, recurrent_activation='hard_sigmoid', name='l')],
     r"'l' \(LSTM\): the Keras 3 activation 'hard_sigmoid' has no twin"),
    ([L.Reshape((8, 24)), L.TimeDistributed(L.Dense(2, activation='hard_silu', name='d'), name='t')],
     r"'t' \(TimeDistributed\) has no twin in tf_keras: the activation of 'd' \(Dense\)"),
    ([lambda x: ops.sort(x)], r"the Keras 3 operation 'sort[_0-9]*' \(Sort\) has no twin"),
    ([Subclassed(name='s')], r"the Keras 3 layer 's' \(Subclassed\) has no twin in tf_keras: it is a subclassed model"),
])
def test_what_has_no_twin_is_named(calls, expected):
  with pytest.raises(UsageError, match=expected) as caught:
    tickets_tf.from_keras3(network(*calls))
  assert '\n' not in str(caught.value)


def test_what_cannot_be_rebuilt_is_refused_in_one_line():
  with pytest.raises(UsageError, match=r'model: a model of Keras 3, .*import tf_keras as keras'):
    tickets_tf.from_keras3(Subclassed())
  with pytest.raises(UsageError, match='model: expected a Keras 3 model, found Sequential of tf_keras'):
    tickets_tf.from_keras3(tf_keras.Sequential())
  with pytest.raises(UsageError, match=r'model: this Keras 3 model is not built; expected one with keras\.Input'):
    tickets_tf.from_keras3(keras.Sequential([L.Dense(3)]))


def test_a_network_of_a_run_gives_logits_at_the_size_of_the_images(caplog):
  model = network(L.Conv2D(4, 3), L.GlobalAveragePooling2D(), L.Dense(CLASSES, activation='softmax'),
                  shape=(None, None, 3))
  made = own.classifier(model, 'mine:net', SHAPE, CLASSES)
  assert made.input_shape == (None, *SHAPE)
  np.testing.assert_allclose(tf_keras.activations.softmax(made(images())), model(images()), atol=1e-6)
  unbuilt = keras.Sequential([L.Conv2D(4, 3), L.GlobalAveragePooling2D(), L.Dense(CLASSES)])
  assert len(tickets_tf.prunable_kernels(own.classifier(unbuilt, 'mine:net', SHAPE, CLASSES))) == 2


def with_operations():
  x = inputs = keras.Input(SHAPE)
  x = L.Conv2D(4, 3, activation='hard_silu')(x)
  return keras.Model(inputs, L.Dense(CLASSES)(ops.mean(ops.relu(x + x * x), axis=(1, 2))))


def test_mixed_precision_is_that_of_the_run(caplog):
  tf_keras.mixed_precision.set_global_policy('mixed_bfloat16')
  try:
    rebuilt = own.classifier(with_operations(), 'mine:net', SHAPE, CLASSES)
  finally:
    tf_keras.mixed_precision.set_global_policy('float32')
  assert rebuilt.layers[1].compute_dtype == 'bfloat16' and rebuilt.layers[1].kernel.dtype == 'float32'


def test_a_run_draws_it_from_its_seed_under_the_same_names(tmp_path, monkeypatch):
  monkeypatch.syspath_prepend(tmp_path)
  (tmp_path / 'of_keras3.py').write_text(
      'import keras\n\ndef net(input_shape, num_classes):\n'
      '  return keras.Sequential([keras.Input(input_shape), keras.layers.Conv2D(4, 3, activation="relu"),\n'
      '                           keras.layers.Flatten(), keras.layers.Dense(num_classes)])\n')
  run = Run(tickets_tf.Settings(model='of_keras3:net', width=0, train_examples=160))
  digits = data.load_dataset('digits')
  first, same, other = (networks.network(run, digits, tf.distribute.get_strategy(), purpose)
                        for purpose in (networks.INITIALISATION, networks.INITIALISATION, 'another'))
  assert [each.name for each in first.weights] == [each.name for each in same.weights]
  for one, two, three in zip(first.get_weights(), same.get_weights(), other.get_weights(), strict=True):
    np.testing.assert_array_equal(one, two)
    assert not one.any() or not np.array_equal(one, three)
