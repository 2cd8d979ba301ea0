"""What a sanity check asks, and the command that asks it again."""

import dataclasses

import pytest

from tests.planted_runs import BASE
from tickets_tf.errors import UsageError
from tickets_tf.judging.looks import nominal_levels
from tickets_tf.judging.plan import Plan
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
  planted = Plan(base, ratios=(0.5, 0.9), controls=True).planted()
  table = dataclasses.replace(BASE, samples_per_class=2, ratio=0.9, seed=7)
  assert {each.rule for each in planted} == {Run(dataclasses.replace(table, pruner=pruner))
                                             for pruner in ('random', 'lr_rewinding')}


def test_a_check_that_cannot_be_is_refused_before_there_are_runs():
  with pytest.raises(UsageError, match='rearange'):
    Plan(BASE, ('snip',), checks=('rearange',)).questions()


@pytest.mark.parametrize('seeds', [4, None])
def test_the_levels_of_all_looks_are_the_error_rate(seeds):
  plan = Plan(BASE, seeds=seeds, max_seeds=8, alpha=0.1)
  assert plan.looks() == ([3, 5, 8] if seeds is None else [4])
  assert plan.levels() == ([0.1] if seeds else nominal_levels([3, 5, 8], 0.1))
  assert sum(plan.levels()) == pytest.approx(0.1)


def test_controls_say_what_they_must_come_out_as():
  assert Plan(BASE).planted() == []
  assert [(each.rule.settings.pruner, each.check, each.control) for each in Plan(BASE, controls=True).planted()] == [
      ('random', 'random_labels', 'insensitive'), ('random', 'random_pixels', 'insensitive'),
      ('random', 'half_dataset', 'insensitive'), ('random', 'rearrange', 'insensitive'),
      ('lr_rewinding', 'rearrange', 'sensitive')]


def test_runs_come_seed_by_seed():
  plan = Plan(BASE, ('snip', 'random'), (0.9,), ('invert',))
  runs = [(run.settings.pruner, run.settings.check, run.settings.seed) for run in plan.runs(plan.questions(), (7, 8))]
  assert runs == [each for seed in (7, 8) for each in (
      ('snip', '', seed), ('snip', 'invert', seed), ('random', '', seed), ('random', 'invert', seed),
      ('dense', '', seed))]


def test_the_folder_of_a_report_has_a_name_that_any_file_system_takes():
  name = Plan(BASE, ('examples.mine:loud_inputs', 'snip', 'grasp', 'random')).folder().name
  assert name.startswith('sanity-digits-examples.mine.loud_inputs-snip-grasp-more-')
