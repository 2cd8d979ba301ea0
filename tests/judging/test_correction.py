"""Verdicts of a family, and by simulation how often they are wrong."""

import dataclasses
import itertools

import numpy as np
import pytest

from tests.judging.simulation import CHECKED
from tests.judging.simulation import FAMILIES
from tests.judging.simulation import ORIGINAL
from tests.judging.simulation import RUNS
from tests.judging.simulation import at_least
from tests.judging.simulation import at_most
from tests.judging.simulation import differences
from tests.judging.simulation import family_differences
from tests.judging.simulation import made_up
from tests.judging.simulation import outcomes
from tests.judging.simulation import wrong
from tickets_tf.errors import UsageError
from tickets_tf.judging import comparison
from tickets_tf.judging.comparison import compare
from tickets_tf.judging.correction import judge


@pytest.mark.parametrize('original,outcome', [
    ([90.0, 91.0, 92.0], 'insensitive'), ([90.1, 91.0, 92.0], 'insensitive'), ([89.9, 91.0, 92.0], 'insensitive'),
    ([92.0, 93.1, 94.0], 'sensitive'), ([90.0, 94.0, 90.5], 'undecided'), ([88.0, 89.1, 90.0], 'undecided'),
    ([90.5, 91.5, 92.5], 'undecided')])
def test_planted_data_gets_its_verdict(original, outcome):
  verdict, = judge([compare(original, [90, 91, 92])])
  assert verdict.outcome == outcome and verdict.alpha == verdict.level == 0.05


def test_a_lone_comparison_is_tested_without_correction():
  result = compare(ORIGINAL, CHECKED)
  verdict, = judge([result])
  assert (verdict.p_equivalent, verdict.p_drop) == (result.p_equivalent, result.p_drop)


def test_sensitive_needs_an_estimate_above_the_margin():
  for drop, outcome in ((0.4, 'undecided'), (0.5, 'undecided'), (0.6, 'sensitive')):
    assert judge([made_up(0.9, 0.001, drop)])[0].outcome == outcome
  assert judge([made_up(0.9, 0.06, 5.0)])[0].outcome == 'undecided'


def test_a_p_value_at_the_level_is_enough():
  assert judge([made_up(0.05, 0.3, 0.1)])[0].outcome == 'insensitive'
  assert judge([made_up(0.3, 0.05, 0.7)])[0].outcome == 'sensitive'


def test_each_comparison_has_its_own_margin():
  family = [dataclasses.replace(made_up(0.9, 0.001, 0.8), margin=margin) for margin in (0.5, 1.0)]
  assert [verdict.outcome for verdict in judge(family)] == ['sensitive', 'undecided']


def test_a_certain_but_small_drop_is_insensitive():
  assert judge([made_up(0.001, 0.001, 0.2)])[0].outcome == 'insensitive'


@pytest.mark.parametrize('n', [1, 2])
def test_fewer_than_three_seeds_stay_undecided(n):
  for drop in (0.0, 5.0):
    few = compare([90 + drop] * n, [90] * n)
    verdict, = judge([few])
    assert verdict.outcome == 'undecided' and verdict.p_equivalent is None and verdict.p_drop is None
  # They are members of the family all the same.
  three = compare(ORIGINAL[:3], CHECKED[:3])
  assert judge([few, three])[1].p_drop == pytest.approx(2 * three.p_drop)


def test_no_comparisons_have_no_verdicts():
  assert judge([]) == []


@pytest.mark.parametrize('p_values,expected', [
    ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),  # R's p.adjust(method='holm')
    ([0.01, 0.01, 0.02], [0.03, 0.03, 0.03]),
    ([0.4, 0.9, 0.5], [1, 1, 1]),
    ([0.001, 0.008, 0.039, 0.041, 0.042, 0.06, 0.074, 0.205], [0.008, 0.056, *[0.234] * 6])])
def test_with_one_hypothesis_each_it_is_the_method_of_holm(p_values, expected):
  verdicts = judge([made_up(p, p) for p in p_values])
  assert [verdict.p_equivalent for verdict in verdicts] == pytest.approx(expected)
  assert [verdict.p_drop for verdict in verdicts] == pytest.approx(expected)


def test_a_verdict_does_not_close_its_comparison():
  verdicts = judge([made_up(0.99, 0.0001, 3.0), made_up(0.03, 0.3, 0.1)])
  assert [verdict.outcome for verdict in verdicts] == ['sensitive', 'undecided']
  assert verdicts[1].p_equivalent == pytest.approx(0.06) and verdicts[1].level == 0.025


def test_two_rejected_hypotheses_close_a_comparison():
  verdicts = judge([made_up(0.001, 0.002, 0.2), made_up(0.03, 0.3, 0.1)])
  assert [verdict.outcome for verdict in verdicts] == ['insensitive', 'insensitive']
  assert verdicts[1].p_equivalent == pytest.approx(0.03) and verdicts[1].level == 0.05
  both, = judge([made_up(0.001, 0.001, 0.2)])
  assert both.level == 0.05


def test_corrected_p_values_are_those_of_the_closed_test():
  # Closure: a hypothesis is rejected where every set of hypotheses with it that can be true together is, by Bonferroni
  # over its comparisons; of each other comparison such a set holds one hypothesis or none.
  rng = np.random.default_rng(5)
  for _ in range(30):
    p_values = np.round(rng.random((4, 2))**2, 2)  # Two digits, so that some are equal.
    verdicts = judge([made_up(*pair) for pair in p_values])
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
    ours = np.array([dataclasses.astuple(v)[1:3] for v in judge([made_up(*pair) for pair in p_values])])
    assert (ours <= twice + 1e-12).all()
    gains += (ours < twice).any()
  assert gains > 200


def test_the_level_tells_what_is_rejected():
  rng = np.random.default_rng(7)
  for _ in range(200):
    p_values = rng.random((6, 2))**5
    verdicts = judge([made_up(*pair) for pair in p_values])
    for pair, verdict in zip(p_values, verdicts, strict=True):
      assert [p <= verdict.level for p in pair] == [verdict.p_equivalent <= 0.05, verdict.p_drop <= 0.05]


def test_members_that_have_their_verdict_count_as_open():
  few = [made_up(0.02, 0.4, 0.1), made_up(0.6, 0.01, 0.7)]
  for verdicts in (judge(few, family=5), judge(few + [made_up()] * 3)):
    assert [verdict.p_equivalent for verdict in verdicts[:2]] == pytest.approx([0.1, 1])
    assert verdicts[0].level == 0.01 and verdicts[1].p_drop == pytest.approx(0.05)
  assert len(judge(few, family=5)) == 2


@pytest.mark.parametrize('settings', [{'alpha': 0}, {'alpha': 0.7}, {'family': 1}, {'family': 2.5}])
def test_refuses_what_it_cannot_judge(settings):
  with pytest.raises(UsageError, match=next(iter(settings))):
    judge([made_up(), made_up()], **settings)


def test_simulated_verdicts_are_those_of_the_public_functions():
  values = differences(1, 300, 4, 5, drop=np.array([[0.0], [0.3], [0.6], [2.0]]), deviation=0.4)
  shared = np.random.default_rng(2).normal(90, 1, (300, 1, 5))
  expected = outcomes(values)
  assert set(expected.ravel()) == {'insensitive', 'sensitive', 'undecided'}
  for originals, run, found in zip(shared, values, expected, strict=True):
    verdicts = judge([compare(originals[0] + row, originals[0]) for row in run])
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
  p_equivalent, p_drop = comparison.p_values(mean, values.std(-1, ddof=1), 3, 0.5)
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
