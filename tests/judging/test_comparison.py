"""One comparison: means, intervals and p-values."""

import dataclasses
import math

import numpy as np
import pytest
from scipy import stats

from tests.judging.simulation import CHECKED
from tests.judging.simulation import ORIGINAL
from tickets_tf.errors import UsageError
from tickets_tf.judging.comparison import Comparison
from tickets_tf.judging.comparison import compare
from tickets_tf.judging.correction import judge
from tickets_tf.judging.forecast import Forecast
from tickets_tf.judging.forecast import seeds_to_decide


def test_compares_as_scipy_does():
  result = compare(ORIGINAL, CHECKED, margin=0.8)
  a, b = np.array(ORIGINAL), np.array(CHECKED)
  assert result.n == 5 and result.margin == 0.8
  assert (result.original_mean, result.checked_mean) == pytest.approx((a.mean(), b.mean()))
  assert (result.original_deviation, result.checked_deviation) == pytest.approx((a.std(ddof=1), b.std(ddof=1)))
  assert (result.drop, result.deviation) == pytest.approx(((a - b).mean(), (a - b).std(ddof=1)))
  paired = stats.ttest_rel(a, b)
  assert result.interval == pytest.approx(tuple(paired.confidence_interval(0.95)))
  assert result.p_drop == pytest.approx(stats.ttest_rel(a, b, alternative='greater').pvalue)
  upper = stats.ttest_rel(a, b + 0.8, alternative='less').pvalue
  lower = stats.ttest_rel(a, b - 0.8, alternative='greater').pvalue
  assert lower < upper and result.p_equivalent == pytest.approx(upper)
  assert compare(CHECKED, ORIGINAL, margin=0.8).p_equivalent == pytest.approx(upper)
  wide = compare(ORIGINAL, CHECKED, alpha=0.01).interval
  assert wide == pytest.approx(tuple(paired.confidence_interval(0.99)))


def test_compares_as_computed_by_hand():
  # Differences 1, 2, 3: mean 2, deviation 1, t = 2 sqrt(3) with 2 degrees of freedom, where P(T > t) has a closed form.
  result = compare([91, 92, 93], [90, 90, 90], margin=5)
  tail = lambda t: (1 - t / math.sqrt(2 + t * t)) / 2
  assert (result.drop, result.deviation) == (2, 1)
  assert result.p_drop == pytest.approx(tail(2 * math.sqrt(3)))
  assert result.p_equivalent == pytest.approx(tail(3 * math.sqrt(3)))
  assert result.interval == pytest.approx((2 - 4.302653 / math.sqrt(3), 2 + 4.302653 / math.sqrt(3)), abs=1e-6)


def test_results_are_plain_frozen_values():
  result = compare(ORIGINAL, CHECKED)
  verdict, = judge([result])
  for value in (result, verdict):
    assert {type(item) for item in dataclasses.astuple(value)} <= {int, float, str, tuple}
    with pytest.raises(dataclasses.FrozenInstanceError):
      value.alpha = 1


def test_two_seeds_have_numbers_and_one_has_means_only():
  two = compare([90, 92], [89, 90])
  assert two.p_drop == pytest.approx(stats.ttest_rel([90, 92], [89, 90], alternative='greater').pvalue)
  assert two.interval == pytest.approx((1.5 - 12.7062 / 2, 1.5 + 12.7062 / 2), abs=1e-4)
  one = compare([90], [89])
  assert one == Comparison(1, 90, None, 89, None, 1, None, None, 0.5, 0, None, None)


@pytest.mark.parametrize('drop,p_equivalent,p_drop', [
    (0, 0, 0.5), (0.25, 0, 0), (-0.25, 0, 1), (0.5, 0.5, 0), (-0.5, 0.5, 1), (0.75, 1, 0), (-0.75, 1, 1)])
@pytest.mark.parametrize('checked', [[90, 90, 90], [89.9, 90.3, 77.7], [33.3, 12.1]])
def test_equal_differences_give_the_limit(drop, p_equivalent, p_drop, checked):
  result = compare([value + drop for value in checked], checked)
  assert (result.drop, result.deviation, result.interval) == (drop, 0, (drop, drop))
  assert (result.p_equivalent, result.p_drop) == (p_equivalent, p_drop)


def test_noise_of_floating_point_is_no_deviation():
  for original, checked, drop in (([16.3, 8.2, 4.1], [15.8, 7.7, 3.6], 0.5), ([0.1, 0.1, 0.1], [0, 0, 0], 0.1),
                                  ([70.3, 1.1, 64.7], [70.6, 1.4, 65.0], -0.3)):
    assert len({*np.subtract(original, checked), np.mean(np.subtract(original, checked))}) > 1
    result = compare(original, checked)
    assert (result.drop, result.deviation, result.interval) == (drop, 0, (drop, drop))
    assert result.p_equivalent == (0.5 if drop == 0.5 else 0)
  assert compare([0.1, 0.1, 0.1], [0, 0, 0]).original_deviation == 0


@pytest.mark.parametrize('drop', [-0.75, -0.25, 0.25, 0.75])
def test_the_limit_is_that_of_small_deviations(drop):
  checked = np.array([80, 81, 82, 83.])
  limit = compare(checked + drop, checked)
  near = compare(checked + drop + [1e-6, -1e-6, 2e-6, 0], checked)
  assert near.deviation > 0
  assert (near.p_equivalent, near.p_drop) == pytest.approx((limit.p_equivalent, limit.p_drop), abs=1e-9)


def test_the_resolution_is_the_least_deviation_that_tests_take():
  # With r = sqrt(6) the deviation is taken as 1, and 2 degrees of freedom have a closed form.
  tail = lambda t: (1 - t / math.sqrt(2 + t * t)) / 2
  same = compare([92, 93, 94], [90, 91, 92], margin=3, resolution=math.sqrt(6))
  assert (same.drop, same.deviation) == (2, 0)
  assert same.p_drop == pytest.approx(tail(2 * math.sqrt(3))) and same.p_equivalent == pytest.approx(tail(math.sqrt(3)))
  assert same.interval == pytest.approx((2 - 4.302653 / math.sqrt(3), 2 + 4.302653 / math.sqrt(3)), abs=1e-6)
  exact, fine = (compare(ORIGINAL, CHECKED, resolution=step) for step in (0, 0.5))
  assert dataclasses.replace(fine, resolution=0) == exact
  # Three equal accuracies on 360 images are not enough for a verdict in a family of 8, and the forecast knows it.
  equal = compare([95] * 3, [95] * 3, resolution=100 / 360)
  assert [judge([equal] * members)[0].outcome for members in (1, 8)] == ['insensitive', 'undecided']
  assert seeds_to_decide(equal, 0.05 / 8) == Forecast(4, 'insensitive')
  coarse = compare([95] * 3, [95] * 3, resolution=1)
  deviating = dataclasses.replace(coarse, resolution=0, deviation=1 / math.sqrt(6))
  assert seeds_to_decide(coarse) == seeds_to_decide(deviating)
  assert seeds_to_decide(coarse).seeds > 5


@pytest.mark.parametrize('original,checked,settings,message', [
    ([], [], {}, 'original: expected at least one accuracy'),
    ([90], [], {}, 'checked: expected at least one accuracy'),
    ([90, 91], [90], {}, '2 of the original, 1 of the check'),
    ([90], [90, 91], {}, '1 of the original, 2 of the check'),
    ([90, math.nan], [90, 91], {}, r'original\[1\] is nan'),
    ([90, 91], [math.inf, 91], {}, r'checked\[0\] is inf'),
    ([[90, 91]], [90, 91], {}, 'original: .* flat'),
    (90, [90], {}, 'original: .* flat'),
    (['good'], [90], {}, 'original: .* found'),
    ([90], [90], {'margin': 0}, 'margin 0: expected'),
    ([90], [90], {'margin': -0.5}, 'margin -0.5: expected'),
    ([90], [90], {'margin': math.inf}, 'margin inf: expected'),
    ([90], [90], {'margin': '1'}, "margin '1': expected"),
    ([90], [90], {'margin': True}, 'margin True: expected'),
    ([90], [90], {'resolution': -0.1}, 'resolution -0.1: expected'),
    ([90], [90], {'resolution': math.nan}, 'resolution nan: expected'),
    ([90], [90], {'alpha': 0}, 'alpha 0: expected'),
    ([90], [90], {'alpha': 0.5}, 'alpha 0.5: expected'),
    ([90], [90], {'alpha': None}, 'alpha None: expected')])
def test_refuses_what_it_cannot_compare(original, checked, settings, message):
  with pytest.raises(UsageError, match=message):
    compare(original, checked, **settings)
