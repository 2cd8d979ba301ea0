import numpy as np
import pytest

import tickets_tf
from tickets_tf import registry
from tickets_tf.experiment import tickets
from tickets_tf.pruning import rules
from tickets_tf.errors import TicketsError
from tickets_tf.errors import UsageError
import itertools


def test_a_ticket_keeps_exactly_what_the_ratio_leaves(small_model):
  kernels = tickets_tf.prunable_kernels(small_model)
  size = sum(kernel.size for kernel in kernels)
  for ratio in (0.0, 0.5, 0.95, 0.99):
    assert tickets_tf.find_ticket(small_model, 'random', ratio).mask.kept == int(size * (1 - ratio))
  assert tickets_tf.find_ticket(small_model, 'dense', 0.9).mask.kept == size


def test_magnitude_keeps_the_largest_weights(small_model):
  mask = tickets_tf.find_ticket(small_model, 'magnitude', 0.9).mask
  kept, gone = (np.concatenate([np.abs(kernel.variable.numpy())[mask[kernel.name] == side]
                                for kernel in tickets_tf.prunable_kernels(small_model)]) for side in (True, False))
  assert kept.min() >= gone.max()


def test_the_seed_decides(small_model):
  first, again, other = (tickets_tf.find_ticket(small_model, 'random', 0.9, seed=seed).mask for seed in (1, 1, 2))
  assert first == again and first != other and first.counts == other.counts


def test_the_seed_breaks_ties_and_reaches_the_allocation(small_model):
  drawn = []

  def tied(model, images, labels, rng):
    return [np.ones(kernel.shape) for kernel in tickets_tf.prunable_kernels(model)]

  def allocate(kernels, keep, scores=None, rng=None):
    drawn.append(rng.random())
    return [kernel.size // 2 for kernel in kernels]

  masks = [tickets_tf.find_ticket(small_model, rules.Rule(tied, allocate), 0.5, seed=seed).mask for seed in (1, 1, 2)]
  assert masks[0] == masks[1] != masks[2]
  assert drawn[0] == drawn[1] != drawn[2]


def test_an_allocation_replaces_the_rules(small_model):
  counts = [tickets_tf.find_ticket(small_model, 'random', 0.8, allocation=name).mask.counts
            for name in registry.ALLOCATIONS.names()]
  assert len({sum(each) for each in counts}) == 1 and len(set(map(tuple, counts))) > 5


def test_weights_are_the_networks_with_zeros(small_model):
  before = small_model.get_weights()
  ticket = tickets_tf.find_ticket(small_model, 'random', 0.9)
  for now, old in zip(small_model.get_weights(), before, strict=True):
    np.testing.assert_array_equal(now, old)
  small_model.set_weights(ticket.weights)
  for kernel in tickets_tf.prunable_kernels(small_model):
    np.testing.assert_array_equal(kernel.variable.numpy() != 0, ticket.mask[kernel.name])


def test_save_and_load(small_model, tmp_path):
  ticket = tickets_tf.find_ticket(small_model, 'random', 0.9, seed=3)
  ticket.save(tmp_path / 'ticket')
  loaded = tickets_tf.Ticket.load(tmp_path / 'ticket')
  assert loaded.mask == ticket.mask and loaded.provenance == ticket.provenance
  assert loaded.provenance['seed'] == 3
  for now, old in zip(loaded.weights, ticket.weights, strict=True):
    np.testing.assert_array_equal(now, old)
  (tmp_path / 'ticket' / 'weights.npz').write_bytes(b'broken')
  with pytest.raises(UsageError, match=r'weights.npz: cannot be read'):
    tickets_tf.Ticket.load(tmp_path / 'ticket')


def own(model, images, labels, rng):
  return [rng.random(kernel.shape) for kernel in tickets_tf.prunable_kernels(model)]


@pytest.mark.parametrize('spoil, error, expected', [
    (lambda scores: scores[:-1], UsageError, r'returned 9 arrays; expected 10'),
    (lambda scores: [scores[0].T, *scores[1:]], UsageError, r'array of shape .* for conv1; expected \(3, 3, 3, 4\)'),
    (lambda scores: [scores[0] * np.nan, *scores[1:]], TicketsError, r'conv1: 108 of 108 are NaN or infinite'),
    (lambda scores: None, UsageError, r'expected one array per kernel, 10'),
])
def test_a_users_score_is_checked(spoil, error, expected, small_model):
  def score(model, images, labels, rng):
    return spoil(own(model, images, labels, rng))

  with pytest.raises(error, match=expected):
    tickets_tf.find_ticket(small_model, rules.Rule(score), 0.9)


def test_a_users_score_with_the_wrong_arguments(small_model):
  with pytest.raises(UsageError, match=r'expected a function \(model, images, labels, rng\)'):
    tickets_tf.score_weights(small_model, lambda model: [])


def test_a_score_that_moves_the_network_is_undone(small_model):
  before = small_model.get_weights()

  def score(model, images, labels, rng):
    for variable in model.variables:
      variable.assign(variable + 1)
    return own(model, images, labels, rng)

  tickets_tf.score_weights(small_model, score)
  for now, old in zip(small_model.get_weights(), before, strict=True):
    np.testing.assert_array_equal(now, old)


def rounds_of(score, rounds, **changes):
  return rules.Rule(score, 'global', rounds=rounds, **changes)


def test_a_ticket_says_where_it_comes_from(small_model):
  ticket = tickets_tf.find_ticket(small_model, rounds_of('magnitude', 3), 0.75, seed=4, pattern='1x4')
  assert ticket.provenance == {'score': 'magnitude', 'allocation': 'global', 'pattern': '1x4', 'ratio': 0.75,
                               'rounds': 3, 'seed': 4}


def test_layers_that_cannot_have_the_pattern_are_named(small_model, monkeypatch):
  warned = []
  monkeypatch.setattr(tickets.logging, 'warning', lambda message, *values: warned.append(message % values))
  tickets_tf.find_ticket(small_model, 'magnitude', 0.2, allocation='uniform', pattern='2:4')
  assert [line for line in warned if line.startswith('pattern 2:4: ') and 'conv1' in line]
  warned.clear()
  tickets_tf.find_ticket(small_model, 'magnitude', 0.8, allocation='uniform', pattern='2:4')
  assert not [line for line in warned if line.startswith('pattern')]


def test_weights_once_removed_stay_out_also_if_all_scores_are_negative(small_model):
  def falling(model, images, labels, rng):
    return [rng.random(kernel.shape) - 2 for kernel in tickets_tf.prunable_kernels(model)]

  first = tickets_tf.find_ticket(small_model, rules.Rule('random', 'global'), 0.5, seed=1).mask
  second = tickets_tf.find_ticket(small_model, rules.Rule(falling, 'global'), 0.75, seed=2, start=first).mask
  assert not any(np.any(new & ~old) for new, old in zip(second.arrays, first.arrays, strict=True))


def test_one_round_and_many_of_a_score_that_stays_are_the_same(small_model):
  once = tickets_tf.find_ticket(small_model, rounds_of('magnitude', 1), 0.9).mask
  assert tickets_tf.find_ticket(small_model, rounds_of('magnitude', 7), 0.9).mask == once


def test_weights_once_removed_stay_out(small_model, small_batch, monkeypatch):
  found = []
  keep = tickets_tf.experiment.tickets._keep
  monkeypatch.setattr(tickets_tf.experiment.tickets, '_keep', lambda *args: found.append(keep(*args)) or found[-1])
  ticket = tickets_tf.find_ticket(small_model, rounds_of('snip', 4), 0.95, *small_batch)
  size = found[0].size
  assert [mask.kept for mask in found] == [int(size * (1 - ratio)) for ratio in rules.round_ratios(0.95, 4)]
  for before, after in itertools.pairwise(found):
    assert not any(np.any(new & ~old) for new, old in zip(after.arrays, before.arrays, strict=True))
  assert ticket.mask == found[-1] != tickets_tf.find_ticket(small_model, 'snip', 0.95, *small_batch).mask
  found.clear()
  tickets_tf.find_ticket(small_model, rounds_of('snip', 4), 0.95, *small_batch, regrow=True)
  assert any(np.any(new & ~old) for before, after in itertools.pairwise(found)
             for new, old in zip(after.arrays, before.arrays, strict=True)), 'some came back'
  assert found[-1].kept == int(size * (1 - 0.95))


def test_a_start_is_what_the_rounds_before_kept(small_model):
  first = tickets_tf.find_ticket(small_model, 'random', 0.5, seed=1).mask
  second = tickets_tf.find_ticket(small_model, 'magnitude', 0.8, start=first).mask
  assert second.kept == int(first.size * (1 - 0.8))
  assert not any(np.any(new & ~old) for new, old in zip(second.arrays, first.arrays, strict=True))


@pytest.mark.parametrize('allocation', registry.ALLOCATIONS.names())
def test_rounds_go_with_every_allocation(allocation, small_model):
  for ratio in (0.5, 0.97):
    mask = tickets_tf.find_ticket(small_model, rules.Rule('magnitude', allocation, rounds=6), ratio).mask
    assert mask.kept == int(mask.size * (1 - ratio))


def test_an_allocation_that_wants_more_than_is_left_gets_what_there_is(small_model):
  def alternating(kernels, keep, scores=None, rng=None):
    # All into the layers from the front, then all from the back.
    order = kernels if keep > sum(kernel.size for kernel in kernels) / 3 else kernels[::-1]
    counts = {}
    for kernel in order:
      counts[kernel.name] = min(kernel.size, keep)
      keep -= counts[kernel.name]
    return [counts[kernel.name] for kernel in kernels]

  mask = tickets_tf.find_ticket(small_model, rules.Rule('magnitude', alternating, rounds=2), 0.9).mask
  assert mask.kept == int(mask.size * (1 - 0.9))
