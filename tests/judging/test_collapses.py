"""How often tickets collapse."""

import pytest
from scipy import stats

from tickets_tf.errors import UsageError
from tickets_tf.judging.collapses import compare_collapses
from tickets_tf.judging.collapses import guessing
from tickets_tf.judging.collapses import rate


def test_a_rare_collapse_is_told_with_its_interval():
  found = compare_collapses([False] * 10, [True, True] + [False] * 8)
  assert (found.original, found.checked, found.only_original, found.only_checked) == (0, 2, 0, 2)
  assert found.p_value == pytest.approx(0.5) and found.difference == 'open'
  # Clopper and Pearson (1934): for 0 of n the upper end is 1 - (alpha / 2)^(1 / n).
  assert found.original_rate == pytest.approx((0, 1 - 0.025**0.1))
  assert found.checked_rate == pytest.approx((0.02521, 0.55610), abs=1e-5)
  assert found.checked_share == pytest.approx((0.025**0.5, 1))


def test_only_pairs_that_differ_tell_a_difference():
  both = [True] * 20
  found = compare_collapses(both + [False] * 6, both + [True] * 6)
  assert found.p_value == pytest.approx(2 / 2**6) and found.difference == 'checked tickets collapse more often'
  found = compare_collapses(both + [True] * 6, both + [False] * 6)
  assert found.difference == 'original tickets collapse more often'
  assert compare_collapses(both + [True] * 6, both + [False] * 6, alpha=0.03).difference == 'open'
  same = compare_collapses(both, both)
  assert same.p_value == 1 and same.checked_share == (0, 1) and same.difference == 'open'


def test_all_of_five_are_not_enough_and_all_of_six_are():
  outcomes = [compare_collapses([False] * seeds, [True] * seeds).difference for seeds in (1, 2, 5, 6)]
  assert outcomes == ['open', 'open', 'open', 'checked tickets collapse more often']


def test_a_rate_covers_at_least_as_often_as_it_says():
  for truth in (0.01, 0.1, 0.5):
    covered = [low <= truth <= high for low, high in (rate(count, 10, 0.1) for count in range(11))]
    assert stats.binom.pmf(range(11), 10, truth)[covered].sum() >= 0.9
  assert rate(0, 0) == (0, 1)


def test_guessing_is_told_from_what_is_better():
  assert guessing(10, 360) == pytest.approx(100 * 55 / 360)
  assert stats.binom.sf(55, 360, 0.1) <= 0.001 < stats.binom.sf(54, 360, 0.1)
  assert 10 < guessing(10, 10000) < 11


def test_refuses_what_does_not_pair():
  with pytest.raises(UsageError, match='2 originals, 1 checked'):
    compare_collapses([True, False], [True])
  with pytest.raises(UsageError, match='0 originals'):
    compare_collapses([], [])
