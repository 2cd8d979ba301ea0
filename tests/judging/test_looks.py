"""Looking more than once, and by simulation what it costs."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from tests.judging.simulation import FAMILIES
from tests.judging.simulation import RUNS
from tests.judging.simulation import at_most
from tests.judging.simulation import differences
from tests.judging.simulation import family_differences
from tests.judging.simulation import wrong
from tickets_tf.errors import UsageError
from tickets_tf.judging import comparison
from tickets_tf.judging.comparison import compare
from tickets_tf.judging.correction import decide
from tickets_tf.judging.correction import judge
from tickets_tf.judging.looks import look_sizes
from tickets_tf.judging.looks import nominal_levels
from tickets_tf.judging.looks import spent_alpha

KINDS = ['pocock', 'obrien_fleming']


def test_spending_functions_have_their_published_values():
  assert spent_alpha([0, 1]).tolist() == pytest.approx([0, 0.05])
  assert spent_alpha([0, 1], 0.025, 'obrien_fleming').tolist() == pytest.approx([0, 0.025])
  # One-sided 0.025 at five equal looks, Lan and DeMets (1983) as tabulated in textbooks.
  fifths = np.arange(1, 6) / 5
  expected = [0.0074, 0.0131, 0.0177, 0.0216, 0.025]
  assert spent_alpha(fifths, 0.025, 'pocock') == pytest.approx(expected, abs=6e-5)
  expected = [2 - 2 * stats.norm.cdf(stats.norm.ppf(1 - 0.025 / 2) / math.sqrt(t)) for t in fifths]
  assert spent_alpha(fifths, 0.025, 'obrien_fleming') == pytest.approx(expected, abs=1e-12)
  assert expected[1] == pytest.approx(0.00039, abs=2e-5)


@pytest.mark.parametrize('kind', KINDS)
def test_levels_are_what_is_newly_spent(kind):
  looks = [3, 4, 7, 10]
  levels = nominal_levels(looks, 0.05, kind)
  assert len(levels) == 4 and min(levels) > 0 and sum(levels) == pytest.approx(0.05)
  assert np.cumsum(levels) == pytest.approx(spent_alpha(np.array(looks) / 10, 0.05, kind))
  assert nominal_levels([5], 0.05, kind) == pytest.approx([0.05])


@pytest.mark.parametrize('function,arguments,message', [
    (spent_alpha, (1.1,), 'fraction'), (spent_alpha, ([-0.1, 1],), 'fraction'),
    (spent_alpha, (math.nan,), 'fraction'), (spent_alpha, (0.5, 0.6), 'alpha'),
    (spent_alpha, (0.5, 0.05, 'haybittle'), "'haybittle': expected 'pocock' or"),
    (nominal_levels, ([],), 'looks'), (nominal_levels, ([3, 3],), 'looks'),
    (nominal_levels, ([5, 3],), 'looks'), (nominal_levels, ([0, 3],), 'looks'),
    (nominal_levels, ([2.5, 3],), 'looks'), (nominal_levels, ([3, 4], 1), 'alpha'),
    (nominal_levels, ([3, 4], 0.05, 'none'), "'none'"), (look_sizes, (2,), 'looks from 3 to 2'),
    (look_sizes, (9, 2), 'looks from 2 to 9'), (look_sizes, (9, 3, 1), 'factor of 1')])
def test_refuses_looks_that_cannot_be(function, arguments, message):
  with pytest.raises(UsageError, match=message):
    function(*arguments)


def test_look_sizes_grow_by_a_factor():
  assert look_sizes(20) == [3, 5, 8, 12, 20]
  assert [look_sizes(most) for most in (3, 4, 5)] == [[3], [3, 4], [3, 5]]
  assert look_sizes(12, 4, 3.0) == [4, 12]
  for most in range(3, 60):
    sizes = look_sizes(most)
    assert sizes[0] == 3 and sizes[-1] == most and sizes == sorted(set(sizes))
    assert all(high <= max(2 * low, low + 1) for low, high in itertools.pairwise(sizes))


def looked(values, looks, kind, levels=None):
  """First verdicts (runs, family) of families with differences (runs, family, n) that are looked at as documented."""
  final = np.full(values.shape[:2], 'undecided', dtype='<U11')
  for n, level in zip(looks, levels or nominal_levels(looks, 0.05, kind), strict=True):
    drop, deviation = values[..., :n].mean(-1), values[..., :n].std(-1, ddof=1)
    # Members with a verdict are left out of `judge` and stay in its `family`: as p-values of 1.
    p_values = [np.where(final == 'undecided', p, 1) for p in comparison.p_values(drop, deviation, n, 0.5)]
    final = np.where(final == 'undecided', decide(drop, 0.5, *p_values, level)[0], final)
  return final


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('looks', [range(3, 21), [3, 5, 8, 12, 20]], ids=['each', 'few'])
@pytest.mark.parametrize('drop,deviation', [(0.5, 0.1), (0.0, 20.0)])
def test_looking_again_and_again_is_rarely_wrong(kind, looks, drop, deviation):
  found = looked(differences(9, RUNS, 1, 20, drop=drop, deviation=deviation), looks, kind)
  errors = np.count_nonzero(wrong(found, [drop]))
  assert errors <= at_most(0.05, RUNS)
  assert errors >= (0.03 if len(looks) == 5 else 0.01) * RUNS  # Looking at each number of seeds is what it costs.


def test_looking_without_correction_would_be_wrong_too_often():
  found = looked(differences(9, RUNS, 1, 20, drop=0.5, deviation=0.1), range(3, 21), 'pocock', levels=[0.05] * 18)
  assert np.count_nonzero(found == 'insensitive') > 0.1 * RUNS


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('name', FAMILIES)
def test_a_family_looked_at_again_and_again_is_rarely_wrong(kind, name):
  drops, deviation = FAMILIES[name]
  runs = RUNS // 2
  found = looked(family_differences(10, drops, deviation, 20, 0.3, runs), [3, 5, 8, 12, 20], kind)
  assert np.count_nonzero(wrong(found, drops).any(-1)) <= at_most(0.05, runs)


def test_the_documented_way_of_looking_is_the_simulated_one():
  values = family_differences(11, [0.0, 0.4, 0.8, 3.0], 0.5, 8, 0.3, 60)
  looks = [3, 5, 8]
  expected = looked(values, looks, 'pocock')
  assert len(set(expected.ravel())) == 3
  for run, found in zip(values, expected, strict=True):
    outcome = ['undecided'] * 4
    for n, level in zip(looks, nominal_levels(looks), strict=True):
      left = [index for index in range(4) if outcome[index] == 'undecided']
      comparisons = [compare(run[index, :n], np.zeros(n)) for index in left]
      for index, verdict in zip(left, judge(comparisons, alpha=level, family=4), strict=True):
        outcome[index] = verdict.outcome
    assert outcome == found.tolist()
