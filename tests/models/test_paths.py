"""Paths by hand, what cannot be known, and what the paths of the project's networks promise."""

import dataclasses
import json
import random

import numpy as np
import pytest

import tickets_tf
import tensorflow as tf
import tf_keras as keras
from tickets_tf.errors import UsageError
from tickets_tf.models import collapse
from tickets_tf.models import effective_mask
from tickets_tf.models import live_positions
from tickets_tf.pruning.collapse import Collapse
from tickets_tf.pruning.mask import Mask

L = keras.layers


def mask_of(model, **kept):
  """The mask that keeps the given indices alone; kernels that are not named are kept whole."""
  arrays = {kernel.name: np.ones(kernel.shape, bool) for kernel in tickets_tf.prunable_kernels(model)}
  for name, indices in kept.items():
    arrays[name] = np.zeros_like(arrays[name])
    for index in indices:
      arrays[name][index] = True
  return Mask(arrays)


def chain(*widths):
  model = keras.Sequential([keras.Input((widths[0],))])
  for number, width in enumerate(widths[1:], start=1):
    model.add(L.Dense(width, activation='relu', name=f'dense{number}'))
  return model


def test_a_chain_by_hand():
  model = chain(2, 3, 3, 2)
  # Unit 0 is on a path, unit 1 has inputs and no outputs, unit 2 outputs and no inputs.
  mask = mask_of(model, dense1=[(0, 0), (1, 1)], dense2=[(0, 0), (2, 0), (2, 2)], dense3=[(0, 1), (1, 0)])
  effective = mask_of(model, dense1=[(0, 0)], dense2=[(0, 0)], dense3=[(0, 1)])
  assert effective_mask(model, mask) == effective
  found = collapse(model, mask)
  assert found == Collapse(empty_layers=[], connected=True, effective_kept=3, effective_sparsity=1 - 3 / 21,
                           unreachable_units={'dense1': 2, 'dense2': 2, 'dense3': 1}, opaque_layers=[])
  assert Collapse(**json.loads(json.dumps(dataclasses.asdict(found)))) == found


def test_a_constraint_that_keras_has_not_registered_changes_nothing():
  class Shifted(keras.constraints.Constraint):
    def __call__(self, w):
      return w + 1.0

  model = keras.Sequential([L.Dense(2, kernel_constraint=Shifted(), name='dense', input_shape=(2,))])
  mask = mask_of(model, dense=[(0, 1)])
  assert effective_mask(model, mask) == mask


def test_a_bias_is_no_input():
  model = chain(2, 2, 1)
  for layer in model.layers:
    layer.bias.assign(np.ones(layer.units))
  mask = mask_of(model, dense1=[(0, 0)], dense2=[(0, 0), (1, 0)])
  assert effective_mask(model, mask) == mask_of(model, dense1=[(0, 0)], dense2=[(0, 0)])


def test_a_dictionary_of_inputs_goes_to_the_inputs_of_its_names():
  last, first = keras.Input((1,), name='last'), keras.Input((1,), name='first')
  # Its inputs are in another order than the names that a dictionary is sorted by.
  inner = keras.Model([last, first], L.Dense(1, name='of_last')(last) + L.Dense(1, name='of_first')(first))
  x = keras.Input((1,))
  cut, whole = L.Dense(1, name='cut')(x), L.Dense(1, name='whole')(x)
  model = keras.Model(x, inner({'last': cut, 'first': whole}))
  names = [kernel.name for kernel in tickets_tf.prunable_kernels(model)]
  mask = mask_of(model, cut=[])
  assert [name for name in names if effective_mask(model, mask)[name].any()] == [
      name for name in names if 'cut' not in name and 'of_last' not in name]


def test_a_cut_chain_keeps_nothing():
  model = chain(3, 4, 4, 2)
  found = collapse(model, mask_of(model, dense2=[]))
  assert found.empty_layers == ['dense2'] and found.connected is False
  assert found.effective_kept == 0 and found.effective_sparsity == 1.0
  assert found.unreachable_units == {'dense1': 4, 'dense2': 4, 'dense3': 2}


def test_layers_can_meet_nowhere_without_one_being_empty():
  model = chain(2, 2, 2, 2)
  found = collapse(model, mask_of(model, dense1=[(0, 0), (1, 0)], dense2=[(1, 0), (1, 1)]))
  assert found.empty_layers == [] and found.connected is False


def test_an_empty_branch_does_not_cut_a_residual_network(small_model):
  mask = mask_of(small_model, stage1_block1_conv1=[])
  found = collapse(small_model, mask)
  assert found.empty_layers == ['stage1_block1_conv1'] and found.connected is True
  dead = {name: count for name, count in found.unreachable_units.items() if count}
  assert dead == {'stage1_block1_conv1': 4, 'stage1_block1_conv2': 4}
  assert found.effective_kept == mask.kept - 3 * 3 * 4 * 4


def test_a_weight_that_only_meets_padding_is_on_no_path():
  model = keras.Sequential([keras.Input((1, 1, 2)), L.Conv2D(2, 3, padding='same', name='conv'), L.Flatten(),
                            L.Dense(1, name='last')])
  effective = effective_mask(model, mask_of(model))
  assert np.argwhere(effective['conv'].any((2, 3))).tolist() == [[1, 1]] and effective['last'].all()


def test_a_path_can_leave_the_image():
  # Both convolutions shift the image by one pixel to the right and down: nothing is left of 2x2 pixels.
  model = keras.Sequential([keras.Input((2, 2, 1)), L.Conv2D(1, 3, padding='same', name='one'),
                            L.Conv2D(1, 3, padding='same', name='two'), L.Flatten(), L.Dense(1, name='last')])
  assert collapse(model, mask_of(model, one=[(0, 0, 0, 0)], two=[(0, 0, 0, 0)])).connected is False
  mask = mask_of(model, one=[(0, 0, 0, 0)], two=[(2, 2, 0, 0)])
  assert effective_mask(model, mask) == mask_of(model, one=[(0, 0, 0, 0)], two=[(2, 2, 0, 0)], last=[(0, 0)])


@pytest.mark.parametrize('layer, kept, unreachable', [
    (L.DepthwiseConv2D(1, depth_multiplier=2, name='odd'), [(0, 0, 0, 0), (0, 0, 1, 0), (0, 0, 1, 1)], 1),
    (L.Conv2DTranspose(4, 1, name='odd'), [(0, 0, 1, 0), (0, 0, 1, 1), (0, 0, 3, 0)], 2),
    (L.Conv2D(4, 1, groups=2, name='odd'), [(0, 0, 0, 3)], 3),
    (L.EinsumDense('abcd,edf->abcef', (None, None, 2, 2), name='odd'), [(0, 1, 1), (1, 1, 1), (0, 0, 1)], 2),
], ids=lambda value: type(value).__name__ if isinstance(value, L.Layer) else None)
def test_units_are_the_outputs_of_a_layer(layer, kept, unreachable):
  inputs = keras.Input((2, 2, 2))
  model = keras.Model(inputs, L.Dense(3, name='last')(L.Flatten()(layer(inputs))))
  assert collapse(model, mask_of(model, odd=kept)).unreachable_units == {'odd': unreachable, 'last': 0}


def test_softmax_connects_its_outputs_alone():
  model = keras.Sequential([keras.Input((2,)), L.Dense(2, name='one'), L.Dense(2, 'softmax', name='two')])
  found = collapse(model, mask_of(model, one=[(0, 0), (1, 1)], two=[(0, 0)]))
  assert found.effective_kept == 2 and found.unreachable_units == {'one': 1, 'two': 1}
  assert found.opaque_layers == []


def test_a_frozen_layer_counts():
  model = chain(2, 2, 1)
  model.trainable = False
  mask = mask_of(model, dense2=[(1, 0)])
  assert effective_mask(model, mask) == mask_of(model, dense1=[(0, 1), (1, 1)], dense2=[(1, 0)])


# What cannot be known.


class Own(keras.Model):

  def __init__(self):
    super().__init__(name='own')
    self.first, self.second = L.Dense(3, name='first'), L.Dense(3, name='second')

  def call(self, inputs):
    return self.second(self.first(inputs))


def test_a_subclassed_model_cannot_be_known():
  model = Own()
  model.build((None, 3))
  mask = mask_of(model, first=[])
  assert effective_mask(model, mask) is None
  assert collapse(model, mask) == Collapse(empty_layers=['first'], connected=None, unreachable_units=None,
                                           effective_kept=None, effective_sparsity=None, opaque_layers=None)


def test_nor_can_one_without_a_size():
  model = keras.Sequential([keras.Input((None, None, 3)), L.Conv2D(2, 3), L.GlobalAveragePooling2D(), L.Dense(2)])
  assert effective_mask(model, mask_of(model)) is None


@pytest.mark.parametrize('layer', [Own(), L.TimeDistributed(L.Dense(3, name='first'), name='own'),
                                   L.Lambda(lambda x: x[..., ::-1], name='own'), L.Activation(lambda x: x, name='own')],
                         ids=lambda layer: type(layer).__name__)
def test_a_layer_that_is_not_known_connects_all_with_all(layer):
  inputs = keras.Input((2, 3))
  x = L.Dense(3, name='before')(inputs)
  model = keras.Model(inputs, L.Dense(2, name='after')(layer(x)))
  mask = mask_of(model, before=[(0, 0)], after=[(2, 1)])
  assert effective_mask(model, mask) == mask
  assert collapse(model, mask).opaque_layers == ['own']
  # But it neither makes inputs nor outputs.
  cut = effective_mask(model, mask_of(model, before=[]))
  assert cut.kept == 0
  assert effective_mask(model, mask_of(model, after=[])).kept == 0


def test_a_mask_of_another_network_is_refused(small_model):
  with pytest.raises(UsageError, match='the mask does not fit'):
    collapse(small_model, Mask({'conv1': np.ones((2, 2))}))


def test_depth_neither_overflows_nor_vanishes():
  model = chain(*[20] * 60)
  assert effective_mask(model, mask_of(model)) == mask_of(model)
  thin = mask_of(model, **{f'dense{number}': [(0, 0)] for number in range(1, 60)})
  assert effective_mask(model, thin) == thin


# What the networks of the project promise.


@pytest.fixture(scope='module', params=['resnet8', 'vgg11'])
def network(request):
  keras.utils.set_random_seed(4)
  return tickets_tf.build_model(request.param, (16, 16, 3), 10, width=8)


@pytest.fixture(params=[0.9, 0.98, 0.999])
def ratio(request):
  return request.param


@pytest.fixture(params=['smart', 'global', 'uniform'])
def ticket(request, network, ratio):
  return tickets_tf.find_ticket(network, 'magnitude', ratio, allocation=request.param)


def logits(model, mask, images):
  """Those of the network with the absolute values of the kept weights alone."""
  before = model.get_weights()
  for kernel in tickets_tf.prunable_kernels(model):
    kernel.variable.assign(abs(kernel.variable) * mask[kernel.name])
  found = model(images, training=False).numpy()
  model.set_weights(before)
  return found


def test_what_is_off_the_paths_does_nothing(network, ticket):
  # A fresh network has no biases, so that a unit without inputs is zero; positive values pass every ReLU.
  images = np.random.default_rng(6).uniform(size=(16, 16, 16, 3)).astype(np.float32)
  effective = effective_mask(network, ticket.mask)
  found = logits(network, effective, images)
  np.testing.assert_array_equal(found, logits(network, ticket.mask, images))
  changes = found.std(axis=0) > 0
  assert collapse(network, ticket.mask).connected == changes.any()
  np.testing.assert_array_equal(effective['classifier'].any(axis=0), changes)


def test_the_figures_fit_each_other(network, ticket):
  effective, found = effective_mask(network, ticket.mask), collapse(network, ticket.mask)
  assert all((mine <= theirs).all() for mine, theirs in zip(effective.arrays, ticket.mask.arrays, strict=True))
  assert found.effective_kept == effective.kept and found.connected == (effective.kept > 0)
  assert found.effective_sparsity == pytest.approx(1 - effective.kept / ticket.mask.size)
  assert list(found.unreachable_units) == ticket.mask.names
  assert found.unreachable_units == {name: int((array.reshape(-1, array.shape[-1]).sum(axis=0) == 0).sum())
                                     for name, array in effective.items()}
  again = collapse(network, effective)
  assert dataclasses.replace(again, empty_layers=found.empty_layers) == found


def test_the_flow_of_synflow_reaches_the_same_weights(network, ticket):
  flow = [each > 0 for each in tickets_tf.score_weights(network, 'synflow', mask=ticket.mask)]
  effective = effective_mask(network, ticket.mask).arrays
  assert not any((reached & ~on_path).any() for reached, on_path in zip(flow, effective, strict=True))
  # The gradient of a maximum knows one of several equal values.
  if not any(isinstance(layer, L.MaxPooling2D) for layer in network.layers):
    assert all(map(np.array_equal, flow, effective))


def test_network_and_random_state_are_left_as_they_were(network, random_mask):
  def draw(between):
    keras.utils.set_random_seed(3)
    between()
    drawn = tf.random.uniform([4]), keras.initializers.RandomNormal()([4]), np.random.rand(4), random.random()
    return [np.array(each).tolist() for each in drawn]

  mask, before = random_mask(network, 0.1, 0), network.get_weights()
  assert draw(lambda: collapse(network, mask)) == draw(lambda: None)
  assert all(map(np.array_equal, before, network.get_weights()))


@pytest.mark.parametrize('density', [0.03, 0.1, 0.3])
def test_a_weight_at_a_live_position_is_on_a_path_and_at_another_it_is_not(density, small_model, random_mask):
  mask = random_mask(small_model, density, 5)
  live, effective = live_positions(small_model, mask), effective_mask(small_model, mask)
  assert all(np.array_equal(mask[name] & live[name], effective[name]) for name in mask)
  rng = np.random.default_rng(0)
  for name in rng.choice(mask.names, 6):
    for expected in (True, False):
      free = np.argwhere(~mask[name] & (live[name] == expected))
      if len(free):
        position = tuple(rng.choice(free))
        more = Mask((other, keep | (np.arange(keep.size).reshape(keep.shape) == np.ravel_multi_index(
            position, keep.shape)) if other == name else keep) for other, keep in mask.items())
        after = effective_mask(small_model, more)
        assert after[name][position] == expected and (expected or after.kept == effective.kept)


def test_live_positions_cannot_be_known_if_paths_cannot():
  model = Own()
  model.build((None, 3))
  assert live_positions(model, mask_of(model)) is None


def test_paths_of_later_masks_are_those_of_a_network_that_has_seen_no_other(small_model):
  rng = np.random.default_rng(0)
  kernels = tickets_tf.prunable_kernels(small_model)
  masks = [Mask((kernel.name, rng.random(kernel.shape) < density) for kernel in kernels)
           for density in (0.5, 0.05, 0.01, 0.5)]
  masks.append(Mask((kernel.name, np.full(kernel.shape, index != 4)) for index, kernel in enumerate(kernels)))
  for mask in (*masks, masks[0]):
    fresh = tickets_tf.build_model('resnet8', (8, 8, 3), 10, width=4)
    assert collapse(small_model, mask) == collapse(fresh, mask)
    assert live_positions(small_model, mask) == live_positions(fresh, mask)
