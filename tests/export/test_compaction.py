"""Compact networks compute what they did, and are as small as they can be where that is known by hand."""

import dataclasses
import json

import numpy as np
import pytest

import tickets_tf
import tensorflow as tf
import tf_keras as keras
from tickets_tf import data
from tickets_tf.errors import UsageError
from tickets_tf.models.compaction import Compaction, compact
from tickets_tf.pruning.mask import Mask

L = keras.layers


def disturb(model, seed=0):
  """Gives biases and batch norm values that no shortcut survives: negative and zero scales, shifts either way."""
  rng = np.random.default_rng(seed)
  for layer in model.submodules:
    if isinstance(layer, L.BatchNormalization):
      size = layer.moving_mean.shape
      layer.moving_mean.assign(rng.normal(0, 0.3, size))
      layer.moving_variance.assign(rng.uniform(0.2, 2, size))
      if layer.scale:
        layer.gamma.assign(rng.normal(0.5, 1, size) * (rng.random(size) < 0.95))
      if layer.center:
        layer.beta.assign(rng.normal(0, 0.5, size))
    elif getattr(layer, 'use_bias', False) and hasattr(layer, 'bias'):
      layer.bias.assign(rng.normal(0, 0.5, layer.bias.shape))
  return model


def masked(model, mask):
  """A copy of the model whose removed weights are zero."""
  copy = keras.models.clone_model(model)
  copy.set_weights(model.get_weights())
  for kernel in tickets_tf.prunable_kernels(copy):
    kernel.variable.assign(kernel.variable * mask[kernel.name])
  return copy


def random_mask(model, density, seed):
  rng = np.random.default_rng(seed)
  return Mask((kernel.name, rng.random(kernel.shape) < density) for kernel in tickets_tf.prunable_kernels(model))


def batch(model, seed=0, size=4):
  rng = np.random.default_rng(seed)
  images = [rng.normal(size=(size, *[length or 9 for length in each.shape[1:]])).astype(np.float32)
            for each in model.inputs]
  return images[0] if len(images) == 1 else images


def assert_same_outputs(model, small, images):
  for expected, found in zip(tf.nest.flatten(model(images, training=False)),
                             tf.nest.flatten(small(images, training=False)), strict=True):
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * max(np.abs(expected).max(), 1e-3))


def channels(model, small):
  return {layer.name: layer.channels[1] for layer in Compaction.between(model, small).layers}


# Networks of every kind.


def resnet8():
  return tickets_tf.build_model('resnet8', (16, 16, 3), 10, width=8)


def vgg11():
  return tickets_tf.build_model('vgg11', (16, 16, 3), 10, width=8)


def flattened():
  return keras.Sequential([
      keras.Input((7, 6, 2)), L.Conv2D(6, 3, 2, 'same', activation='elu'), L.BatchNormalization(), L.Dropout(0.5),
      L.Conv2D(5, 2, padding='same', dilation_rate=2), L.LeakyReLU(), L.AveragePooling2D(2, 1, 'same'), L.Flatten(),
      L.Dense(6, 'sigmoid'), L.Dense(4, 'softmax')], name='flattened')


def before_activation():
  inputs = keras.Input((8, 8, 3))
  x = L.Conv2D(6, 3, padding='same', use_bias=False)(inputs)
  for stride in (1, 2):
    y = L.ReLU()(L.BatchNormalization(scale=False)(x))
    z = L.Conv2D(6, 3, stride, 'same', use_bias=False)(y)
    z = L.Conv2D(6, 3, padding='same')(L.Activation('relu')(L.BatchNormalization(center=False)(z)))
    x = z + (x if stride == 1 else L.Conv2D(6, 1, stride)(y))
  return keras.Model(inputs, L.Dense(3)(L.GlobalMaxPooling2D()(tf.nn.relu(x))))


def mobile():
  inputs = keras.Input((9, 8, 2))
  x = L.Conv2D(5, 3, 2, 'same', activation=tf.nn.relu6)(inputs)
  x = L.DepthwiseConv2D(3, padding='same', depth_multiplier=2)(x)
  x = L.Conv2D(6, 1)(L.ReLU(6)(L.BatchNormalization()(x)))
  x = L.DepthwiseConv2D(3, 2, use_bias=False)(L.ZeroPadding2D(1)(L.ReLU()(x)))
  return keras.Model(inputs, L.Dense(3)(L.GlobalAveragePooling2D()(L.SeparableConv2D(4, 2)(x))))


def branches():
  inputs = {'left': keras.Input((8, 8, 2), name='left'), 'right': keras.Input((8, 8, 3), name='right')}
  left = L.Conv2D(4, 3, padding='same', activation='relu')(inputs['left'])
  right = L.MaxPooling2D(3, 1, 'same')(L.Conv2D(5, 3, padding='same', activation='tanh')(inputs['right']))
  x = L.Conv2D(4, 3, padding='same')(L.ReLU()(L.BatchNormalization()(L.Concatenate()([left, right, left]))))
  y = L.Add()([x, left, x])
  return keras.Model(inputs, {'one': L.Dense(3)(L.Flatten()(L.Cropping2D(2)(y))), 'two': L.Conv2D(2, 3)(right)})


def unknown():
  shared = L.Conv2D(4, 3, padding='same', name='shared')
  inner = keras.Sequential([keras.Input((8, 8, 4)), L.Conv2D(5, 1, name='inside')], name='inner')
  inputs = keras.Input((8, 8, 4))
  x = L.LayerNormalization()(L.ReLU()(shared(L.ReLU()(shared(inputs)))))
  x = L.Lambda(lambda x: x[..., ::-1])(L.Conv2D(4, 3, padding='same')(x))
  x = L.Conv2D(6, 3, groups=2, activation='relu')(L.PReLU()(x))
  x = L.Permute((2, 1, 3))(L.Conv2DTranspose(4, 3)(L.Multiply()([x, L.Dense(6)(x)])))
  return keras.Model(inputs, L.Dense(2)(L.Reshape((-1,))(inner(x))))


def any_size():
  inputs = keras.Input((None, None, 3))
  x = L.Conv2D(5, 3, padding='same', activation='relu')(L.Conv2D(5, 3, 2, 'same', activation='relu')(inputs))
  return keras.Model(inputs, L.Dense(2)(L.GlobalAveragePooling2D()(L.Conv2D(4, 3)(x))))


def sequence():
  inputs = keras.Input((12, 3))
  x = L.Conv1D(6, 3, padding='causal', activation='relu')(L.Dense(5, 'relu')(inputs))
  return keras.Model(inputs, L.Dense(2)(L.GlobalAveragePooling1D()(L.Conv1D(4, 2, 2, 'same')(x))))


NETWORKS = [resnet8, vgg11, flattened, before_activation, mobile, branches, unknown, any_size, sequence]
networks = pytest.mark.parametrize('build', NETWORKS, ids=lambda build: build.__name__)


@pytest.mark.parametrize('density', [0.01, 0.04, 0.15])
@networks
def test_outputs_stay(build, density):
  model = disturb(build(), 7)
  mask = random_mask(model, density, 8)
  expected, small = masked(model, mask), compact(model, mask)
  assert_same_outputs(expected, small, batch(model))
  # Ones have borders that noise hides.
  assert_same_outputs(expected, small, tf.nest.map_structure(np.ones_like, batch(model)))


@pytest.mark.parametrize('build', [each for each in NETWORKS if each is not unknown], ids=lambda build: build.__name__)
def test_few_weights_leave_few_channels(build):
  model = disturb(build())
  report = Compaction.between(model, compact(model, random_mask(model, 0.02, 1)))
  assert report.weights[1] < 0.8 * report.weights[0]
  assert report.macs == (None, None) if build is any_size else report.macs[1] < report.macs[0]
  assert all(1 <= layer.channels[1] <= layer.channels[0] or layer.weights[1] == 0 for layer in report.layers)


@networks
def test_nothing_to_remove_removes_nothing(build):
  model = build()
  report = Compaction.between(model, compact(model))
  assert report.weights[0] == report.weights[1] and report.macs[0] == report.macs[1]


@networks
def test_what_is_compact_cannot_be_compacted(build):
  model = disturb(build())
  small = compact(model, random_mask(model, 0.03, 2))
  again = compact(small)
  assert [tuple(each.shape) for each in again.weights] == [tuple(each.shape) for each in small.weights]


@networks
def test_the_model_is_left_alone(build):
  model = disturb(build())
  before, nodes = model.get_weights(), [len(layer.inbound_nodes) for layer in model.layers]
  small = compact(model, random_mask(model, 0.05, 3))
  assert all(map(np.array_equal, before, model.get_weights()))
  assert [len(layer.inbound_nodes) for layer in model.layers] == nodes
  assert not {id(variable) for variable in model.variables} & {id(variable) for variable in small.variables}
  assert small.name == model.name and small.input_names == model.input_names
  assert {type(layer).__module__.partition('.')[0] for layer in small.layers} == {'tf_keras'}


@pytest.mark.parametrize('ratio', [0.9, 0.95, 0.98, 0.99, 0.995])
@pytest.mark.parametrize('name, allocation', [('resnet14', 'smart'), ('vgg11', 'global')])
def test_tickets_on_real_images(name, allocation, ratio):
  dataset = data.load_dataset('digits')
  model = disturb(tickets_tf.build_model(name, dataset.image_shape, 10, width=8))
  mask = tickets_tf.find_ticket(model, 'random', ratio, allocation=allocation).mask
  small = compact(model, mask)
  images = data.normalise(dataset.test.images[:100], dataset.mean, dataset.std)
  assert_same_outputs(masked(model, mask), small, images)


# By hand.


def chain(*layers, size=(4, 4, 2)):
  model = keras.Sequential([keras.Input(size), *layers])
  rng = np.random.default_rng(5)
  for variable in model.trainable_variables:
    variable.assign(rng.uniform(0.5, 1.5, variable.shape) * rng.choice([-1, 1], variable.shape))
  return model


def silence(layer, channel, bias):
  """Takes all weights of a layer's output channel."""
  layer.kernel.assign(layer.kernel.numpy() * (np.arange(layer.kernel.shape[-1]) != channel))
  layer.bias.assign(np.where(np.arange(layer.bias.shape[0]) == channel, bias, layer.bias))


def assert_compact(model, **expected):
  small = compact(model)
  assert_same_outputs(model, small, batch(model))
  found = channels(model, small)
  assert {name: found[name] for name in expected} == expected
  return small


def test_a_channel_that_relu_makes_zero_goes():
  model = chain(L.Conv2D(3, 3, padding='same', activation='relu', name='one'),
                L.Conv2D(4, 3, padding='same', name='two'))
  silence(model.layers[0], 1, -0.5)
  small = assert_compact(model, one=2, two=4)
  np.testing.assert_array_equal(small.get_layer('two').kernel, model.layers[1].kernel.numpy()[:, :, [0, 2]])


@pytest.mark.parametrize('second', [
    L.Conv2D(4, 3, name='two'), L.Conv2D(4, 1, padding='same', name='two'), L.Dense(4, name='two')],
    ids=lambda layer: f'{type(layer).__name__}{getattr(layer, "kernel_size", "")}')
def test_a_constant_becomes_a_bias_where_nothing_is_padded(second):
  model = chain(L.Conv2D(3, 3, padding='same', activation='relu', name='one'),
                type(second).from_config({**second.get_config(), 'use_bias': False}))
  silence(model.layers[0], 1, 0.5)
  small = assert_compact(model, one=2, two=4)
  np.testing.assert_allclose(small.get_layer('two').bias,
                             0.5 * model.layers[1].kernel.numpy().reshape(-1, 3, 4)[:, 1].sum(axis=0), rtol=1e-6)


@pytest.mark.parametrize('padding', [L.Activation('linear'), L.ZeroPadding2D(1)],
                         ids=lambda layer: type(layer).__name__)
def test_constants_in_front_of_padding_are_gathered_on_one(padding):
  model = chain(L.Conv2D(5, 3, padding='same', activation='relu', name='one'),
                type(padding).from_config(padding.get_config()), L.Conv2D(4, 3, padding='same', name='two'))
  silence(model.layers[0], 1, 0.5)
  assert_compact(model, one=5, two=4)
  silence(model.layers[0], 3, 2.0)
  small = assert_compact(model, one=4, two=4)
  assert 2.0 in small.get_layer('one').bias.numpy() and 0.5 not in small.get_layer('one').bias.numpy()


def test_taps_that_never_meet_the_padding_are_taken_in():
  model = chain(L.Conv2D(3, 3, padding='same', activation='relu', name='one'),
                L.Conv2D(4, 3, 2, padding='same', name='two'))
  silence(model.layers[0], 1, 0.5)
  kernel = model.layers[1].kernel.numpy()
  # TensorFlow pads 4 pixels on the right and at the bottom alone here.
  kernel[2, :, 1] = kernel[:, 2, 1] = 0
  model.layers[1].kernel.assign(kernel)
  assert_compact(model, one=2)
  kernel[2, 0, 1, 3] = 1
  model.layers[1].kernel.assign(kernel)
  assert_compact(model, one=3)


def test_a_channel_that_nobody_reads_goes_and_takes_others_along():
  model = chain(L.Conv2D(3, 3, name='one'), L.ReLU(), L.Conv2D(3, 1, name='two'), L.MaxPooling2D(), L.Flatten(),
                L.Dense(2, name='three'))
  two, three = model.get_layer('two'), model.get_layer('three')
  three.kernel.assign(three.kernel.numpy() * [[1], [1], [0]])
  two.kernel.assign(two.kernel.numpy() * [[1, 1, 1], [0, 0, 1], [1, 1, 1]])  # Channel 1 goes to channel 2 alone.
  assert_compact(model, one=2, two=2, three=2)


def test_a_channel_stays_for_a_single_position_behind_flatten():
  model = chain(L.Conv2D(3, 3, name='one'), L.Flatten(), L.Dense(2, name='two'))
  kernel = np.zeros((12, 2))
  kernel[[0, 7], 0] = 1  # Position 0 of channel 0, position 2 of channel 1.
  model.get_layer('two').kernel.assign(kernel)
  small = assert_compact(model, one=2, two=2)
  assert small.get_layer('two').kernel.shape == (8, 2)


def test_a_scale_of_zero_makes_a_constant():
  model = chain(L.Conv2D(3, 3, name='one'), L.BatchNormalization(), L.Conv2D(2, 1, name='two'))
  model.layers[1].gamma.assign([1, 0, 1])
  small = assert_compact(model, one=2)
  assert small.layers[-2].gamma.shape == 2


def residual():
  inputs = keras.Input((6, 6, 2))
  x = L.Conv2D(4, 3, padding='same', activation='relu', name='first')(inputs)
  y = L.Conv2D(3, 3, padding='same', activation='relu', name='one')(x)
  y = L.Conv2D(4, 3, padding='same', name='two')(y)
  x = L.ReLU()(L.Add(name='sum')([y, x]))
  return disturb(keras.Model(inputs, L.Dense(2, name='last')(L.GlobalAveragePooling2D()(x))))


@pytest.mark.parametrize('bias', [[0, 0, 0, 0], [0.5, 0, -0.5, 1]])
def test_a_dead_branch_goes(bias):
  model = residual()
  model.get_layer('two').set_weights([np.zeros((3, 3, 3, 4)), np.array(bias)])
  small = assert_compact(model, first=4, one=0, two=0, last=2)
  assert any(isinstance(layer, L.Rescaling) for layer in small.layers) == any(bias)
  assert not any(isinstance(layer, L.Add) for layer in small.layers)


def test_a_channel_of_a_sum_stays_until_all_agree():
  model = residual()
  last = model.get_layer('last')
  last.kernel.assign(last.kernel.numpy() * [[1], [0], [1], [1]])  # Channel 1 of the sum is not read,
  small = assert_compact(model, first=4, two=4)  # but that of its one term is.
  assert not small.get_layer('two').kernel.numpy()[..., 1].any()
  one = model.get_layer('one')
  one.kernel.assign(one.kernel.numpy() * (np.arange(4) != 1)[:, None])
  assert_compact(model, first=3, two=3, last=2)


def test_a_network_that_is_cut_gives_its_constants():
  model = residual()
  model.get_layer('last').kernel.assign(np.zeros((4, 2)))
  small = assert_compact(model, first=1, last=2)
  np.testing.assert_allclose(small(batch(model)), np.tile(model.get_layer('last').bias, (4, 1)))


def test_softmax_depends_on_constants():
  model = chain(L.Dense(3, 'softmax', name='one'), L.Dense(2, name='two'))
  silence(model.layers[0], 1, 0.5)
  kernel = model.layers[1].kernel.numpy()
  model.layers[1].kernel.assign(kernel * [[1], [1], [0]])
  assert_compact(model, one=3, two=2)


def test_figures_by_hand():
  model = chain(L.Conv2D(3, 3, name='one'), L.ReLU(), L.Conv2D(4, 1, name='two'))
  model.get_layer('two').kernel.assign(model.get_layer('two').kernel.numpy() * [[1], [0], [1]])
  report = Compaction.between(model, compact(model))
  assert json.loads(json.dumps(dataclasses.asdict(report))) == {
      'layers': [{'name': 'one', 'channels': [3, 2], 'weights': [54, 36]},
                 {'name': 'two', 'channels': [4, 4], 'weights': [12, 8]}],
      'weights': [66, 44], 'macs': [4 * 66, 4 * 44]}


def test_without_a_mask_zeros_count(small_model):
  disturb(small_model)
  mask = random_mask(small_model, 0.05, 4)
  one, other = compact(small_model, mask), compact(masked(small_model, mask))
  assert all(map(np.array_equal, one.get_weights(), other.get_weights()))


def test_what_cannot_be_done(small_model):
  class Own(keras.Model):
    def __init__(self):
      super().__init__(name='own')
      self.last = L.Dense(2)

    def call(self, inputs):
      return self.last(inputs)

  own = Own()
  own.build((None, 3))
  with pytest.raises(UsageError, match="model 'own' is subclassed"):
    compact(own)
  with pytest.raises(UsageError, match='the mask does not fit'):
    compact(small_model, Mask({'conv1': np.ones((2, 2))}))


def test_it_computes_in_the_precision_of_the_network():
  before = keras.mixed_precision.global_policy()
  keras.mixed_precision.set_global_policy('mixed_bfloat16')
  try:
    model = disturb(resnet8())
  finally:
    keras.mixed_precision.set_global_policy(before)
  small = compact(model, random_mask(model, 0.05, 0))
  assert {layer.name: layer.compute_dtype for layer in small.layers} == {
      layer.name: model.get_layer(layer.name.removesuffix('_offset')).compute_dtype for layer in small.layers}


@pytest.mark.parametrize('build', [resnet8, mobile], ids=lambda build: build.__name__)
def test_tflite_and_saved_models_take_it(build, tmp_path):
  model = disturb(build())
  mask = random_mask(model, 0.05, 0)
  small, images = compact(model, mask), batch(model, size=1)
  expected = masked(model, mask)(images).numpy()
  tf.saved_model.save(small, str(tmp_path / 'saved'))
  np.testing.assert_allclose(tf.saved_model.load(str(tmp_path / 'saved'))(images), expected, rtol=1e-4, atol=1e-5)
  from ai_edge_litert.interpreter import Interpreter
  interpreter = Interpreter(model_content=tf.lite.TFLiteConverter.from_keras_model(small).convert())
  interpreter.allocate_tensors()
  interpreter.set_tensor(interpreter.get_input_details()[0]['index'], images)
  interpreter.invoke()
  np.testing.assert_allclose(interpreter.get_tensor(interpreter.get_output_details()[0]['index']), expected, rtol=1e-3,
                             atol=1e-4)
