"""The flags of the sanity check reach its plan."""

import types

from tests.planted_runs import BASE
from tests.planted_runs import World
from tickets_tf.cli import sanity_check
from tickets_tf.experiment import sweep
from tickets_tf.judging import verdicts

FLAGS = {'pruners': ['snip', 'random'], 'ratios': ['0.8'], 'checks': ['invert'], 'seeds': '3', 'max_seeds': 20,
         'margin': 0.5, 'alpha': 0.05, 'controls': False, 'budget_minutes': 0.0, 'parallel': 1}


def judged(monkeypatch, folder, **flags):
  """Returns the `Verdicts` that the program writes with these flags; the second rule drops by about one point."""
  world = World({('random', 'invert'): [1.0, 1.1, 0.9, 1.0, 1.0]}, noise=0)
  monkeypatch.setattr(sweep, 'run_all', world.run_all)
  values = types.SimpleNamespace(**{**FLAGS, **flags}, report=str(folder))
  monkeypatch.setattr(sanity_check, 'flags', types.SimpleNamespace(FLAGS=values))
  monkeypatch.setattr(sanity_check, 'from_flags', lambda: BASE)
  assert sanity_check.main() is True
  return verdicts.read(folder / 'verdicts.json')


def test_the_margin_and_the_error_rate_are_those_of_the_flags(monkeypatch, tmp_path):
  found = judged(monkeypatch, tmp_path)
  assert (found.margin, found.alpha, found.seeds) == (0.5, 0.05, (0, 1, 2))
  assert [(each.rule, each.ratio, each.verdict) for each in found.judgements] == [
      ('snip', 0.8, 'insensitive'), ('random', 0.8, 'sensitive')]
  found = judged(monkeypatch, tmp_path, margin=3.0, alpha=0.1)
  assert (found.margin, found.alpha) == (3.0, 0.1)
  assert [each.verdict for each in found.judgements] == ['insensitive', 'insensitive']
  assert '--margin=3.0 --alpha=0.1' in found.command


def test_seeds_are_added_up_to_the_most(monkeypatch, tmp_path):
  found = judged(monkeypatch, tmp_path, seeds='auto', max_seeds=4)
  assert found.looks.sizes == (3, 4)


def test_controls_are_asked_for(monkeypatch, tmp_path):
  assert judged(monkeypatch, tmp_path).controls is None
  assert len(judged(monkeypatch, tmp_path, controls=True).controls.findings) == 5
