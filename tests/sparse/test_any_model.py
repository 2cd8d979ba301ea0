"""A mask holds at any depth, in any model."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from tests.sparse import networks
from tickets_tf import models
from tickets_tf import sparse
from tickets_tf import training
from tickets_tf.errors import TicketsError, UsageError
from tickets_tf.pruning.mask import Mask
from tickets_tf.training import SGD

LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
any_network = pytest.mark.parametrize('network', networks.ALL, ids=lambda network: network.__name__)


def random_mask(model, seed=3):
  rng = np.random.default_rng(seed)
  return Mask((kernel.name, rng.random(kernel.shape) < 0.3) for kernel in models.prunable_kernels(model))


def weights(model):
  return [kernel.variable.numpy() for kernel in models.prunable_kernels(model)]


def check_trained(model, mask, before):
  assert sparse.revived(model, mask) == {}
  for name, old, new in zip(mask.names, before, weights(model), strict=True):
    assert (old != new)[mask[name]].mean() > 0.5, f'{name} must train'


@any_network
def test_removed_weights_are_zero_and_their_momentum_too(network, small_batch):
  bare = network()
  mask = random_mask(bare)
  model = sparse.wrap(bare, mask)
  assert sparse.mask_of(model) == mask
  before = weights(model)
  optimizer = SGD(0.01, 0.9, 1e-2)
  model.compile(optimizer, LOSS, steps_per_execution=2)
  model.fit(*small_batch, batch_size=16, verbose=0)
  check_trained(model, mask, before)
  for kernel in models.prunable_kernels(model):
    momentum = optimizer.momentums[optimizer._index_dict[optimizer._var_key(kernel.variable)]]
    assert not momentum.numpy()[~mask[kernel.name]].any(), f'momentum of {kernel.name}'
  other = random_mask(bare, 4)
  sparse.set_mask(model, other)
  assert sparse.mask_of(model) == other and sparse.revived(bare, other) == {}


@any_network
def test_every_gradient_is_masked_eagerly_and_in_graphs_and_only_in_the_wrapped_model(network, small_batch):
  bare = network()
  mask = random_mask(bare)
  model = sparse.wrap(bare, mask)
  training_mode = network is not networks.spectral  # which changes its weights in each

  def gradients(model):
    with tf.GradientTape() as tape:
      loss = LOSS(small_batch[1], model(small_batch[0], training=training_mode))
    return tape.gradient(loss, [kernel.variable for kernel in models.prunable_kernels(model)])

  eager, graph, unmasked = gradients(model), tf.function(gradients)(model), gradients(bare)
  for name, *found, whole in zip(mask.names, eager, graph, unmasked, strict=True):
    assert np.any(whole.numpy()[~mask[name]]), 'the bare model has all gradients'
    for gradient in found:
      assert not np.any(gradient.numpy()[~mask[name]]), name
      np.testing.assert_allclose(gradient, np.where(mask[name], whole, 0), rtol=2e-3, atol=1e-5)


@pytest.mark.parametrize('optimizer', [
    keras.optimizers.SGD(0.1, 0.9, nesterov=True, weight_decay=1e-2), keras.optimizers.Adam(0.01, global_clipnorm=1.),
    keras.optimizers.AdamW(0.01), keras.optimizers.RMSprop(0.01, momentum=0.9), keras.optimizers.Lion(0.01)],
                         ids=lambda each: type(each).__name__)
def test_every_optimizer_leaves_them_at_zero_after_every_step(optimizer, small_batch):
  bare = networks.attention()
  mask = random_mask(bare)
  model = sparse.wrap(bare, mask)
  model.compile(optimizer, LOSS)
  for _ in range(3):
    model.train_on_batch(*small_batch)
    assert sparse.revived(model, mask) == {}


@pytest.mark.parametrize('options', [{'jit_compile': True}, {'run_eagerly': True}], ids=str)
@pytest.mark.parametrize('network', [networks.blocks, networks.subclassed], ids=lambda network: network.__name__)
def test_xla_and_eager_steps(options, network, small_batch):
  bare = network()
  mask = random_mask(bare)
  model, before = sparse.wrap(bare, mask), weights(bare)
  model.compile(SGD(0.01), LOSS, **options)
  model.fit(*small_batch, verbose=0)
  check_trained(model, mask, before)


@pytest.mark.parametrize('policy', ['mixed_bfloat16', 'mixed_float16'])
@pytest.mark.parametrize('network', [networks.blocks, networks.attention, networks.recurrent],
                         ids=lambda network: network.__name__)
def test_mixed_precision(policy, network, small_batch):
  keras.mixed_precision.set_global_policy(policy)
  try:
    bare = network()
  finally:
    keras.mixed_precision.set_global_policy('float32')
  mask = random_mask(bare)
  model = sparse.wrap(bare, mask)
  # Whole trainings in both precisions, see experiment/test_train.py, are in graphs.
  model.compile(keras.mixed_precision.LossScaleOptimizer(SGD(0.01)), LOSS, run_eagerly=True)
  model.fit(*small_batch, verbose=0)
  assert sparse.revived(model, mask) == {}


@pytest.mark.parametrize('network', [networks.blocks, networks.attention, networks.recurrent, networks.subclassed],
                         ids=lambda network: network.__name__)
def test_two_replicas(network, small_batch):
  strategy = training.make_strategy('mirrored', 2)
  with strategy.scope():
    bare = network()
    mask = random_mask(bare)
    model, before = sparse.wrap(bare, mask), weights(bare)
    model.compile(SGD(0.01), LOSS)
  model.fit(*small_batch, batch_size=32, verbose=0)
  check_trained(model, mask, before)
  for kernel in models.prunable_kernels(model):
    for replica in strategy.experimental_local_results(kernel.variable):
      assert not replica.numpy()[~mask[kernel.name]].any()


@any_network
def test_stripping_gives_the_bare_model(network, small_batch):
  bare = network()
  model = sparse.wrap(bare, random_mask(bare))
  stripped = sparse.strip(model)
  np.testing.assert_array_equal(stripped(small_batch[0]), bare(small_batch[0]))
  np.testing.assert_allclose(model(small_batch[0]), bare(small_batch[0]), rtol=1e-5, atol=1e-6)
  assert not any(isinstance(layer, sparse.TicketWrapper) for layer in stripped._flatten_layers())
  assert [kernel.name for kernel in models.prunable_kernels(stripped)] == [
      kernel.name for kernel in models.prunable_kernels(bare)]


@any_network
def test_a_saved_model_loads_and_trains_on_with_its_mask(network, small_batch, tmp_path):
  bare = network()
  mask = random_mask(bare)
  model = sparse.wrap(bare, mask)
  model.compile(SGD(0.01), LOSS, run_eagerly=True)
  model.fit(*small_batch, verbose=0)
  expected = model(small_batch[0], training=False)
  # Keras writes SavedModels slowly: those of networks whose layers are all Keras' own and wrapped as such are left out.
  plain = network in (networks.attention, networks.over_time, networks.spectral, networks.recurrent)
  for name in ('model.keras', 'model.h5', 'saved_model')[:2 if plain else 3]:
    model.save(tmp_path / name)
    loaded = keras.models.load_model(tmp_path / name)
    assert sparse.mask_of(loaded) == mask, name
    np.testing.assert_allclose(loaded(small_batch[0], training=False), expected, rtol=1e-4, atol=1e-5, err_msg=name)
    before = weights(loaded)
    # Steps that are no graph are enough here: building one takes far longer, and other tests train in both.
    loaded.compile(SGD(0.01), LOSS, run_eagerly=True)
    loaded.fit(*small_batch, verbose=0)
    check_trained(loaded, mask, before)


def test_a_model_that_does_not_tell_its_inputs_is_refused():
  model = networks.Subclassed(name='own')
  model.build((None, 8, 8, 3))
  model._build_input_shape = None
  with pytest.raises(UsageError, match='call it once'):
    sparse.wrap(model, random_mask(model))


def test_a_layer_that_sets_its_removed_weights_is_named(small_batch):
  class Reviving(keras.layers.Dense):
    def call(self, inputs):
      self.kernel.assign(tf.where(self.kernel == 0, 0.1, self.kernel))
      return super().call(inputs)

  inputs = keras.Input((8, 8, 3))
  bare = keras.Model(inputs, Reviving(10, name='reviving')(keras.layers.Flatten()(
      keras.layers.Conv2D(4, 3, name='calm')(inputs))))
  mask = random_mask(bare)
  model = sparse.wrap(bare, mask)
  sparse.check_removed(model, mask)
  model.compile(SGD(), LOSS)
  model.fit(*small_batch, verbose=0)
  size = mask['reviving'].size - np.count_nonzero(mask['reviving'])
  assert sparse.revived(model, mask) == {'reviving': size}
  with pytest.raises(TicketsError, match=f"{size} weights that the mask removes are not zero: {size} of layer 'rev"):
    sparse.check_removed(model, mask)
