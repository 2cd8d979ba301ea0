"""The sanity check on planted accuracies: what is asked, what is compared, and what comes out."""

import dataclasses
import statistics

import numpy as np
import pytest
from scipy import stats

from tests.planted_runs import BASE
from tests.planted_runs import World
from tests.planted_runs import check
from tickets_tf.errors import UsageError
from tickets_tf.experiment import sanity_check
from tickets_tf.experiment import sweep
from tickets_tf.judging.comparison import compare
from tickets_tf.judging.forecast import seeds_to_decide
from tickets_tf.judging.verdicts import KeepRatios
from tickets_tf.report import wording


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
  assert [each.forecast for each in verdicts.judgements] == [None] * 3
  assert not {'pruner', 'ratio', 'check'} & set(verdicts.settings)
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


def test_the_proofs_are_those_of_the_checks(monkeypatch):
  class Proved(World):
    def record(self, run):
      return dataclasses.replace(super().record(run), proof={run.settings.check: run.settings.seed})

  judgement, = check(monkeypatch, Proved({}), pruners=('snip',), checks=('invert',), seeds=2).judgements
  assert judgement.proofs == ({'invert': 0}, {'invert': 1})


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
  assert 'seed1' in failure and failure.endswith(': planted'), 'that of seed 2 has been done since'
  assert ' more' not in failure


def test_failures_of_questions_that_are_decided_are_told_at_the_end(monkeypatch):
  class Failing(World):
    def run_all(self, runs, *others):
      outcome = super().run_all(runs)
      failed = [run for run in outcome.records if (run.settings.check, run.settings.seed) == ('rearrange', 1)]
      return sweep.Outcome({run: record for run, record in outcome.records.items() if run not in failed},
                           {run: 'planted' for run in failed}, False)

  world = Failing({('snip', 'rearrange'): 9.0, ('snip', 'invert'): [-9.0, 9.0] * 4}, noise=0)
  verdicts = check(monkeypatch, world, pruners=('snip',), checks=('rearrange', 'invert'), seeds=None, max_seeds=8)
  assert [len(each.seeds) for each in verdicts.judgements] == [4, 8] and verdicts.looks.done == 3
  failure, = verdicts.failures
  assert 'rearrange-seed1' in failure and failure.endswith(': planted')


def test_nothing_is_said_of_a_rule_whose_tickets_are_cut(monkeypatch):
  class Cut(World):
    def connected(self, run):
      return run.settings.pruner != 'snip'

  world = Cut({})
  judgement, = check(monkeypatch, world, pruners=('snip',), checks=('invert',), seeds=None).judgements
  assert judgement.sentence.startswith('no path leads through the tickets of snip, so that nothing')
  assert judgement.verdict == 'undecided' and judgement.passes is None and judgement.forecast is None
  assert {run.settings.seed for run in world.made} == {0, 1, 2}, 'more seeds would be as cut'


def test_a_check_that_cuts_the_tickets_is_judged(monkeypatch):
  class Cut(World):
    def connected(self, run):
      return run.settings.check != 'invert'

  judgement, = check(monkeypatch, Cut({('snip', 'invert'): 9.0}), pruners=('snip',), checks=('invert',)).judgements
  assert judgement.verdict == 'sensitive' and judgement.collapsed == (True,) * 5
  assert judgement.forecast is None, 'it is decided'


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
  looked = check(monkeypatch, World({}, limit=8), pruners=('snip',), checks=('rearrange',), seeds=None, minutes=1)
  assert looked.looks.done == 1 and looked.seeds == (0, 1, 2), 'nobody looks again at what was stopped'
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


def test_controls_are_looked_at_until_they_are_decided(monkeypatch):
  world = World({('snip', 'rearrange'): 9.0, ('lr_rewinding', 'rearrange'): 9.0,
                 ('random', 'half_dataset'): [-9.0, 9.0] * 4}, noise=0)
  verdicts = check(monkeypatch, world, pruners=('snip',), checks=('rearrange',), seeds=None, max_seeds=8, controls=True)
  assert verdicts.looks.done == 3
  assert {each.check: len(each.seeds) for each in verdicts.judgements if each.rule != 'lr_rewinding'} == {
      'random_labels': 3, 'random_pixels': 3, 'half_dataset': 8, 'rearrange': 3}


def test_controls_that_could_not_be_run_have_not_passed(monkeypatch):
  class Failing(World):
    def run_all(self, runs, *others):
      outcome = super().run_all(runs)
      kept = {run: record for run, record in outcome.records.items() if run.settings.check != 'half_dataset'}
      return sweep.Outcome(kept, {}, False)

  world = Failing({('lr_rewinding', 'rearrange'): 4.0})
  verdicts = check(monkeypatch, world, pruners=('snip',), checks=('invert',), controls=True)
  assert verdicts.controls.passed is None and len(verdicts.controls.findings) == 4
  assert verdicts.stopped == 'without any pair of runs: random at 0.9: half_dataset'


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


def test_at_later_looks_the_questions_that_are_decided_still_count(monkeypatch):
  # Three of four questions are decided at the first look; the p-values of the fourth stay those of a family of four.
  drops = [0.2, 0.9, 0.1, 1.1, 0.3]
  names = ('rearrange', 'shuffle_weights', 'reinitialise')
  world = World({('snip', 'invert'): drops, **{('snip', name): 9.0 for name in names}}, noise=0)
  verdicts = check(monkeypatch, world, pruners=('snip',), checks=(*names, 'invert'), seeds=None, max_seeds=5)
  assert [each.verdict for each in verdicts.judgements] == ['sensitive'] * 3 + ['undecided']
  assert [len(each.seeds) for each in verdicts.judgements] == [3, 3, 3, 5] and verdicts.looks.done == 2
  alone = compare(drops, [0] * 5, resolution=0.01)
  assert 4 * alone.p_drop < 1
  assert verdicts.judgements[3].p_drop == pytest.approx(4 * alone.p_drop)
  assert verdicts.judgements[3].p_equivalent == pytest.approx(min(4 * alone.p_equivalent, 1))


def test_each_look_spends_its_own_level(monkeypatch):
  # At the first look this drop would be sensitive at the level of the whole, but not at that of the look.
  drops = [1.0, 1.5, 1.1]
  world = World({('snip', 'invert'): [*drops, -9.0, 9.0]}, noise=0)
  verdicts = check(monkeypatch, world, pruners=('snip',), checks=('invert',), seeds=None, max_seeds=5, alpha=0.01)
  assert verdicts.looks.levels[0] < compare(drops, [0] * 3, resolution=0.01).p_drop < 0.01
  assert verdicts.looks.done == 2


def test_the_step_between_accuracies_counts(monkeypatch):
  # Three differences of 0 on 360 images are chance, not certainty.
  world = World({}, noise=0, test_images=360)
  verdicts = check(monkeypatch, world, pruners=('snip',), seeds=3)
  assert verdicts.resolution == pytest.approx(100 / 360)
  expected = compare([90] * 3, [90] * 3, resolution=100 / 360)
  assert {each.verdict for each in verdicts.judgements} == {'undecided'}
  assert [each.p_equivalent for each in verdicts.judgements] == pytest.approx([7 * expected.p_equivalent] * 7)
  assert compare([90] * 3, [90] * 3).p_equivalent == 0


@pytest.mark.parametrize('margin, verdict', [(0.5, 'sensitive'), (2.0, 'insensitive')])
def test_the_margin_is_that_of_the_plan(margin, verdict, monkeypatch):
  world = World({('snip', 'invert'): [1.0, 1.1, 0.9]}, noise=0)
  verdicts = check(monkeypatch, world, pruners=('snip',), checks=('invert',), seeds=3, margin=margin)
  assert verdicts.judgements[0].verdict == verdict and verdicts.margin == margin


def test_what_is_judged_is_the_accuracy_of_the_final_weights(monkeypatch):
  # The best epochs are as planted, too: they tell nothing of a drop.
  class Best(World):
    def record(self, run):
      return dataclasses.replace(super().record(run), best_accuracy=0.97 - run.settings.seed / 100)

  world = Best({('snip', 'invert'): [3.0, 3.1, 2.9]}, noise=0)
  verdicts = check(monkeypatch, world, pruners=('snip',), checks=('invert',), seeds=3)
  judgement, = verdicts.judgements
  assert judgement.verdict == 'sensitive' and judgement.difference.mean == pytest.approx(3.0)
  assert judgement.original.accuracies == (90.0, 90.0, 90.0) and judgement.checked.accuracies == (87.0, 86.9, 87.1)
  assert verdicts.dense.mean == pytest.approx(90)


def test_the_forecast_is_at_the_level_that_the_question_has_to_meet(monkeypatch):
  drops = [0.9, -0.6, 2.2, 0.4, 1.3]
  world = World({('snip', name): drops for name in ('invert', 'rearrange', 'reinitialise')}, noise=0)
  verdicts = check(monkeypatch, world, pruners=('snip',), checks=('invert', 'rearrange', 'reinitialise'))
  comparison = compare(drops, [0] * 5, resolution=0.01)
  expected = seeds_to_decide(comparison, 0.05 / 3)
  assert expected != seeds_to_decide(comparison, 0.05)
  assert [(each.verdict, each.forecast) for each in verdicts.judgements] == [('undecided', expected)] * 3


def test_deviations_are_those_of_a_sample(monkeypatch):
  world = World({('snip', 'invert'): [1.0, 2.0, 4.0], ('snip', ''): [0.0, 0.0, 1.5], ('dense', ''): [0.0, 1.0, 3.0]},
                noise=0)
  verdicts = check(monkeypatch, world, pruners=('snip',), checks=('invert',), seeds=3)
  judgement, = verdicts.judgements
  assert judgement.original.deviation == pytest.approx(statistics.stdev([0, 0, 1.5]))
  assert judgement.checked.deviation == pytest.approx(statistics.stdev([1, 2, 4]))
  assert verdicts.dense.deviation == pytest.approx(statistics.stdev([0, 1, 3]))
  assert judgement.difference.deviation == pytest.approx(statistics.stdev([1, 2, 2.5]))
  assert wording.mean_and_deviation(judgement.checked) == '87.67 ± 1.53'


def test_a_cut_checked_ticket_is_told_and_one_cut_original_leaves_the_verdict(monkeypatch):
  class Cut(World):
    def connected(self, run):
      return (run.settings.check, run.settings.seed) not in (('invert', 0), ('', 2))

  judgement, = check(monkeypatch, Cut({('snip', 'invert'): 9.0}), pruners=('snip',), checks=('invert',)).judgements
  assert judgement.collapsed == (True, False, True, False, False)
  assert judgement.verdict == 'sensitive'


def test_commits_and_environment_are_those_of_the_runs(monkeypatch):
  class Mixed(World):
    def record(self, run):
      commit = {'dense': 'b', 'snip': 'a'}[run.settings.pruner] if run.settings.seed else None
      return dataclasses.replace(super().record(run), environment={'commit': commit, 'of': run.settings.pruner})

  verdicts = check(monkeypatch, Mixed({}), pruners=('snip',), checks=('invert',), seeds=3)
  assert verdicts.commit == 'a, b' and verdicts.environment == {'commit': None, 'of': 'dense'}
  verdicts = check(monkeypatch, Mixed({}), pruners=('snip',), checks=('invert',), seeds=1)
  assert verdicts.commit is None


def test_the_budget_is_that_of_all_looks_together(monkeypatch):
  class Timed(World):
    minutes = ()

    def run_all(self, runs, parallel=1, minutes=0, say=print, progress=True):
      self.minutes = (*self.minutes, minutes)
      assert (parallel, progress) == (3, False)
      return super().run_all(runs)

  times = iter([0.0, 60.0, 6000.0])
  monkeypatch.setattr(sanity_check.time, 'monotonic', lambda: next(times))
  world = Timed({('snip', 'invert'): [-9.0, 9.0, 0.0, 0.0, 0.0]}, noise=0)
  verdicts = check(monkeypatch, world, pruners=('snip',), checks=('invert',), seeds=None, max_seeds=5, minutes=10,
                   parallel=3)
  assert world.minutes == (9.0, 0.01), 'a spent budget is not a budget without end'
  assert verdicts.stopped is None
