import dataclasses

import numpy as np
import pytest

import tickets_tf
from tickets_tf import checks
from tickets_tf.pruning import patterns
from tickets_tf import registry
from tickets_tf.data import Examples
from tickets_tf.errors import TicketsError

NAMES = registry.CHECKS.names()
DATA = [name for name in NAMES if registry.CHECKS.get(name).seam == 'data']
TICKET = [name for name in NAMES if registry.CHECKS.get(name).seam == 'ticket']


@pytest.fixture
def examples():
  rng = np.random.default_rng(0)
  return Examples(rng.integers(0, 256, (200, 6, 6, 3), dtype=np.uint8), (np.arange(200) % 5).astype(np.int32))


@pytest.fixture
def original():
  rng = np.random.default_rng(1)
  shapes = {'conv': (3, 3, 4, 8), 'dense': (20, 10), 'whole': (4, 5)}
  weights = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
  mask = tickets_tf.Mask({'conv': rng.random(shapes['conv']) < 0.3, 'dense': rng.random(shapes['dense']) < 0.1,
                          'whole': np.ones(shapes['whole'])})
  fresh = {name: np.random.default_rng(2).normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
  scores = [np.where(keep, 1.0, 0.0) + rng.random(keep.shape) / 2 for keep in mask.arrays]
  return checks.Original(mask, weights, lambda: fresh, lambda: scores)


def copied(original):
  return dataclasses.replace(original, weights={name: each.copy() for name, each in original.weights.items()})


def test_every_check_is_at_a_seam_and_says_what_it_asks():
  assert set(DATA) | set(TICKET) == set(NAMES)
  for name in NAMES:
    check = registry.CHECKS.get(name)
    assert check.question.endswith('?') and check.change and check.subject


@pytest.mark.parametrize('name', DATA)
def test_checks_of_the_data_act_by_the_seed_and_leave_what_came(name, examples):
  images, labels = examples.images.copy(), examples.labels.copy()
  check = registry.CHECKS.get(name)
  first, proof = checks.change_data(name, check, examples, 5, seed=1)
  again, _ = checks.change_data(name, check, examples, 5, seed=1)
  np.testing.assert_array_equal(first.images, again.images)
  np.testing.assert_array_equal(first.labels, again.labels)
  np.testing.assert_array_equal(examples.images, images)
  np.testing.assert_array_equal(examples.labels, labels)
  assert first.images.dtype == np.uint8 and first.labels.dtype == np.int32 and proof


def test_random_labels(examples):
  changed, proof = checks.change_data('random_labels', registry.CHECKS.get('random_labels'), examples, 5, seed=0)
  assert changed.images is examples.images
  assert 0.1 < np.mean(changed.labels == examples.labels) < 0.3
  assert proof == {'labels_agreeing': pytest.approx(np.mean(changed.labels == examples.labels), abs=1e-4),
                   'expected_by_chance': 0.2}
  assert np.bincount(changed.labels, minlength=5).min() > 20
  other, _ = checks.change_data('random_labels', registry.CHECKS.get('random_labels'), examples, 5, seed=1)
  assert not np.array_equal(other.labels, changed.labels)


@pytest.mark.parametrize('name', ['random_labels', 'random_pixels'])
def test_random_labels_are_drawn_and_not_permuted(name, examples):
  skewed = Examples(examples.images, np.repeat(np.arange(5, dtype=np.int32), [160, 10, 10, 10, 10]))
  changed, proof = checks.change_data(name, registry.CHECKS.get(name), skewed, 5, seed=0)
  # 40 each, with a standard deviation of 6.
  counts = np.bincount(changed.labels, minlength=5)
  assert counts.min() > 20 and counts.max() < 60
  agreeing = np.mean(changed.labels == skewed.labels)
  assert 0.1 < agreeing < 0.3 and proof['labels_agreeing'] == pytest.approx(agreeing, abs=1e-4)


def test_random_pixels(examples):
  changed, proof = checks.change_data('random_pixels', registry.CHECKS.get('random_pixels'), examples, 5, seed=0)
  flat, before = (each.images.reshape(200, -1) for each in (changed, examples))
  np.testing.assert_array_equal(np.sort(flat, axis=1), np.sort(before, axis=1))
  assert proof['same_values_in_each_image'] and proof['pixels_changed'] > 0.98
  assert 0.1 < proof['labels_agreeing'] < 0.3
  assert np.mean(changed.labels == examples.labels) == pytest.approx(proof['labels_agreeing'], abs=1e-4)
  # Different in each image, across channels: two equal images come out different.
  twins = Examples(np.repeat(examples.images[:1], 2, axis=0), examples.labels[:2])
  one, other = checks.change_data('random_pixels', registry.CHECKS.get('random_pixels'), twins, 5, seed=0)[0].images
  assert not np.array_equal(one, other)


def test_half_dataset_is_fixed_and_of_every_class(examples):
  check = registry.CHECKS.get('half_dataset')
  changed, proof = checks.change_data('half_dataset', check, examples, 5, seed=0)
  other, _ = checks.change_data('half_dataset', check, examples, 5, seed=1)
  np.testing.assert_array_equal(changed.images, other.images)
  np.testing.assert_array_equal(np.bincount(changed.labels), [20] * 5)
  assert proof == {'examples': 200, 'examples_left': 100}
  rows = {each.tobytes() for each in examples.images}
  assert all(each.tobytes() in rows for each in changed.images)


@pytest.mark.parametrize('name', TICKET)
def test_checks_of_the_ticket_keep_the_counts_and_what_came(name, original):
  before = copied(original)
  mask, weights, proof = checks.change_ticket(name, registry.CHECKS.get(name), original, seed=1)
  within = 2 if name == 'pattern_1x4' else 0  # Half a block.
  assert np.abs(np.subtract(mask.counts, before.mask.counts)).max() <= within and proof
  for kernel in mask.names:
    np.testing.assert_array_equal(original.weights[kernel], before.weights[kernel])
    assert weights[kernel].shape == before.weights[kernel].shape and weights[kernel].dtype == np.float32
  again, same, _ = checks.change_ticket(name, registry.CHECKS.get(name), original, seed=1)
  assert again == mask and all(np.array_equal(weights[kernel], same[kernel]) for kernel in mask.names)


def test_rearrange_moves_the_mask_alone(original):
  mask, weights, proof = checks.change_ticket('rearrange', registry.CHECKS.get('rearrange'), original, seed=0)
  assert weights is original.weights and mask != original.mask
  moved = sum(np.count_nonzero(new & ~old) for new, old in zip(mask.arrays, original.mask.arrays, strict=True))
  assert proof['kept_elsewhere'] == pytest.approx(moved / original.mask.kept, abs=1e-4)
  assert proof['kept_elsewhere'] == pytest.approx(proof['expected_by_chance'], abs=0.12)
  assert proof['same_count_in_each_layer']


def test_rearrange_is_uniform(original):
  kept = np.mean([checks.change_ticket('rearrange', registry.CHECKS.get('rearrange'), original, seed)[0]['dense']
                  for seed in range(400)], axis=0)
  ratio = original.mask.keep_ratios[1]
  assert np.abs(kept - ratio).max() < 5 * np.sqrt(ratio * (1 - ratio) / 400)


@pytest.mark.parametrize('name, pattern', [('pattern_1x4', '1x4'), ('pattern_2_4', '2:4')])
def test_confining_moves_the_mask_into_the_pattern(name, pattern, original):
  mask, weights, proof = checks.change_ticket(name, registry.CHECKS.get(name), original, seed=0)
  assert weights is original.weights
  whole = pattern == '2:4'  # A layer of which everything is kept cannot have it.
  pattern = registry.PATTERNS.get(pattern)
  assert patterns.broken_by(pattern, mask) == (['whole'] if whole else [])
  assert proof['layers_without_pattern_before'] == len(patterns.broken_by(pattern, original.mask)) > 0
  assert proof['layers_without_pattern_after'] == (1 if whole else 0)


@pytest.mark.parametrize('name', ['rearrange', 'invert'])
def test_a_check_of_the_mask_keeps_its_pattern(name, original):
  confined = dataclasses.replace(
      original, mask=checks.change_ticket('pattern_1x4', registry.CHECKS.get('pattern_1x4'), original, 0)[0],
      pattern=patterns.BLOCKS_OF_FOUR)
  mask, _, _ = checks.change_ticket(name, registry.CHECKS.get(name), confined, seed=0)
  assert not patterns.broken_by(patterns.BLOCKS_OF_FOUR, mask) and mask.counts == confined.mask.counts


def test_shuffle_weights_permutes_the_kept_ones(original):
  shuffle = registry.CHECKS.get('shuffle_weights')
  mask, weights, proof = checks.change_ticket('shuffle_weights', shuffle, original, seed=0)
  assert mask is original.mask and proof['same_values_in_each_layer'] and proof['kept_weights_changed'] > 0.8
  for name, keep in mask.items():
    np.testing.assert_array_equal(np.sort(weights[name][keep]), np.sort(original.weights[name][keep]))
    np.testing.assert_array_equal(weights[name][~keep], original.weights[name][~keep])


def test_reinitialise_takes_fresh_weights(original):
  mask, weights, proof = checks.change_ticket('reinitialise', registry.CHECKS.get('reinitialise'), original, seed=0)
  assert mask is original.mask and proof['kept_weights_changed'] == 1.0
  assert proof['root_mean_square'] == pytest.approx(proof['root_mean_square_before'], rel=0.2)
  np.testing.assert_array_equal(weights['conv'], original.fresh()['conv'])


def test_invert_keeps_the_lowest_scores(original):
  mask, weights, _ = checks.change_ticket('invert', registry.CHECKS.get('invert'), original, seed=0)
  assert weights is original.weights
  for name, keep, score in zip(mask.names, mask.arrays, original.scores(), strict=True):
    if not keep.all():
      assert score[keep].max() < score[~keep].min(), name


def nothing(original, rng):
  return original.mask, original.weights, {'looked': True}


def test_a_check_that_changes_nothing_is_an_error(original, examples):
  check = checks.Check('ticket', nothing, 'does it?', 'nothing happens', 'anything')
  with pytest.raises(TicketsError, match='check mine: it left mask and kept weights as they were'):
    checks.change_ticket('mine', check, original, 0)
  check = dataclasses.replace(check, seam='data', function=lambda examples, classes, rng: (examples, {'done': 1}))
  with pytest.raises(TicketsError, match='it left the training examples as they were'):
    checks.change_data('mine', check, examples, 5, 0)


def test_changing_removed_weights_alone_is_no_change(original):
  def removed(original, rng):
    weights = {name: np.where(keep, original.weights[name], 7) for name, keep in original.mask.items()}
    return original.mask, weights, {1: 1}

  with pytest.raises(TicketsError, match='left mask and kept weights'):
    checks.change_ticket('mine', checks.Check('ticket', removed, '?', '', ''), original, 0)


def test_a_check_without_proof_is_an_error(original):
  def unproved(original, rng):
    return original.mask, {name: each + 1 for name, each in original.weights.items()}, {}

  with pytest.raises(TicketsError, match='no proof that it acted'):
    checks.change_ticket('mine', checks.Check('ticket', unproved, '?', '', ''), original, 0)


@pytest.mark.parametrize('returned, problem', [
    (lambda original: (original.mask, original.weights), r'expected it to return \(mask, weights, proof\)'),
    (lambda original: None, r'expected it to return \(mask, weights, proof\)'),
    (lambda original: (original.weights, original.weights, {'done': 1}), 'expected it to return a Mask, found dict'),
    (lambda original: (original.mask, {'conv': original.weights['conv'] + 1}, {'done': 1}), 'weights of every kernel'),
    (lambda original: (original.mask, raised(original), {'done': float('nan')}), 'cannot be written as JSON'),
    (lambda original: (original.mask, raised(original), {'done': object()}), 'cannot be written as JSON'),
])
def test_a_check_that_returns_something_else_is_named(returned, problem, original):
  check = checks.Check('ticket', lambda original, rng: returned(original), '?', '', '')
  with pytest.raises(TicketsError, match=f'check mine: .*{problem}'):
    checks.change_ticket('mine', check, original, 0)


def raised(original):
  return {name: each + 1 for name, each in original.weights.items()}


def test_a_data_check_returns_examples(examples):
  check = checks.Check('data', lambda examples, classes, rng: (examples.images, {'done': 1}), '?', '', '')
  with pytest.raises(TicketsError, match='check mine: expected it to return Examples, found ndarray'):
    checks.change_data('mine', check, examples, 5, 0)


def test_a_proof_of_numpy_numbers_is_written_as_plain_ones(original):
  check = checks.Check('ticket', lambda original, rng: (original.mask, raised(original), {'done': np.int64(3)}), '?',
                       '', '')
  assert checks.change_ticket('mine', check, original, 0)[2] == {'done': 3}
