import numpy as np
import pytest
import tensorflow as tf
import tensorflow_model_optimization as tfmot
import tf_keras as keras

from tests import small_network
import tickets_tf
from tickets_tf import models
from tickets_tf import sparse
from tickets_tf.experiment import tickets
from tickets_tf import training
from tickets_tf.errors import UsageError
from tickets_tf.pruning.mask import Mask
from tickets_tf.training import SGD

LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def random_mask(model, ratio=0.8):
  return tickets.find_ticket(model, 'random', ratio).mask


def removed(model, mask):
  """All removed weights of a network, one array."""
  return np.concatenate([kernel.variable.numpy()[~mask[kernel.name]] for kernel in models.prunable_kernels(model)])


def nested():
  inputs = keras.Input((8, 8, 3))
  inner = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3, name='conv'),
                            keras.layers.DepthwiseConv2D(3, name='depth'), keras.layers.Flatten()], name='inner')
  return keras.Model(inputs, keras.layers.Dense(10, name='last')(inner(inputs)))


@pytest.mark.parametrize('optimizer', [
    SGD(0.1, 0.9, 1e-2), keras.optimizers.SGD(0.1, 0.9, nesterov=True, weight_decay=1e-2), keras.optimizers.Adam(0.01),
    keras.optimizers.RMSprop(0.01, momentum=0.9)], ids=lambda each: type(each).__name__)
def test_removed_weights_are_zero_after_every_step(optimizer, small_model, small_batch):
  mask = random_mask(small_model)
  model = sparse.wrap(small_model, mask)
  model.compile(optimizer, LOSS)
  before = [kernel.variable.numpy() for kernel in models.prunable_kernels(model)]
  for _ in range(4):
    model.train_on_batch(*small_batch)
    assert not removed(model, mask).any()
  for kernel, old in zip(models.prunable_kernels(model), before, strict=True):
    kept = mask[kernel.name]
    assert (kernel.variable.numpy()[kept] != old[kept]).mean() > 0.9, 'the kept weights must train'
  state = [variable for variable in optimizer.variables if variable.shape == (3, 3, 3, 4)]
  assert state and all(not variable.numpy()[~mask['conv1']].any() for variable in state), 'nor may momentum revive them'


def test_gradients_of_kept_weights_are_those_of_the_bare_network(small_model, small_batch):
  mask = random_mask(small_model)
  model = sparse.wrap(small_model, mask)

  def gradients(network):
    with tf.GradientTape() as tape:
      loss = LOSS(small_batch[1], network(small_batch[0], training=False))
    return tape.gradient(loss, [kernel.variable for kernel in models.prunable_kernels(network)])

  for kernel, wrapped, bare in zip(models.prunable_kernels(model), gradients(model), gradients(small_model),
                                   strict=True):
    np.testing.assert_array_equal(wrapped, np.where(mask[kernel.name], bare, 0))


def test_wrapping_and_stripping_change_no_output(small_model, small_batch):
  model = sparse.wrap(small_model, random_mask(small_model))
  expected = small_model(small_batch[0]).numpy()  # its weights are masked: the variables are shared
  np.testing.assert_array_equal(model(small_batch[0]), expected)
  stripped = sparse.strip(model)
  np.testing.assert_array_equal(stripped(small_batch[0]), expected)
  assert not any(isinstance(layer, sparse.TicketWrapper) for layer in stripped.layers)
  assert stripped.count_params() == small_model.count_params()


def test_the_mask_reads_back(small_model):
  mask = random_mask(small_model)
  assert sparse.mask_of(sparse.wrap(small_model, mask)) == mask
  with pytest.raises(UsageError, match='holds no mask'):
    sparse.mask_of(tickets_tf.build_model('resnet8', (8, 8, 3), 10, width=4))


def test_a_mask_of_another_network_is_refused(small_model):
  other = tickets_tf.build_model('resnet14', (8, 8, 3), 10, width=4)
  with pytest.raises(UsageError, match='the mask does not fit'):
    sparse.wrap(small_model, Mask.dense(models.prunable_kernels(other)))


def test_nested_models_and_layers_that_tfmot_leaves_alone(small_batch):
  model = nested()
  mask = random_mask(model)
  assert mask.names == ['inner/conv', 'inner/depth', 'last']
  wrapped = sparse.wrap(model, mask)
  wrapped.compile(SGD(), LOSS)
  wrapped.fit(*small_batch, verbose=0)
  assert not removed(wrapped, mask).any() and sparse.mask_of(wrapped) == mask


def test_tfmots_own_tools_accept_it(small_model, small_batch, tmp_path):
  mask = random_mask(small_model)
  model = sparse.wrap(small_model, mask)
  model.compile(SGD(), LOSS)
  model.fit(*small_batch, epochs=2, verbose=0, callbacks=[
      tfmot.sparsity.keras.UpdatePruningStep(), tfmot.sparsity.keras.PruningSummaries(str(tmp_path))])
  assert not removed(model, mask).any() and sparse.mask_of(model) == mask
  assert list(tmp_path.rglob('events*'))
  stripped = tfmot.sparsity.keras.strip_pruning(model)
  assert {type(layer).__name__ for layer in stripped.layers} == {type(layer).__name__ for layer in small_model.layers}


@pytest.mark.parametrize('name', ['model.keras', 'saved_model'])
def test_saving_and_loading_keep_the_mask(name, small_batch, tmp_path):
  bare = small_network.plain((8, 8, 3), 10)
  mask = random_mask(bare)
  model = sparse.wrap(bare, mask)
  model.compile(SGD(), LOSS)
  model.fit(*small_batch, verbose=0)
  model.save(tmp_path / name)
  loaded = keras.models.load_model(tmp_path / name)
  assert sparse.mask_of(loaded) == mask
  np.testing.assert_array_equal(loaded.predict(small_batch[0], verbose=0), model.predict(small_batch[0], verbose=0))
  loaded.fit(*small_batch, verbose=0)
  assert not removed(loaded, mask).any()


def test_set_weights_keeps_the_mask(small_model):
  mask = random_mask(small_model)
  model = sparse.wrap(small_model, mask)
  layer = next(layer for layer in model.layers if isinstance(layer, sparse.TicketWrapper))
  layer.set_weights([np.ones_like(weight) for weight in layer.get_weights()])
  np.testing.assert_array_equal(layer.get_weights()[0], mask['conv1'].astype(np.float32))


def test_two_replicas_hold_one_mask(small_batch):
  strategy = training.make_strategy('mirrored', 2)
  with strategy.scope():
    bare = small_network.plain((8, 8, 3), 10)
    mask = random_mask(bare)
    model = sparse.wrap(bare, mask)
    model.compile(SGD(0.05), LOSS)
  history = model.fit(*small_batch, batch_size=32, epochs=6, verbose=0).history['loss']
  assert history[-1] < history[0]
  for layer in model.layers:
    if isinstance(layer, sparse.TicketWrapper):
      (weight, held, _), = layer.pruning_vars
      on_first, on_second = (each.numpy() for each in strategy.experimental_local_results(held))
      np.testing.assert_array_equal(on_first, on_second)
      for replica in strategy.experimental_local_results(weight):
        assert not replica.numpy()[on_first == 0].any()
  assert sparse.mask_of(model) == mask


@pytest.mark.parametrize('policy', ['mixed_bfloat16', 'mixed_float16'])
def test_mixed_precision_is_the_layers_own(policy, small_batch):
  keras.mixed_precision.set_global_policy(policy)
  try:
    bare = small_network.plain((8, 8, 3), 10)
  finally:
    keras.mixed_precision.set_global_policy('float32')
  mask = random_mask(bare)
  model = sparse.wrap(bare, mask)
  assert model.get_layer('ticket_wrapper_conv1').compute_dtype == policy.removeprefix('mixed_')
  assert model(small_batch[0]).dtype == tf.float32
  model.compile(SGD(0.05), LOSS)
  model.fit(*small_batch, verbose=0)
  assert not removed(model, mask).any()


def test_xla_keeps_the_zeros(small_batch):
  bare = small_network.plain((8, 8, 3), 10)
  mask = random_mask(bare)
  model = sparse.wrap(bare, mask)
  model.compile(SGD(), LOSS, jit_compile=True)
  model.fit(*small_batch, verbose=0)
  assert not removed(model, mask).any()


def test_the_schedule_never_asks_for_a_new_mask():
  schedule = sparse.TicketSchedule(0.75)
  for step in (0, 1, 100):
    update, sparsity = schedule(tf.constant(step))
    assert not update.numpy() and sparsity.numpy() == 0.75
  assert sparse.TicketSchedule.from_config(schedule.get_config()['config']).sparsity == 0.75
  with pytest.raises(ValueError, match=r'sparsity 1\.5'):
    sparse.TicketSchedule(1.5)
