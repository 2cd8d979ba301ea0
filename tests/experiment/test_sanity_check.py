"""The sanity check on planted accuracies: what is asked, what is compared, and what comes out."""

import dataclasses
import statistics

import pytest

from tests.planted_runs import BASE
from tests.planted_runs import World
from tests.planted_runs import check
from tickets_tf.errors import UsageError
from tickets_tf.experiment import sanity_check
from tickets_tf.experiment import sweep
from tickets_tf.judging import bounds
from tickets_tf.judging.verdicts import KeepRatios
from tickets_tf.report import findings
from tickets_tf.report import page
from tickets_tf.report import sanity
from tickets_tf.report import terminal
from tickets_tf.report import wording


@pytest.fixture
def mask(tmp_path):
  """The path of a file that counts as a mask if nobody opens it as one."""
  path = tmp_path / 'm.npz'
  path.write_text('planted')
  return str(path)


def outcomes(verdicts):
  return {(each.rule, each.check): each.statements for each in verdicts.judgements}


def test_known_costs_come_out(monkeypatch):
  world = World({('snip', 'rearrange'): 3.0, ('snip', 'invert'): 0.1, ('snip', ''): -2.0})
  verdicts = check(monkeypatch, world, pruners=('snip',), checks=('rearrange', 'invert', 'random_labels'))
  assert outcomes(verdicts) == {('snip', 'rearrange'): ('uses it', 'worth more than d'),
                                ('snip', 'invert'): ('uses it', 'worth more than d'),
                                ('snip', 'random_labels'): ('uses it', 'worth more than d')}
  first = verdicts.judgements[0]
  low, high = first.interval.rule_family
  assert low < first.drop < high and first.drop == pytest.approx(5, abs=0.3) and len(first.original.accuracies) == 5
  assert first.seeds == (0, 1, 2, 3, 4) and first.proofs == ({'acted': True},) * 5
  luck, = verdicts.luck
  assert (luck.rule, luck.check, luck.ratio) == ('snip', 'luck', 0.9) and luck.statements[0] == 'uses it'
  gap, = verdicts.gaps
  assert (gap.rule, gap.check, gap.ratio) == ('dense', 'luck', 0.9) and gap.drop == pytest.approx(8, abs=0.2)
  assert not {'pruner', 'ratio', 'check'} & set(verdicts.settings)
  assert verdicts.dense.mean == pytest.approx(98, abs=0.2)
  assert verdicts.keep_ratios == (KeepRatios('snip', 'global', 0.9, ('conv', 'classifier'), (0.1, 0.3)),)


def test_a_small_dense_network_is_a_comparison_of_its_own(monkeypatch):
  asked = {'pruners': ('snip', 'random'), 'checks': ('invert',)}
  verdicts = check(monkeypatch, World({('narrow', ''): -2.0}), **asked)
  assert [(each.rule, each.check, each.ratio) for each in verdicts.narrow] == [
      ('snip', 'narrow', 0.9), ('random', 'narrow', 0.9)]
  first = verdicts.narrow[0]
  assert first.statements[-1] == 'better without it' and first.drop == pytest.approx(-2, abs=0.2)
  assert first.proofs == ({'width': 3, 'of_width': 16, 'match': 'weights', 'wanted': 100, 'found': 90},) * 5
  told = findings.against_narrow(first)
  assert told.startswith('worse than a small dense network by [1.') and told.endswith(
      "; width 3 of 16 has 90 prunable weights, 10.0% fewer than the ticket's 100")
  for shown in (terminal.sanity_table(verdicts), sanity.markdown(verdicts), page.html(verdicts)):
    assert 'Does it beat a small dense network?' in shown and 'width 3 of 16 has 90' in shown
  without = check(monkeypatch, World({}), narrow=False, **asked)
  assert without.narrow == () and 'small dense network?' not in terminal.sanity_table(without)
  assert without.luck == verdicts.luck and without.judgements == verdicts.judgements, 'families apart'


def test_what_costs_nothing_is_bounded(monkeypatch):
  verdicts = check(monkeypatch, World({}), pruners=('snip',), checks=('rearrange', 'invert'))
  assert set(outcomes(verdicts).values()) == {('worth less than d', 'equivalent')}


def test_without_a_gap_that_could_be_lost_nothing_is_bounded(monkeypatch):
  verdicts = check(monkeypatch, World({('dense', ''): 0.0}), pruners=('snip',), checks=('rearrange', 'invert'))
  assert set(outcomes(verdicts).values()) == {('open',)} and not any(each.can_fail for each in verdicts.judgements)


def test_pairs_share_the_seed(monkeypatch):
  world = World({})
  check(monkeypatch, world, pruners=('snip',), checks=('invert',), base=dataclasses.replace(BASE, seed=7), seeds=3)
  assert {(run.settings.pruner, run.settings.check, run.settings.seed) for run in world.made} == {
      (pruner, name, seed) for seed in (7, 8, 9)
      for pruner, name in (('dense', ''), ('random', ''), ('narrow', ''), ('snip', ''), ('snip', 'invert'))}


def test_a_rule_that_cannot_be_judged_fails_before_anything_is_trained(monkeypatch):
  world = World({})
  check(monkeypatch, world, pruners=('snip',), checks=('invert',), controls=True, seeds=3)
  assert world.made[0].settings.pruner == 'snip' and world.made[-1].settings.pruner == 'dense'


def test_what_is_known_by_construction_is_verified_and_left_out(monkeypatch):
  world = World({})
  verdicts = check(monkeypatch, world, pruners=('random',), checks=('random_labels', 'rearrange'))
  labels, moved = verdicts.judgements
  assert labels.unaffected and labels.seeds == (0,) and labels.interval.rule_family is None
  alone, = check(monkeypatch, World({}), pruners=('random',), checks=('rearrange',)).judgements
  assert moved.interval == alone.interval and not moved.unaffected


def test_what_should_be_the_same_and_is_not_is_compared(monkeypatch):
  class Leaking(World):
    def record(self, run):
      found = super().record(run)
      return dataclasses.replace(found, settled_accuracy=0.5) if run.settings.check == 'random_labels' else found

  judgement, = check(monkeypatch, Leaking({}), pruners=('random',), checks=('random_labels',)).judgements
  assert not judgement.unaffected and judgement.drop == pytest.approx(40, abs=0.3)


def test_the_ladder_tells_what_each_step_is_worth(monkeypatch):
  world = World({('snip', ''): -3.0, ('snip', 'rearrange'): -1.0}, noise=0.05)
  ladder, = check(monkeypatch, world, pruners=('snip',), checks=('invert',), ladder=True).ladders
  assert ladder.names == ('original', 'rearrange', 'luck', 'uniform')
  assert [rung.mean for rung in ladder.rungs] == pytest.approx([93, 91, 90, 90], abs=0.1)
  assert [step.check for step in ladder.steps] == ['positions', 'ratios', 'smartness']
  assert [step.drop for step in ladder.steps] == pytest.approx([2, 1, 0], abs=0.15)
  for step in ladder.steps:
    low, high = step.interval.rule_family
    assert low <= step.drop <= high
  assert ladder.nearest in ladder.distances


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
  assert judgement.statements == ('open',) and judgement.interval.rule_family is None


def test_seeds_are_added_where_it_is_open_and_only_there(monkeypatch):
  world = World({('snip', 'rearrange'): 5.0, ('snip', 'invert'): [-1.0, 2.0] * 4}, noise=0.0)
  verdicts = check(monkeypatch, world, pruners=('snip',), checks=('rearrange', 'invert'), seeds=None, max_seeds=8)
  seeds = {each.check: len(each.seeds) for each in verdicts.judgements}
  assert seeds == {'rearrange': 5, 'invert': 8}
  assert verdicts.looks.sizes == (5, 8) and sum(verdicts.looks.levels) == pytest.approx(0.05)
  assert sum(run.settings.check == 'rearrange' for run in world.made) == 5


def test_all_decided_ends_the_looks(monkeypatch):
  world = World({('snip', 'rearrange'): 9.0, ('snip', ''): -3.0, ('lr_rewinding', 'rearrange'): 9.0}, noise=0.01)
  for controls in (False, True):
    verdicts = check(monkeypatch, world, pruners=('snip',), checks=('rearrange',), seeds=None, controls=controls)
    assert verdicts.looks.done == 1 and verdicts.seeds == (0, 1, 2, 3, 4) and verdicts.stopped is None


class Failing(World):
  """A world in which the runs that `fails` names fail: from (run, number of the look) to bool."""

  def __init__(self, costs, fails, **others):
    super().__init__(costs, **others)
    self.fails, self.looks = fails, 0

  def run_all(self, runs, *others):
    self.looks += 1
    outcome = super().run_all(runs)
    failed = {run: 'planted' for run in outcome.records if self.fails(run, self.looks)}
    return sweep.Outcome({run: record for run, record in outcome.records.items() if run not in failed}, failed, False)


def test_failures_of_earlier_looks_are_told_and_count_at_guessing(monkeypatch):
  world = Failing({('snip', 'rearrange'): [-1.0, 2.0] * 4}, lambda run, look: bool(run.settings.check) and (
      run.settings.seed == 1 or (run.settings.seed == 2 and look == 1)), noise=0)
  verdicts = check(monkeypatch, world, pruners=('snip',), checks=('rearrange',), seeds=None, max_seeds=8)
  judgement, = verdicts.judgements
  assert len(judgement.seeds) == 8 and judgement.checked.accuracies[1] == 10
  assert [other for _, other in judgement.failed] == [False, True] + [False] * 6
  failure, = verdicts.failures
  assert 'seed1' in failure and failure.endswith(': planted'), 'that of seed 2 has been done since'
  assert ' more' not in failure


def test_nothing_is_worth_less_where_a_run_failed(monkeypatch):
  for check_name in ('', 'invert'):
    world = Failing({}, lambda run, look, name=check_name: ('snip', name, 1) == (
        run.settings.pruner, run.settings.check, run.settings.seed))
    judgement, = check(monkeypatch, world, pruners=('snip',), checks=('invert',)).judgements
    assert not judgement.can_fail and not {'worth less than d', 'equivalent'} & set(judgement.statements)
    assert judgement.collapses.original + judgement.collapses.checked == 1


def test_failures_of_questions_that_are_decided_are_told_at_the_end(monkeypatch):
  world = Failing({('snip', 'rearrange'): 79.0, ('snip', 'invert'): [-1.0, 2.0] * 4},
                  lambda run, look: (run.settings.check, run.settings.seed) == ('rearrange', 1), noise=0)
  verdicts = check(monkeypatch, world, pruners=('snip',), checks=('rearrange', 'invert'), seeds=None, max_seeds=8)
  assert [len(each.seeds) for each in verdicts.judgements] == [5, 8] and verdicts.looks.done == 2
  failure, = verdicts.failures
  assert 'rearrange-seed1' in failure and failure.endswith(': planted')


def test_nothing_is_worth_less_to_a_rule_whose_tickets_are_cut(monkeypatch):
  class Cut(World):
    def connected(self, run):
      return run.settings.pruner != 'snip'

  world = Cut({})
  judgement, = check(monkeypatch, world, pruners=('snip',), checks=('invert',), seeds=None).judgements
  assert judgement.statements == ('open',) and not judgement.can_fail
  assert judgement.collapses.original == judgement.collapses.checked == 5
  assert {run.settings.seed for run in world.made} == {0, 1, 2, 3, 4}, 'more seeds would be as cut'


def test_a_check_that_cuts_the_tickets_is_judged(monkeypatch):
  class Cut(World):
    def connected(self, run):
      return run.settings.check != 'invert'

  judgement, = check(monkeypatch, Cut({('snip', 'invert'): 9.0}), pruners=('snip',), checks=('invert',)).judgements
  assert judgement.statements == ('uses it', 'worth more than d')
  assert judgement.collapses.checked == 5 and judgement.collapses.p_value == 2 / 2**5


def test_intervals_are_those_of_the_error_rate(monkeypatch):
  found = [check(monkeypatch, World({}), pruners=('snip',), checks=('invert',), alpha=alpha).judgements[0]
           for alpha in (0.01, 0.2)]
  (low, high), (other_low, other_high) = (each.interval.rule_family for each in found)
  assert low < other_low < found[0].drop < other_high < high and found[0].drop == found[1].drop


def test_the_interval_of_one_check_is_that_of_the_procedure(monkeypatch):
  judgement, = check(monkeypatch, World({}), pruners=('snip',), checks=('invert',)).judgements
  group = bounds.Group('snip', 0.9, judgement.original.accuracies, {'invert': judgement.checked.accuracies})
  expected, _ = bounds.simultaneous([group], 0.01)
  assert judgement.interval.rule_family == pytest.approx(expected['snip', 0.9, 'invert'].rule_family)


def test_a_spent_budget_leaves_verdicts_on_what_is_done(monkeypatch):
  verdicts = check(monkeypatch, World({}, limit=12), pruners=('snip',), checks=('rearrange', 'invert'), minutes=1)
  assert 'the budget was spent (--budget_minutes=1)' in verdicts.stopped
  assert [len(each.seeds) for each in verdicts.judgements] == [2, 2]
  looked = check(monkeypatch, World({}, limit=10), pruners=('snip',), checks=('rearrange',), seeds=None, minutes=1)
  assert looked.looks.done == 1 and looked.seeds == (0, 1, 2, 3, 4), 'nobody looks again at what was stopped'
  nothing = check(monkeypatch, World({}, limit=1), pruners=('snip',), checks=('rearrange',), minutes=1)
  assert nothing.judgements == () and nothing.stopped.endswith(
      'without any pair of runs: dense at 0.9: luck, snip at 0.9: luck, snip at 0.9: narrow, snip at 0.9: rearrange')


def test_controls_are_a_family_of_their_own(monkeypatch):
  right = World({('lr_rewinding', 'rearrange'): 4.0})
  verdicts = check(monkeypatch, right, pruners=('random',), checks=('rearrange',), ratios=(0.9, 0.98), controls=True)
  assert verdicts.controls.passed is True
  assert [(each.rule, each.ratio, each.check, each.control) for each in verdicts.controls.judgements] == [
      ('lr_rewinding', 0.98, 'rearrange', 'uses it'), ('random', 0.98, 'seeds', 'open')]
  wrong = check(monkeypatch, World({('lr_rewinding', 'rearrange'): -4.0}), pruners=('random',), checks=('rearrange',),
                controls=True)
  assert wrong.controls.passed is False
  few = check(monkeypatch, right, pruners=('random',), checks=('rearrange',), controls=True, seeds=2)
  assert few.controls.passed is None


def test_random_tickets_that_differ_by_their_seeds_are_told(monkeypatch):
  class Worse(World):
    def record(self, run):
      found = super().record(run)
      return dataclasses.replace(found, settled_accuracy=0.8) if run.settings.seed >= 1000 else found

  verdicts = check(monkeypatch, Worse({('lr_rewinding', 'rearrange'): 4.0}), checks=('rearrange',), controls=True)
  assert verdicts.controls.passed is False
  assert 'random, seeds, at ratio 0.95: uses it' in verdicts.controls.findings[1]


def test_controls_are_looked_at_until_they_are_decided(monkeypatch):
  world = World({('snip', 'rearrange'): 9.0, ('snip', ''): -3.0, ('lr_rewinding', 'rearrange'): [-9.0, 9.0] * 4},
                noise=0)
  verdicts = check(monkeypatch, world, pruners=('snip',), checks=('rearrange',), seeds=None, max_seeds=8, controls=True)
  assert verdicts.looks.done == 2 and verdicts.controls.passed is None
  assert [len(each.seeds) for each in (*verdicts.judgements, *verdicts.controls.judgements)] == [5, 8, 8]


def test_controls_that_could_not_be_run_have_not_passed(monkeypatch):
  world = Failing({}, lambda run, look: run.settings.pruner == 'lr_rewinding')
  verdicts = check(monkeypatch, world, pruners=('snip',), checks=('invert',), controls=True)
  assert verdicts.controls.passed is None and len(verdicts.controls.findings) == 1
  assert verdicts.stopped == 'without any pair of runs: lr_rewinding at 0.95: rearrange'


def test_more_questions_make_each_interval_wider(monkeypatch):
  world = World({}, noise=0.1)
  alone, = check(monkeypatch, world, pruners=('snip',), checks=('invert',)).judgements
  among = check(monkeypatch, world, pruners=('snip',), checks=('invert', 'rearrange', 'reinitialise')).judgements[0]
  beside = check(monkeypatch, world, pruners=('snip', 'grasp'), checks=('invert',)).judgements[0]
  width = {name: high - low for name, (low, high) in {
      'alone': alone.interval.rule_family, 'among': among.interval.rule_family,
      'family': beside.interval.rule_family, 'call': beside.interval.whole_call}.items()}
  assert width['among'] > width['alone'] and width['call'] > width['family']


@pytest.mark.parametrize('plan, expected', [
    ({'pruners': ('dense',)}, '--pruner=dense: it removes nothing'),
    ({'seeds': 0}, '--seeds=0: expected'),
    ({'seeds': None, 'max_seeds': 2}, '--max_seeds=2: expected at least 3'),
    ({'pruners': 'snip'}, "pruners 'snip': expected a tuple"),
    ({'seeds': 2.5}, '--seeds=2.5: expected'),
    ({'parallel': 0}, '--parallel=0: expected'),
    ({'base': dataclasses.replace(BASE, check='rearrange')}, '--check=rearrange: expected --checks=rearrange'),
    ({'margin': 0.0}, '--margin=0.0: expected'),
    ({'margin': 'gap'}, '--margin=gap: expected'),
    ({'alpha': 0.7}, '--alpha=0.7: expected'),
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
  luck, = verdicts.luck
  gap, = verdicts.gaps
  assert luck.ratio == gap.ratio == 0.8, 'a run has read what the plan could not'
  assert 'mask_ratio' not in verdicts.command
  with pytest.raises(UsageError, match='--allocation=erk: the mask of --mask is given'):
    check(monkeypatch, World({}), base=dataclasses.replace(base, allocation='erk'))


def test_a_question_whose_runs_all_fail_is_not_asked_again(monkeypatch):
  world = Failing({('snip', 'invert'): 9.0, ('snip', ''): -3.0}, lambda run, look: run.settings.check == 'half_dataset',
                  noise=0.01)
  verdicts = check(monkeypatch, world, pruners=('snip',), checks=('half_dataset', 'invert'), seeds=None, max_seeds=8)
  assert verdicts.looks.done == 1
  failure, = verdicts.failures
  assert 'seed0' in failure and failure.endswith(' and 4 more: planted')
  assert verdicts.stopped == 'without any pair of runs: snip at 0.9: half_dataset'


def test_at_later_looks_the_questions_that_are_decided_still_count(monkeypatch):
  names = ('rearrange', 'shuffle_weights', 'reinitialise')
  world = World({('snip', 'invert'): [-1.0, 2.0] * 4, **{('snip', name): 9.0 for name in names}}, noise=0.1)
  verdicts = check(monkeypatch, world, pruners=('snip',), checks=(*names, 'invert'), seeds=None, max_seeds=8)
  assert [len(each.seeds) for each in verdicts.judgements] == [5, 5, 5, 8] and verdicts.looks.done == 2
  alone, = check(monkeypatch, world, pruners=('snip',), checks=('invert',), seeds=None, max_seeds=8).judgements
  both = [each.interval.rule_family for each in (alone, verdicts.judgements[3])]
  assert both[1][1] - both[1][0] > both[0][1] - both[0][0]


def test_each_look_spends_its_own_level(monkeypatch):
  # At the level of the whole this drop is shown; at that of the first look it is not.
  world = World({('snip', 'invert'): [0.8, 1.6, 0.7, 1.5, 0.9]}, noise=0)
  fixed, = check(monkeypatch, world, pruners=('snip',), checks=('invert',), seeds=5, margin=9).judgements
  looked = check(monkeypatch, world, pruners=('snip',), checks=('invert',), seeds=None, max_seeds=5, margin=9)
  assert looked.judgements[0].interval == fixed.interval, 'one look is no more than one'
  world.costs['snip', 'invert'] += [1.0] * 15
  looked = check(monkeypatch, world, pruners=('snip',), checks=('invert',), seeds=None, max_seeds=20, margin=9)
  assert fixed.statements == ('uses it',) and len(looked.judgements[0].seeds) > 5


def test_the_step_between_accuracies_counts(monkeypatch):
  # Three differences of 0 on 60 images are chance, not certainty.
  wide, narrow = (check(monkeypatch, World({}, noise=0, test_images=images), pruners=('snip',), seeds=3)
                  for images in (60, 10000))
  assert wide.resolution == pytest.approx(100 / 60)
  assert {each.statements for each in wide.judgements} == {('open',)}
  assert {each.statements for each in narrow.judgements} == {('worth less than d', 'equivalent')}


@pytest.mark.parametrize('margin, statement', [(0.5, 'worth more than d'), (2.0, 'worth less than d'),
                                               ('0.05gap', 'worth more than d'), ('0.25gap', 'worth less than d')])
def test_the_margin_is_that_of_the_plan(margin, statement, monkeypatch):
  world = World({('snip', 'invert'): [1.0, 1.1, 0.9, 1.0, 1.0]}, noise=0)
  verdicts = check(monkeypatch, world, pruners=('snip',), checks=('invert',), margin=margin)
  judgement, = verdicts.judgements
  assert statement in judgement.statements and verdicts.margin == f'{margin}'.removesuffix('.0')
  assert judgement.margin == pytest.approx(8 * float(margin[:-3]) if isinstance(margin, str) else margin)


def test_what_is_judged_is_the_settled_accuracy_of_the_final_weights(monkeypatch):
  # The best epochs and the accuracies before settling are as planted, too: they tell nothing of a drop.
  class Best(World):
    def record(self, run):
      other = 0.97 - run.settings.seed / 100
      return dataclasses.replace(super().record(run), best_accuracy=other, final_accuracy=other)

  world = Best({('snip', 'invert'): [3.0, 3.1, 2.9]}, noise=0)
  verdicts = check(monkeypatch, world, pruners=('snip',), checks=('invert',), seeds=3)
  judgement, = verdicts.judgements
  assert judgement.drop == pytest.approx(3.0) and verdicts.accuracy == 'settled_accuracy'
  assert judgement.original.accuracies == (90.0, 90.0, 90.0) and judgement.checked.accuracies == (87.0, 86.9, 87.1)
  assert verdicts.dense.mean == pytest.approx(98)


def test_deviations_are_those_of_a_sample(monkeypatch):
  world = World({('snip', 'invert'): [1.0, 2.0, 4.0], ('snip', ''): [0.0, 0.0, 1.5], ('dense', ''): [0.0, 1.0, 3.0]},
                noise=0)
  verdicts = check(monkeypatch, world, pruners=('snip',), checks=('invert',), seeds=3)
  judgement, = verdicts.judgements
  assert judgement.original.deviation == pytest.approx(statistics.stdev([0, 0, 1.5]))
  assert judgement.checked.deviation == pytest.approx(statistics.stdev([1, 2, 4]))
  assert verdicts.dense.deviation == pytest.approx(statistics.stdev([0, 1, 3]))
  assert judgement.deviation == pytest.approx(statistics.stdev([1, 2, 2.5]))
  assert wording.mean_and_deviation(judgement.checked) == '87.67 ± 1.53'


def test_cut_tickets_are_told_by_side_and_a_drop_is_still_shown(monkeypatch):
  class Cut(World):
    def connected(self, run):
      return (run.settings.check, run.settings.seed) not in (('invert', 0), ('', 2))

  judgement, = check(monkeypatch, Cut({('snip', 'invert'): 9.0}), pruners=('snip',), checks=('invert',)).judgements
  assert judgement.cut == ((False, True), (False, False), (True, False), (False, False), (False, False))
  assert 'uses it' in judgement.statements


def test_commits_and_environment_are_those_of_the_runs(monkeypatch):
  class Mixed(World):
    def record(self, run):
      commit = ('b' if run.settings.pruner == 'dense' else 'a') if run.settings.seed else None
      return dataclasses.replace(super().record(run), environment={'commit': commit, 'of': run.settings.pruner})

  verdicts = check(monkeypatch, Mixed({}), pruners=('snip',), checks=('invert',), seeds=3)
  assert verdicts.commit == 'a, b' and verdicts.environment == {'commit': None, 'of': 'dense'}
  verdicts = check(monkeypatch, Mixed({}), pruners=('snip',), checks=('invert',), seeds=1)
  assert verdicts.commit is None


def test_the_budget_is_that_of_all_looks_together(monkeypatch):
  class Timed(World):
    minutes = ()

    def run_all(self, runs, parallel=1, minutes=0, say=print, progress=True, executor=None):
      self.minutes = (*self.minutes, minutes)
      assert (parallel, progress) == (3, False)
      return super().run_all(runs)

  times = iter([0.0, 60.0, 6000.0])
  monkeypatch.setattr(sanity_check.time, 'monotonic', lambda: next(times))
  world = Timed({('snip', 'invert'): [-9.0, 9.0] * 4}, noise=0)
  verdicts = check(monkeypatch, world, pruners=('snip',), checks=('invert',), seeds=None, max_seeds=8, minutes=10,
                   parallel=3)
  assert world.minutes == (9.0, 0.01), 'a spent budget is not a budget without end'
  assert verdicts.stopped is None


def test_the_same_call_is_judged_the_same_again(monkeypatch, tmp_path):
  plan = {'pruners': ('snip',), 'checks': ('invert',), 'folder': tmp_path}
  assert check(monkeypatch, World({}), **plan) == check(monkeypatch, World({}), **plan)


def test_a_call_with_more_seeds_is_charged_and_told(monkeypatch, tmp_path):
  plan = {'pruners': ('snip',), 'checks': ('invert',)}
  fresh, = check(monkeypatch, World({}), seeds=8, **plan).judgements
  check(monkeypatch, World({}), seeds=5, folder=tmp_path, **plan)
  verdicts = check(monkeypatch, World({}), seeds=8, folder=tmp_path, **plan)
  widths = [high - low for low, high in (each.interval.rule_family for each in (fresh, *verdicts.judgements))]
  assert widths[1] > widths[0] and verdicts.looks.unplanned == (8,)
  assert any('looked at 8 seeds without having planned it' in each for each in verdicts.exploratory)


def test_a_look_at_the_end_of_the_budget_is_charged(monkeypatch, tmp_path):
  plan = {'pruners': ('snip',), 'checks': ('invert',), 'seeds': 8, 'folder': tmp_path}
  stopped = check(monkeypatch, World({}, limit=25), minutes=1, **plan)
  assert stopped.looks.unplanned == (5,) and [len(each.seeds) for each in stopped.judgements] == [5]
  whole = check(monkeypatch, World({}), **plan)
  assert [len(each.seeds) for each in whole.judgements] == [8] and whole.looks.unplanned == (5,)


def test_a_longer_auto_does_not_look_back(monkeypatch, tmp_path):
  world = World({('snip', 'invert'): [-1.0, 2.0] * 10}, noise=0)
  plan = {'pruners': ('snip',), 'checks': ('invert',), 'seeds': None, 'folder': tmp_path}
  check(monkeypatch, world, max_seeds=7, **plan)
  verdicts = check(monkeypatch, world, max_seeds=12, **plan)
  assert verdicts.looks.unplanned[0] > 7 and [len(each.seeds) for each in verdicts.judgements] == [12]
