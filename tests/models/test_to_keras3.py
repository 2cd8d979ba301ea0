"""Networks of tf_keras in Keras 3: what is rebuilt with equal outputs, and what is refused by name."""

import sys

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import tickets_tf
from tickets_tf.errors import UsageError
from tickets_tf.models import to_keras3
from tickets_tf.models import to_keras3_operations

keras = pytest.importorskip('keras', minversion='3', reason='Keras 3 is not installed')
L = tf_keras.layers
SHAPE, CLASSES = (8, 8, 3), 5


def network(*calls, shape=SHAPE):
  x = inputs = tf_keras.Input(shape)
  for call in calls:
    x = call(x)
  return tf_keras.Model(inputs, x)


def moved(model):
  """Returns the model with weights of which none is a constant that hides something."""
  rng = np.random.default_rng(0)
  model.set_weights([each + rng.uniform(0.01, 0.2, each.shape) for each in model.get_weights()])
  return model


def proven(model):
  """Returns the Keras 3 model, after its outputs are compared, and those of what is loaded from its configuration."""
  inputs = np.random.default_rng(1).normal(size=(3, *model.input_shape[1:])).astype('float32')
  rebuilt = to_keras3.rebuild(moved(model))
  loaded = keras.Model.from_config(rebuilt.model.get_config())
  loaded.set_weights(rebuilt.model.get_weights())
  for each in (rebuilt.model, loaded):
    to_keras3.check_equal(lambda x: model(x, training=False), each, inputs, 'm')
  return rebuilt


def residual():
  return tickets_tf.build_model('resnet8', SHAPE, CLASSES, width=4)


def sequential():
  return tf_keras.Sequential([L.Conv2D(4, 3, activation='relu', input_shape=SHAPE), L.MaxPooling2D(), L.Flatten(),
                              L.Dropout(0.5), L.Dense(CLASSES, activation='softmax', kernel_regularizer='l2',
                                                      kernel_constraint='non_neg')])


def attention():
  inputs = tf_keras.Input(SHAPE)
  x = L.Dense(6)(L.Reshape((8, 24))(inputs))
  y = L.LayerNormalization()(x)
  x = x + L.MultiHeadAttention(2, 3, dropout=0.1)(y, y, use_causal_mask=True)
  return tf_keras.Model(inputs, L.Dense(CLASSES)(L.Dense(9, activation='gelu')(x)[:, 0]))


def recurrent():
  return network(L.Reshape((2, 4, 8, 3)), L.TimeDistributed(L.Conv2D(3, 3)), L.TimeDistributed(L.Flatten()),
                 L.Bidirectional(L.LSTM(3, return_sequences=True)), L.GRU(3))


def convolutions():
  return network(L.Rescaling(1 / 2, 0.1), L.DepthwiseConv2D(3), L.BatchNormalization(epsilon=0.1), L.ReLU(6.0),
                 L.SeparableConv2D(4, 3, activation='leaky_relu'), L.Conv2DTranspose(4, 2), L.GroupNormalization(2),
                 L.PReLU(), L.LeakyReLU(0.1), L.SpatialDropout2D(0.1), L.AveragePooling2D(2),
                 L.GlobalMaxPooling2D(keepdims=True), L.Flatten(), L.Dense(CLASSES))


def branches():
  x = inputs = tf_keras.Input(SHAPE)
  shared, inner = L.Conv2D(3, 3, padding='same'), tf_keras.Sequential([L.Conv2D(3, 1), L.BatchNormalization()], 'in')
  x = L.Concatenate()([shared(shared(x)), inner(x), 1 - 2 * inner(shared(x))])
  return tf_keras.Model(inputs, L.GlobalAveragePooling2D()(L.Add()([x, L.Multiply()([x, x])])))


@pytest.mark.parametrize('build', [residual, sequential, attention, recurrent, convolutions, branches])
def test_a_network_is_rebuilt_with_equal_outputs(build):
  model = build()
  rebuilt = proven(model)
  assert isinstance(rebuilt.model, keras.Model) and rebuilt.model.count_params() == model.count_params()
  assert set(rebuilt.variables) == set(map(id, model.weights))
  for weight in model.weights:
    np.testing.assert_array_equal(weight.numpy(), keras.ops.convert_to_numpy(rebuilt.variables[id(weight)]))


def test_arguments_that_training_needs_are_kept():
  model = sequential()
  model.layers[0].trainable = False
  dense = to_keras3.rebuild(model).model.layers[-1]
  assert float(dense.kernel_regularizer.l2) == pytest.approx(0.01)
  assert isinstance(dense.kernel_constraint, keras.constraints.NonNeg)
  assert len(to_keras3.rebuild(model).model.trainable_weights) == 2


OPERATIONS = [
    lambda x: x + 1, lambda x: tf.add(x, x), lambda x: 2 - x, lambda x: np.float32(3) * x, lambda x: x / 3,
    lambda x: -x, lambda x: tf.maximum(x, 0.1), lambda x: tf.minimum(0.1, x),
    lambda x: x[:, 1:], lambda x: tf.concat([x, x], 1), lambda x: tf.expand_dims(x, 1),
    lambda x: x @ tf.transpose(x, [0, 2, 1]), lambda x: tf.abs(x), lambda x: tf.exp(x), lambda x: tf.square(x) ** 2,
    lambda x: tf.reduce_max(x, 1), lambda x: tf.reduce_mean(x, [1], keepdims=True), lambda x: tf.reduce_min(x, 1),
    lambda x: tf.reduce_sum(x, axis=1), lambda x: tf.math.rsqrt(tf.abs(x)), lambda x: tf.sqrt(tf.abs(x)),
    lambda x: tf.sigmoid(x), lambda x: tf.nn.softplus(x), lambda x: tf.tanh(x), lambda x: tf.nn.elu(x),
    lambda x: tf.nn.gelu(x), lambda x: tf.nn.gelu(x, True), lambda x: tf.nn.leaky_relu(x), lambda x: tf.nn.relu(x),
    lambda x: tf.nn.log_softmax(x), lambda x: tf.nn.relu6(x), lambda x: tf.nn.selu(x), lambda x: tf.nn.silu(x),
    lambda x: tf.nn.softmax(x, axis=1), lambda x: tf.reshape(x, [-1, 6, 2]), lambda x: tf.squeeze(x[:, :1], 1),
    lambda x: tf.stack([x, x], axis=2), lambda x: x * np.arange(4, dtype=np.float32)]


def test_operations_are_rebuilt():
  used = set()
  for call in OPERATIONS:
    model = network(call, shape=(3, 4))
    proven(model)
    used.update(layer.symbol.removeprefix('compat.v1.') for layer in model.layers if hasattr(layer, 'symbol'))
  assert used == set(to_keras3_operations._OPERATIONS)


class Block(L.Layer):
  def call(self, x):
    return x + 1


class Subclassed(tf_keras.Model):
  def call(self, x):
    return x


@pytest.mark.filterwarnings('ignore:The object being serialized includes a `lambda`')
@pytest.mark.parametrize('calls, expected', [
    ([Block(name='b')], r"model: the layer 'b' \(Block\) has no twin in Keras 3"),
    ([L.Lambda(lambda x: x, name='f')], r"the layer 'f' \(Lambda\) has no twin in Keras 3"),
    ([L.Reshape((8, 24)), L.LSTM(2, time_major=True, name='n')],
     r"'n' \(LSTM\) has no twin in Keras 3: time_major=True"),
    ([L.Dense(2, activation='hard_sigmoid', name='d')], r"'d' \(Dense\) has no twin .*: activation='hard_sigmoid'"),
    ([L.Dense(2, activation=lambda x: x, name='d')], r"'d' \(Dense\) has no twin in Keras 3: activation="),
    ([lambda x: tf.sort(x)], r"the operation 'tf.sort[_0-9]*' \(tf.sort\) has no twin in Keras 3"),
    ([Subclassed(name='s')], r"the layer 's' \(Subclassed\) has no twin in Keras 3: it is a subclassed model"),
])
def test_what_has_no_twin_is_named(calls, expected):
  with pytest.raises(UsageError, match=expected) as caught:
    to_keras3.rebuild(network(*calls))
  assert '\n' not in str(caught.value)


def test_other_outputs_are_an_error():
  model = network(L.Dense(2))
  rebuilt = to_keras3.rebuild(model).model
  rebuilt.layers[-1].bias.assign([0, 1e-4])
  with pytest.raises(UsageError, match=r'^m: rebuilt in Keras 3, its outputs differ by up to 1\.0e-04; expected at'):
    to_keras3.check_equal(model, rebuilt, np.zeros((1, *SHAPE), np.float32), 'm')


def test_a_missing_keras_is_one_line(monkeypatch):
  monkeypatch.setattr(keras, '__version__', '2.15.0')
  with pytest.raises(UsageError, match=r'^--keras: Keras 2\.15\.0 is installed; it takes Keras 3: pip install'):
    to_keras3.keras3()
  monkeypatch.setattr(to_keras3.importlib.util, 'find_spec', lambda name: 'there')
  monkeypatch.setitem(sys.modules, 'keras', None)
  with pytest.raises(UsageError, match=r'^--keras: Keras 3 cannot be imported: '):
    to_keras3.keras3()
  monkeypatch.setattr(to_keras3.importlib.util, 'find_spec', lambda name: None)
  with pytest.raises(UsageError, match=r'^--keras: Keras 3 is not installed: pip install "keras>=3"$'):
    to_keras3.keras3()
