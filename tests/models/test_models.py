import json
import pathlib

import numpy as np
import pytest
import tf_keras as keras

import tickets_tf
from tickets_tf import models
from tickets_tf.errors import UsageError

REFERENCE = json.loads((pathlib.Path(__file__).parents[1] / 'golden' / 'smart_ratio.json').read_text())['layers']


@pytest.mark.parametrize('name', sorted(REFERENCE))
def test_layers_and_totals_of_the_reference(name):
  family, classes = name.split('-')
  model = tickets_tf.build_model(family, (32, 32, 3), int(classes))
  kernels = tickets_tf.prunable_kernels(model)
  expected = REFERENCE[name]
  assert [list(kernel.shape) for kernel in kernels] == expected['shapes']
  assert sum(kernel.size for kernel in kernels) == expected['total_weights']
  assert sum(np.prod(weight.shape) for weight in model.trainable_variables) == expected['all_parameters']
  assert [kernel.name for kernel in kernels if kernel.classifier] == ['classifier'] == [kernels[-1].name]
  assert all(kernel.residual == family.startswith('resnet') for kernel in kernels)


def test_shortcuts_come_after_the_convolutions_of_their_block():
  names = [kernel.name for kernel in tickets_tf.prunable_kernels(tickets_tf.build_model('resnet14', (16, 16, 3), 10))]
  place = names.index('stage2_block1_shortcut')
  assert names[place - 2:place] == ['stage2_block1_conv1', 'stage2_block1_conv2']


@pytest.mark.parametrize('name, size', [('resnet8', 8), ('vgg11', 8), ('vgg19', 8), ('vgg16', 9), ('vgg13', 64)])
@pytest.mark.parametrize('channels', [1, 4])
def test_any_input_from_8x8_up(name, size, channels):
  model = tickets_tf.build_model(name, (size, size, channels), 7, width=4)
  assert model.predict(np.zeros((2, size, size, channels), np.float32), verbose=0).shape == (2, 7)


@pytest.mark.parametrize('arguments, expected', [
    (('resnet33', (32, 32, 3), 10), 'depth must be 6n'),
    (('vgg12', (32, 32, 3), 10), 'depth must be one of 11, 13, 16, 19'),
    (('resnet8', (7, 9, 3), 10), 'images of 7x9; at least 8x8'),
    (('vgg11', (9, 7, 3), 10), 'images of 9x7; at least 8x8'),
    (('alexnet', (32, 32, 3), 10), "unknown model 'alexnet'"),
    (('resnet8', (8, 8, 3), 10, 14), 'has depth 8, not 14'),
])
def test_networks_that_do_not_exist(arguments, expected):
  with pytest.raises(UsageError, match=expected):
    tickets_tf.build_model(*arguments)


def test_depth_and_width_by_name_or_argument():
  by_name, by_argument = (models.build_model(name, (8, 8, 1), 3, depth=depth, width=4)
                          for name, depth in (('resnet14', None), ('resnet', 14)))
  assert [tuple(a.shape) for a in by_name.weights] == [tuple(b.shape) for b in by_argument.weights]


def test_constants_of_batch_norm():
  for name in ('resnet8', 'vgg11'):
    norms = [layer for layer in models.build_model(name, (8, 8, 3), 10, width=4).layers
             if isinstance(layer, keras.layers.BatchNormalization)]
    assert norms and all(layer.epsilon == 1e-5 and layer.momentum == 0.9 for layer in norms)


def test_batch_norm_moves_by_a_tenth():
  model = models.build_model('vgg11', (8, 8, 3), 10, width=4)
  images = np.random.default_rng(0).normal(size=(16, 8, 8, 3)).astype(np.float32)
  norm = model.get_layer('norm1')
  before_norm = keras.Model(model.input, model.get_layer('conv1').output)(images).numpy()
  model(images, training=True)
  np.testing.assert_allclose(norm.moving_mean.numpy(), 0.1 * before_norm.mean((0, 1, 2)), rtol=1e-4, atol=1e-6)


def test_strided_convolutions_pad_one_pixel_on_every_side():
  model = models.build_model('resnet8', (8, 8, 3), 10, width=4)
  layer = model.get_layer('stage2_block1_conv1')
  kernel = layer.kernel.numpy()
  block = keras.Model(model.input, [model.get_layer('stage1_block1_relu2').output, layer.output])
  inputs, outputs = (each.numpy()[0] for each in block(np.random.default_rng(0).normal(size=(1, 8, 8, 3))))
  padded = np.pad(inputs, ((1, 1), (1, 1), (0, 0)))
  # The window of the first output starts at the padding row above the image.
  expected = np.einsum('hwi,hwio->o', padded[:3, :3], kernel)
  np.testing.assert_allclose(outputs[0, 0], expected, rtol=1e-4, atol=1e-5)
  np.testing.assert_allclose(outputs[3, 3], np.einsum('hwi,hwio->o', padded[6:9, 6:9], kernel), rtol=1e-4, atol=1e-5)


def test_initial_weights_have_the_deviations_of_the_reference():
  resnet, vgg = (models.build_model(name, (32, 32, 3), 100) for name in ('resnet32', 'vgg19'))
  for kernel in models.prunable_kernels(resnet)[1:-1]:
    height, width, _, outputs = kernel.shape
    assert kernel.variable.numpy().std() == pytest.approx(np.sqrt(2 / (height * width * outputs)), rel=0.06)
  for kernel in models.prunable_kernels(vgg)[1:-1]:
    height, width, inputs, _ = kernel.shape
    assert kernel.variable.numpy().std() == pytest.approx(np.sqrt(2 / (height * width * inputs)), rel=0.06)
  for model in (resnet, vgg):
    assert model.get_layer('classifier').kernel.numpy().std() == pytest.approx(0.01, rel=0.05)


def test_multiply_accumulates_by_hand(small_model):
  kernels = models.prunable_kernels(small_model)
  macs = dict(zip((kernel.name for kernel in kernels),
                  models.multiply_accumulates(kernels, [kernel.size for kernel in kernels]), strict=True))
  assert macs['conv1'] == 8 * 8 * 3 * 3 * 3 * 4
  assert macs['stage2_block1_conv1'] == 4 * 4 * 3 * 3 * 4 * 8
  assert macs['stage2_block1_shortcut'] == 4 * 4 * 4 * 8
  assert macs['classifier'] == 16 * 10


def macs_of(layer, *shape):
  """Of all weights, from the shapes that a layer tells and from an image that goes through."""
  inputs = keras.Input(shape)
  model = keras.Model(inputs, layer(inputs))
  kernels = models.prunable_kernels(model)
  sizes = [kernel.size for kernel in kernels]
  return models.multiply_accumulates(kernels, sizes, model), models.multiply_accumulates(kernels, sizes)


def test_multiply_accumulates_of_every_kind_of_layer():
  layers = keras.layers
  for layer, shape, expected in [
      (layers.Conv2D(5, 3, 2), (9, 9, 4), [4 * 4 * 3 * 3 * 4 * 5]),
      (layers.Conv2D(6, 3, groups=2), (9, 9, 4), [7 * 7 * 3 * 3 * 2 * 6]),
      (layers.Conv2DTranspose(5, 3, 2), (4, 4, 3), [4 * 4 * 3 * 3 * 3 * 5]),
      (layers.SeparableConv2D(5, 3), (8, 8, 4), [6 * 6 * 3 * 3 * 4, 6 * 6 * 4 * 5]),
      (layers.Dense(5), (7, 4), [7 * 4 * 5]),
      (layers.EinsumDense('abx,xhk->abhk', (7, 2, 3)), (7, 4), [7 * 4 * 2 * 3]),
      (layers.LSTM(3), (7, 4), [7 * 4 * 12, 7 * 3 * 12]),
      (layers.GRU(3, return_sequences=True), (7, 4), [7 * 4 * 9, 7 * 3 * 9]),
      (layers.ConvLSTM2D(3, 3, padding='same'), (7, 8, 8, 2),
       [7 * 8 * 8 * 3 * 3 * 2 * 12, 7 * 8 * 8 * 3 * 3 * 3 * 12]),
      (layers.Embedding(9, 3), (4,), [0]),
      (layers.LocallyConnected1D(3, 2), (4, 5), [3 * 10 * 3]),
      (layers.LocallyConnected2D(3, 2), (4, 4, 5), [9 * 20 * 3])]:
    assert macs_of(layer, *shape) == (expected, expected), layer
  attention, static = macs_of(SelfAttention(), 7, 8)
  assert attention == [7 * 8 * 8] * 4 and static == [None] * 4
  over_time, _ = macs_of(layers.TimeDistributed(layers.Conv2D(5, 3)), 6, 9, 9, 4)
  assert over_time == [6 * 7 * 7 * 3 * 3 * 4 * 5]
  both, _ = macs_of(layers.Bidirectional(layers.SimpleRNN(3)), 7, 4)
  assert both == [7 * 4 * 3, 7 * 3 * 3] * 2
  assert macs_of(layers.Conv2D(5, 3), None, None, 4) == ([None], [None])


class SelfAttention(keras.layers.Layer):

  def build(self, shape):
    self.inside = keras.layers.MultiHeadAttention(2, 4)

  def call(self, inputs):
    return self.inside(inputs, inputs)


def test_multiply_accumulates_of_a_layer_that_is_used_twice():
  inputs = keras.Input((4,))
  dense = keras.layers.Dense(4)
  model = keras.Model(inputs, dense(dense(inputs)))
  assert models.multiply_accumulates(models.prunable_kernels(model), [5], model) == [10]
  assert 'call' not in vars(dense)
