"""What a run's network and batches take from its settings."""

import dataclasses

import numpy as np
import pytest
import tf_keras as keras

import tickets_tf
from tests import small_network
from tickets_tf import data
from tickets_tf import training
from tickets_tf.experiment import networks
from tickets_tf.runs.run import Run

SETTINGS = tickets_tf.Settings(model='resnet8', width=4, batch_size=32)


@pytest.fixture(scope='module')
def digits():
  return data.load_dataset('digits', None, 0, 160)


def drawn(digits, **changes):
  return networks.pipeline(Run(dataclasses.replace(SETTINGS, **changes)), digits, training.make_strategy()).draw(0)


def weights(digits, purpose='initialisation', **changes):
  settings = dataclasses.replace(SETTINGS, **changes)
  return networks.network(Run(settings), digits, training.make_strategy(), purpose).get_weights()


def test_the_seed_and_the_purpose_decide_the_weights(digits):
  plain, again, other = weights(digits), weights(digits), weights(digits, seed=1)
  fresh = weights(digits, 'reinitialisation')
  assert all(map(np.array_equal, plain, again))
  assert not np.array_equal(plain[0], other[0]) and not np.array_equal(plain[0], fresh[0])


def test_the_precision_of_a_network_is_its_own(digits):
  half = networks.network(Run(dataclasses.replace(SETTINGS, mixed_precision='bfloat16')), digits,
                          training.make_strategy(), networks.INITIALISATION)
  assert half.layers[1].compute_dtype == 'bfloat16' and half.layers[1].dtype == 'float32'
  assert keras.mixed_precision.global_policy().name == 'float32', 'networks of others stay as they were'


def test_the_seed_decides_the_batches(digits):
  plain, again, other = (drawn(digits, seed=seed)['index'].numpy().tolist() for seed in (0, 0, 1))
  assert plain == again != other


def test_the_seeds_of_order_and_initialisation_decide_nothing_else(digits):
  plain, other = weights(digits), weights(digits, init_seed=7)
  assert not np.array_equal(plain[0], other[0])
  assert all(map(np.array_equal, plain, weights(digits, order_seed=7)))
  assert all(map(np.array_equal, weights(digits, 'reinitialisation'),
                 weights(digits, 'reinitialisation', init_seed=7))), 'what a check draws is no initialisation'
  flipped = dataclasses.replace(digits, augmentation='crop_flip')
  batches = [drawn(flipped, **changes) for changes in ({}, {'init_seed': 7}, {'order_seed': 7}, {'pruner': 'dense'})]
  for name in ('index', 'offset', 'flip'):
    first, same, ordered, dense = (each[name].numpy().tolist() for each in batches)
    assert first == same and first != ordered and first != dense and ordered != dense, name


def test_images_are_augmented_as_the_settings_or_else_the_data_set_have_it(digits):
  flipped = dataclasses.replace(digits, augmentation='crop_flip')
  assert set(drawn(flipped)) == {'index', 'offset', 'flip'}
  assert set(drawn(flipped, augmentation='crop')) == {'index', 'offset'}
  assert set(drawn(flipped, augmentation='none')) == {'index'}
  assert set(drawn(dataclasses.replace(digits, augmentation='none'), augmentation='crop')) == {'index', 'offset'}


def test_batches_are_normalised_as_the_data_set_is(digits):
  found = networks.pipeline(Run(SETTINGS), digits, training.make_strategy())
  assert (found.mean, found.std) == (digits.mean, digits.std) and digits.mean != digits.std


def test_a_network_that_is_used_again_starts_as_a_new_one(digits, tmp_path):
  strategy = training.make_strategy()

  def again(**changes):
    model = networks.again(Run(dataclasses.replace(SETTINGS, **changes)), digits, strategy)
    assert all(map(np.array_equal, model.get_weights(), weights(digits, **changes)))
    return model

  model = again()
  model.set_weights([value + 1 for value in model.get_weights()])
  assert again(pruner='snip') is model and again(seed=1) is model and again() is model
  small = again(width=2)
  assert small is not model and again() is model and again(width=2) is small, 'two structures are kept'
  assert again(mixed_precision='bfloat16') is not model
  own = [networks.again(Run(dataclasses.replace(SETTINGS, model=small_network.NAME)), digits, strategy)
         for _ in range(2)]
  assert own[0] is not own[1], 'layers of one\'s own may keep what is not in their weights'
  trained = again()
  run = Run(dataclasses.replace(SETTINGS, epochs=1, progress=False, tensorboard=False))
  training.train(trained, tickets_tf.Mask.dense(tickets_tf.prunable_kernels(trained)),
                 networks.pipeline(run, digits, strategy), digits.test, run.settings, tmp_path, strategy)
  assert again() is not trained, 'its layers are wrapped now'


def test_batches_of_one_order_are_made_once(digits):
  made = [networks.pipeline(Run(dataclasses.replace(SETTINGS, **changes)), digits, training.make_strategy())
          for changes in ({}, {'ratio': 0.5}, {'pruner': 'dense'}, {'seed': 1})]
  assert made[0] is made[1] and len({id(each) for each in made}) == 3
  assert made[0].draws(0, 3) is made[0].draws(0, 3) is not made[0].draws(0, 4)
