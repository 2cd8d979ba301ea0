"""The flags of the sanity check reach its plan."""

import dataclasses
import os
import pathlib
import subprocess
import sys
import types

import pytest

from tests.planted_runs import BASE
from tests.planted_runs import World
from tickets_tf.cli import executing
from tickets_tf.cli import sanity_check
from tickets_tf.errors import UsageError
from tickets_tf.experiment import planning
from tickets_tf.experiment import sweep
from tickets_tf.judging import verdicts

FLAGS = {'pruners': ['snip', 'random'], 'ratios': ['0.8'], 'checks': ['invert'], 'seeds': '5', 'max_seeds': 20,
         'margin': '0.5', 'alpha': 0.05, 'controls': False, 'ladder': False, 'narrow': True, 'equal_epochs': False,
         'plan': False, 'hours': 0.0, 'budget_minutes': 0.0, 'parallel': 1, 'rejudge': '', 'output': ''}
ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture
def world(monkeypatch):
  """Runs in which random tickets lose about one point if their scores are inverted."""
  planted = World({('random', 'invert'): [1.0, 1.1, 0.9, 1.0, 1.0]}, noise=0)
  monkeypatch.setattr(sweep, 'run_all', planted.run_all)
  return planted


def main(monkeypatch, folder, **flags):
  """Runs the program with these flags, its report in a folder."""
  values = types.SimpleNamespace(**{**FLAGS, **flags}, report=str(folder))
  monkeypatch.setattr(sanity_check, 'flags', types.SimpleNamespace(FLAGS=values))
  monkeypatch.setattr(sanity_check, 'from_flags', lambda: dataclasses.replace(BASE, output_dir=str(folder)))
  monkeypatch.setattr(executing, 'from_flags', lambda: None)
  return sanity_check.main()


def judged(monkeypatch, folder, **flags):
  """Returns the `Verdicts` that the program writes with these flags."""
  assert main(monkeypatch, folder, **flags) is True
  return verdicts.read(folder / 'verdicts.json')


def test_the_margin_and_the_error_rate_are_those_of_the_flags(monkeypatch, tmp_path, world):
  found = judged(monkeypatch, tmp_path)
  assert (found.margin, found.alpha, found.seeds) == ('0.5', 0.05, (0, 1, 2, 3, 4))
  assert [(each.rule, each.ratio, each.statements[-1]) for each in found.judgements] == [
      ('snip', 0.8, 'equivalent'), ('random', 0.8, 'worth more than d')]
  assert [each.rule for each in found.luck] == ['snip'] and found.ladders == ()
  found = judged(monkeypatch, tmp_path, margin='0.4gap', alpha=0.1, ladder=True)
  assert (found.margin, found.alpha, len(found.ladders)) == ('0.4gap', 0.1, 2)
  assert [each.statements[-1] for each in found.judgements] == ['equivalent', 'equivalent']
  assert '--margin=0.4gap --alpha=0.1 --ladder' in found.command


def test_seeds_are_added_up_to_the_most(monkeypatch, tmp_path, world):
  found = judged(monkeypatch, tmp_path, seeds='auto', max_seeds=8)
  assert found.looks.sizes == (5, 8)


def test_controls_are_asked_for(monkeypatch, tmp_path, world):
  assert judged(monkeypatch, tmp_path).controls is None
  assert len(judged(monkeypatch, tmp_path, controls=True).controls.findings) == 2


def test_a_plan_is_shown_and_nothing_is_run(monkeypatch, tmp_path, world, capsys):
  assert main(monkeypatch, tmp_path / 'none', plan=True) is True
  shown = capsys.readouterr().out
  row = next(line.split() for line in shown.splitlines() if line.strip().startswith('*5'))
  assert row[:4] == ['*5', '30', '30', 'unknown'] and 'assumed, as nothing is recorded' in shown
  assert world.made == [] and not (tmp_path / 'none').exists()


def test_hours_choose_the_seeds(monkeypatch, tmp_path, world, capsys):
  asked = []

  def within(plan, hours, progress, executor):
    asked.append((plan.seeds, hours, progress))
    return dataclasses.replace(plan, seeds=4)

  monkeypatch.setattr(planning, 'within', within)
  found = judged(monkeypatch, tmp_path, hours=2.0)
  assert asked == [(5, 2.0, True)] and len(found.seeds) == 4 and '--seeds=4' in found.command
  assert '--hours=2: 4 seeds' in capsys.readouterr().out


@pytest.mark.parametrize('flags', [{'rejudge': 'verdicts.json'}, {'output': 'folder'}])
def test_judging_again_needs_a_file_and_a_folder(monkeypatch, tmp_path, flags):
  with pytest.raises(UsageError, match=r'--rejudge=.* --output=.*: expected a verdicts\.json and a folder'):
    main(monkeypatch, tmp_path, **flags)


def test_recorded_accuracies_are_judged_again_without_a_run(monkeypatch, tmp_path, world):
  found = judged(monkeypatch, tmp_path / 'first')
  code = ('import sys; from tickets_tf.cli import command, sanity_check\n'
          'def main():\n'
          '  done = sanity_check.main()\n'
          '  assert "tensorflow" not in sys.modules\n'
          '  return done\n'
          'command.run(main, define=sanity_check.define_flags, text="")')
  again = tmp_path / 'again'
  done = subprocess.run([sys.executable, '-c', code, f'--rejudge={tmp_path / "first" / "verdicts.json"}',
                         f'--output={again}', '--margin=1.5'], env={**os.environ, 'PYTHONPATH': str(ROOT)},
                        cwd=tmp_path, capture_output=True, text=True, check=False)
  assert done.returncode == 0, done.stderr
  second = verdicts.read(again / 'verdicts.json')
  assert second.margin == '1.5' and [each.drop for each in second.judgements] == [
      each.drop for each in found.judgements]
  assert [each.interval for each in second.judgements] == [each.interval for each in found.judgements]
  assert (again / 'report.html').exists() and (again / 'report.md').exists()


def test_planning_every_check_needs_no_tensorflow(tmp_path):
  code = ('import sys; sys.modules["tensorflow"] = None\n'
          'from tickets_tf import Plan, Settings\nfrom tickets_tf.registry import CHECKS\n'
          'plan = Plan(Settings(), ("snip", "synflow", "lr_rewinding"), (0.9,), tuple(CHECKS.names()), 3, 3,\n'
          '            ladder=True)\n'
          'print(len(plan.runs(plan.questions(), [0])))')
  done = subprocess.run([sys.executable, '-c', code], env={**os.environ, 'PYTHONPATH': str(ROOT)}, cwd=tmp_path,
                        capture_output=True, text=True, check=False)
  assert done.returncode == 0 and int(done.stdout) > 40, done.stderr


def test_what_cannot_be_asked_leaves_no_folder(monkeypatch, tmp_path, world):
  with pytest.raises(UsageError, match="unknown check 'nope'"):
    main(monkeypatch, tmp_path / 'none', checks=['nope'])
  assert not (tmp_path / 'none').exists()


def test_a_file_that_cannot_be_judged_again_is_told_with_its_flag(tmp_path):
  code = 'from tickets_tf.cli import sanity_check; sanity_check.run()'
  done = subprocess.run([sys.executable, '-c', code, f'--rejudge={tmp_path / "none.json"}',
                         f'--output={tmp_path / "again"}'], capture_output=True, text=True)
  assert done.returncode == 2 and not (tmp_path / 'again').exists()
  assert f'--rejudge={tmp_path / "none.json"}: expected a verdicts.json' in done.stderr
