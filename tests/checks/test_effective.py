"""Rearranged masks with as many weights on paths as the original has, in networks with paths."""

import dataclasses

import numpy as np
import pytest
import tickets_tf
import tf_keras as keras

from tickets_tf import checks
from tickets_tf import models
from tickets_tf import registry
from tickets_tf.checks import effective
from tickets_tf.checks import positions
from tickets_tf.errors import TicketsError
from tickets_tf.pruning import patterns
from tickets_tf.pruning.mask import Mask

CHECK = registry.CHECKS.get('rearrange_effective')


@pytest.fixture(scope='module')
def network():
  keras.utils.set_random_seed(0)
  images = keras.Input((6, 6, 4))
  x = keras.layers.Conv2D(16, 3, activation='relu')(images)
  x = keras.layers.Conv2D(16, 3, activation='relu')(x)
  return keras.Model(images, keras.layers.Dense(10)(keras.layers.GlobalAveragePooling2D()(x)))


@pytest.fixture
def original_of(network):
  """A function from a mask to the original that a check is given."""
  kernels = models.prunable_kernels(network)
  weights = {kernel.name: kernel.variable.numpy() for kernel in kernels}
  return lambda mask, **changes: checks.Original(
      mask, weights, dict, list, kernels=kernels, live=lambda kept: models.live_positions(network, kept), **changes)


def through(network, units, density, seed):
  """A random mask of which each layer has only its first outputs, so that all of it is on paths."""
  rng, arrays, inputs = np.random.default_rng(seed), [], 4
  for kernel, outputs in zip(models.prunable_kernels(network), (units, units, 10), strict=True):
    keep = np.zeros(kernel.shape, dtype=bool)
    keep[..., :inputs, :outputs] = rng.random((*kernel.shape[:-2], inputs, outputs)) < density
    arrays.append(keep)
    inputs = outputs
  return Mask.from_arrays(models.prunable_kernels(network), arrays)


@pytest.mark.parametrize('mask, more', [
    (lambda network: through(network, 3, 0.15, 1), True), (lambda network: through(network, 4, 0.3, 1), True),
    (lambda network: tickets_tf.find_ticket(network, 'random', 0.97, allocation='uniform').mask, None)])
def test_as_many_weights_on_paths(mask, more, network, original_of):
  original = original_of(mask(network))
  for seed in range(3):
    found, weights, proof = checks.change_ticket('rearrange_effective', CHECK, original, seed)
    wanted = models.effective_mask(network, original.mask).kept
    assert proof['effective_before'] == wanted and weights is original.weights
    assert proof['effective'] == models.effective_mask(network, found).kept
    assert abs(proof['effective'] - wanted) <= 0.01 * wanted and found.counts == original.mask.counts
    assert more is None or (proof['effective_unmatched'] < wanted) == more
    # A mask as random as others, and not one that has crept back to the original.
    assert proof['kept_elsewhere'] > 0.8 * proof['expected_by_chance']
  again, _, same = checks.change_ticket('rearrange_effective', CHECK, original, 2)
  assert again == found and same == proof


def test_fewer_weights_on_paths_if_the_original_has_fewer(network, original_of):
  rng, mask = np.random.default_rng(0), through(network, 16, 0.3, 3)
  cut = [np.array(keep) for keep in mask.arrays]
  cut[1][..., :4] = False  # Four outputs without inputs, which the classifier takes in all the same.
  original = original_of(Mask(zip(mask.names, cut, strict=True)))
  start = positions.rearranged(original, rng)
  wanted, had = (positions.effective(original, each) for each in (original.mask, start))
  assert wanted < had == start.kept, 'every position is on a path'
  after = effective.matched(original, start, wanted, rng)
  assert abs(positions.effective(original, after) - wanted) <= 0.01 * wanted and after.counts == start.counts


def test_patterns_and_candidates_hold(network, original_of):
  mask = tickets_tf.find_ticket(network, 'random', 0.95, allocation='uniform', pattern='1x4').mask
  few = original_of(mask, pattern=patterns.BLOCKS_OF_FOUR)
  found, _, _ = checks.change_ticket('rearrange_effective', CHECK, few, 0)
  assert not patterns.broken_by(patterns.BLOCKS_OF_FOUR, found, few.kernels)
  mask, rng = through(network, 4, 0.3, 1), np.random.default_rng(5)
  among = dataclasses.replace(original_of(mask), candidates=Mask(
      (name, keep | (rng.random(keep.shape) < 0.4)) for name, keep in mask.items()))
  found, _, _ = checks.change_ticket('rearrange_effective', CHECK, among, 0)
  assert not any(np.any(keep & ~among.candidates[name]) for name, keep in found.items())


def test_what_cannot_be_matched_or_known_is_an_error(network, original_of, monkeypatch):
  original = original_of(through(network, 3, 0.15, 1))
  monkeypatch.setattr(effective, 'matched', lambda original, mask, wanted, rng: mask)
  with pytest.raises(TicketsError, match=r'as many weights on paths: \d+, and \d+ in the original'):
    checks.change_ticket('rearrange_effective', CHECK, original, 0)
  with pytest.raises(TicketsError, match='the paths of this network cannot be known'):
    checks.change_ticket('rearrange_effective', CHECK, dataclasses.replace(original, live=lambda mask: None), 0)


def test_the_search_ends_no_further_away_if_the_number_cannot_be_had(network, original_of):
  original, looked = original_of(through(network, 16, 0.3, 1)), []
  counted = dataclasses.replace(original, live=lambda mask: looked.append(mask) or original.live(mask))
  start = positions.rearranged(original, np.random.default_rng(0))
  for wanted in (0, start.kept + 50, start.kept - 1, start.kept - 2):
    after = effective.matched(counted, start, wanted, np.random.default_rng(1))
    before, found = (positions.effective(original, each) for each in (start, after))
    assert abs(found - wanted) <= abs(before - wanted) and len(looked) < effective._TRIES
    gaps = [abs(wanted - positions.effective(original, each)) for each in looked[:30]]
    assert after == start or abs(found - wanted) <= min(gaps), 'the closest of all that were looked at'
    looked.clear()
