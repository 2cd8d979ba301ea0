"""A sweep on a real Ray cluster of this machine, one process of which is killed in the middle of a run."""

import dataclasses
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import types

import psutil
import pytest

import tickets_tf
from tests import small_network
from tests import weights_files
from tests.planted_runs import BASE
from tests.planted_runs import World
from tickets_tf.errors import TicketsError
from tickets_tf.errors import UsageError
from tickets_tf.experiment import executors
from tickets_tf.experiment import sweep
from tickets_tf.experiment.sanity_check import sanity_check
from tickets_tf.judging.plan import Plan
from tickets_tf.runs import records
from tickets_tf.runs.run import Run

# A score that waits to be killed the first time that a process of the cluster asks for it, and fails in none.
SCORES = '''
import os
import pathlib
import time
import numpy as np
import tickets_tf

def slow(model, images, labels, rng):
  mark = pathlib.Path(os.environ['TICKETS_TEST_MARK'])
  if not mark.exists():
    mark.write_text(str(os.getpid()))
    time.sleep(600)
  return [rng.random(kernel.shape) for kernel in tickets_tf.prunable_kernels(model)]

def broken(model, images, labels, rng):
  raise tickets_tf.TicketsError('no scores')
'''


@pytest.fixture
def planted(tmp_path, monkeypatch):
  """(settings of small runs, file that the process to be killed leaves its number in)."""
  (tmp_path / 'planted_scores.py').write_text(SCORES)
  monkeypatch.syspath_prepend(tmp_path)
  monkeypatch.setenv('PYTHONPATH', os.pathsep.join([str(tmp_path), *sys.path]))
  monkeypatch.setenv('TICKETS_TEST_MARK', str(tmp_path / 'mark'))
  base = tickets_tf.Settings(model=small_network.NAME, width=4, train_examples=160, batch_size=32, epochs=2, ratio=0.8,
                             progress=False, tensorboard=False, export=False, samples_per_class=2)
  return base, tmp_path / 'mark'


@pytest.fixture
def cluster(planted, monkeypatch):
  """The address of a cluster with two CPUs, so that it has two processes at work."""
  pytest.importorskip('ray', reason='ray is not installed: pip install "tickets_tf[ray]"')
  pytest.importorskip('fsspec', reason='fsspec is not installed: pip install "tickets_tf[ray]"')
  monkeypatch.setenv('RAY_AUTH_MODE', 'disabled')
  monkeypatch.setenv('RAY_raylet_start_wait_time_s', '240')  # Tests share the machine with others.
  with socket.socket() as probe:
    probe.bind(('127.0.0.1', 0))
    port = probe.getsockname()[1]
  with tempfile.TemporaryDirectory(prefix='ray', ignore_cleanup_errors=True) as folder:  # Paths of sockets are short.
    process = subprocess.Popen(
        [sys.executable, '-c', 'from ray.scripts.scripts import main; main()', 'start', '--head', f'--port={port}',
         '--node-ip-address=127.0.0.1', '--num-cpus=2', '--include-dashboard=false', '--disable-usage-stats', '--block',
         f'--temp-dir={folder}'], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    said = []
    for line in process.stdout:
      said.append(line)
      if '--block' in line:
        break
    else:
      pytest.fail('the cluster has not started: ' + ''.join(said))
    threading.Thread(target=process.stdout.read, daemon=True).start()
    yield f'127.0.0.1:{port}'
    started = psutil.Process(process.pid).children(recursive=True)
    process.terminate()
    process.wait(60)
    for each in started:
      if each.is_running():
        each.kill()


def kill_the_marked(mark, killed):
  deadline = time.monotonic() + 200
  while time.monotonic() < deadline:
    if mark.exists() and mark.read_text():
      os.kill(int(mark.read_text()), signal.SIGKILL)
      killed.append(mark.read_text())
      return
    time.sleep(0.1)


def bits(run):
  record = records.read(run.folder.path)
  same = dataclasses.replace(record, settings=dataclasses.replace(record.settings, output_dir=''), environment={},
                             seconds=None)
  return same, {name: value.tobytes() for name, value in weights_files.read(run.folder.final).items()}


def test_a_sweep_on_a_cluster_whose_process_is_killed_has_the_bits_of_one_machine(planted, cluster, tmp_path):
  base, mark = planted
  names = ['random', 'planted_scores:slow', 'lottery', 'planted_scores:broken',
           {'pruner': 'planted_scores:broken', 'check': 'rearrange'}]
  outcomes, killed = {}, []
  killer = threading.Thread(target=kill_the_marked, args=(mark, killed))
  killer.start()
  store = (tmp_path / 'store').as_uri()
  executor = executors.make('ray', executors.Resources(address=cluster, store=store), 1)
  for place, used in (('cluster', executor), ('here', None)):
    runs = sweep.grid(dataclasses.replace(base, output_dir=str(tmp_path / place)), pruner=names)
    outcomes[place] = sweep.run_all(runs, say=lambda line: None, progress=False, executor=used)
  killer.join()
  assert len(killed) == 1
  done, alone = (sorted(outcomes[place].records, key=lambda run: run.name) for place in ('cluster', 'here'))
  assert [run.name for run in done] == [run.name for run in alone] and len(done) == 4
  assert [bits(run) for run in done] == [bits(run) for run in alone]
  problems = sorted(outcomes['cluster'].failures.values())
  assert problems == sorted(outcomes['here'].failures.values()) and problems[0] == 'no scores', problems
  assert problems[1].endswith('which failed') and not outcomes['cluster'].stopped
  assert len(list((tmp_path / 'cluster').glob('*/record.json'))) == 4
  assert len(list((tmp_path / 'store').glob('*/record.json'))) == 4, 'and in the store, once'
  # What is in the store is done, wherever it is asked for: no task is begun, and no cluster is needed.
  elsewhere = sweep.grid(dataclasses.replace(base, output_dir=str(tmp_path / 'elsewhere')), pruner=['lottery'])
  back = executors.make('ray', executors.Resources(address='127.0.0.1:1', store=store), 1)
  found = sweep.run_all(elsewhere, say=lambda line: None, progress=False, executor=back)
  assert [bits(run) for run in found.records] == [bits(run) for run in done if run in {
      each.replace(output_dir=str(tmp_path / 'cluster')) for each in found.records}]
  assert not list(pathlib.Path(tmp_path / 'elsewhere').rglob('*.tmp.*'))


@pytest.mark.parametrize('name, resources, parallel, message', [
    ('dask', {}, 1, '--executor=dask: expected one of processes, ray'),
    ('processes', {'gpus': 0.5}, 1, '--gpus_per_run=0.5: goes with --executor=ray alone'),
    ('processes', {'store': 's3://bucket'}, 2, '--store=s3://bucket: goes with --executor=ray alone'),
    ('ray', {}, 2, '--parallel=2: with --executor=ray as many runs are at work as'),
])
def test_what_an_executor_does_not_take_is_refused(name, resources, parallel, message):
  with pytest.raises(UsageError, match=message.replace('(', r'\(')):
    executors.make(name, executors.Resources(**resources), parallel)


def test_without_ray_one_line_says_what_to_install(monkeypatch):
  from tickets_tf.experiment import ray_tasks
  ray_tasks._ray.cache_clear()
  monkeypatch.setitem(sys.modules, 'ray', None)
  with pytest.raises(UsageError, match=r'--executor=ray needs Ray, .* expected pip install "tickets_tf\[ray\]"'):
    executors.make('ray', executors.Resources(), 1)


@pytest.mark.parametrize('gpus, expected', [(0.5, []), (0, ['leaves them idle']), (2, ['runs wait until one comes'])])
def test_what_would_wait_or_be_idle_is_told(gpus, expected, monkeypatch):
  from tickets_tf.experiment import ray_tasks
  nodes = [{'Alive': True, 'Resources': {'CPU': 8.0, 'GPU': 1.0}}, {'Alive': False, 'Resources': {'GPU': 8.0}}]
  told = []
  monkeypatch.setattr(ray_tasks, '_ray', lambda: types.SimpleNamespace(nodes=lambda: nodes))
  monkeypatch.setattr(ray_tasks.logging, 'warning', lambda text, *values: told.append(text % values))
  ray_tasks._warn(executors.Resources(cpus=4, gpus=gpus))
  assert len(told) == len(expected) and all(part in line for part, line in zip(expected, told, strict=True))


def test_a_cluster_that_does_not_answer_is_one_line(planted):
  pytest.importorskip('ray', reason='ray is not installed: pip install "tickets_tf[ray]"')
  executor = executors.make('ray', executors.Resources(address='127.0.0.1:1'), 1)
  with pytest.raises(TicketsError, match=r'--ray_address=127\.0\.0\.1:1: no Ray cluster could be reached: .*refused'):
    sweep.run_all([planted[0]], say=lambda line: None, progress=False, executor=executor)


def test_processes_are_what_a_sweep_uses_by_itself():
  assert executors.make('processes', executors.Resources(), 4) is None


def test_a_sanity_check_hands_its_runs_to_its_executor(tmp_path):
  given = []

  def executor(left, done, deadline):
    given.append((len(left), len(done), deadline))
    for run in left:
      run.folder.path.mkdir(parents=True)
      records.write(run.folder.path, World({}).record(run))
      yield run, ''

  plan = Plan(dataclasses.replace(BASE, output_dir=str(tmp_path)), ('snip',), (0.9,), ('rearrange',), 3, narrow=False)
  verdicts = sanity_check(plan, say=lambda line: None, progress=False, executor=executor)
  # Of each seed: the ticket, the rearranged one, luck and the dense network.
  assert given == [(12, 0, None)] and not verdicts.failures and len(verdicts.judgements) == 1


@pytest.fixture
def finished(tmp_path):
  """A run that is done, whose files are small."""
  run = Run(tickets_tf.Settings(output_dir=str(tmp_path / 'first')))
  (run.folder.path / 'ticket').mkdir(parents=True)
  for name in ('mask.npz', 'ticket/saved_model.pb', 'record.json', '.lock', '.12ab.tmp.mask.npz'):
    (run.folder.path / name).write_text(name)
  return run


def test_a_store_gives_back_what_it_got_and_the_record_comes_last(finished, tmp_path, monkeypatch):
  fsspec = pytest.importorskip('fsspec', reason='fsspec is not installed: pip install "tickets_tf[ray]"')
  from tickets_tf.experiment.store import Store
  from tickets_tf.experiment.store import StoreError
  store, run = Store('memory://bucket/runs'), finished.replace(output_dir=str(tmp_path / 'second'))
  kind = type(fsspec.filesystem('memory'))
  written, write = [], kind.pipe_file

  def pipe_file(self, path, value, **options):
    if len(written) == 2 and path.endswith('record.json'):
      written.append('')
      raise ConnectionResetError('gone')
    written.append(path.rsplit('/', 1)[-1])
    write(self, path, value, **options)

  monkeypatch.setattr(kind, 'pipe_file', pipe_file)
  assert not store.has(run)
  with pytest.raises(StoreError, match='--store=memory://bucket/runs: ConnectionResetError: gone'):
    store.put(finished)
  assert not store.has(run), 'without the record it is not there'
  store.put(finished)
  store.put(finished)
  assert written[-1] == 'record.json' and len(written) == 6, 'once it is there it is not written again'
  store.fetch(run)
  files = {path.relative_to(run.folder.path).as_posix(): path.read_text() for path in run.folder.path.rglob('*')
           if path.is_file() and path.name != '.lock'}
  assert files == {name: name for name in ('mask.npz', 'ticket/saved_model.pb', 'record.json')}
  for address, message in (('nowhere://x', 'Protocol not known'), ('s3://x', 'Install s3fs')):
    with pytest.raises(UsageError, match=f'--store={address}: cannot be used: {message}'):
      Store(address)
