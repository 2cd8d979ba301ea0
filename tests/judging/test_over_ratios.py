"""Means over ratios and the list for exploring: from recorded judgements, by what they rest on."""

import pathlib

import numpy as np
import pytest

from tests.report import sanity_verdicts
from tickets_tf.judging import verdicts as verdicts_file
from tickets_tf.judging.over_ratios import over_ratios
from tickets_tf.judging.over_ratios import worth_a_look

STUDY = pathlib.Path(__file__).parents[2] / 'results' / 'sanity_digits' / 'verdicts.json'


@pytest.fixture(scope='module')
def study():
  return verdicts_file.read(STUDY)


def test_a_mean_drop_is_the_mean_of_the_drops_and_known_better_than_each(study):
  found = over_ratios(study.judgements, study.resolution, study.alpha)
  assert len(found) == 6 * 7 + 4 and {each.ratios for each in found} == {(0.9, 0.95, 0.98)}
  for mean in found:
    own = [each for each in study.judgements if (each.rule, each.check) == (mean.rule, mean.check)]
    assert mean.drop == pytest.approx(np.mean([each.drop for each in own]))
    low, high = mean.interval.rule_family
    assert low < mean.drop < high and high - low < max(np.ptp(each.interval.rule_family) for each in own)
    assert mean.interval.whole_call[0] < low and high < mean.interval.whole_call[1]
  by_name = {(mean.rule, mean.check): mean for mean in found}
  wins = by_name['lr_rewinding', 'invert'].superiority
  assert 0.9 < wins.interval[0] < wins.probability < wins.interval[1] <= 1


def test_a_rule_at_one_ratio_and_what_is_unaffected_have_no_mean(study):
  one = [each for each in study.judgements if each.ratio == 0.9]
  assert over_ratios(one, study.resolution, study.alpha) == []
  found = over_ratios(study.judgements, study.resolution, study.alpha)
  assert {mean.check for mean in found if mean.rule == 'random'} == {
      'rearrange', 'shuffle_weights', 'reinitialise', 'invert'}


def test_only_checks_of_every_ratio_have_a_mean(study):
  some = [each for each in study.judgements if each.rule == 'snip' and (each.ratio, each.check) != (0.9, 'invert')]
  found = over_ratios(some, study.resolution, study.alpha)
  assert len(found) == 6 and 'invert' not in {mean.check for mean in found}


def test_what_is_worth_a_look_is_open_and_has_a_small_q_value(study):
  found = worth_a_look(study.judgements, study.resolution, study.alpha)
  assert 5 < len(found) < 30 and all('open' in each.statements and value <= 0.05 for each, value in found)
  assert len(worth_a_look(study.judgements, study.resolution, 0.01)) < len(found)
  # Noise is not.
  noise = sanity_verdicts.judged([sanity_verdicts.evidence(check=check, original=(90.0, 91.0, 92.0, 90.5),
                                                           checked=(91.0, 90.1, 91.8, 90.6)) for check in 'abc'])
  assert worth_a_look(noise, 0.01, 0.05) == []


def test_fewer_than_three_seeds_have_neither():
  verdicts = sanity_verdicts.verdicts(('snip',), (0.9, 0.95), ('invert',), seeds=2)
  assert over_ratios(verdicts.judgements, 0.01, 0.05) == [] == worth_a_look(verdicts.judgements, 0.01, 0.05)
