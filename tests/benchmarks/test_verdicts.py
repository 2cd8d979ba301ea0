"""Error rates of families of intervals: a few cells of the table in docs/statistics.md; it could show errors."""

import json
import pathlib

import numpy as np
import pytest
from scipy import stats

from benchmarks import seeds_needed
from benchmarks import verdicts
from tickets_tf import seeds
from tickets_tf.judging.bounds import Group
from tickets_tf.judging.bounds import simultaneous

ROOT = pathlib.Path(__file__).parents[2]
FAMILIES = 600
AT_MOST = stats.binom.ppf(0.9999, FAMILIES, 0.05)


@pytest.mark.parametrize('kind, comparisons, number', [
    ('normal, equal variances', 1, 5), ('normal, equal variances', 14, 20), ('unequal variances', 7, 5),
    ('one arm varies 4 times as much', 49, 3), ('correlated, 0.6', 7, 10), ('skewed', 2, 10), ('heavy-tailed', 14, 3),
    ('discrete, 360 images', 7, 3), ('10% collapse on both sides', 14, 10)])
def test_few_families_are_wrong(kind, comparisons, number):
  rate = verdicts.error_rate(kind, comparisons, number, FAMILIES)
  assert rate.families == FAMILIES and rate.wrong <= AT_MOST


@pytest.mark.parametrize('kind, comparisons', [('normal, equal variances', 2), ('discrete, 360 images', 14)])
def test_few_families_are_wrong_at_any_of_their_looks(kind, comparisons):
  assert verdicts.error_rate_of_looks(kind, comparisons, families=FAMILIES).wrong <= AT_MOST


def test_the_rate_is_not_far_below_its_level_either():
  assert verdicts.error_rate('normal, equal variances', 2, 20, FAMILIES).wrong > 0.02 * FAMILIES
  doubled = verdicts.error_rate('normal, equal variances', 2, 20, FAMILIES, alpha=0.2)
  assert 0.12 < doubled.wrong / doubled.families < 0.25


def test_what_is_not_covered_shows():
  assert verdicts.error_rate('10% collapse on one side', 7, 5, 200).percent > 50
  row = verdicts._row('a', '3', [verdicts.Rate(1000, 100), verdicts.Rate(1000, 55)])
  assert row == '| a | 3 | **10.0** | 5.5 |'


def test_what_is_counted_is_what_a_sanity_check_says():
  values = verdicts.KINDS['unequal variances'](seeds.generator(0, 'test'), (40, 2, 8, 4))
  found = verdicts._misses(values, 14, 0.2, 0.01)
  for call, missed in zip(values, found, strict=True):
    groups = [Group('x', ratio, tuple(group[0]), {str(check): tuple(arm) for check, arm in enumerate(group[1:])})
              for ratio, group in enumerate(call)]
    intervals = [each.rule_family for each in simultaneous(groups, 0.01, 0.2)[0].values()]
    assert missed == any(not low <= 0 <= high for low, high in intervals)
  assert 0 < found.sum() < 40


def test_more_seeds_let_more_be_said_and_more_than_before(tmp_path):
  recorded = json.loads((ROOT / 'tests' / 'golden' / 'recorded_accuracies.json').read_text())['pattern_cost_digits']
  judgements = [{'rule': group['rule'], 'ratio': group['ratio'], 'original': {'accuracies': group['original']},
                 'checked': {'accuracies': arm}} for group in recorded['groups'] for arm in group['checked'].values()]
  planted = {**judgements[0], 'control': 'equivalent'}
  same = {**judgements[0], 'checked': judgements[0]['original']}
  values = {'judgements': [*judgements, same, planted], 'seeds': [0, 1, 2, 3, 4], 'margin': 0.5,
            'resolution': recorded['resolution']}
  (tmp_path / 'verdicts.json').write_text(json.dumps(values))
  study = seeds_needed.read(tmp_path / 'verdicts.json')
  few, many = (seeds_needed.shares(study, number, 1.0, 20) for number in (5, 40))
  assert all(few[name] < many[name] for name in ('before', 'rule', 'call'))
  assert many['before'] < many['call'] <= many['rule']
  assert study.asked == 13 and study.means.shape == (6, 3) and study.rules == 3 and np.isfinite(study.means).all()
  rows = list(seeds_needed.rows([study], share=0.1, calls=20))
  assert len(rows) == 5 and rows[2].startswith(f'| {study.name} | 0.5 | as recorded | ')
