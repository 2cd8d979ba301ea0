"""Training without the channels that lead to no output is the same training."""

import functools

import numpy as np
import pytest

import tickets_tf
import tf_keras as keras
from tickets_tf import training
from tickets_tf.data import Examples
from tickets_tf.data import Pipeline
from tickets_tf.models.compaction import Cut
from tickets_tf.models.compaction import reason_against
from tickets_tf.training import callbacks
from tickets_tf.training import compact_training
from tickets_tf.training import loop

L = keras.layers


def network(**dense):
  """Every kind of layer that can lose channels, a sum that ties channels together, and biases that are not zero."""
  keras.utils.set_random_seed(0)
  x = inputs = keras.Input((8, 8, 2))
  x = L.Conv2D(6, 3, padding='same', name='conv1', bias_initializer='random_normal')(x)
  x = keep = L.ReLU()(L.BatchNormalization(name='norm1')(x))
  x = L.Conv2D(8, 3, padding='same', name='conv2', use_bias=False)(x)
  x = L.ReLU()(L.BatchNormalization(name='norm2', beta_initializer='random_normal')(x))
  x = L.DepthwiseConv2D(3, padding='same', name='depthwise', bias_initializer='random_normal')(x)
  x = L.Conv2D(6, 1, name='conv3', use_bias=False)(x)
  x = L.ReLU()(L.Add()([L.BatchNormalization(name='norm3')(x), keep]))
  x = L.Flatten()(L.MaxPooling2D(4)(L.Conv2D(5, 3, padding='same', name='conv4', use_bias=False)(x)))
  x = L.Dense(7, 'relu', name='hidden', bias_initializer='random_normal')(x)
  return keras.Model(inputs, L.Dense(3, name='classifier', **dense)(x), name='every_kind')


def ticket(model):
  """A mask under which channel 0 of conv1 is read by the sum alone, and the last channels of others by nothing."""
  rng = np.random.default_rng(0)
  kept = {kernel.name: rng.random(kernel.shape) < 0.6 for kernel in tickets_tf.prunable_kernels(model)}
  kept['conv2'][:, :, 0] = False
  kept['conv3'][:, :, 5:] = False  # channels 5 to 7 of conv2, through the depthwise convolution
  kept['conv4'][:, :, 1] = False  # channel 1 of the sum, of which conv2 reads one term: both terms keep it
  kept['hidden'][4::5] = False  # channel 4 of conv4, at each of its four positions
  kept['classifier'][4:] = False
  return tickets_tf.Mask(kept.items())


@pytest.fixture
def train(tmp_path, monkeypatch):
  """A function that trains the ticket; returns the network, its epochs and what was said."""
  monkeypatch.setattr(compact_training, 'Cut', functools.partial(Cut, round_up=int))
  rng = np.random.default_rng(1)
  examples = Examples(rng.integers(0, 256, (32, 8, 8, 2), np.uint8), rng.integers(0, 3, 32).astype(np.int32))
  pipeline = Pipeline(examples, 8, 0, 'none', 0, (0.5,) * 2, (0.25,) * 2)

  def run(compact_training, folder=None, **changes):
    loop._compiled.clear()
    model, said = network(), []
    settings = tickets_tf.Settings(tensorboard=False, progress=False, learning_rate=0.05, weight_decay=0.01, epochs=2,
                                   compact_training=compact_training, **changes)
    path = tmp_path / (folder or compact_training)
    path.mkdir(exist_ok=True)
    trained = training.train(model, ticket(model), pipeline, examples, settings, path,
                             training.make_strategy('one_device'), say=said.append)
    assert trained.mask == ticket(model)
    return model, trained.epochs, said

  return run


@pytest.fixture
def plain(train):
  return train('off')


def test_it_is_the_same_training(plain, train):
  model, epochs, said = plain
  compact, same_epochs, told = train('on')
  assert not said
  assert told == ['--compact_training=on: training leaves out 7 of 35 channels, which lead to no output: 71.9% of all '
                  'multiply-accumulates are left']
  for one, other in zip(epochs, same_epochs, strict=True):
    assert other.loss == pytest.approx(one.loss, rel=1e-4)
    assert other.evaluation_loss == pytest.approx(one.evaluation_loss, rel=1e-3)
  mask, start = ticket(model), network()
  for kernel in tickets_tf.prunable_kernels(compact):
    assert not kernel.variable.numpy()[~mask[kernel.name]].any()
  for one, other in zip(model.trainable_weights, compact.trainable_weights, strict=True):
    np.testing.assert_allclose(other, one, rtol=1e-3, atol=1e-5, err_msg=one.name)
  left_out = {'conv2': (..., [5, 6, 7]), 'norm2': ([5, 6, 7],), 'depthwise': (..., [5, 6, 7]), 'conv4': (..., [4]),
              'hidden': (..., [4, 5, 6])}
  for name, place in left_out.items():
    layers = [each.get_layer(name) for each in (model, compact, start)]
    for one, other, first in zip(*(layer.trainable_weights for layer in layers), strict=True):
      place_in = (..., place[-1], slice(None)) if 'depthwise_kernel' in one.name else place
      np.testing.assert_array_equal(other.numpy()[place_in], one.numpy()[place_in], err_msg=one.name)
      assert not np.array_equal(one.numpy()[place_in], first.numpy()[place_in]) or not first.numpy()[place_in].any()


def test_a_killed_training_resumes_in_the_smaller_network(train, monkeypatch):
  whole, epochs, _ = train('on', checkpoint_seconds=0)
  save = callbacks.SaveCheckpoint.on_epoch_end

  def killed_after_the_first(self, epoch, logs=None):
    save(self, epoch, logs)
    raise KeyboardInterrupt

  with monkeypatch.context() as patch:
    patch.setattr(callbacks.SaveCheckpoint, 'on_epoch_end', killed_after_the_first)
    with pytest.raises(KeyboardInterrupt):
      train('on', 'killed', checkpoint_seconds=0)
  resumed, same, _ = train('on', 'killed', checkpoint_seconds=0)
  assert [each.loss for each in same] == [each.loss for each in epochs]
  for one, other in zip(whole.get_weights(), resumed.get_weights(), strict=True):
    np.testing.assert_array_equal(one, other)


def test_convolutions_keep_whole_vectors_of_channels():
  inputs = keras.Input((8, 8, 1))
  wide = L.Conv2D(40, 1, name='wide')(inputs)
  narrow = L.Conv2D(16, 1, name='narrow')(wide)
  model = keras.Model(inputs, L.Dense(2, name='last')(L.Flatten()(narrow)))
  kept = {kernel.name: np.ones(kernel.shape, bool) for kernel in tickets_tf.prunable_kernels(model)}
  kept['narrow'][:, :, 17:] = False
  kept['last'].reshape(64, 16, 2)[:, 3:] = False
  small, mask = Cut(model, tickets_tf.Mask(kept.items())).build()
  assert [layer.kernel.shape[-1] for layer in small.layers if hasattr(layer, 'kernel')] == [32, 8, 2]
  assert mask.kept == 32 + 17 * 8 + 64 * 3 * 2
  images = np.random.default_rng(0).normal(size=(2, 8, 8, 1)).astype(np.float32)
  for kernel in tickets_tf.prunable_kernels(model):
    kernel.variable.assign(kernel.variable * kept[kernel.name])
  small, _ = Cut(model, tickets_tf.Mask(kept.items())).build()
  np.testing.assert_allclose(small(images), model(images), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('value, share, leaves_out', [('auto', 0.7, True), ('auto', 0.9, False), ('on', 0.9, True)])
def test_a_count_decides_whether_it_pays(value, share, leaves_out, monkeypatch):
  class Counted:
    channels, macs = (10, 9), (1000, 1000 * share)

  monkeypatch.setattr(compact_training, 'Cut', lambda model, mask: Counted())
  said = []
  found = compact_training._cut(network(), None, tickets_tf.Settings(compact_training=value), None, said.append)
  assert (found is not None) == leaves_out
  assert said == [f'--compact_training={value}: ' + (
      f'training leaves out 1 of 10 channels, which lead to no output: {share:.1%} of all multiply-accumulates are left'
      if leaves_out else 'nothing is left out: without 1 of 10 channels, which lead to no output, 90.0% of all '
      'multiply-accumulates are left')]


@pytest.mark.parametrize('layer, reason', [
    (L.Dropout(0.5, name='drop'), "layer 'drop' draws random numbers, and would draw others"),
    (L.Dropout(0.0), ''),
    (L.Dense(4, kernel_regularizer='l2'), 'the network has loss terms of its own, which may push any weight'),
    (L.Dense(4, activity_regularizer='l2', name='pushed'), "layer 'pushed' has a loss term of its own"),
    (L.Dense(4, kernel_constraint='max_norm', name='bound'), "weight 'bound/kernel:0' has a constraint"),
    (L.Lambda(lambda x: x, name='own'), "layer 'own' is not one of Keras: Lambda"),
])
def test_where_it_would_not_be_the_same_nothing_is_left_out(layer, reason):
  model = keras.Sequential([keras.Input((3,)), L.Dense(4), layer, L.Dense(2)])
  assert reason_against(model) == reason
