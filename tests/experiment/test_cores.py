"""How runs share a machine."""

import dataclasses
import functools
import pathlib
import types

import pytest

import tickets_tf
from tickets_tf import machine as machines
from tickets_tf.cli import executing
from tickets_tf.errors import UsageError
from tickets_tf.experiment import cores
from tickets_tf.experiment import workers
from tickets_tf.runs.run import Run

BASE = tickets_tf.Settings()
GIB = 2**30


@pytest.fixture
def machine(monkeypatch, tmp_path):
  """Sets cores, memory and GPUs of the machine."""
  def of(count=8, memory=64 * GIB, gpu=False):
    monkeypatch.setattr(machines, 'cores', lambda: count)
    monkeypatch.setattr(machines, 'memory', lambda: memory)
    monkeypatch.setattr(cores, '_GPUS', (str(tmp_path if gpu else tmp_path / 'none'),))
    monkeypatch.delenv('TF_NUM_INTRAOP_THREADS', raising=False)

  of()
  return of


def split(**changes):
  found = cores.split(dataclasses.replace(BASE, **changes))
  return found.parallel, found.threads


def test_there_are_as_many_runs_as_cores_unless_memory_or_a_flag_forbids(machine, monkeypatch):
  assert split() == (8, 1)
  assert split(threads=2) == (4, 2) and split(threads=16) == (1, 16)
  assert split(strategy='mirrored') == split(replicas=2) == (1, 0)
  monkeypatch.setenv('TF_NUM_INTRAOP_THREADS', '4')
  assert split() == (2, 0), 'the variable says it, and stays where it is'
  machine(count=8, memory=7 * GIB)
  assert split() == (3, 2) and 'memory for 3' in cores.split(BASE).told()
  machine(count=8, memory=GIB)
  assert split() == (1, 8)
  machine(gpu=True)
  assert split() == (1, 0)
  machine(count=1)
  assert split() == (1, 1)
  assert cores.split(BASE).told() == '--parallel=auto: 1 at a time, 1 thread each (1 core)'


def test_runs_that_were_begun_otherwise_are_found_again(machine, monkeypatch, tmp_path, capsys):
  given = types.SimpleNamespace(present=False)

  class Flags(types.SimpleNamespace):
    def __getitem__(self, name):
      return given

  monkeypatch.setattr(executing, 'flags', types.SimpleNamespace(FLAGS=Flags(executor='processes')))
  base = dataclasses.replace(BASE, output_dir=str(tmp_path), pruner='lottery')

  def shared(asked='auto'):
    found, parallel = executing.shared(base, asked, lambda each: [each])
    return found.threads, parallel

  assert shared() == (1, 8) and '8 at a time, 1 thread each (8 cores)' in capsys.readouterr().out
  assert shared('3') == (0, 3) and not capsys.readouterr().out
  # The first run that is needed has been begun with the settings as they stand.
  dense = Run(dataclasses.replace(base, pruner='dense')).folder
  dense.path.mkdir()
  dense.settings.write_text('{}')
  assert shared() == (0, 8) and '--threads=0, as some of these runs were begun' in capsys.readouterr().out
  began = Run(dataclasses.replace(base, pruner='dense', threads=1)).folder
  began.path.mkdir()
  began.settings.write_text('{}')
  assert shared() == (1, 8)
  given.present = True
  assert shared() == (0, 1), '--threads=0 was asked for: a thread per core'
  for wrong in ('0', 'many', '-1'):
    with pytest.raises(UsageError, match=f'--parallel={wrong}: expected a number of at least 1, or auto'):
      shared(wrong)


def test_further_processes_need_memory_and_large_ones_end(machine, monkeypatch):
  crew = workers._Crew([], set(), 4, pathlib.Path())
  crew.working[object()] = Run(BASE)
  crew.largest = 3 * GIB
  monkeypatch.setattr(machines, 'free_memory', lambda: 2 * GIB)
  assert not crew._start()
  for size, ends in ((GIB, False), (3 * GIB, False), (9 * GIB, True)):
    closed = []
    worker = types.SimpleNamespace(connection=types.SimpleNamespace(close=functools.partial(closed.append, size)))
    crew._keep(worker, size)
    assert bool(closed) == ends and (worker in crew.idle) != ends
