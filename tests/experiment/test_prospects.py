"""What a sweep would do, and how its progress is shown, from records that are planted."""

import dataclasses
import io
import subprocess
import sys

import filelock
import pytest

import tickets_tf
from tests import example_records
from tests.bin.test_commands import BIN
from tickets_tf.experiment import progress
from tickets_tf.experiment import prospects
from tickets_tf.experiment import standing
from tickets_tf.experiment import sweep
from tickets_tf.report.prospect import prospect_table
from tickets_tf.runs import durations
from tickets_tf.runs import records
from tickets_tf.runs.durations import Durations
from tickets_tf.runs.prospect import State
from tickets_tf.runs.run import Run

BASE = tickets_tf.Settings(epochs=4)


def record(run, train, beside=0.0):
  return example_records.record(run, seconds=records.Seconds(0.0, beside, train, 0.0))


def leave(run, train):
  run.folder.path.mkdir(parents=True, exist_ok=True)
  records.write(run.folder.path, record(run, train))


@pytest.fixture
def base(tmp_path):
  return dataclasses.replace(BASE, output_dir=str(tmp_path))


def test_times_are_those_of_other_seeds_then_of_the_network_then_of_all():
  dense, snip = Run(dataclasses.replace(BASE, pruner='dense')), Run(dataclasses.replace(BASE, pruner='snip', seed=3))
  long = dense.replace(epochs=24)
  model = Durations((record(dense, 50.0), record(dense.replace(seed=1), 54.0), record(long, 252.0),
                     record(snip, 52.0, beside=7.0)))
  assert (model.seconds(dense.replace(seed=5)), model.basis(dense.replace(seed=5))) == (52.0, durations.OTHER_SEEDS)
  # 12 seconds to start and 10 an epoch; what SNIP takes beside its training is its own.
  unseen = dense.replace(epochs=14)
  assert model.seconds(unseen) == pytest.approx(152) and model.basis(unseen) == durations.SAME_NETWORK
  assert model.seconds(snip.replace(ratio=0.5)) == pytest.approx(59)
  other = dense.replace(model='vgg11')
  assert model.seconds(other) == pytest.approx((50 + 54 + 252 + 59) / 4) and model.basis(other) == durations.ANY_RUN
  assert model.seconds(long.replace(stop_epoch=2)) == pytest.approx(32), 'a run that ends early takes those epochs'
  assert 0 < model.error < 0.5 and Durations(()).seconds(dense) is None and Durations(()).error is None


def test_all_runs_together_take_as_long_as_their_order_and_needs_allow():
  base = dataclasses.replace(BASE, pruner='lottery', rounds=3)
  chain = sweep.with_needed([base])
  assert durations.in_all(chain, lambda run: 10.0, 64) == 40, 'each needs the one before'
  free = sweep.with_needed(sweep.grid(BASE, pruner=['snip'], seed=range(7)))
  assert durations.in_all(free, lambda run: 10.0, 3) == 30
  # The first three of the chain keep one place; of four free runs, two places do two each.
  assert durations.in_all([*chain, *free[:4]], lambda run: 10.0, 2) == 40
  assert durations.in_all([], lambda run: 10.0, 2) == 0


def test_a_dry_run_lists_what_is_shared_done_and_left(base):
  runs = sweep.grid(base, pruner=['lottery', 'lr_rewinding', 'snip'], seed=[0, 1])
  dense, done = Run(dataclasses.replace(base, pruner='dense')), Run(runs[0])
  leave(dense, 3600.0)
  leave(done, 1800.0)
  (base_folder := Run(runs[2]).folder.path.parent / 'damaged').mkdir()
  (base_folder / 'record.json').write_text('{')
  at_work, begun = Run(runs[2]), Run(runs[4])
  for run in (at_work, begun):
    run.folder.path.mkdir()
    run.folder.lock.touch()
  with filelock.FileLock(at_work.folder.lock):
    found = prospects.prospect(runs, parallel=2)
  states = {entry.run: entry.state for entry in found.entries}
  assert states[dense] is states[done] is State.DONE
  assert states[at_work] is State.AT_WORK and states[begun] is State.BEGUN
  assert standing.state(at_work.folder) is State.BEGUN, 'the lock of a process that has ended is free'
  assert len(found.entries) == 8 and found.unshared == 10 and found.count(State.TO_DO) == 4
  assert [entry.needed_by for entry in found.entries if entry.run == dense] == [2]
  # The second dense network, lottery 1 and two of SNIP are as the first ones, lr_rewinding as the mean of its network.
  table = prospect_table(found).splitlines()
  assert '8 runs: 6 asked for, 2 more that they need; 2 done, 1 at work, 1 begun, 4 to do' in table
  assert 'shared: 2 runs are needed by several others; with nothing shared there would be 10 runs' in table
  # At once: dense 1 and lr_rewinding 0; then SNIP 0 and lottery 1; then the last two.
  assert found.seconds == pytest.approx(8100)
  assert '1 records could not be read and are no part of the model' in table


def test_a_dry_run_needs_no_tensorflow_and_leaves_nothing(tmp_path):
  code = (f'import runpy, sys\nsys.modules["tensorflow"] = None\nsys.argv = ["sweep", "--pruners=snip,lottery", '
          f'"--dry_run", "--output_dir={tmp_path}"]\nrunpy.run_path({str(BIN / "sweep")!r}, run_name="__main__")')
  done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=False, cwd=tmp_path)
  assert done.returncode == 0, done.stderr
  assert '3 runs: 2 asked for, 1 more that they need; 0 done' in done.stdout and 'hours: unknown' in done.stdout
  assert not list(tmp_path.iterdir())


def test_the_bar_shows_what_is_done_at_work_failed_and_left(base):
  runs = sweep.with_needed(sweep.grid(base, pruner=['snip'], seed=range(4)))
  runs[1].folder.path.mkdir()
  shown = io.StringIO()
  with filelock.FileLock(runs[1].folder.lock), progress.SweepBar(runs, [], True) as bar:
    bar.fp = shown
    bar.ended(runs[0], record(runs[0], 60.0))
    bar.refresh()
    assert '1 done, 1 running, 0 failed of 4' in str(bar) and '<03:00]' in str(bar)
    bar._looked = 0.0
    bar.ended(runs[2], None)
    assert '1 done, 1 running, 1 failed of 4' in str(bar) and '<02:00]' in str(bar)
