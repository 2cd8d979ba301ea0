"""What a sanity check would take and could show, from records that are planted."""

import dataclasses
import statistics

import pytest

from tests.planted_runs import BASE
from tests.planted_runs import World
from tickets_tf.errors import UsageError
from tickets_tf.experiment import planning
from tickets_tf.experiment import sweep
from tickets_tf.judging.plan import Plan
from tickets_tf.report import designs
from tickets_tf.runs import records


@pytest.fixture
def plan(tmp_path):
  """Two checks of one rule, and luck: five runs a seed."""
  return Plan(dataclasses.replace(BASE, output_dir=str(tmp_path)), ('snip',), (0.9,), ('invert', 'rearrange'), 5,
              narrow=False)


def leave(runs, seconds=lambda run: 60.0, world=None):
  """Leaves the records of runs in their folders."""
  for run in runs:
    record = (world or World({}, noise=0.5)).record(run)
    run.folder.path.mkdir(parents=True)
    records.write(run.folder.path, dataclasses.replace(
        record, seconds=records.Seconds(0.0, 0.0, seconds(run), 0.0)))


def runs_of(plan, seeds):
  return plan.runs(plan.every_question(), seeds)


def test_without_runs_the_time_is_unknown_and_the_deviation_assumed(plan):
  found = planning.survey(plan)
  design = found.design(5)
  assert (design.runs, design.left, design.hours) == (25, 25, None)
  assert found.spread.comparisons == 0 and design.drop > design.luck > 0
  assert found.within(1000) is None
  shown = designs.designs_table(found.designs(), found.spread, plan.looks())
  assert '*5' in shown and 'unknown' in shown and 'assumed' in shown


def test_a_small_dense_network_is_one_more_run_of_each_seed(plan):
  design = planning.survey(dataclasses.replace(plan, narrow=True)).design(5)
  assert (design.runs, design.left) == (30, 30)


def test_the_time_is_that_of_the_runs_that_are_there(plan):
  leave(runs_of(plan, [0]), lambda run: 3600.0 if run.settings.pruner == 'dense' else 360.0)
  design = planning.survey(plan).design(3)
  assert (design.runs, design.left) == (15, 10)
  assert design.hours == pytest.approx(2 * (1 + 4 * 0.1))
  assert planning.survey(dataclasses.replace(plan, parallel=2)).design(3).hours == pytest.approx(1.4)


def test_a_run_that_nothing_is_known_of_takes_as_long_as_the_others(plan):
  leave([run for run in runs_of(plan, [0]) if run.settings.pruner == 'random'], lambda run: 720.0)
  assert planning.survey(plan).design(3).hours == pytest.approx(14 * 0.2)


def test_the_deviation_is_the_median_of_what_is_recorded(plan):
  world = World({('snip', ''): [0.0, 1.0, 5.0], ('snip', 'invert'): [0.0, 0.0, 0.0], ('random', ''): [0.0] * 3,
                 ('snip', 'rearrange'): [0.0, 1.0, 3.0], ('dense', ''): [0.0, 1.0, 1.0]}, noise=0)
  leave(runs_of(plan, range(3)), world=world)
  found = planning.survey(plan)
  drops = [[0, 1, 5], [0, 1, 5], [0, 0, 2], [0, 1, 1]]
  assert found.spread.comparisons == 4
  assert found.spread.deviation == pytest.approx(statistics.median(map(statistics.variance, drops))**0.5)
  assert 'the median of 4 recorded comparisons' in designs.designs_table(found.designs(), found.spread, [5])


def test_hours_choose_the_most_seeds_that_fit(plan):
  leave(runs_of(plan, [0]), lambda run: 360.0)
  chosen = planning.within(plan, 2.3)
  assert chosen.seeds == 5, 'four more seeds take 0.5 hours each'
  assert chosen.minutes == pytest.approx(138, abs=1)
  with pytest.raises(UsageError, match=r'--hours=0\.5: 3 seeds, the fewest that have intervals, take 1 hours more'):
    planning.within(plan, 0.5)


def test_seeds_that_are_done_take_no_time(plan):
  leave(runs_of(plan, range(3)), lambda run: 360.0)
  assert planning.within(plan, 1e-9).seeds == 3


def test_a_plan_of_looks_shows_the_looks(plan):
  found = planning.survey(dataclasses.replace(plan, seeds=None, max_seeds=8))
  assert [design.seeds for design in found.designs()] == [5, 8]
  fixed = planning.survey(dataclasses.replace(plan, seeds=7))
  assert [design.seeds for design in fixed.designs()] == [3, 5, 7, 8, 12, 20]


def test_without_runs_the_first_seed_measures_the_time(plan, monkeypatch):
  asked = []

  def run_all(runs, parallel, minutes, say, progress, executor):
    asked.append(([run.seed for run in runs], minutes))
    leave(runs_of(plan, [0]), lambda run: 360.0)

  monkeypatch.setattr(sweep, 'run_all', run_all)
  said = []
  assert planning.within(plan, 2.3, said.append).seeds == 5
  assert asked == [([0] * 5, 138.0)] and 'no run is done' in said[0]


def test_looks_have_their_own_levels(plan):
  fixed, looked = (planning.survey(dataclasses.replace(plan, seeds=seeds)).design(5) for seeds in (5, None))
  assert looked.drop > fixed.drop
