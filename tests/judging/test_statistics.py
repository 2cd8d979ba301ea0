import dataclasses
import itertools
import math

import numpy as np
import pytest
from scipy import stats

from tickets_tf.judging import statistics
from tickets_tf.errors import UsageError

ORIGINAL = [91.2, 90.4, 92.1, 91.7, 90.9]
CHECKED = [90.1, 89.9, 90.8, 91.2, 89.7]
KINDS = ['pocock', 'obrien_fleming']
RUNS = 10000


def at_most(rate, runs):
  """Highest count that an error rate of `rate` gives in `runs` runs, but for one time in 10 000."""
  return stats.binom.ppf(0.9999, runs, rate)


def at_least(rate, runs):
  return stats.binom.ppf(0.0001, runs, rate)


def differences(seed, *shape, drop=0.0, deviation=1.0):
  return drop + deviation * np.random.default_rng(seed).standard_normal(shape)


def outcomes(values, alpha=0.05, margin=0.5, resolution=0.0):
  """Verdicts of families, (runs, family), from differences (runs, family, n)."""
  drop, n = values.mean(-1), values.shape[-1]
  p_values = statistics._p_values(drop, statistics._tested(values.std(-1, ddof=1), resolution), n, margin)
  return statistics._decide(drop, margin, *p_values, alpha)[0]


def comparison(p_equivalent=1.0, p_drop=1.0, drop=0.0, n=5):
  interval = (drop - 1, drop + 1)
  return statistics.Comparison(n, 90.0, 1.0, 90.0 - drop, 1.0, drop, 1.0, interval, 0.5, 0.0, p_equivalent, p_drop)


# --- one comparison


def test_compares_as_scipy_does():
  result = statistics.compare(ORIGINAL, CHECKED, margin=0.8)
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
  assert statistics.compare(CHECKED, ORIGINAL, margin=0.8).p_equivalent == pytest.approx(upper)
  wide = statistics.compare(ORIGINAL, CHECKED, alpha=0.01).interval
  assert wide == pytest.approx(tuple(paired.confidence_interval(0.99)))


def test_compares_as_computed_by_hand():
  # Differences 1, 2, 3: mean 2, deviation 1, t = 2 sqrt(3) with 2 degrees of freedom, where P(T > t) has a closed form.
  result = statistics.compare([91, 92, 93], [90, 90, 90], margin=5)
  tail = lambda t: (1 - t / math.sqrt(2 + t * t)) / 2
  assert (result.drop, result.deviation) == (2, 1)
  assert result.p_drop == pytest.approx(tail(2 * math.sqrt(3)))
  assert result.p_equivalent == pytest.approx(tail(3 * math.sqrt(3)))
  assert result.interval == pytest.approx((2 - 4.302653 / math.sqrt(3), 2 + 4.302653 / math.sqrt(3)), abs=1e-6)


def test_results_are_plain_frozen_values():
  result = statistics.compare(ORIGINAL, CHECKED)
  verdict, = statistics.judge([result])
  for value in (result, verdict):
    assert {type(item) for item in dataclasses.astuple(value)} <= {int, float, str, tuple}
    with pytest.raises(dataclasses.FrozenInstanceError):
      value.alpha = 1


def test_two_seeds_have_numbers_and_one_has_means_only():
  two = statistics.compare([90, 92], [89, 90])
  assert two.p_drop == pytest.approx(stats.ttest_rel([90, 92], [89, 90], alternative='greater').pvalue)
  assert two.interval == pytest.approx((1.5 - 12.7062 / 2, 1.5 + 12.7062 / 2), abs=1e-4)
  one = statistics.compare([90], [89])
  assert one == statistics.Comparison(1, 90, None, 89, None, 1, None, None, 0.5, 0, None, None)


@pytest.mark.parametrize('drop,p_equivalent,p_drop', [
    (0, 0, 0.5), (0.25, 0, 0), (-0.25, 0, 1), (0.5, 0.5, 0), (-0.5, 0.5, 1), (0.75, 1, 0), (-0.75, 1, 1)])
@pytest.mark.parametrize('checked', [[90, 90, 90], [89.9, 90.3, 77.7], [33.3, 12.1]])
def test_equal_differences_give_the_limit(drop, p_equivalent, p_drop, checked):
  result = statistics.compare([value + drop for value in checked], checked)
  assert (result.drop, result.deviation, result.interval) == (drop, 0, (drop, drop))
  assert (result.p_equivalent, result.p_drop) == (p_equivalent, p_drop)


def test_noise_of_floating_point_is_no_deviation():
  for original, checked, drop in (([16.3, 8.2, 4.1], [15.8, 7.7, 3.6], 0.5), ([0.1, 0.1, 0.1], [0, 0, 0], 0.1),
                                  ([70.3, 1.1, 64.7], [70.6, 1.4, 65.0], -0.3)):
    assert len({*np.subtract(original, checked), np.mean(np.subtract(original, checked))}) > 1
    result = statistics.compare(original, checked)
    assert (result.drop, result.deviation, result.interval) == (drop, 0, (drop, drop))
    assert result.p_equivalent == (0.5 if drop == 0.5 else 0)
  assert statistics.compare([0.1, 0.1, 0.1], [0, 0, 0]).original_deviation == 0


@pytest.mark.parametrize('drop', [-0.75, -0.25, 0.25, 0.75])
def test_the_limit_is_that_of_small_deviations(drop):
  checked = np.array([80, 81, 82, 83.])
  limit = statistics.compare(checked + drop, checked)
  near = statistics.compare(checked + drop + [1e-6, -1e-6, 2e-6, 0], checked)
  assert near.deviation > 0
  assert (near.p_equivalent, near.p_drop) == pytest.approx((limit.p_equivalent, limit.p_drop), abs=1e-9)


def test_the_resolution_is_the_least_deviation_that_tests_take():
  # With r = sqrt(6) the deviation is taken as 1, and 2 degrees of freedom have a closed form.
  tail = lambda t: (1 - t / math.sqrt(2 + t * t)) / 2
  same = statistics.compare([92, 93, 94], [90, 91, 92], margin=3, resolution=math.sqrt(6))
  assert (same.drop, same.deviation) == (2, 0)
  assert same.p_drop == pytest.approx(tail(2 * math.sqrt(3))) and same.p_equivalent == pytest.approx(tail(math.sqrt(3)))
  assert same.interval == pytest.approx((2 - 4.302653 / math.sqrt(3), 2 + 4.302653 / math.sqrt(3)), abs=1e-6)
  exact, fine = (statistics.compare(ORIGINAL, CHECKED, resolution=step) for step in (0, 0.5))
  assert dataclasses.replace(fine, resolution=0) == exact
  # Three equal accuracies on 360 images are not enough for a verdict in a family of 8, and the forecast knows it.
  equal = statistics.compare([95] * 3, [95] * 3, resolution=100 / 360)
  assert [statistics.judge([equal] * members)[0].outcome for members in (1, 8)] == ['insensitive', 'undecided']
  assert statistics.seeds_to_decide(equal, 0.05 / 8) == statistics.Forecast(4, 'insensitive')
  coarse = statistics.compare([95] * 3, [95] * 3, resolution=1)
  deviating = dataclasses.replace(coarse, resolution=0, deviation=1 / math.sqrt(6))
  assert statistics.seeds_to_decide(coarse) == statistics.seeds_to_decide(deviating)
  assert statistics.seeds_to_decide(coarse).seeds > 5


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
    ([90], [90], {'resolution': -0.1}, 'resolution -0.1: expected'),
    ([90], [90], {'resolution': math.nan}, 'resolution nan: expected'),
    ([90], [90], {'alpha': 0}, 'alpha 0: expected'),
    ([90], [90], {'alpha': 0.5}, 'alpha 0.5: expected'),
    ([90], [90], {'alpha': None}, 'alpha None: expected')])
def test_refuses_what_it_cannot_compare(original, checked, settings, message):
  with pytest.raises(UsageError, match=message):
    statistics.compare(original, checked, **settings)


# --- verdicts


@pytest.mark.parametrize('original,outcome', [
    ([90.0, 91.0, 92.0], 'insensitive'), ([90.1, 91.0, 92.0], 'insensitive'), ([89.9, 91.0, 92.0], 'insensitive'),
    ([92.0, 93.1, 94.0], 'sensitive'), ([90.0, 94.0, 90.5], 'undecided'), ([88.0, 89.1, 90.0], 'undecided'),
    ([90.5, 91.5, 92.5], 'undecided')])
def test_planted_data_gets_its_verdict(original, outcome):
  verdict, = statistics.judge([statistics.compare(original, [90, 91, 92])])
  assert verdict.outcome == outcome and verdict.alpha == verdict.level == 0.05


def test_a_lone_comparison_is_tested_without_correction():
  result = statistics.compare(ORIGINAL, CHECKED)
  verdict, = statistics.judge([result])
  assert (verdict.p_equivalent, verdict.p_drop) == (result.p_equivalent, result.p_drop)


def test_sensitive_needs_an_estimate_above_the_margin():
  for drop, outcome in ((0.4, 'undecided'), (0.5, 'undecided'), (0.6, 'sensitive')):
    assert statistics.judge([comparison(0.9, 0.001, drop)])[0].outcome == outcome
  assert statistics.judge([comparison(0.9, 0.06, 5.0)])[0].outcome == 'undecided'


def test_a_certain_but_small_drop_is_insensitive():
  assert statistics.judge([comparison(0.001, 0.001, 0.2)])[0].outcome == 'insensitive'


@pytest.mark.parametrize('n', [1, 2])
def test_fewer_than_three_seeds_stay_undecided(n):
  for drop in (0.0, 5.0):
    few = statistics.compare([90 + drop] * n, [90] * n)
    verdict, = statistics.judge([few])
    assert verdict.outcome == 'undecided' and verdict.p_equivalent is None and verdict.p_drop is None
  # They are members of the family all the same.
  three = statistics.compare(ORIGINAL[:3], CHECKED[:3])
  assert statistics.judge([few, three])[1].p_drop == pytest.approx(2 * three.p_drop)


def test_no_comparisons_have_no_verdicts():
  assert statistics.judge([]) == []


@pytest.mark.parametrize('p_values,expected', [
    ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),  # R's p.adjust(method='holm')
    ([0.01, 0.01, 0.02], [0.03, 0.03, 0.03]),
    ([0.4, 0.9, 0.5], [1, 1, 1]),
    ([0.001, 0.008, 0.039, 0.041, 0.042, 0.06, 0.074, 0.205], [0.008, 0.056, *[0.234] * 6])])
def test_with_one_hypothesis_each_it_is_the_method_of_holm(p_values, expected):
  verdicts = statistics.judge([comparison(p, p) for p in p_values])
  assert [verdict.p_equivalent for verdict in verdicts] == pytest.approx(expected)
  assert [verdict.p_drop for verdict in verdicts] == pytest.approx(expected)


def test_a_verdict_does_not_close_its_comparison():
  verdicts = statistics.judge([comparison(0.99, 0.0001, 3.0), comparison(0.03, 0.3, 0.1)])
  assert [verdict.outcome for verdict in verdicts] == ['sensitive', 'undecided']
  assert verdicts[1].p_equivalent == pytest.approx(0.06) and verdicts[1].level == 0.025


def test_two_rejected_hypotheses_close_a_comparison():
  verdicts = statistics.judge([comparison(0.001, 0.002, 0.2), comparison(0.03, 0.3, 0.1)])
  assert [verdict.outcome for verdict in verdicts] == ['insensitive', 'insensitive']
  assert verdicts[1].p_equivalent == pytest.approx(0.03) and verdicts[1].level == 0.05
  both, = statistics.judge([comparison(0.001, 0.001, 0.2)])
  assert both.level == 0.05


def test_corrected_p_values_are_those_of_the_closed_test():
  # Closure: a hypothesis is rejected where every set of hypotheses with it that can be true together is, by Bonferroni
  # over its comparisons; of each other comparison such a set holds one hypothesis or none.
  rng = np.random.default_rng(5)
  for _ in range(30):
    p_values = np.round(rng.random((4, 2))**2, 2)  # Two digits, so that some are equal.
    verdicts = statistics.judge([comparison(*pair) for pair in p_values])
    for index, side in itertools.product(range(4), range(2)):
      others = np.delete(p_values, index, axis=0)
      sets = itertools.product(*([*pair, None] for pair in others))
      chosen = [[p_values[index, side], *(p for p in others if p is not None)] for others in sets]
      worst = min(max(len(p) * min(p) for p in chosen), 1)
      assert dataclasses.astuple(verdicts[index])[1 + side] == pytest.approx(worst)


def test_never_stricter_than_holm_on_all_hypotheses():
  rng = np.random.default_rng(6)
  gains = 0
  for _ in range(300):
    p_values = rng.random((5, 2))**6
    ordered = np.sort(p_values, axis=None)
    holm = np.maximum.accumulate(ordered * np.arange(10, 0, -1))
    twice = np.minimum(holm[np.searchsorted(ordered, p_values)], 1)
    ours = np.array([dataclasses.astuple(v)[1:3] for v in statistics.judge([comparison(*pair) for pair in p_values])])
    assert (ours <= twice + 1e-12).all()
    gains += (ours < twice).any()
  assert gains > 200


def test_the_level_tells_what_is_rejected():
  rng = np.random.default_rng(7)
  for _ in range(200):
    p_values = rng.random((6, 2))**5
    verdicts = statistics.judge([comparison(*pair) for pair in p_values])
    for pair, verdict in zip(p_values, verdicts):
      assert [p <= verdict.level for p in pair] == [verdict.p_equivalent <= 0.05, verdict.p_drop <= 0.05]


def test_members_that_have_their_verdict_count_as_open():
  few = [comparison(0.02, 0.4, 0.1), comparison(0.6, 0.01, 0.7)]
  for verdicts in (statistics.judge(few, family=5), statistics.judge(few + [comparison()] * 3)):
    assert [verdict.p_equivalent for verdict in verdicts[:2]] == pytest.approx([0.1, 1])
    assert verdicts[0].level == 0.01 and verdicts[1].p_drop == pytest.approx(0.05)
  assert len(statistics.judge(few, family=5)) == 2


@pytest.mark.parametrize('settings', [{'alpha': 0}, {'alpha': 0.7}, {'family': 1}, {'family': 2.5}])
def test_refuses_what_it_cannot_judge(settings):
  with pytest.raises(UsageError, match=next(iter(settings))):
    statistics.judge([comparison(), comparison()], **settings)


# --- error rates of verdicts, by simulation


def test_simulated_verdicts_are_those_of_the_public_functions():
  values = differences(1, 300, 4, 5, drop=np.array([[0.0], [0.3], [0.6], [2.0]]), deviation=0.4)
  shared = np.random.default_rng(2).normal(90, 1, (300, 1, 5))
  expected = outcomes(values)
  assert set(expected.ravel()) == {'insensitive', 'sensitive', 'undecided'}
  for originals, run, found in zip(shared, values, expected):
    verdicts = statistics.judge([statistics.compare(originals[0] + row, originals[0]) for row in run])
    assert [verdict.outcome for verdict in verdicts] == found.tolist()


@pytest.mark.parametrize('n', [3, 5, 10])
@pytest.mark.parametrize('deviation', [0.05, 0.3, 1.0])
@pytest.mark.parametrize('side', [1, -1])
def test_insensitive_is_rarely_wrong_at_the_margin(n, deviation, side):
  found = outcomes(differences(n, RUNS, 1, n, drop=0.5 * side, deviation=deviation))
  wrong = np.count_nonzero(found == 'insensitive')
  assert wrong <= at_most(0.05, RUNS)
  if deviation == 0.05:  # Far from the other bound the level is used up.
    assert wrong >= at_least(0.05, RUNS)


@pytest.mark.parametrize('n', [3, 5, 10])
@pytest.mark.parametrize('deviation', [0.3, 1.0, 20.0])
def test_sensitive_is_rarely_wrong_at_zero(n, deviation):
  wrong = np.count_nonzero(outcomes(differences(n, RUNS, 1, n, deviation=deviation)) == 'sensitive')
  assert wrong <= at_most(0.05, RUNS)
  if deviation == 20:  # The margin asks for nothing more.
    assert wrong >= at_least(0.05, RUNS)


def test_one_comparison_with_both_hypotheses_true_is_rarely_wrong():
  for drop, deviation in ((-0.5, 0.3), (-0.5, 3.0), (-2.0, 3.0)):
    found = outcomes(differences(3, RUNS, 1, 3, drop=drop, deviation=deviation))
    assert np.count_nonzero(found != 'undecided') <= at_most(0.05, RUNS)


FAMILIES = {
    'all at the margin': ([0.5] * 8, 0.01),
    'all at the margin, wide': ([0.5] * 8, 0.3),
    'all at zero': ([0.0] * 8, 3.0),
    'all better': ([-0.5] * 8, 1.0),
    'mixed': ([0.5, 0.5, -0.5, 0.0, 0.2, 3.0, 0.0, 0.5], 0.2),
    'mixed, wide': ([0.5, 0.5, -0.5, 0.0, 0.2, 3.0, 0.0, 0.0], 2.0)}


def wrong(found, drops, margin=0.5):
  drops = np.array(drops)
  return ((found == 'insensitive') & (np.abs(drops) >= margin)) | ((found == 'sensitive') & (drops <= 0))


def family_differences(seed, drops, deviation, n, shared, runs=RUNS):
  """Differences (runs, family, n) where a share of the variance comes from the common original."""
  own = differences(seed, runs, len(drops), n)
  common = differences(seed + 1000, runs, 1, n)
  return np.array(drops)[:, np.newaxis] + deviation * (math.sqrt(shared) * common + math.sqrt(1 - shared) * own)


@pytest.mark.parametrize('name', FAMILIES)
@pytest.mark.parametrize('n,shared', [(3, 0.0), (5, 0.5)])
def test_a_family_of_eight_is_rarely_wrong_anywhere(name, n, shared):
  drops, deviation = FAMILIES[name]
  found = outcomes(family_differences(8, drops, deviation, n, shared))
  errors = np.count_nonzero(wrong(found, drops).any(-1))
  assert errors <= at_most(0.05, RUNS)
  if name == 'all at the margin' and not shared:
    assert errors >= at_least(0.045, RUNS)  # Close to what is allowed: the bound is not bought by doing nothing.


def test_closing_a_comparison_by_its_verdict_would_be_wrong_too_often():
  # Why `judge` is not Holm's method on one p-value per comparison, that of the verdict its estimate points to.
  drops, deviation = FAMILIES['all at the margin']
  values = family_differences(8, drops, deviation, 3, 0.0)
  mean = values.mean(-1)
  p_equivalent, p_drop = statistics._p_values(mean, values.std(-1, ddof=1), 3, 0.5)
  one_each = np.where(mean > 0.5, p_drop, p_equivalent)
  holm = np.maximum.accumulate(np.sort(one_each) * np.arange(8, 0, -1), axis=-1)
  rejected = one_each <= 0.05
  rejected &= one_each <= np.where(holm <= 0.05, np.sort(one_each), -1).max(-1, keepdims=True)
  assert np.count_nonzero((rejected & (mean < 0.5)).any(-1)) > 0.08 * RUNS


@pytest.mark.parametrize('images', [200, 360, 1000])
@pytest.mark.parametrize('n', [3, 5])
def test_a_family_is_rarely_wrong_on_a_small_test_set(images, n):
  step = 100 / images
  drops = differences(12, RUNS, 8, n, drop=0.5, deviation=0.2)
  originals = differences(13, RUNS, 1, n, drop=90)
  values = np.round((np.round(originals / step) - np.round((originals - drops) / step)) * step, 9)
  found = outcomes(values, resolution=step)
  assert np.count_nonzero((found == 'insensitive').any(-1)) <= at_most(0.05, RUNS)
  if (images, n) == (360, 3):  # Why there is a resolution.
    assert np.count_nonzero((outcomes(values) == 'insensitive').any(-1)) > 0.15 * RUNS


# --- seeds that would decide


@pytest.mark.parametrize('drop,deviation,alpha', [
    (0.0, 0.3, 0.05), (0.3, 0.3, 0.05), (-0.2, 0.4, 0.05 / 8), (0.7, 0.3, 0.05), (1.5, 1.5, 0.05),
    (0.9, 0.8, 0.05 / 8)])
def test_the_seeds_named_decide_in_four_of_five_runs(drop, deviation, alpha):
  planted = dataclasses.replace(comparison(drop=drop, n=2), deviation=deviation)
  forecast = statistics.seeds_to_decide(planted, alpha)
  assert forecast.outcome == ('sensitive' if drop > 0.5 else 'insensitive')
  rates = []
  for seeds in (forecast.seeds, forecast.seeds - 1):
    found = outcomes(differences(seeds, RUNS, 1, seeds, drop=drop, deviation=deviation), alpha)
    rates.append(np.count_nonzero(found == forecast.outcome))
  assert rates[0] >= at_least(0.8, RUNS)
  assert rates[1] <= at_most(0.8, RUNS)


def test_without_a_margin_the_power_is_that_of_the_noncentral_t_test():
  for n, drop, alpha in itertools.product((3, 5, 30), (0.2, 1.0), (0.05, 0.01)):
    expected = stats.nct.sf(stats.t.isf(alpha, n - 1), n - 1, drop * math.sqrt(n))
    assert statistics._power('sensitive', drop, 1.0, 1e-9, n, alpha) == pytest.approx(expected, abs=2e-5)


@pytest.mark.parametrize('n,drop,deviation', [(3, 0.0, 1.0), (4, 0.3, 0.6), (5, 0.6, 1.0)])
def test_low_power_is_right_too(n, drop, deviation):
  outcome = 'sensitive' if drop > 0.5 else 'insensitive'
  power = statistics._power(outcome, drop, deviation, 0.5, n, 0.05)
  found = outcomes(differences(14, RUNS, 1, n, drop=drop, deviation=deviation))
  assert at_least(power, RUNS) <= np.count_nonzero(found == outcome) <= at_most(power, RUNS)


def test_more_power_or_a_stricter_level_takes_more_seeds():
  planted = dataclasses.replace(comparison(drop=0.1), deviation=0.6)
  seeds = [statistics.seeds_to_decide(planted, *settings).seeds for settings in ((), (0.05, 0.9), (0.01, 0.9))]
  assert planted.n < seeds[0] < seeds[1] < seeds[2]


def test_seeds_to_decide_of_a_comparison_made_from_data():
  result = statistics.compare([90.0, 92.0, 91.5], [90, 91, 92])
  verdict, = statistics.judge([result])
  forecast = statistics.seeds_to_decide(result, verdict.level)
  assert forecast == statistics.Forecast(34, 'insensitive')


@pytest.mark.parametrize('drop,deviation', [
    (0.5, 0.5), (-0.5, 0.5), (-0.7, 0.5), (0.499, 0.5), (0.501, 0.5), (0.5, 0), (-0.5, 0), (-0.7, 0)])
def test_some_drops_no_number_of_seeds_decides(drop, deviation):
  planted = dataclasses.replace(comparison(drop=drop), deviation=deviation)
  assert statistics.seeds_to_decide(planted) is None
  assert statistics.seeds_to_decide(planted, power=0.6) is None


def test_seeds_to_decide_at_its_ends():
  planted = dataclasses.replace(comparison(drop=0.1), deviation=0.6)
  seeds = statistics.seeds_to_decide(planted).seeds
  assert statistics.seeds_to_decide(planted, most=seeds).seeds == seeds
  assert statistics.seeds_to_decide(planted, most=seeds - 1) is None
  assert statistics.seeds_to_decide(planted, most=4) is None
  assert statistics.seeds_to_decide(statistics.compare([90], [89])) is None
  assert statistics.seeds_to_decide(dataclasses.replace(planted, deviation=0.01)).seeds == planted.n + 1
  same = statistics.compare([90, 91], [90, 91])
  assert statistics.seeds_to_decide(same) == statistics.Forecast(3, 'insensitive')
  assert statistics.seeds_to_decide(statistics.compare([92, 93], [90, 91])) == statistics.Forecast(3, 'sensitive')
  assert statistics.seeds_to_decide(statistics.compare([90.5, 91.5], [90, 91])) is None
  for settings in ({'power': 1}, {'power': 0.5}, {'alpha': 0}):
    with pytest.raises(UsageError, match=next(iter(settings))):
      statistics.seeds_to_decide(planted, **settings)


# --- looking more than once


def test_spending_functions_have_their_published_values():
  assert statistics.spent_alpha([0, 1]).tolist() == pytest.approx([0, 0.05])
  assert statistics.spent_alpha([0, 1], 0.025, 'obrien_fleming').tolist() == pytest.approx([0, 0.025])
  # One-sided 0.025 at five equal looks, Lan and DeMets (1983) as tabulated in textbooks.
  fifths = np.arange(1, 6) / 5
  expected = [0.0074, 0.0131, 0.0177, 0.0216, 0.025]
  assert statistics.spent_alpha(fifths, 0.025, 'pocock') == pytest.approx(expected, abs=6e-5)
  expected = [2 - 2 * stats.norm.cdf(stats.norm.ppf(1 - 0.025 / 2) / math.sqrt(t)) for t in fifths]
  assert statistics.spent_alpha(fifths, 0.025, 'obrien_fleming') == pytest.approx(expected, abs=1e-12)
  assert expected[1] == pytest.approx(0.00039, abs=2e-5)


@pytest.mark.parametrize('kind', KINDS)
def test_levels_are_what_is_newly_spent(kind):
  looks = [3, 4, 7, 10]
  levels = statistics.nominal_levels(looks, 0.05, kind)
  assert len(levels) == 4 and min(levels) > 0 and sum(levels) == pytest.approx(0.05)
  assert np.cumsum(levels) == pytest.approx(statistics.spent_alpha(np.array(looks) / 10, 0.05, kind))
  assert statistics.nominal_levels([5], 0.05, kind) == pytest.approx([0.05])


@pytest.mark.parametrize('function,arguments,message', [
    (statistics.spent_alpha, (1.1,), 'fraction'), (statistics.spent_alpha, ([-0.1, 1],), 'fraction'),
    (statistics.spent_alpha, (math.nan,), 'fraction'), (statistics.spent_alpha, (0.5, 0.6), 'alpha'),
    (statistics.spent_alpha, (0.5, 0.05, 'haybittle'), "'haybittle': expected 'pocock' or"),
    (statistics.nominal_levels, ([],), 'looks'), (statistics.nominal_levels, ([3, 3],), 'looks'),
    (statistics.nominal_levels, ([5, 3],), 'looks'), (statistics.nominal_levels, ([0, 3],), 'looks'),
    (statistics.nominal_levels, ([2.5, 3],), 'looks'), (statistics.nominal_levels, ([3, 4], 1), 'alpha'),
    (statistics.nominal_levels, ([3, 4], 0.05, 'none'), "'none'"), (statistics.look_sizes, (2,), 'looks from 3 to 2'),
    (statistics.look_sizes, (9, 2), 'looks from 2 to 9'), (statistics.look_sizes, (9, 3, 1), 'factor of 1')])
def test_refuses_looks_that_cannot_be(function, arguments, message):
  with pytest.raises(UsageError, match=message):
    function(*arguments)


def test_look_sizes_grow_by_a_factor():
  assert statistics.look_sizes(20) == [3, 5, 8, 12, 20]
  assert [statistics.look_sizes(most) for most in (3, 4, 5)] == [[3], [3, 4], [3, 5]]
  assert statistics.look_sizes(12, 4, 3.0) == [4, 12]
  for most in range(3, 60):
    sizes = statistics.look_sizes(most)
    assert sizes[0] == 3 and sizes[-1] == most and sizes == sorted(set(sizes))
    assert all(high <= max(2 * low, low + 1) for low, high in zip(sizes, sizes[1:]))


def looked(values, looks, kind):
  """First verdicts (runs, family) of families with differences (runs, family, n) that are looked at as documented."""
  final = np.full(values.shape[:2], 'undecided', dtype='<U11')
  for n, level in zip(looks, statistics.nominal_levels(looks, 0.05, kind)):
    drop, deviation = values[..., :n].mean(-1), values[..., :n].std(-1, ddof=1)
    # Members with a verdict are left out of `judge` and stay in its `family`: as p-values of 1.
    p_values = [np.where(final == 'undecided', p, 1) for p in statistics._p_values(drop, deviation, n, 0.5)]
    final = np.where(final == 'undecided', statistics._decide(drop, 0.5, *p_values, level)[0], final)
  return final


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('looks', [range(3, 21), [3, 5, 8, 12, 20]], ids=['each', 'few'])
@pytest.mark.parametrize('drop,deviation', [(0.5, 0.1), (0.0, 20.0)])
def test_looking_again_and_again_is_rarely_wrong(kind, looks, drop, deviation):
  found = looked(differences(9, RUNS, 1, 20, drop=drop, deviation=deviation), looks, kind)
  errors = np.count_nonzero(wrong(found, [drop]))
  assert errors <= at_most(0.05, RUNS)
  assert errors >= (0.03 if len(looks) == 5 else 0.01) * RUNS  # Looking at each number of seeds is what it costs.


def test_looking_without_correction_would_be_wrong_too_often(monkeypatch):
  monkeypatch.setattr(statistics, 'nominal_levels', lambda looks, alpha, kind: [alpha] * len(looks))
  found = looked(differences(9, RUNS, 1, 20, drop=0.5, deviation=0.1), range(3, 21), 'pocock')
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
  for run, found in zip(values, expected):
    outcome = ['undecided'] * 4
    for n, level in zip(looks, statistics.nominal_levels(looks)):
      left = [index for index in range(4) if outcome[index] == 'undecided']
      comparisons = [statistics.compare(run[index, :n], np.zeros(n)) for index in left]
      for index, verdict in zip(left, statistics.judge(comparisons, alpha=level, family=4)):
        outcome[index] = verdict.outcome
    assert outcome == found.tolist()
