import dataclasses
import itertools

import numpy as np
import pytest

import tickets_tf
from tickets_tf.pruning import selection
from tickets_tf.pruning import patterns
from tickets_tf.pruning import rules
from tickets_tf import registry
from tickets_tf.errors import UsageError
from tickets_tf.pruning.kernels import Kernel

SHAPES = [(3, 3, 8, 5), (12, 7), (10, 7), (3, 3, 3, 4), (1, 6), (5, 8, 2)]
NAMES = registry.PATTERNS.names()


def rng():
  return np.random.default_rng(0)


def groups(array):
  """Four consecutive inputs each, by a loop."""
  inputs = array.shape[-2]
  columns = np.moveaxis(array, -2, -1).reshape(-1, inputs)
  return [column[start:start + 4] for column in columns for start in range(0, inputs, 4)]


@pytest.mark.parametrize('shape', SHAPES, ids=str)
@pytest.mark.parametrize('name', NAMES)
@pytest.mark.parametrize('share', [0.0, 0.05, 0.2, 0.4, 0.9, 1.0])
def test_a_pattern_keeps_what_it_is_asked_for_up_to_a_group_and_holds(name, share, shape):
  scores = rng().normal(size=shape).astype(np.float32)
  before, count = scores.copy(), round(share * scores.size)
  pattern = registry.PATTERNS.get(name)
  kept = pattern.select(scores, count, rng())
  assert kept.dtype == bool and kept.shape == shape
  assert abs(np.count_nonzero(kept) - count) <= (2 if name == '1x4' and count > 4 else 3 if name == '1x4' else 0)
  assert kept.any() == (count > 0)
  np.testing.assert_array_equal(scores, before)
  np.testing.assert_array_equal(kept, pattern.select(scores, count, rng()))
  if name != '2:4' or count <= sum(min(2, len(group)) for group in groups(scores)):
    assert pattern.holds(kept)


@pytest.mark.parametrize('shape', SHAPES, ids=str)
def test_what_the_patterns_are(shape):
  scores = rng().normal(size=shape)
  blocks = patterns.BLOCKS_OF_FOUR.select(scores, scores.size // 3, rng())
  assert all(len(set(group)) == 1 for group in groups(blocks))
  means = [(group.mean(), kept[0]) for group, kept in zip(groups(scores), groups(blocks), strict=True)]
  assert min([mean for mean, kept in means if kept]) > max(mean for mean, kept in means if not kept)
  pairs = patterns.TWO_OF_FOUR.select(scores, scores.size // 3, rng())
  assert max(group.sum() for group in groups(pairs)) == min(2, shape[-2])
  for group, kept in zip(groups(scores), groups(pairs), strict=True):
    assert kept.all() or not kept.any() or group[kept].min() > group[~kept].max()


@pytest.mark.parametrize('last, count, kept_last', [(1.5, 2, True), (0.5, 4, False), (-1.5, 4, False)])
def test_blocks_are_ranked_by_their_mean(last, count, kept_last):
  # Six inputs: a block of four and a block of two. By the sums, 4 or -4 against 3, 1 or -3, the first and third case
  # would be the other way round.
  first = 1.0 if last > 0 else -1.0
  scores = np.array([[first]] * 4 + [[last]] * 2)
  kept = patterns.BLOCKS_OF_FOUR.select(scores, count, rng())
  assert kept[:, 0].tolist() == [not kept_last] * 4 + [kept_last] * 2


@pytest.mark.parametrize('kept, holds', [((1, 1, 0, 0), True), ((1, 0, 0, 0), True), ((0, 1, 1, 1), False)])
def test_two_of_four_means_at_most_two(kept, holds):
  assert patterns.TWO_OF_FOUR.holds(np.array(kept, dtype=bool)[:, np.newaxis]) is holds


def test_the_blocks_are_those_of_the_converters_layout():
  # Four inputs of one output: rows of (inputs, outputs).
  mask = np.zeros((8, 3), dtype=bool)
  mask[4:8, 1] = True
  assert patterns.BLOCKS_OF_FOUR.holds(mask) and not patterns.TWO_OF_FOUR.holds(mask)
  mask[3, 1] = True
  assert not patterns.BLOCKS_OF_FOUR.holds(mask)
  mask = np.zeros((8, 3), dtype=bool)
  mask[[0, 3, 4, 5], 2] = True
  assert patterns.TWO_OF_FOUR.holds(mask) and not patterns.BLOCKS_OF_FOUR.holds(mask)


@pytest.mark.parametrize('name', NAMES)
def test_equal_scores_are_drawn_by_lot(name):
  select = registry.PATTERNS.get(name).select
  kept = np.mean([select(np.ones((16, 5)), 20, np.random.default_rng(seed)) for seed in range(600)], axis=0)
  assert np.abs(kept - 0.25).max() < 5 * np.sqrt(0.25 * 0.75 / 600)


def test_more_than_half_keeps_two_of_four_possible_later():
  scores = rng().normal(size=(16, 6))
  kept = patterns.TWO_OF_FOUR.select(scores, 70, rng())
  assert np.count_nonzero(kept) == 70 and min(group.sum() for group in groups(kept)) == 2
  assert not patterns.TWO_OF_FOUR.holds(kept)


def test_what_was_removed_does_not_come_back_because_a_layer_is_too_full_for_its_pattern():
  kernel = Kernel('kernel', (8, 6), 'dense')
  candidates = np.ones((8, 6), dtype=bool)
  candidates[:3] = False  # One input is left of the first four.
  kept, = patterns.choose(patterns.TWO_OF_FOUR, [kernel], [rng().random((8, 6))], [28], rng(), {'kernel': candidates})
  assert np.count_nonzero(kept) == 28 and not np.any(kept & ~candidates)
  kept, = patterns.choose(patterns.TWO_OF_FOUR, [kernel], [rng().random((8, 6))], [12], rng(), {'kernel': candidates})
  assert np.count_nonzero(kept) == 12 and not np.any(kept & ~candidates) and patterns.TWO_OF_FOUR.holds(kept)


@pytest.mark.parametrize('rule, options', [('random', {}), ('magnitude', {}), ('synflow', {})])
@pytest.mark.parametrize('name', ['1x4', '2:4'])
def test_a_rule_under_a_pattern(small_model, rule, options, name, caplog):
  row = rules.resolve(rule)
  row = dataclasses.replace(row, rounds=min(row.rounds, 10))  # The 100 of SynFlow show no more.
  ticket = tickets_tf.find_ticket(small_model, row, 0.8, pattern=name, **options)
  assert ticket.provenance['pattern'] == name
  if rule != 'synflow':  # In its later rounds the scores are those of another network.
    free = tickets_tf.find_ticket(small_model, rule, 0.8, **options)
    assert all(abs(count - asked) <= 3 for count, asked in zip(ticket.mask.counts, free.mask.counts, strict=True))
  full = [kernel for kernel, ratio in zip(ticket.mask.names, ticket.mask.keep_ratios, strict=True) if ratio > 0.5]
  broken = patterns.broken_by(registry.PATTERNS.get(name), ticket.mask)
  assert set(broken) <= (set(full) if name == '2:4' else set())
  if rule == 'magnitude':
    assert patterns.broken_by(registry.PATTERNS.get(name), free.mask)
  assert ('more weights than it can hold' in caplog.text) == bool(broken)


def test_a_pattern_of_ones_own():
  def columns(scores, count, rng):
    del rng
    kept = np.zeros(scores.shape, dtype=bool)
    kept[:, np.argsort(-scores.sum(axis=0))[:round(count / scores.shape[0])]] = True
    return kept

  mine = patterns.Pattern(columns, lambda mask: bool(np.all(mask.all(axis=0) | ~mask.any(axis=0))))
  kept, = selection.select([rng().normal(size=(4, 6))], [8], rng(), keep=mine.select)
  assert np.count_nonzero(kept) == 8 and mine.holds(kept)


@pytest.mark.parametrize('returned, message', [
    (lambda scores, count, rng: scores, r"pattern of layer 1: expected booleans of shape \(4, 6\), found float64"),
    (lambda scores, count, rng: scores[0] > 0, r"pattern of layer 1: .* found bool of shape \(6,\)"),
    (lambda scores, count, rng: None, 'pattern of layer 1: .* found object'),
])
def test_a_pattern_that_returns_no_mask_is_named(returned, message):
  with pytest.raises(UsageError, match=message):
    selection.select([rng().normal(size=(4, 6))], [8], rng(), keep=returned)


@pytest.mark.parametrize('name', ['1x4', '2:4'])
def test_groups_are_inputs_whatever_the_order_of_the_axes(name):
  pattern = registry.PATTERNS.get(name)
  transposed = Kernel('transposed', (3, 3, 5, 8), 'conv', inputs=(3,), outputs=(2,))
  heads = Kernel('query', (8, 2, 3), 'dense', inputs=(0,), outputs=(1, 2))
  joined = Kernel('output', (2, 4, 5), 'dense', inputs=(0, 1), outputs=(2,))
  kernels = [transposed, heads, joined]
  scores = [rng().normal(size=kernel.shape) for kernel in kernels]
  masks = patterns.choose(pattern, kernels, scores, [kernel.size // 3 for kernel in kernels], rng())
  assert [mask.shape for mask in masks] == [kernel.shape for kernel in kernels]
  in_groups = [groups(np.swapaxes(masks[0], 2, 3)), groups(masks[1].reshape(8, 6)), groups(masks[2].reshape(8, 5))]
  for each in in_groups:
    assert {int(group.sum()) for group in each} <= ({0, 4} if name == '1x4' else {0, 1, 2})
  mask = dict(zip(['transposed', 'query', 'output'], masks, strict=True))
  assert patterns.broken_by(pattern, mask, kernels) == []
  assert 'transposed' in patterns.broken_by(pattern, mask)


@pytest.mark.parametrize('name', NAMES)
@pytest.mark.parametrize('shape', [(6, 2), (2, 5, 1), (3, 2), (4, 2), (1, 3)])
def test_bits_of_positions_count_the_masks_that_a_pattern_allows(name, shape):
  pattern = registry.PATTERNS.get(name)
  masks = [np.reshape(bits, shape) for bits in itertools.product([False, True], repeat=int(np.prod(shape)))]
  counted = {}
  for mask in filter(pattern.holds, masks):
    # Also known is how many weights the smaller last groups keep, if there are any.
    last = sum(group.sum() for group in groups(mask) if len(group) < 4)
    counted.setdefault((mask.sum(), 0 if name == 'unstructured' else last), []).append(mask)
  # A pattern that does not count its masks is taken for one without a pattern, which has more.
  counts = name == 'unstructured' or pattern.position_bits is not patterns.free_bits
  for same in counted.values():
    bits, known = pattern.position_bits(same[0]), np.log2(len(same))
    assert bits == pytest.approx(known, abs=1e-6) if counts else bits > known - 1e-6
    assert pattern.position_bits(same[-1]) == pattern.position_bits(same[0])


def test_positions_of_large_layers_take_what_theory_says():
  mask = patterns.BLOCKS_OF_FOUR.select(rng().random((3, 3, 512, 512)), 117_964, rng())
  assert patterns.BLOCKS_OF_FOUR.position_bits(mask) < 0.3 * patterns.UNSTRUCTURED.position_bits(mask)
  full = patterns.TWO_OF_FOUR.select(rng().random((512, 512)), 131_072, rng())
  assert patterns.TWO_OF_FOUR.position_bits(full) == pytest.approx(65_536 * np.log2(6))
