"""Simultaneous intervals: the reference, closed forms, and what happens at the ends."""

import dataclasses
import json
import math
import pathlib

import numpy as np
import pytest
from scipy import stats

from tickets_tf.errors import UsageError
from tickets_tf.judging import estimates
from tickets_tf.judging.bounds import Bounds
from tickets_tf.judging.bounds import Group
from tickets_tf.judging.bounds import Pooled
from tickets_tf.judging.bounds import critical_value
from tickets_tf.judging.bounds import simultaneous

ROOT = pathlib.Path(__file__).parents[2]
GOLDEN = json.loads((ROOT / 'tests' / 'golden' / 'simultaneous_bounds.json').read_text())
ONE = Group('snip', 0.9, (91.0, 92.0, 90.5, 91.7), {'invert': (88.0, 89.5, 90.0, 88.2)})


def recorded(study, wanted):
  """Returns the groups of a recorded study, without comparisons that are not wanted, and its resolution."""
  values = json.loads((ROOT / 'tests' / 'golden' / 'recorded_accuracies.json').read_text())[study]
  groups = [Group(group['rule'], group['ratio'], tuple(group['original']),
                  {check: tuple(arm) for check, arm in group['checked'].items()
                   if (group['rule'], group['ratio'], check) in wanted}) for group in values['groups']]
  return groups, values['resolution']


@pytest.mark.parametrize('study', GOLDEN)
def test_agrees_with_the_independent_computation(study):
  reference = GOLDEN[study]
  wanted = {(each['rule'], each['ratio'], each['check']): each for each in reference['comparisons']}
  found, pooled = simultaneous(*recorded(study, wanted))
  assert found.keys() == wanted.keys()
  assert pooled.prior_degrees_of_freedom == pytest.approx(reference['prior_degrees_of_freedom'], abs=1e-3)
  assert pooled.correlation == pytest.approx(reference['pooled_correlation'], abs=1e-4)
  assert pooled.degrees_of_freedom == reference['degrees_of_freedom']
  for key, each in wanted.items():
    assert (found[key].drop, found[key].error) == pytest.approx((each['drop'], each['standard_error']), abs=1e-4)
    for family in ('rule_family', 'whole_call'):
      assert getattr(found[key], family) == pytest.approx(each[family], abs=0.01)


def test_the_critical_value_of_one_comparison_is_that_of_student():
  for freedom, alpha in ((1, 0.05), (4, 0.01), (30, 0.2)):
    assert critical_value(1, 1, freedom, alpha) == pytest.approx(stats.t.isf(alpha / 2, freedom))


@pytest.mark.parametrize('groups, freedom, alpha', [(3, 4, 0.05), (21, 1, 0.05), (2, 400, 0.01), (49, 12, 0.001)])
def test_groups_that_share_nothing_are_independent(groups, freedom, alpha):
  level = -math.expm1(math.log1p(-alpha / 2) / groups)
  assert critical_value(groups, 1, freedom, alpha) == pytest.approx(stats.t.isf(level, freedom), rel=1e-4)
  # So are comparisons whose originals have no error.
  assert critical_value(1, groups, freedom, alpha, 0.0) == pytest.approx(stats.t.isf(level, freedom), rel=1e-4)


def test_the_critical_value_is_that_of_dunnett_if_the_error_is_known():
  # Dunnett (1955), table 1a, one-sided 95%, without limit of the degrees of freedom.
  for comparisons, expected in ((2, 1.92), (5, 2.23), (9, 2.42)):
    assert critical_value(1, comparisons, 10**6, 0.1) == pytest.approx(expected, abs=0.006)


def test_the_critical_value_holds_a_family_by_simulation():
  rng = np.random.default_rng(0)
  groups, comparisons, freedom = 3, 4, 6
  shape = 40000, groups, comparisons
  common = rng.standard_normal((*shape[:2], 1))
  scale = np.sqrt(rng.chisquare(freedom, shape) / freedom)
  for share in (0.5, 0.2):
    noise = math.sqrt(share) * common + math.sqrt(1 - share) * rng.standard_normal(shape)
    wrong = (noise / scale).max((1, 2)) > critical_value(groups, comparisons, freedom, 0.1, share)
    assert wrong.mean() == pytest.approx(0.05, abs=0.004)


def test_one_comparison_by_hand():
  found, pooled = simultaneous([ONE], 0.0)
  first, second = (np.array(arm) for arm in (ONE.original, ONE.checked['invert']))
  # Two arms tell nothing of how variances differ, if they differ less than chance makes them: d0 is at its limit.
  assert pooled.prior_degrees_of_freedom == pytest.approx(6) and pooled.degrees_of_freedom == 3
  s2 = np.array([first.var(ddof=1), second.var(ddof=1)])
  common = math.exp(np.log(s2).mean() - float(stats.loggamma.mean(1.5)) + math.log(1.5)
                    + float(stats.loggamma.mean(3)) - math.log(3))
  v = (6 * common + 3 * s2) / 9
  covariance = np.cov(first, second)[0, 1]
  assert pooled.correlation == pytest.approx(covariance / math.sqrt(v.prod()))
  error = math.sqrt((v.sum() - 2 * covariance) / 4)
  reach = stats.t.isf(0.025, 3) * error
  drop = (first - second).mean()
  expected = (drop - reach, drop + reach)
  got = found['snip', 0.9, 'invert']
  assert (got.drop, got.error) == pytest.approx((drop, error))
  assert got.rule_family == pytest.approx(expected) and got.whole_call == pytest.approx(expected)


@pytest.mark.parametrize('wanted', [1.0, 2.0, 11.0])
def test_the_prior_is_found_again(wanted):
  rng = np.random.default_rng(1)
  variances = 4.0 * wanted / rng.chisquare(wanted, (3000, 8))
  sample = variances * rng.chisquare(9, variances.shape) / 9
  prior, moderated = estimates.moderate(sample, np.full(sample.shape, 10))
  assert float(prior) == pytest.approx(wanted, rel=0.1)
  assert np.mean(np.log(moderated / variances)**2) < np.mean(np.log(sample / variances)**2)


def test_a_family_is_a_rule_and_the_call_is_all():
  rng = np.random.default_rng(2)
  arm = lambda: tuple(rng.normal(90, 1, 5))
  groups = [Group(rule, ratio, arm(), {check: arm() for check in ('a', 'b')})
            for rule in ('x', 'y') for ratio in (0.5, 0.9)]
  found, pooled = simultaneous(groups, 0.01, 0.1)
  for each in found.values():
    for interval, number in ((each.rule_family, 2), (each.whole_call, 4)):
      reach = critical_value(number, 2, pooled.degrees_of_freedom, 0.1) * each.error
      assert interval == pytest.approx((each.drop - reach, each.drop + reach))
  # The largest number of checks counts for all, and a rule that is asked less at more ratios has a larger family.
  fewer = [dataclasses.replace(group, checked={'a': group.checked['a']}) if group.rule == 'x' else group
           for group in groups]
  left, pooled = simultaneous(fewer, 0.01, 0.1)
  each = left['x', 0.5, 'a']
  reach = critical_value(2, 2, pooled.degrees_of_freedom, 0.1) * each.error
  assert each.rule_family == pytest.approx((each.drop - reach, each.drop + reach))


@pytest.mark.parametrize('seeds', [0, 1, 2])
def test_fewer_than_three_seeds_have_no_interval_but_count(seeds):
  few = {'rearrange': (88.0, 87.0)[:seeds]}
  both, _ = simultaneous([dataclasses.replace(ONE, checked={**ONE.checked, **few})], 0.1)
  each = both['snip', 0.9, 'rearrange']
  assert each.rule_family is None and each.whole_call is None and math.isnan(each.error)
  assert math.isnan(each.drop) if seeds == 0 else each.drop == pytest.approx(91.3 - (88.0, 87.5)[seeds - 1])
  alone, _ = simultaneous([ONE], 0.1)
  one, other = (found['snip', 0.9, 'invert'] for found in (both, alone))
  assert one.error == other.error
  width = lambda each: each.rule_family[1] - each.rule_family[0]
  assert width(one) / width(other) == pytest.approx(critical_value(1, 2, 3, 0.05) / critical_value(1, 1, 3, 0.05))
  nothing = Group('snip', 0.9, (91.0, 90.0)[:seeds], few)
  found, pooled = simultaneous([nothing], 0.1)
  assert found['snip', 0.9, 'rearrange'].whole_call is None and pooled.degrees_of_freedom == 0
  assert math.isnan(pooled.prior_degrees_of_freedom)


def test_nothing_asked_is_nothing_found():
  assert simultaneous([], 0.1)[0] == {} and simultaneous([Group('snip', 0.9, (1.0, 2.0), {})], 0.1)[0] == {}


def test_what_a_stopped_call_has_is_used():
  missing = (*ONE.checked['invert'][:3], math.nan)
  cut = [simultaneous([dataclasses.replace(ONE, checked={'invert': arm})], 0.1) for arm in (missing, missing[:3])]
  assert cut[0] == cut[1]
  (found, pooled), each = cut[0], cut[0][0]['snip', 0.9, 'invert']
  assert each.drop == pytest.approx(np.mean(ONE.original) - np.mean(missing[:3]))
  variances = estimates.moderate(np.array([[np.var(ONE.original, ddof=1), np.var(missing[:3], ddof=1)]]),
                              np.array([[4, 3]]))[1][0]
  shared = 2 * pooled.correlation * math.sqrt(variances.prod()) / 4
  assert each.error == pytest.approx(math.sqrt(variances[0] / 4 + variances[1] / 3 - shared))
  assert pooled.degrees_of_freedom == 2
  assert found['snip', 0.9, 'invert'].whole_call[1] > simultaneous([ONE], 0.1)[0]['snip', 0.9, 'invert'].whole_call[1]


def test_only_seeds_that_both_have_share_their_luck():
  gaps = Group('x', 0.9, (90.0, math.nan, 91.0, 92.5, 90.2), {'a': (89.0, 93.0, math.nan, 90.0, 91.0)})
  found, pooled = simultaneous([gaps], 0.0)
  each = found['x', 0.9, 'a']
  arms = [np.array(arm) for arm in (gaps.original, gaps.checked['a'])]
  own = [arm[np.isfinite(arm)] for arm in arms]
  variances = estimates.moderate(np.array([[arm.var(ddof=1) for arm in own]]), np.array([[4, 4]]))[1][0]
  both = np.isfinite(arms).all(0)
  scale = math.sqrt(variances.prod())
  assert pooled.correlation == pytest.approx(np.cov(arms[0][both], arms[1][both])[0, 1] / scale)
  assert each.drop == pytest.approx(own[0].mean() - own[1].mean())
  assert each.error == pytest.approx(math.sqrt(variances.sum() / 4 - 2 * pooled.correlation * scale * 3 / 16))
  # Two seeds that both have tell nothing of it.
  two = dataclasses.replace(gaps, checked={'a': (89.0, 90.0, math.nan, 91.0, math.nan)})
  assert simultaneous([two], 0.0)[1].correlation == 0
  # Fewer originals than checked tickets are shared no more than as many are.
  fewer = Group('x', 0.9, (90.0, 91.0, 92.5, math.nan, math.nan),
                {check: (89.0, 90.0, 91.5, 90.0, 91.0) for check in 'ab'})
  found, pooled = simultaneous([fewer], 0.0)
  each = found['x', 0.9, 'a']
  assert each.whole_call[1] - each.drop == pytest.approx(
      critical_value(1, 2, pooled.degrees_of_freedom, 0.05) * each.error)


def test_more_originals_share_less_of_the_error():
  rng = np.random.default_rng(3)
  group = Group('x', 0.9, tuple(rng.normal(90, 1, 12)), {check: tuple(rng.normal(90, 1, 4)) for check in 'abc'})
  found, pooled = simultaneous([group], 0.0)
  each = found['x', 0.9, 'b']
  reach = critical_value(1, 3, pooled.degrees_of_freedom, 0.05, 0.25) * each.error
  assert each.rule_family == pytest.approx((each.drop - reach, each.drop + reach))


def test_equal_accuracies_on_few_images_are_not_certain():
  same = (95.0, 94.0, 96.0) * 20
  found, _ = simultaneous([Group('x', 0.9, same, {'a': same})], 1.0)
  each = found['x', 0.9, 'a']
  assert each.drop == 0 and each.error == pytest.approx(math.sqrt(2 / 12 / 60))
  constant, _ = simultaneous([Group('x', 0.9, (95.0,) * 3, {'a': (95.0,) * 3})], 0.0)
  assert constant['x', 0.9, 'a'].error < 1e-5


def test_many_calls_at_once_are_each_as_alone():
  rng = np.random.default_rng(4)
  values = rng.normal(90, 1, (3, 2, 4, 5))
  values[1, 1, 3], values[2, 0, 1, 3:] = math.nan, math.nan
  together = estimates.estimate(values, 0.1)
  for number, call in enumerate(values):
    alone = estimates.estimate(call, 0.1)
    for field in dataclasses.fields(alone):
      np.testing.assert_allclose(getattr(together, field.name)[number], getattr(alone, field.name))


@pytest.mark.parametrize('groups, resolution, alpha, message', [
    ([ONE, ONE], 0.1, 0.05, 'snip at 0.9: it is there twice'),
    ([ONE], -1, 0.05, 'resolution -1'), ([ONE], math.nan, 0.05, 'resolution nan'), ([ONE], 0.1, 0.5, 'alpha 0.5'),
    ([ONE], 0.1, 0, 'alpha 0'), ([ONE], True, 0.05, 'resolution True'),
    ([dataclasses.replace(ONE, original=(91.0, 92.0))], 0.1, 0.05, 'invert: 4 seeds, but 2 originals'),
    ([dataclasses.replace(ONE, checked={'a': (math.inf,)})], 0.1, 0.05, 'snip at 0.9, a: expected accuracies')])
def test_refuses_what_it_cannot_judge(groups, resolution, alpha, message):
  with pytest.raises(UsageError, match=message):
    simultaneous(groups, resolution, alpha)


def test_results_are_frozen_values():
  found, pooled = simultaneous([ONE], 0.1)
  each, = found.values()
  assert isinstance(each, Bounds) and isinstance(pooled, Pooled)
  assert {type(value) for value in dataclasses.astuple(pooled)} == {float, int}
  assert [type(value) for value in (each.drop, each.error, *each.rule_family)] == [float] * 4
