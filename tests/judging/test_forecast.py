"""How many seeds would decide, and by simulation whether they do."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
from scipy import stats

from tests.judging.simulation import RUNS
from tests.judging.simulation import at_least
from tests.judging.simulation import at_most
from tests.judging.simulation import differences
from tests.judging.simulation import made_up
from tests.judging.simulation import outcomes
from tickets_tf.errors import UsageError
from tickets_tf.judging.comparison import compare
from tickets_tf.judging.correction import judge
from tickets_tf.judging.forecast import Forecast
from tickets_tf.judging.forecast import power_of
from tickets_tf.judging.forecast import seeds_to_decide


@pytest.mark.parametrize('drop,deviation,alpha', [
    (0.0, 0.3, 0.05), (0.3, 0.3, 0.05), (-0.2, 0.4, 0.05 / 8), (0.7, 0.3, 0.05), (1.5, 1.5, 0.05),
    (0.9, 0.8, 0.05 / 8)])
def test_the_seeds_named_decide_in_four_of_five_runs(drop, deviation, alpha):
  planted = dataclasses.replace(made_up(drop=drop, n=2), deviation=deviation)
  forecast = seeds_to_decide(planted, alpha)
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
    assert power_of('sensitive', drop, 1.0, 1e-9, n, alpha) == pytest.approx(expected, abs=2e-5)


@pytest.mark.parametrize('n,drop,deviation', [(3, 0.0, 1.0), (4, 0.3, 0.6), (5, 0.6, 1.0)])
def test_low_power_is_right_too(n, drop, deviation):
  outcome = 'sensitive' if drop > 0.5 else 'insensitive'
  power = power_of(outcome, drop, deviation, 0.5, n, 0.05)
  found = outcomes(differences(14, RUNS, 1, n, drop=drop, deviation=deviation))
  assert at_least(power, RUNS) <= np.count_nonzero(found == outcome) <= at_most(power, RUNS)


def test_more_power_or_a_stricter_level_takes_more_seeds():
  planted = dataclasses.replace(made_up(drop=0.1), deviation=0.6)
  seeds = [seeds_to_decide(planted, *settings).seeds for settings in ((), (0.05, 0.9), (0.01, 0.9))]
  assert planted.n < seeds[0] < seeds[1] < seeds[2]


def test_seeds_to_decide_of_a_comparison_made_from_data():
  result = compare([90.0, 92.0, 91.5], [90, 91, 92])
  verdict, = judge([result])
  forecast = seeds_to_decide(result, verdict.level)
  assert forecast == Forecast(34, 'insensitive')


@pytest.mark.parametrize('drop,deviation', [
    (0.5, 0.5), (-0.5, 0.5), (-0.7, 0.5), (0.499, 0.5), (0.501, 0.5), (0.5, 0), (-0.5, 0), (-0.7, 0)])
def test_some_drops_no_number_of_seeds_decides(drop, deviation):
  planted = dataclasses.replace(made_up(drop=drop), deviation=deviation)
  assert seeds_to_decide(planted) is None
  assert seeds_to_decide(planted, power=0.6) is None


def test_seeds_to_decide_at_its_ends():
  planted = dataclasses.replace(made_up(drop=0.1), deviation=0.6)
  seeds = seeds_to_decide(planted).seeds
  assert seeds_to_decide(planted, most=seeds).seeds == seeds
  assert seeds_to_decide(planted, most=seeds - 1) is None
  assert seeds_to_decide(planted, most=4) is None
  assert seeds_to_decide(compare([90], [89])) is None
  assert seeds_to_decide(dataclasses.replace(planted, deviation=0.01)).seeds == planted.n + 1
  same = compare([90, 91], [90, 91])
  assert seeds_to_decide(same) == Forecast(3, 'insensitive')
  assert seeds_to_decide(compare([92, 93], [90, 91])) == Forecast(3, 'sensitive')
  assert seeds_to_decide(compare([90.5, 91.5], [90, 91])) is None
  for settings in ({'power': 1}, {'power': 0.5}, {'alpha': 0}):
    with pytest.raises(UsageError, match=next(iter(settings))):
      seeds_to_decide(planted, **settings)
