"""Over ratios: mean drops, the probability of being better, and what is worth a look."""

import math

import numpy as np
import pytest
from scipy import stats

from tickets_tf.errors import UsageError
from tickets_tf.judging.aggregates import exploring
from tickets_tf.judging.aggregates import mean_drops
from tickets_tf.judging.aggregates import superiority
from tickets_tf.judging.bounds import Bounds
from tickets_tf.judging.bounds import Group
from tickets_tf.judging.bounds import simultaneous


def made(rng, rule, ratio, drop, seeds=6):
  common = rng.normal(90, 2, seeds)
  arm = lambda: common + rng.normal(0, 0.3, seeds)
  return Group(rule, ratio, tuple(arm()), {'a': tuple(arm() - drop), 'b': tuple(arm())})


def test_a_mean_over_ratios_is_that_of_averaged_seeds():
  rng = np.random.default_rng(0)
  groups = [made(rng, 'x', 0.5, 1.0), made(rng, 'x', 0.9, 2.0), made(rng, 'y', 0.5, 0.0)]
  found = mean_drops(groups, 0.02)
  assert found.ratios == {'x': 2, 'y': 1} and set(found.bounds) == {(r, c) for r in 'xy' for c in 'ab'}
  singles, _ = simultaneous(groups, 0.02)
  mean = (singles['x', 0.5, 'a'].drop + singles['x', 0.9, 'a'].drop) / 2
  assert found.bounds['x', 'a'].drop == pytest.approx(mean) == pytest.approx(1.5, abs=0.5)
  averaged = [Group('x', 0.0, tuple(np.mean([groups[0].original, groups[1].original], 0)),
                    {c: tuple(np.mean([groups[0].checked[c], groups[1].checked[c]], 0)) for c in 'ab'}),
              Group('y', 0.0, groups[2].original, groups[2].checked)]
  expected, _ = simultaneous(averaged, 0.01)
  assert found.bounds['x', 'a'].whole_call == pytest.approx(expected['x', 0.0, 'a'].whole_call)


def test_an_average_is_finer_than_what_it_is_of():
  groups = [Group('x', ratio, (90.0,) * 5, {'a': (90.0,) * 5}) for ratio in (0.5, 0.9)]
  coarse = mean_drops(groups[:1], 1.0).bounds['x', 'a']
  assert mean_drops(groups, 1.0).bounds['x', 'a'].error == pytest.approx(coarse.error / 2)


def test_only_what_all_ratios_have_is_averaged():
  rng = np.random.default_rng(1)
  short = made(rng, 'x', 0.9, 1.0, seeds=4)
  short = Group('x', 0.9, short.original, {'a': short.checked['a']})
  found = mean_drops([made(rng, 'x', 0.5, 1.0), short], 0.01)
  assert list(found.bounds) == [('x', 'a')]
  assert mean_drops([], 0.01).bounds == {}


def test_the_probability_is_that_of_mann_and_whitney():
  one, other = [3.0, 5.0, 7.0, 7.5], [1.0, 5.0, 6.0]
  found = superiority([(one, other)])
  assert found.probability == pytest.approx(stats.mannwhitneyu(one, other).statistic / 12)
  low, high = found.interval
  assert 0 < low < found.probability < high < 1
  back = superiority([(other, one)])
  assert back.interval == pytest.approx((1 - high, 1 - low))
  both = superiority([(one, other), (other, one)])
  assert both.probability == pytest.approx(0.5) and both.interval[1] - both.interval[0] < high - low


def test_an_original_that_is_always_better_has_an_interval_too():
  found = superiority([([5.0] * 5, [1.0] * 5)])
  assert found.probability == 1 and found.interval[1] == 1 and 0.5 < found.interval[0] < 0.8
  none = superiority([([1.0] * 5, [5.0] * 5)])
  assert none.interval == pytest.approx((0, 1 - found.interval[0]))
  for strata in ([], [([], [1.0])]):
    with pytest.raises(UsageError, match='superiority'):
      superiority(strata)


@pytest.mark.parametrize('shift', [0.0, 1.0])
def test_the_interval_of_the_probability_covers_it(shift):
  rng = np.random.default_rng(2)
  truth = stats.norm.cdf(shift / math.sqrt(2))
  intervals = [superiority([(rng.standard_normal(8) + shift, rng.standard_normal(8))]).interval for _ in range(400)]
  assert np.mean([low <= truth <= high for low, high in intervals]) > 0.92


def test_a_list_for_exploring_has_few_false_members():
  rng = np.random.default_rng(3)
  bounds = {('x', 0.9, str(number)): Bounds(float(rng.normal(4 if number < 20 else 0, 1)), 1.0, None, None)
            for number in range(100)}
  found = exploring(bounds, 1000)
  p_values = {key: 2 * stats.t.sf(abs(each.drop), 1000) for key, each in bounds.items()}
  largest = max(p_values, key=p_values.get)
  assert found[largest] == pytest.approx(p_values[largest])
  listed = [int(key[2]) for key, q in found.items() if q <= 0.1]
  assert len(listed) >= 15 and sum(number >= 20 for number in listed) <= 5
  assert exploring({('x', 0.9, 'a'): Bounds(1.0, math.nan, None, None)}, 5) == {}
