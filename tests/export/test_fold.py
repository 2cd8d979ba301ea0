import numpy as np
import pytest
import tf_keras as keras

from tickets_tf.export import fold

NORM = keras.layers.BatchNormalization


def norms(model):
  return [layer.name for layer in model.layers if isinstance(layer, NORM)]


def randomised(model):
  rng = np.random.default_rng(0)
  model.set_weights([np.abs(rng.normal(size=weight.shape)) + 0.1 if 'variance' in weight.name else
                     rng.normal(size=weight.shape) for weight in model.weights])
  return model


def assert_same_function(model, folded, shape):
  images = np.random.default_rng(1).normal(size=(5, *shape)).astype(np.float32)
  expected = model(images, training=False).numpy()
  np.testing.assert_allclose(folded(images, training=False), expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_a_ticket_keeps_its_function_and_its_zeros(network):
  before = network.get_weights()
  folded = fold.fold_batch_norm(network)
  assert norms(network) and not norms(folded)
  assert_same_function(network, folded, (8, 8, 1))
  for layer in network.layers:
    if hasattr(layer, 'kernel'):
      kernel = folded.get_layer(layer.name).kernel.numpy()
      np.testing.assert_array_equal(kernel != 0, layer.kernel.numpy() != 0)
      assert not np.signbit(kernel[kernel == 0]).any(), 'minus zero'
  for value, now in zip(before, network.get_weights(), strict=True):
    np.testing.assert_array_equal(value, now)


def test_the_copy_shares_nothing(network):
  folded = fold.fold_batch_norm(network)
  assert not {variable.ref() for variable in folded.variables} & {variable.ref() for variable in network.variables}


@pytest.mark.parametrize('options', [{}, {'scale': False}, {'center': False}, {'center': False, 'scale': False}])
def test_dense_layers_and_norms_without_parameters(options):
  model = randomised(keras.Sequential([keras.layers.Dense(4, input_shape=(3,)), NORM(**options), keras.layers.ReLU(),
                                       keras.layers.Dense(2, use_bias=False), NORM(**options)]))
  folded = fold.fold_batch_norm(model)
  assert not norms(folded)
  assert_same_function(model, folded, (3,))


def branching(x):
  """The convolution before the norm is read by another layer too."""
  y = keras.layers.Conv2D(3, 3, padding='same')(x)
  return keras.layers.Add()([NORM()(y), y])


def activated(x):
  return NORM()(keras.layers.Conv2D(3, 3, activation='relu')(x))


def transposed(x):
  return NORM()(keras.layers.Conv2DTranspose(5, 3)(x))


def depthwise(x):
  return NORM()(keras.layers.DepthwiseConv2D(3)(x))


def over_rows(x):
  return NORM(axis=1)(keras.layers.Conv2D(8, 1)(x))


def after_pooling(x):
  return NORM()(keras.layers.MaxPooling2D()(x))


def shared_layer(x):
  shared = keras.layers.Conv2D(3, 3, padding='same')
  return NORM()(shared(shared(x)))


@pytest.mark.parametrize('build', [branching, activated, transposed, depthwise, over_rows, after_pooling, shared_layer])
def test_what_cannot_be_folded_stays(build):
  inputs = keras.Input((8, 8, 3))
  model = randomised(keras.Model(inputs, build(inputs)))
  folded = fold.fold_batch_norm(model)
  assert len(norms(folded)) == 1
  assert_same_function(model, folded, (8, 8, 3))
