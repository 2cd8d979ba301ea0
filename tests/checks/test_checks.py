import dataclasses

import numpy as np
import pytest

import tickets_tf
from tickets_tf import checks
from tickets_tf.pruning import kernels
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
  others = {name: rng.normal(size=8).astype(np.float32) for name in ('norm', 'bias')}
  confined = tickets_tf.Mask(zip(mask.names, patterns.choose(
      patterns.BLOCKS_OF_FOUR, kernels_of(mask), scores, mask.counts, rng), strict=True))
  return checks.Original(mask, weights, lambda: fresh, lambda: scores, others=others, live=live,
                         fresh_others=lambda: {name: np.zeros(8, np.float32) for name in others},
                         searched=lambda: (confined, {**weights, **others}))


def kernels_of(mask):
  return [kernels.Kernel(name, keep.shape, 'conv') for name, keep in mask.items()]


def live(mask):
  """Stands for paths: a position is on one if its input and its output have another weight, or the layer is whole."""
  def layer(keep):
    rows, columns = keep.sum(axis=-1, keepdims=True), keep.sum(axis=-2, keepdims=True)
    return (rows - keep > 0) & (columns - keep > 0) if not keep.all() else keep

  return tickets_tf.Mask((name, layer(keep)) for name, keep in mask.items())


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


def test_half_dataset_is_another_half_of_every_class_for_each_seed(examples):
  check = registry.CHECKS.get('half_dataset')
  changed, proof = checks.change_data('half_dataset', check, examples, 5, seed=0)
  other, _ = checks.change_data('half_dataset', check, examples, 5, seed=1)
  rows, halves = [each.tobytes() for each in examples.images], []
  for half in (changed, other):
    np.testing.assert_array_equal(np.bincount(half.labels), [20] * 5)
    halves.append({rows.index(each.tobytes()) for each in half.images})
  # Of 100 drawn from 200, half are drawn again, with a deviation of 3.5.
  assert 30 < len(halves[0] & halves[1]) < 70 and len(halves[0]) == 100
  assert proof == {'examples': 200, 'examples_left': 100, 'steps_left': 0.5}
  assert 'half as many steps' in check.change


@pytest.mark.parametrize('name', TICKET)
def test_checks_of_the_ticket_keep_the_counts_and_what_came(name, original):
  before = copied(original)
  mask, weights, proof = checks.change_ticket(name, registry.CHECKS.get(name), original, seed=1)
  within = 2 if name.startswith('pattern') else 0  # Half a block.
  if name == 'rearrange_globally':
    assert mask.kept == before.mask.kept and mask.counts != before.mask.counts
  else:
    assert np.abs(np.subtract(mask.counts, before.mask.counts)).max() <= within
  assert proof['kept_zeros'] == proof['kept_zeros_before'] == 0
  assert set(weights) - set(mask) == (set(original.others) if name in (
      'reinitialise_all', 'pattern_1x4', 'pattern_2_4') else set())
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


def test_confining_takes_what_the_search_finds(original):
  mask, weights, proof = checks.change_ticket('pattern_1x4', registry.CHECKS.get('pattern_1x4'), original, seed=0)
  found, values = original.searched()
  assert mask == found and weights == values
  assert proof['layers_without_pattern_before'] == 2 and proof['layers_without_pattern_after'] == 0
  with pytest.raises(TicketsError, match='whose search can be run again'):
    checks.change_ticket('pattern_1x4', registry.CHECKS.get('pattern_1x4'),
                         dataclasses.replace(original, searched=None), seed=0)


@pytest.mark.parametrize('name', ['rearrange', 'rearrange_filters', 'rearrange_effective', 'invert'])
def test_a_check_of_the_mask_keeps_its_pattern(name, original):
  confined = dataclasses.replace(original, mask=original.searched()[0], pattern=patterns.BLOCKS_OF_FOUR)
  mask, _, _ = checks.change_ticket(name, registry.CHECKS.get(name), confined, seed=0)
  assert not patterns.broken_by(patterns.BLOCKS_OF_FOUR, mask) and mask.counts == confined.mask.counts


@pytest.mark.parametrize('name', ['rearrange', 'rearrange_filters', 'rearrange_globally', 'rearrange_effective',
                                  'invert'])
def test_only_candidates_are_kept(name, original):
  rng = np.random.default_rng(3)
  candidates = tickets_tf.Mask((kernel, keep | (rng.random(keep.shape) < 0.3))
                               for kernel, keep in original.mask.items())
  weights = {kernel: np.where(candidates[kernel], original.weights[kernel], 0) for kernel in candidates}
  among = dataclasses.replace(original, candidates=candidates, weights=weights)
  mask, _, proof = checks.change_ticket(name, registry.CHECKS.get(name), among, seed=0)
  assert mask != original.mask and proof['kept_zeros'] == 0
  assert not any(np.any(keep & ~candidates[kernel]) for kernel, keep in mask.items())
  if name == 'invert':
    for kernel, score in zip(mask.names, original.scores(), strict=True):
      left = candidates[kernel] & ~mask[kernel]
      assert not left.any() or score[mask[kernel]].max() < score[left].min()


def test_kept_zeros_are_counted_on_both_sides_and_warned_of(original, caplog):
  weights = {name: np.where(keep | (np.arange(keep.size).reshape(keep.shape) % 2 > 0), original.weights[name], 0)
             for name, keep in original.mask.items()}
  weights['dense'][np.nonzero(original.mask['dense'])[0][0], np.nonzero(original.mask['dense'])[1][0]] = 0
  mask, _, proof = checks.change_ticket('rearrange', registry.CHECKS.get('rearrange'),
                                        dataclasses.replace(original, weights=weights), seed=0)
  zeros = sum(np.count_nonzero(weights[name][keep] == 0) for name, keep in mask.items())
  assert proof['kept_zeros_before'] == 1 and proof['kept_zeros'] == zeros > 1
  assert f'check rearrange: {zeros} kept weights are zero, of the original 1' in caplog.text


def test_rearrange_filters_is_uniform_and_keeps_the_count_of_each(original):
  kept = []
  for seed in range(300):
    mask, weights, proof = checks.change_ticket('rearrange_filters', registry.CHECKS.get('rearrange_filters'), original,
                                                seed)
    assert weights is original.weights and proof['same_count_in_each_filter'] and proof['same_count_in_each_layer']
    np.testing.assert_array_equal(mask['conv'].sum(axis=(0, 1, 2)), original.mask['conv'].sum(axis=(0, 1, 2)))
    kept.append(mask['dense'])
  ratios = original.mask['dense'].mean(axis=0)
  assert np.all(np.abs(np.mean(kept, axis=0) - ratios) <= 5 * np.sqrt(ratios * (1 - ratios) / 300))
  assert proof['kept_elsewhere'] == pytest.approx(proof['expected_by_chance'], abs=0.12)


def test_rearrange_globally_is_uniform(original):
  masks = [checks.change_ticket('rearrange_globally', registry.CHECKS.get('rearrange_globally'), original, seed)[0]
           for seed in range(300)]
  ratio = original.mask.density
  for name in original.mask:
    assert np.abs(np.mean([mask[name] for mask in masks], axis=0) - ratio).max() < 5 * np.sqrt(ratio / 300)
  assert {mask.kept for mask in masks} == {original.mask.kept} and len({tuple(mask.counts) for mask in masks}) > 100


def test_tickets_of_two_rules_are_shuffled_independently(original):
  one, other = (dataclasses.replace(original, rule=rule) for rule in ('one', 'other'))
  for name in ('rearrange', 'rearrange_filters', 'rearrange_globally', 'rearrange_effective'):
    masks = [checks.change_ticket(name, registry.CHECKS.get(name), each, seed=0)[0] for each in (one, one, other)]
    assert masks[0] == masks[1] != masks[2]
    # As far apart as any two: of the weights of a layer that both keep, about the kept share of them.
    both = np.count_nonzero(masks[0]['conv'] & masks[2]['conv']) / np.count_nonzero(masks[0]['conv'])
    assert both == pytest.approx(original.mask['conv'].mean(), abs=0.2)


def test_shuffle_weights_permutes_the_kept_ones(original):
  shuffle = registry.CHECKS.get('shuffle_weights')
  mask, weights, proof = checks.change_ticket('shuffle_weights', shuffle, original, seed=0)
  assert mask is original.mask and proof['same_values_in_each_layer'] and proof['kept_weights_changed'] > 0.8
  for name, keep in mask.items():
    np.testing.assert_array_equal(np.sort(weights[name][keep]), np.sort(original.weights[name][keep]))
    np.testing.assert_array_equal(weights[name][~keep], original.weights[name][~keep])


def test_reinitialise_takes_fresh_weights(original):
  check = registry.CHECKS.get('reinitialise')
  mask, weights, proof = checks.change_ticket('reinitialise', check, original, seed=0)
  assert mask is original.mask and proof['kept_weights_changed'] == 1.0
  assert proof['root_mean_square'] == pytest.approx(proof['root_mean_square_before'], rel=0.2)
  assert weights == original.fresh() and 'batch norm and biases stay' in check.change


def test_reinitialise_all_takes_everything_afresh(original):
  mask, weights, proof = checks.change_ticket('reinitialise_all', registry.CHECKS.get('reinitialise_all'), original, 0)
  assert mask is original.mask and proof['kept_weights_changed'] == 1.0
  assert weights.keys() == {*original.mask, 'norm', 'bias'} and not weights['norm'].any() and not weights['bias'].any()
  assert proof['other_variables'] == proof['other_variables_changed'] == 2


def test_other_variables_alone_are_a_change_too(original):
  def norms(original, rng):
    return original.mask, {**original.weights, 'norm': original.others['norm'] + 1}, {'done': True}

  assert checks.change_ticket('mine', checks.Check('ticket', norms, '?', '', ''), original, 0)[2]['done']
  one = checks.Check('ticket', lambda original, rng: (
      original.mask, {**original.weights, 'norm': np.ones(3)}, {'done': True}), '?', '', '')
  with pytest.raises(TicketsError, match='expected it to return the weights of every kernel'):
    checks.change_ticket('mine', one, original, 0)


def test_signs_and_magnitudes_stay_apart(original):
  original.weights['conv'][0, 0, 0, 0] = 0
  for name, stays, drawn in (('signs', np.sign, np.abs), ('magnitudes', np.abs, np.sign)):
    mask, weights, proof = checks.change_ticket(name, registry.CHECKS.get(name), original, seed=0)
    assert mask is original.mask
    for kernel, keep in mask.items():
      nonzero = keep & (original.weights[kernel] != 0)
      np.testing.assert_array_equal(stays(weights[kernel])[keep], stays(original.weights[kernel])[keep])
      np.testing.assert_array_equal(drawn(weights[kernel])[nonzero], drawn(original.fresh()[kernel])[nonzero])
    assert proof[f'same_{name}'] == 1 and proof['kept_zeros'] == proof['kept_zeros_before']
    assert proof['same_signs' if name == 'magnitudes' else 'same_magnitudes'] < 0.7


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
  assert checks.change_ticket('mine', check, original, 0)[2] == {
      'done': 3, 'kept_zeros_before': 0, 'kept_zeros': 0}
