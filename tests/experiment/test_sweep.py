import dataclasses
import os

import pytest

import tickets_tf
from tests import example_records
from tests import small_network
from tickets_tf.errors import UsageError
from tickets_tf.experiment import sweep
from tickets_tf.experiment import workers
from tickets_tf.runs import records
from tickets_tf.runs.run import Run

BASE = tickets_tf.Settings(epochs=4)


@pytest.fixture
def world(tmp_path, monkeypatch):
  """(settings without an output of their own, list of the runs made): runs that only leave a record."""
  made = []

  def make(run):
    made.append(run)
    if run.pruner == 'grasp':
      return 'scores of conv1: 3 of 9 are NaN or infinite'
    folder = Run(run).folder.path
    folder.mkdir(parents=True)
    records.write(folder, example_records.record(Run(run)))
    return ''

  monkeypatch.setattr(workers, 'do', make)
  return dataclasses.replace(BASE, output_dir=str(tmp_path)), made


def run_all(runs):
  return sweep.run_all(runs, say=lambda line: None, progress=False)


def names(made):
  return [(run.pruner, run.check) for run in made]


def test_what_is_needed_comes_first_and_once(world):
  base, made = world
  runs = sweep.grid(base, pruner=['snip', 'lottery', 'obd'])
  outcome = run_all(runs)
  assert names(made) == [('snip', ''), ('dense', ''), ('lottery', ''), ('obd', '')]
  assert all(outcome.record(run) for run in runs) and not outcome.failures and not outcome.stopped


def test_what_needed_runs_need_comes_before_them(world):
  base, made = world
  run_all(sweep.grid(base, pruner=['lottery'], rounds=[3]))
  assert [(run.pruner, run.rounds) for run in made] == [('dense', 0), ('lottery', 0), ('lottery', 2), ('lottery', 3)]


def test_a_check_of_the_ticket_comes_after_its_original(world):
  base, made = world
  run_all(sweep.grid(base, pruner=['snip'], check=['rearrange', 'random_labels']))
  assert names(made) == [('snip', ''), ('snip', 'rearrange'), ('snip', 'random_labels')]


def test_done_runs_are_not_made_again(world):
  base, made = world
  run_all(sweep.grid(base, pruner=['snip']))
  outcome = run_all(sweep.grid(base, pruner=['snip', 'random'], seed=[0, 1]))
  assert len(made) == 4 and len(outcome.records) == 4


def test_settings_that_name_one_run_count_once(world):
  base, made = world
  runs = sweep.grid(base, ratio=[0.5, 0.9], pruner=['dense', 'snip'])
  assert len(run_all(runs).distinct(runs)) == 3 == len(made)


def test_a_failure_stops_only_what_needs_it(world):
  base, made = world
  outcome = run_all(sweep.grid(base, pruner=['grasp', 'snip'], check=['', 'rearrange']))
  assert names(made) == [('grasp', ''), ('snip', ''), ('snip', 'rearrange')]
  grasp = Run(dataclasses.replace(base, pruner='grasp')).name
  assert sorted(outcome.failures.values()) == [
      f'not done, since it needs {grasp}, which failed',
      'scores of conv1: 3 of 9 are NaN or infinite']


def test_what_cannot_be_used_ends_a_sweep_of_which_nothing_is_done_and_no_other(world, monkeypatch):
  base, _ = world
  make = workers.do
  monkeypatch.setattr(workers, 'do', lambda run: workers.UsageProblem('--data_dir: no such folder')
                      if run.pruner == 'synflow' else make(run))
  with pytest.raises(UsageError, match=r'--data_dir: no such folder'):
    run_all(sweep.grid(base, pruner=['synflow', 'snip']))
  outcome = run_all(sweep.grid(base, pruner=['snip', 'synflow', 'random']))
  assert len(outcome.records) == 2 and list(outcome.failures.values()) == ['--data_dir: no such folder']


def test_settings_that_cannot_be_used_are_told_from_what_fails(tmp_path):
  problem = workers.do(dataclasses.replace(BASE, dataset='folder', output_dir=str(tmp_path)))
  assert isinstance(problem, workers.UsageProblem) and 'needs --data_dir' in problem


def test_a_problem_of_many_runs_is_told_once(world, capsys):
  base, _ = world
  outcome = run_all(sweep.grid(base, pruner=['grasp'], seed=[0, 1, 2]))
  assert len(outcome.failures) == 3
  assert capsys.readouterr().out.count('NaN or infinite') == 1


@pytest.mark.parametrize('parallel, minutes', [(1, 0), (1, 2), (3, 0), (3, 2)])
def test_runs_that_may_be_stopped_are_in_processes_of_their_own(parallel, minutes, world, monkeypatch):
  base, made = world
  asked = []
  monkeypatch.setattr(sweep.time, 'monotonic', lambda: 1000.0)
  monkeypatch.setattr(workers, 'side_by_side', lambda left, done, parallel, deadline: asked.append(
      (parallel, deadline)) or iter(()))
  sweep.run_all(sweep.grid(base, pruner=['snip']), parallel, minutes, say=lambda line: None, progress=False)
  here = parallel == 1 and not minutes
  assert len(made) == here and asked == ([] if here else [(parallel, 1120.0 if minutes else None)])


def test_the_grid_varies_the_first_name_slowest():
  made = sweep.grid(BASE, seed=[0, 1], ratio=[0.5, 0.9])
  assert [(run.seed, run.ratio) for run in made] == [(0, 0.5), (0, 0.9), (1, 0.5), (1, 0.9)]
  made = sweep.grid(BASE, ratio=[0.5, 0.9], pruner=['snip', {'pruner': 'snip', 'check': 'invert'}])
  assert [(run.ratio, run.pruner, run.check) for run in made] == [
      (ratio, 'snip', check) for ratio in (0.5, 0.9) for check in ('', 'invert')]
  with pytest.raises(UsageError, match='sede: no such setting'):
    sweep.grid(BASE, sede=[1])
  with pytest.raises(UsageError, match=r'--ratio=1.5'):
    sweep.grid(BASE, ratio=[0.5, 1.5])


SCORES = """
import os
import signal
import numpy as np
import tickets_tf
import tensorflow as tf

def constant(model, images, labels, rng):
  return [np.ones(kernel.shape) for kernel in tickets_tf.prunable_kernels(model)]

def large(model, images, labels, rng):
  raise tf.errors.ResourceExhaustedError(None, None, 'out of memory\\nwhile allocating')

def deadly(model, images, labels, rng):
  os.write(2, b'no kernel image\\n')
  os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def small(tmp_path, monkeypatch):
  """Settings of small runs, whose processes find the scores of `SCORES`."""
  (tmp_path / 'planted_scores.py').write_text(SCORES)
  monkeypatch.syspath_prepend(tmp_path)
  monkeypatch.setenv('PYTHONPATH', f'{tmp_path}{os.pathsep}{os.environ.get("PYTHONPATH", "")}')
  return dataclasses.replace(BASE, model=small_network.NAME, width=4, train_examples=160, batch_size=32, epochs=1,
                             progress=False, tensorboard=False, export=False, samples_per_class=2,
                             output_dir=str(tmp_path))


def test_a_budget_ends_processes_at_work(small):
  runs = sweep.grid(small, pruner=['lottery', 'snip'])
  stopped = sweep.run_all(runs, parallel=2, minutes=0.01, say=lambda line: None, progress=False)
  assert stopped.stopped and not stopped.records


def test_whatever_ends_a_run_the_others_are_made(small):
  names = ['planted_scores:large', 'planted_scores:deadly', 'planted_scores:constant', 'lottery']
  outcome = sweep.run_all(sweep.grid(small, pruner=names), parallel=2, minutes=20, say=lambda line: None,
                          progress=False)
  assert {run.settings.pruner for run in outcome.records} == {'planted_scores:constant', 'lottery', 'dense'}
  assert all(record.final_accuracy > 0 for record in outcome.records.values()) and not outcome.stopped
  problems = {run.settings.pruner: problem for run, problem in outcome.failures.items()}
  assert problems == {'planted_scores:deadly': 'its process died: no kernel image',
                      'planted_scores:large': problems['planted_scores:large']}
  assert problems['planted_scores:large'].startswith('ResourceExhaustedError: ')
  assert 'out of memory while allocating' in problems['planted_scores:large']
