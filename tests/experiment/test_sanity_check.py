"""The sanity check on planted accuracies: what is asked, what is compared, and what comes out."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from tests.planted_runs import BASE
from tests.planted_runs import World
from tests.planted_runs import check
from tickets_tf.errors import UsageError
from tickets_tf.experiment import sweep
from tickets_tf.judging.verdicts import KeepRatios


@pytest.fixture
def mask(tmp_path):
  """The path of a file that counts as a mask if nobody opens it as one."""
  path = tmp_path / 'm.npz'
  path.write_text('planted')
  return str(path)


def outcomes(verdicts):
  return {(each.rule, each.check): each.verdict for each in verdicts.judgements if each.control is None}


def test_known_costs_come_out(monkeypatch):
  world = World({('snip', 'rearrange'): 3.0, ('snip', 'invert'): 0.1})
  verdicts = check(monkeypatch, world, pruners=('snip',), checks=('rearrange', 'invert', 'random_labels'))
  assert outcomes(verdicts) == {('snip', 'rearrange'): 'sensitive', ('snip', 'invert'): 'insensitive',
                                ('snip', 'random_labels'): 'insensitive'}
  first = verdicts.judgements[0]
  assert first.passes is True and verdicts.judgements[1].passes is False
  assert first.sentence.startswith('snip loses 3.')
  assert first.sentence.endswith('which weights of a layer it keeps')
  assert verdicts.judgements[2].sentence == (
      'snip keeps its accuracy when its labels are random: it does not use the labels')
  assert first.difference.mean == pytest.approx(3, abs=0.2) and len(first.original.accuracies) == 5
  assert first.seeds == (0, 1, 2, 3, 4) and first.proofs == ({'acted': True},) * 5
  assert verdicts.dense.mean == pytest.approx(90, abs=0.2)
  assert verdicts.keep_ratios == (KeepRatios('snip', 'global', 0.9, ('conv', 'classifier'), (0.1, 0.3)),)


def test_pairs_share_the_seed(monkeypatch):
  world = World({})
  check(monkeypatch, world, pruners=('snip',), checks=('invert',), base=dataclasses.replace(BASE, seed=7), seeds=3)
  assert {(run.settings.pruner, run.settings.check, run.settings.seed) for run in world.made} == {
      (pruner, name, seed) for seed in (7, 8, 9) for pruner, name in (('dense', ''), ('snip', ''), ('snip', 'invert'))}


def test_a_rule_that_cannot_be_judged_fails_before_anything_is_trained(monkeypatch):
  world = World({})
  check(monkeypatch, world, pruners=('snip',), checks=('invert',), controls=True, seeds=3)
  assert [run.settings.pruner for run in world.made[:2]] == ['snip', 'snip']
  assert world.made[-1].settings.pruner == 'dense'


def test_all_checks_are_asked_once_each(monkeypatch, mask):
  verdicts = check(monkeypatch, World({}), pruners=('snip',))
  asked = [each.check for each in verdicts.judgements]
  assert asked == ['random_labels', 'random_pixels', 'half_dataset', 'rearrange', 'shuffle_weights', 'reinitialise',
                   'invert']
  given = dataclasses.replace(BASE, pruner='given', mask=mask)
  verdicts = check(monkeypatch, World({}), pruners=('given',), base=given)
  assert [each.check for each in verdicts.judgements] == ['rearrange', 'shuffle_weights', 'reinitialise']


def test_two_seeds_decide_nothing(monkeypatch):
  verdicts = check(monkeypatch, World({('snip', 'invert'): 9.0}), pruners=('snip',), checks=('invert',), seeds=2)
  judgement, = verdicts.judgements
  assert judgement.verdict == 'undecided' and judgement.passes is None and judgement.p_drop is None


def test_seeds_are_added_where_it_is_undecided_and_only_there(monkeypatch):
  world = World({('snip', 'rearrange'): 5.0, ('snip', 'invert'): 0.6}, noise=0.3)
  verdicts = check(monkeypatch, world, pruners=('snip',), checks=('rearrange', 'invert'), seeds=None, max_seeds=8)
  seeds = {each.check: len(each.seeds) for each in verdicts.judgements}
  assert seeds['rearrange'] < seeds['invert'] <= 8
  assert verdicts.looks.sizes == (3, 5, 8) and sum(verdicts.looks.levels) == pytest.approx(0.05)
  assert sum(run.settings.check == 'rearrange' for run in world.made) == seeds['rearrange']


def test_all_decided_ends_the_looks(monkeypatch):
  world = World({('snip', 'rearrange'): 9.0}, noise=0.01)
  verdicts = check(monkeypatch, world, pruners=('snip',), checks=('rearrange',), seeds=None, max_seeds=20)
  assert verdicts.looks.done == 1 and verdicts.seeds == (0, 1, 2) and verdicts.stopped is None


def test_failures_of_earlier_looks_are_told(monkeypatch):
  class Failing(World):
    looks = 0

    def run_all(self, runs, *others):
      self.looks += 1
      outcome = super().run_all(runs)
      failed = [run for run in outcome.records
                if run.settings.check and (run.settings.seed == 1 or (run.settings.seed == 2 and self.looks == 1))]
      return sweep.Outcome({run: record for run, record in outcome.records.items() if run not in failed},
                           {run: 'planted' for run in failed}, False)

  world = Failing({('snip', 'rearrange'): 5.0}, noise=0.1)
  verdicts = check(monkeypatch, world, pruners=('snip',), checks=('rearrange',), seeds=None, max_seeds=8)
  judgement, = verdicts.judgements
  assert judgement.verdict == 'sensitive' and judgement.seeds == (0, 2, 3, 4)
  failure, = verdicts.failures
  assert 'seed1' in failure and 'planted' in failure


def test_nothing_is_said_of_a_rule_whose_tickets_are_cut(monkeypatch):
  class Cut(World):
    def connected(self, run):
      return run.settings.pruner != 'snip'

  world = Cut({})
  judgement, = check(monkeypatch, world, pruners=('snip',), checks=('invert',), seeds=None).judgements
  assert judgement.sentence.startswith('no path leads through the tickets of snip, so that nothing')
  assert judgement.verdict == 'undecided' and judgement.passes is None and judgement.forecast is None
  assert {run.settings.seed for run in world.made} == {0, 1, 2}, 'more seeds would be as cut'


def test_intervals_are_of_95_percent_whatever_the_error_rate(monkeypatch):
  found = [check(monkeypatch, World({}), pruners=('snip',), checks=('invert',), alpha=alpha).judgements[0]
           for alpha in (0.01, 0.2)]
  low, high = found[0].difference.interval
  assert found[0].difference == found[1].difference
  pairs = np.subtract(found[0].original.accuracies, found[0].checked.accuracies)
  expected = stats.t.interval(0.95, len(pairs) - 1, pairs.mean(), stats.sem(pairs))
  assert (low, high) == pytest.approx(expected, abs=1e-4)


def test_a_spent_budget_leaves_verdicts_on_what_is_done(monkeypatch):
  verdicts = check(monkeypatch, World({}, limit=8), pruners=('snip',), checks=('rearrange', 'invert'), minutes=1)
  assert 'the budget was spent (--budget_minutes=1)' in verdicts.stopped
  assert [len(each.seeds) for each in verdicts.judgements] == [2, 2]
  nothing = check(monkeypatch, World({}, limit=1), pruners=('snip',), checks=('rearrange',), minutes=1)
  assert nothing.judgements == () and 'without any pair of runs: snip at 0.9: rearrange' in nothing.stopped


def test_controls_are_a_family_of_their_own(monkeypatch):
  right = World({('lr_rewinding', 'rearrange'): 4.0})
  verdicts = check(monkeypatch, right, pruners=('random',), checks=('rearrange',), ratios=(0.9, 0.98), controls=True)
  assert verdicts.controls.passed is True and len(verdicts.controls.judgements) == 5
  planted = [verdicts.judgements[index] for index in verdicts.controls.judgements]
  assert {each.ratio for each in planted} == {0.98}
  assert {each.control for each in planted if each.rule == 'random'} == {'insensitive'}
  wrong = World({('lr_rewinding', 'rearrange'): 4.0, ('random', 'random_labels'): 4.0})
  verdicts = check(monkeypatch, wrong, pruners=('random',), checks=('rearrange',), controls=True)
  assert verdicts.controls.passed is False
  assert 'random, random_labels: sensitive, must be insensitive' in verdicts.controls.findings
  verdicts = check(monkeypatch, right, pruners=('random',), checks=('rearrange',), controls=True, seeds=2)
  assert verdicts.controls.passed is None


def test_more_questions_make_each_verdict_harder(monkeypatch):
  world = World({('snip', 'invert'): 0.9}, noise=0.1)
  alone, = check(monkeypatch, world, pruners=('snip',), checks=('invert',)).judgements
  among = check(monkeypatch, world, pruners=('snip',), checks=('invert', 'rearrange', 'reinitialise')).judgements[0]
  assert among.p_drop > alone.p_drop


@pytest.mark.parametrize('plan, expected', [
    ({'pruners': ('dense',)}, '--pruner=dense: it removes nothing'),
    ({'seeds': 0}, '--seeds=0: expected'),
    ({'seeds': None, 'max_seeds': 2}, '--max_seeds=2: expected at least 3'),
    ({'pruners': 'snip'}, "pruners 'snip': expected a tuple"),
    ({'seeds': 2.5}, '--seeds=2.5: expected'),
    ({'parallel': 0}, '--parallel=0: expected'),
    ({'base': dataclasses.replace(BASE, check='rearrange')}, '--check=rearrange: expected --checks=rearrange'),
    ({'margin': 0.0}, '--margin 0.0: expected'),
    ({'alpha': 0.7}, '--alpha 0.7: expected'),
    ({'checks': ('rearange',)}, 'did you mean \'rearrange\''),
])
def test_plans_that_cannot_be(plan, expected, monkeypatch):
  with pytest.raises(UsageError, match=expected):
    check(monkeypatch, World({}), **plan)


def test_what_is_asked_twice_counts_once(monkeypatch):
  world = World({('snip', 'invert'): 0.9}, noise=0.1)
  once, twice = (check(monkeypatch, world, pruners=('snip',) * times, ratios=(0.9,) * times, checks=('invert',) * times)
                 for times in (1, 2))
  assert once == twice


def test_a_mask_from_a_file_has_the_ratio_that_it_has(monkeypatch, mask):
  base = dataclasses.replace(BASE, pruner='given', mask=mask)
  verdicts = check(monkeypatch, World({}), base=base, ratios=(0.5, 0.9), checks=('rearrange',))
  judgement, = verdicts.judgements
  assert (judgement.ratio, judgement.allocation) == (0.8, '')
  with pytest.raises(UsageError, match='--allocation=erk: the mask of --mask is given'):
    check(monkeypatch, World({}), base=dataclasses.replace(base, allocation='erk'))


def test_a_question_whose_runs_all_fail_is_not_asked_again(monkeypatch):
  class Failing(World):
    def run_all(self, runs, *others):
      outcome = super().run_all(runs)
      failed = [run for run in outcome.records if run.settings.check == 'half_dataset']
      return sweep.Outcome({run: record for run, record in outcome.records.items() if run not in failed},
                           {run: 'too few images' for run in failed}, False)

  world = Failing({('snip', 'invert'): 9.0}, noise=0.01)
  verdicts = check(monkeypatch, world, pruners=('snip',), checks=('half_dataset', 'invert'), seeds=None, max_seeds=8)
  assert verdicts.looks.done == 1
  failure, = verdicts.failures
  assert 'seed0' in failure and failure.endswith(' and 2 more: too few images')
  assert verdicts.stopped == 'without any pair of runs: snip at 0.9: half_dataset'
