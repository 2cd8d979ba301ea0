"""Regularisers and other loss terms of a network's own push no removed weight."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from tests.sparse import networks
from tickets_tf import models
from tickets_tf import sparse
from tickets_tf import training
from tickets_tf.pruning.mask import Mask
from tickets_tf.training import SGD

LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


@keras.utils.register_keras_serializable('tests')
def away(weights):
  # The first read, in an eager step, bypasses the variable's own methods.
  return tf.reduce_sum(tf.square(weights)) - 2 * tf.reduce_sum(weights) + tf.size(weights, tf.float32)


def regularised():
  """Regularisers in a layer, in one inside another, and in a model inside; a term of the network itself."""
  inner = keras.Sequential([keras.layers.Conv2D(4, 1, kernel_regularizer=away, input_shape=(8, 8, 4))])
  inputs = keras.Input((8, 8, 1))
  x = inner(keras.layers.Conv2D(4, 3, padding='same', kernel_regularizer=away)(inputs))
  x = keras.layers.TimeDistributed(keras.layers.Dense(4, kernel_regularizer=away))(x)
  x = keras.layers.Embedding(3, 4, embeddings_regularizer=away)(tf.cast(x > 0, tf.int32))
  head = keras.layers.Dense(10)
  model = keras.Model(inputs, head(keras.layers.Flatten()(x)))
  model.add_loss(lambda: away(head.kernel))
  return model


def subclassed():
  """The same in a model with a `call` of its own."""
  class Own(keras.Model):
    def __init__(self):
      super().__init__()
      self.first, self.head = keras.layers.Conv2D(4, 3, kernel_regularizer=away), keras.layers.Dense(10)
      self.add_loss(lambda: away(self.head.kernel))

    def call(self, x):
      return self.head(tf.reduce_mean(self.first(x), [1, 2]))

  model = Own()
  model(tf.zeros([1, 8, 8, 1]))
  return model


def batch():
  rng = np.random.default_rng(0)
  return rng.normal(size=(16, 8, 8, 1)).astype(np.float32), rng.integers(0, 10, 16)


def pruned(bare):
  rng = np.random.default_rng(3)
  mask = Mask((kernel.name, rng.random(kernel.shape) < 0.5) for kernel in models.prunable_kernels(bare))
  return mask, sparse.wrap(bare, mask)


@pytest.mark.parametrize('network', [regularised, subclassed], ids=lambda each: each.__name__)
@pytest.mark.parametrize('options', [{}, {'run_eagerly': True}, {'jit_compile': True}], ids=str)
def test_removed_weights_stay_at_zero_and_the_terms_keep_their_values(network, options):
  bare = network()
  values = [float(each) for each in bare.losses]
  stripped = sparse.strip(pruned(bare)[1])
  mask, model = pruned(stripped)
  assert len(model.losses) == len(values) == (5 if network is regularised else 2)
  assert [float(each) for each in model.losses] == pytest.approx([float(each) for each in bare.losses])
  model.compile(SGD(0.001), LOSS, **options)
  before = [kernel.variable.numpy() for kernel in models.prunable_kernels(bare)]
  model.fit(*batch(), batch_size=8, epochs=2, verbose=0)
  assert sparse.revived(model, mask) == {}
  for kernel, old in zip(models.prunable_kernels(bare), before, strict=True):
    kept = mask[kernel.name]
    assert np.abs(kernel.variable.numpy() - 1)[kept].mean() < np.abs(old - 1)[kept].mean(), 'the term still acts'


def test_mixed_precision_and_two_replicas():
  keras.mixed_precision.set_global_policy('mixed_bfloat16')
  strategy = training.make_strategy('mirrored', 2)
  try:
    with strategy.scope():
      mask, model = pruned(regularised())
      model.compile(SGD(0.001), LOSS)
  finally:
    keras.mixed_precision.set_global_policy('float32')
  model.fit(*batch(), verbose=0)
  assert sparse.revived(model, mask) == {}


def test_a_stripped_model_and_a_loaded_one(tmp_path):
  bare = regularised()
  mask, model = pruned(bare)
  stripped = sparse.strip(model)
  assert len(stripped.losses) == 5
  with tf.GradientTape() as tape:
    total = tf.add_n(stripped.losses)
  for kernel, gradient in zip(models.prunable_kernels(stripped), tape.gradient(
      total, [kernel.variable for kernel in models.prunable_kernels(stripped)]), strict=True):
    assert np.all(gradient.numpy()[~mask[kernel.name]] == -2), 'dense training may push all weights'

  model = sparse.wrap(networks_with_regularisers(), mask := Mask(
      (kernel.name, np.arange(np.prod(kernel.shape)).reshape(kernel.shape) % 2 == 0)
      for kernel in models.prunable_kernels(networks_with_regularisers())))
  model.save(tmp_path / 'model.keras')
  loaded = keras.models.load_model(tmp_path / 'model.keras')
  loaded.compile(SGD(0.01), LOSS)
  loaded.fit(*batch(), verbose=0)
  assert sparse.revived(loaded, mask) == {}


def networks_with_regularisers():
  return keras.Sequential([networks.Block(1, input_shape=(8, 8, 1)), keras.layers.Flatten(),
                           keras.layers.Dense(10, kernel_regularizer=away)])
