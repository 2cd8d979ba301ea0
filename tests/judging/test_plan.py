"""What a sanity check asks, and the command that asks it again."""

import dataclasses
import itertools

import numpy as np
import pytest

from tests.planted_runs import BASE
from tickets_tf.errors import UsageError
from tickets_tf.judging.looks import nominal_levels
from tickets_tf.judging.plan import Plan
from tickets_tf.pruning.mask import Mask
from tickets_tf.runs.run import Run


def test_the_command_makes_the_same_plan():
  plan = Plan(dataclasses.replace(BASE, jit=True, data_dir='a b'), ('snip', 'my.mod:fn'), (0.9, 0.98),
                     ('invert',), None, controls=True)
  assert plan.command() == ("bin/sanity_check --pruners=snip,my.mod:fn --ratios=0.9,0.98 --checks=invert --seeds=auto "
                            "--controls --data_dir='a b' --epochs=4 --jit")
  assert dataclasses.replace(plan, minutes=5.0, parallel=3).command() == plan.command(), 'the judgements are the same'


def test_the_command_keeps_what_is_set_to_nothing():
  plan = Plan(dataclasses.replace(BASE, milestones=''), ('snip',), (0.9999999,), seeds=3)
  assert plan.command() == "bin/sanity_check --pruners=snip --ratios=0.9999999 --seeds=3 --epochs=4 --milestones=''"


def test_a_plan_is_of_the_rule_of_its_settings():
  plan = Plan(dataclasses.replace(BASE, pruner='snip', ratio=0.7))
  assert (plan.pruners, plan.ratios) == (('snip',), (0.7,))


def test_a_mask_from_a_file_is_one_question_at_every_ratio(tmp_path):
  (tmp_path / 'mask.npz').write_bytes(b'mask')
  base = dataclasses.replace(BASE, pruner='given', mask=str(tmp_path / 'mask.npz'))
  assert len(Plan(base, ratios=(0.5, 0.9), checks=('rearrange',)).questions()) == 1


def test_another_mask_of_the_same_name_is_reported_in_another_folder(tmp_path):
  plan = Plan(dataclasses.replace(BASE, pruner='given', mask=str(tmp_path / 'mask.npz')))
  folders = []
  for content in (b'one', b'other', b'one'):
    (tmp_path / 'mask.npz').write_bytes(content)
    folders.append(plan.folder())
  assert folders[0] == folders[2] != folders[1]


def test_controls_are_the_rows_of_the_table_whatever_else_was_asked_for():
  base = dataclasses.replace(BASE, pruner='snip', allocation='erk', pattern='1x4', rounds=3, samples_per_class=2,
                             seed=7, score_options='a=1')
  planted = Plan(base, ratios=(0.5, 0.98), controls=True).planted()
  table = dataclasses.replace(BASE, samples_per_class=2, ratio=0.98, seed=7)
  assert [each.rule for each in planted] == [Run(dataclasses.replace(table, pruner=pruner))
                                             for pruner in ('lr_rewinding', 'random')]


@pytest.mark.parametrize('ratios, expected', [((0.5, 0.9), 0.95), ((0.9, 0.99), 0.99)])
def test_controls_are_planted_at_a_ratio_where_they_can_fail(ratios, expected):
  planted = Plan(BASE, ratios=ratios, controls=True).planted()
  assert {each.rule.settings.ratio for each in planted} == {expected}


def test_a_check_that_cannot_be_is_refused_before_there_are_runs():
  with pytest.raises(UsageError, match='rearange'):
    Plan(BASE, ('snip',), checks=('rearange',)).questions()


@pytest.mark.parametrize('seeds', [4, None])
def test_the_levels_of_all_looks_are_the_error_rate(seeds):
  plan = Plan(BASE, seeds=seeds, max_seeds=8, alpha=0.1)
  assert plan.looks() == ([5, 8] if seeds is None else [4])
  assert plan.levels() == ([0.1] if seeds else nominal_levels([5, 8], 0.1))
  assert sum(plan.levels()) == pytest.approx(0.1)
  assert Plan(BASE, seeds=None, max_seeds=4).looks() == [4]


def test_controls_say_what_they_must_come_out_as():
  assert Plan(BASE).planted() == []
  uses, same = Plan(BASE, controls=True).planted()
  assert (uses.rule.settings.pruner, uses.check, uses.control) == ('lr_rewinding', 'rearrange', 'uses it')
  assert (same.rule.settings.pruner, same.check, same.control) == ('random', 'seeds', 'open')
  assert not uses.by_construction and not same.by_construction, 'an identity could not fail'


@pytest.mark.parametrize('seeds', [5, 2500])
def test_random_tickets_of_the_control_are_of_seeds_that_nobody_asks_for(seeds):
  base = dataclasses.replace(BASE, seed=3)
  _, same = Plan(base, seeds=seeds, controls=True).planted()
  asked = {same.original(seed) for seed in range(3, 3 + seeds)}
  assert not asked & {same.checked(seed) for seed in range(3, 3 + seeds)}
  assert same.checked(3).settings.pruner == 'random'


def test_every_rule_is_compared_with_luck_and_luck_with_the_dense_network():
  base = dataclasses.replace(BASE, samples_per_class=2, allocation='erk')
  plan = Plan(base, ('snip', 'random'), (0.9, 0.98))
  lucky = {ratio: Run(dataclasses.replace(BASE, samples_per_class=2, pruner='random', ratio=ratio))
           for ratio in (0.9, 0.98)}
  assert [(each.rule.settings.pruner, each.rule.rule.allocation, each.check, each.other) for each in plan.luck()] == [
      (pruner, 'erk', 'luck', lucky[ratio]) for pruner in ('snip', 'random') for ratio in (0.9, 0.98)]
  assert [(each.rule, each.other, each.ratio) for each in plan.gaps()] == [
      (plan.dense(0), lucky[ratio], ratio) for ratio in (0.9, 0.98)]


def test_luck_is_not_compared_with_itself():
  plan = Plan(BASE, ('random', 'snip'), ladder=True)
  assert [each.rule.settings.pruner for each in plan.luck()] == ['snip']
  assert [each.names for each in plan.ladders()] == [('luck', 'uniform'), ('original', 'rearrange', 'luck', 'uniform')]
  assert len(plan.gaps()) == 1


def test_every_rule_is_compared_with_a_small_dense_network_if_there_is_one():
  base = dataclasses.replace(BASE, match='macs', allocation='erk', samples_per_class=2)
  plan = Plan(base, ('snip', 'random'), (0.9, 0.98))
  small = {ratio: Run(dataclasses.replace(BASE, match='macs', pruner='narrow', ratio=ratio)) for ratio in (0.9, 0.98)}
  assert [(each.rule.settings.pruner, each.check, each.ratio, each.other) for each in plan.small_dense()] == [
      (pruner, 'narrow', ratio, small[ratio]) for pruner in ('snip', 'random') for ratio in (0.9, 0.98)]
  assert not dataclasses.replace(plan, narrow=False).small_dense()
  assert dataclasses.replace(plan, narrow=False).command().count('--nonarrow') == 1
  assert not Plan(dataclasses.replace(BASE, model='json:dumps'), ('snip',)).small_dense(), 'it takes no width'


def test_luck_starts_as_the_rule_does():
  plan = Plan(dataclasses.replace(BASE, sparse_init=True), ('snip',), controls=True)
  assert plan.luck()[0].other.settings.sparse_init
  assert not plan.planted()[0].rule.settings.sparse_init, 'it starts from trained weights'


def test_a_mask_is_compared_with_luck_at_its_own_ratio(tmp_path):
  path = tmp_path / 'mask.npz'
  Mask({'conv1': np.arange(100) < 7}).save(path)
  question, = Plan(dataclasses.replace(BASE, pruner='given', mask=str(path)), ratios=(0.5, 0.9)).luck()
  assert question.other == Run(dataclasses.replace(BASE, pruner='random', ratio=0.93))
  small, = Plan(dataclasses.replace(BASE, pruner='given', mask=str(path)), ratios=(0.5, 0.9)).small_dense()
  assert small.other.settings.ratio == 0.93
  path.write_bytes(b'broken')
  plan = Plan(dataclasses.replace(BASE, pruner='given', mask=str(path)))
  assert plan.luck() == plan.gaps() == [], 'its run says what is wrong with it'


def test_the_ladder_takes_one_thing_away_at_a_time():
  plan = Plan(BASE, ('snip',), (0.9,), ladder=True)
  ladder, = plan.ladders()
  tickets = [(run.settings.pruner, run.settings.check, run.rule.allocation, run.settings.seed)
             for run in ladder.runs(4)]
  assert tickets == [('snip', '', 'global', 4), ('snip', 'rearrange', 'global', 4), ('random', '', 'smart', 4),
                     ('random', '', 'uniform', 4)]
  assert [each.check for each in ladder.steps] == ['positions', 'ratios', 'smartness']
  assert [(each.original(4), each.checked(4)) for each in ladder.steps] == list(itertools.pairwise(ladder.runs(4)))
  assert Plan(BASE, ('snip',)).ladders() == []


def test_runs_come_seed_by_seed():
  plan = Plan(BASE, ('snip', 'random'), (0.9,), ('invert',))
  runs = [(run.settings.pruner, run.settings.check, run.settings.seed)
          for run in plan.runs(plan.every_question(), (0, 1))]
  assert runs == [each for seed in (0, 1) for each in (
      ('snip', '', seed), ('random', '', seed), ('narrow', '', seed), ('snip', 'invert', seed),
      ('random', 'invert', seed), ('dense', '', seed))]


def test_what_is_known_by_construction_is_run_once():
  plan = Plan(BASE, ('random',), (0.9,), ('random_labels', 'rearrange'))
  runs = plan.runs(plan.every_question(), (0, 1, 2))
  assert [run.settings.seed for run in runs if run.settings.check == 'random_labels'] == [0]
  assert [run.settings.seed for run in runs if run.settings.check == 'rearrange'] == [0, 1, 2]


@pytest.mark.parametrize('margin', ['0.2gap', 0.7])
def test_the_margin_is_read_as_it_was_given(margin):
  plan = Plan(BASE, margin=margin)
  assert str(plan.parsed_margin()) == str(margin) and f'--margin={margin}' in plan.command()


def test_the_folder_of_a_report_has_a_name_that_any_file_system_takes():
  name = Plan(BASE, ('examples.mine:loud_inputs', 'snip', 'grasp', 'random')).folder().name
  assert name.startswith('sanity-digits-examples.mine.loud_inputs-snip-grasp-more-')


def test_equal_epochs_train_luck_as_long_as_the_rule():
  plan = Plan(BASE, pruners=('snip', 'lr_rewinding', 'rigl'), ratios=(0.9,), equal_epochs=True, ladder=True)
  epochs = BASE.epochs
  assert [each.other.settings.epochs for each in plan.luck()] == [epochs, 2 * epochs, epochs]
  assert [each.other.settings.epochs for each in plan.small_dense()] == [epochs, 2 * epochs, epochs]
  assert [each.tickets[2].settings.epochs for each in plan.ladders()] == [epochs, 2 * epochs, epochs]
  assert {each.rule.settings.epochs for each in plan.gaps()} == {epochs}
  assert '--equal_epochs' in plan.command()
  assert all(each.other.settings.epochs == epochs for each in dataclasses.replace(plan, equal_epochs=False).luck())


def test_a_rule_whose_mask_changes_in_training_is_asked_about_luck_and_its_ratios():
  plan = Plan(dataclasses.replace(BASE, update_every='2'), pruners=('rigl',), ratios=(0.9,), ladder=True)
  assert not plan.questions() and [each.check for each in plan.luck()] == ['luck']
  (like,), = [each.tickets[1:2] for each in plan.ladders()]
  assert like.settings.allocation == 'like:rigl' and like.like.settings.update_every == '2'
  with pytest.raises(UsageError, match=r'--ladder: the mask changes in training .*--pruner=rigl without other choices'):
    dataclasses.replace(plan, base=dataclasses.replace(plan.base, allocation='er')).ladders()
  with pytest.raises(UsageError, match='--check=rearrange'):
    dataclasses.replace(plan, checks=('rearrange',)).questions()


def test_without_checks_luck_is_left():
  plan = Plan(BASE, pruners=('snip',), ratios=(0.9,), checks=('none',))
  assert not plan.questions() and len(plan.luck()) == 1 and '--checks=none' in plan.command()
