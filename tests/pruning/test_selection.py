import numpy as np
import pytest

from tickets_tf.errors import TicketsError, UsageError
from tickets_tf.pruning import selection
from tickets_tf.pruning.selection import select, threshold


def rng(seed=0):
  return np.random.default_rng(seed)


def test_select_keeps_the_highest_of_each_layer():
  scores = [np.array([[0.1, -5, 3], [2, 0, -0.5]], np.float32), np.array([5, 1, 4, 2, 3])]
  first, second = select(scores, [2, np.uint8(3)], rng())
  assert first.dtype == second.dtype == bool
  assert first.tolist() == [[False, False, True], [True, False, False]]
  assert second.tolist() == [True, False, True, False, True]


@pytest.mark.parametrize('dtype', [np.float16, np.float32, np.float64, np.int32, bool])
def test_select_agrees_with_sorting_and_counts_are_exact_whatever_the_ties(dtype):
  draw = rng(1)
  for trial in range(200):
    shape = tuple(draw.integers(1, 6, draw.integers(1, 4)))
    layer = (draw.integers(-3, 4, shape) if trial % 2 else draw.standard_normal(shape)).astype(dtype)
    count = int(draw.integers(0, layer.size + 1))
    kept, = select([layer], [count], draw)
    assert kept.shape == layer.shape and kept.sum() == count
    assert np.sort(layer[kept]).tolist() == np.sort(layer, axis=None)[layer.size - count:].tolist()


def test_select_takes_counts_of_any_integer_type():
  assert [layer.sum() for layer in select([np.arange(300)] * 2, np.array([3, 200], np.uint8), rng())] == [3, 200]


def test_select_takes_layers_in_any_memory_order():
  layer = rng(2).random((6, 8))
  for view in (layer.T, layer[::2, ::-1], np.asfortranarray(layer)):
    kept, = select([view], [5], rng())
    assert view[kept].min() > view[~kept].max() and kept.sum() == 5


def test_select_draws_ties_evenly_and_not_by_position():
  hits = sum(select([np.zeros((5, 10))], [10], rng(seed))[0].astype(int) for seed in range(100)).ravel()
  # 50 places, each kept 10 times in 50: 49 degrees of freedom, standard deviation 9.9.
  statistic = ((hits - 20)**2 / 16).sum() * 49 / 50
  assert 49 - 3.5 * 9.9 < statistic < 49 + 5 * 9.9


def test_select_draws_only_among_the_tied():
  layer = np.array([3, 1, 2, 1, 2, 2, 3.0])
  hits = sum(select([layer], [4], rng(seed))[0].astype(int) for seed in range(300))
  assert hits[[0, 6]].tolist() == [300, 300] and hits[[1, 3]].tolist() == [0, 0]
  assert np.all(np.abs(hits[[2, 4, 5]] - 200) < 5 * np.sqrt(300 * 2 / 9))


def test_select_repeats_with_the_seed():
  scores = [np.zeros(200), np.ones(100)]
  one, two, other = (select(scores, [50, 20], rng(seed)) for seed in (3, 3, 4))
  assert all(map(np.array_equal, one, two))
  assert not any(map(np.array_equal, one, other))
  assert not np.array_equal(one[0][:100], one[1])


def test_select_leaves_the_scores_alone():
  scores = rng().random(50)
  before = scores.copy()
  select([scores], [10], rng())
  assert np.array_equal(scores, before)


@pytest.mark.parametrize('bad', [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_finite_are_an_error_that_names_the_layer(bad):
  scores = [np.ones((2, 2)), np.ones((2, 3), np.float32)]
  scores[1][1, 1] = bad
  for count in (0, 2, 6):
    with pytest.raises(TicketsError, match='scores of second: 1 of 6 are NaN or infinite') as caught:
      select(scores, [1, count], rng(), names=['first', 'second'])
    assert not isinstance(caught.value, UsageError)
  with pytest.raises(TicketsError, match='scores of layer 2'):
    select(scores, [1, 1], rng())


@pytest.mark.parametrize('counts, message', [
    ([1, 4], 'count of b: 4; expected an integer from 0 to 3'), ([-1, 2], 'count of a: -1'),
    ([1, 1.0], r'count of b: 1\.0'), ([1, None], 'count of b: None'), ([1], '1 counts for the scores of 2 layers')])
def test_select_refuses_impossible_counts(counts, message):
  with pytest.raises(UsageError, match=message):
    select([np.ones(2), np.ones(3)], counts, rng(), names=['a', 'b'])


def test_select_refuses_scores_it_cannot_compare():
  with pytest.raises(UsageError, match=r'scores of layer 1: .* dtype complex128'):
    select([np.ones(2) * 1j], [1], rng())
  with pytest.raises(UsageError, match='1 names for the scores of 2 layers'):
    select([np.ones(2), np.ones(2)], [1, 1], rng(), names=['a'])


@pytest.mark.parametrize('draw', [
    lambda draw, size: draw.standard_normal(size), lambda draw, size: draw.integers(0, 5, size),
    lambda draw, size: draw.standard_normal(size).astype(np.float32), lambda draw, size: np.sort(draw.random(size)),
    lambda draw, size: np.where(draw.random(size) < 0.1, draw.random(size), -1.0),
    lambda draw, size: np.arange(size) % 30 / 30])
def test_the_threshold_is_exact_whatever_the_sample_says(draw):
  drawn = rng(4)
  for _ in range(40):
    arrays = [draw(drawn, size) for size in drawn.integers(1, 9000, 3)]
    every = np.sort(np.concatenate(arrays))
    for count in (1, len(every), *drawn.integers(1, len(every), 3)):
      assert threshold(arrays, int(count)) == every[len(every) - count]


def test_a_sample_that_misleads_is_not_believed(monkeypatch):
  values = rng(5).random(5000)
  monkeypatch.setattr(selection, '_bounds', lambda *args: (0.2, 0.4))
  for count in (100, 3500, 4900):
    assert threshold([values], count) == np.sort(values)[5000 - count]
