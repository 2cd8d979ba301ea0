"""Full disks, folders that go away or may not be written to, clocks that are set back: told, and nothing is lost."""

import dataclasses
import errno
import os
import pathlib
import subprocess
import threading
import time

import numpy as np
import pytest
import tensorflow as tf

from tests import small_network
from tests import weights_files
from tests.bin import warm
import tickets_tf
from tickets_tf import storage
from tickets_tf.errors import StorageError
from tickets_tf.runs.run import Run
from tickets_tf.training.checkpoints import Checkpoints

SMALL = {'model': small_network.NAME, 'width': 4, 'epochs': 3, 'train_examples': 160, 'batch_size': 32,
         'samples_per_class': 2, 'checkpoint_seconds': 0.0, 'ratio': 0.8}
FLAGS = [f'--{name}={value}' for name, value in SMALL.items()] + ['--noprogress']


@pytest.fixture(scope='module')
def settings():
  return tickets_tf.Settings(**SMALL, progress=False, export=False, tensorboard=False)


@pytest.fixture(scope='module')
def expected(settings, tmp_path_factory):
  """The final weights of the run in peace."""
  return train(settings, tmp_path_factory.mktemp('peace'))


def train(settings, output):
  run = Run(dataclasses.replace(settings, output_dir=str(output)))
  tickets_tf.train(run.settings, say=lambda line: None)
  return weights_of(run.folder.path)


def weights_of(folder):
  assert not [path.name for path in folder.rglob('*') if '.tmp.' in path.name]
  return weights_files.read(folder / 'final.weights.h5')


def assert_same(found, expected):
  assert found.keys() == expected.keys() and expected
  for name, value in expected.items():
    np.testing.assert_array_equal(found[name], value, err_msg=name)


def mount(*words):
  return subprocess.run(['mount', *map(str, words)], capture_output=True, text=True)


@pytest.fixture
def disk(tmp_path):
  """A disk of 16 kB, mounted at this folder."""
  folder = tmp_path / 'disk'
  folder.mkdir()
  try:
    done = mount('-t', 'tmpfs', '-o', 'size=16k', 'tmpfs', folder)
  except OSError as error:
    pytest.skip(f'no disk can be mounted: {error}')
  if done.returncode:
    pytest.skip(f'no disk can be mounted: {done.stderr.strip()}')
  yield folder
  subprocess.run(['umount', '-l', folder], check=True)


def resize(disk, kilobytes):
  done = mount('-o', f'remount,size={kilobytes}k', disk)
  assert not done.returncode, done.stderr


def assert_is_full(done, begins, ends):
  assert done.returncode == 1 and len(done.stderr.splitlines()) == 1, done.stderr
  message = done.stderr.strip().partition(' error: ')[2]
  assert message.startswith(begins) and message.endswith(f'{ends}: No space left on device'), message


def test_a_disk_that_is_full_again_and_again(disk, settings, expected, tmp_path):
  output = disk / 'runs'
  flags = [*FLAGS, f'--output_dir={output}']
  swept = warm.call('sweep', *flags, '--pruners=random,snip', cwd=tmp_path)
  assert_is_full(swept, f'{output}/', '/start.weights.h5: cannot be written')
  resize(disk, 100)
  assert_is_full(warm.call('train', *flags, cwd=tmp_path), f'{output}/', '/checkpoints: cannot be written')
  resize(disk, 1000)
  done = warm.call('train', *flags, cwd=tmp_path)
  assert done.returncode == 0, done.stderr
  folder, = output.glob('*-random-*')  # The other run of the sweep may have begun, too.
  assert_same(weights_of(folder), expected)
  # The same record and no file more, whatever an export has no room for.
  before = {path: path.read_bytes() for path in folder.rglob('*') if path.is_file()}
  taken = os.statvfs(disk)
  resize(disk, (taken.f_blocks - taken.f_bfree) * taken.f_frsize // 1024 + 24)
  done = warm.call('export', f'--run={folder}', '--tflite=none', cwd=tmp_path)
  assert_is_full(done, f'{folder}/export/', 'cannot be written')
  assert {path: path.read_bytes() for path in folder.rglob('*') if path.is_file()} == before
  assert not mount('-o', 'remount,ro', disk).returncode
  done = warm.call('sanity_check', *flags, '--seeds=1', cwd=tmp_path)
  assert done.returncode == 2 and len(done.stderr.splitlines()) == 1, done.stderr
  assert done.stderr.endswith(f'--output_dir={output}: cannot be written to: Read-only file system\n')
  done = warm.call('train', *flags, cwd=tmp_path)
  assert done.returncode == 0 and 'already done' in done.stdout, 'what is done can be read'


def test_a_file_that_may_not_grow(tmp_path):
  done = warm.call('train', *FLAGS, f'--output_dir={tmp_path}', cwd=tmp_path, file_bytes=6000)
  assert done.returncode == 1 and len(done.stderr.splitlines()) == 1, done.stderr
  assert done.stderr.endswith('/start.weights.h5: cannot be written: File too large\n')


@pytest.fixture
def said(monkeypatch):
  """The warnings."""
  found = []
  monkeypatch.setattr(storage.logging, 'warning', lambda text, *values: found.append(text % values))
  return found


@pytest.mark.parametrize('name', ['mask.npz', 'metrics.jsonl', 'final.weights.h5', 'record.json'])
def test_a_network_folder_that_does_not_answer_for_a_while(name, settings, expected, said, tmp_path, monkeypatch):
  replace, until = os.replace, []

  def stale(source, target):
    # From the first time on, for a second.
    if pathlib.Path(target).name == name:
      until.append(time.monotonic() + 1)
    if until and time.monotonic() < until[0]:
      raise OSError(errno.ESTALE, 'Stale file handle', str(target))
    replace(source, target)

  monkeypatch.setattr(os, 'replace', stale)
  assert_same(train(settings, tmp_path), expected)
  assert said[0] == (f'{next(tmp_path.iterdir()) / name}: cannot be written: Stale file handle; '
                     + ('trying again for 60 seconds' if 'json' in name else 'waiting for it for 60 seconds'))
  assert len(said) <= 5


def test_a_worker_that_is_gone_is_no_folder_that_is_away():
  words = 'recvmsg:Connection reset by peer'
  gone = tf.errors.UnavailableError(None, None, f'Collective ops is aborted by: {words}\nAdditional GRPC error '
                                    'information from remote target /job:worker/replica:0/task:1')
  assert storage.told(gone, 'checkpoints: cannot be written') is None and not storage.may_pass(gone)
  assert storage.may_pass(tf.errors.UnavailableError(None, None, f'runs/checkpoints; {words}'))


@pytest.fixture
def away(monkeypatch):
  """A function that takes a folder away for some seconds before the second checkpoint."""
  save = Checkpoints.save

  def take(folder, seconds):
    back = threading.Timer(seconds, folder.with_name('away').rename, [folder])

    def first_away(self, epoch):
      if epoch == 2 and back.ident is None:
        folder.rename(folder.with_name('away'))
        back.start()
      save(self, epoch)

    monkeypatch.setattr(Checkpoints, 'save', first_away)
    return back

  return take


def test_a_network_folder_that_is_gone_for_a_while(settings, expected, said, away, tmp_path):
  away(tmp_path / 'runs', 1.5)
  assert_same(train(settings, tmp_path / 'runs'), expected)
  folder, = (tmp_path / 'runs').iterdir()
  assert said == [f'{folder}: is gone; waiting for it for 60 seconds',
                  f'{folder}: is back; going on from the last checkpoint']


def test_a_network_folder_that_stays_away(settings, expected, said, away, tmp_path, monkeypatch):
  monkeypatch.setattr(storage, 'PATIENCE', 0.2)
  back = away(tmp_path / 'runs', 3)
  with pytest.raises(StorageError, match='is gone; nothing that was written is lost: the same command resumes'):
    train(settings, tmp_path / 'runs')
  assert not (tmp_path / 'runs').exists(), 'nothing is made in its place'
  back.join()
  assert list((tmp_path / 'runs').glob('*/checkpoints/ckpt-1.index'))
  assert_same(train(settings, tmp_path / 'runs'), expected)


def test_a_clock_that_is_set_back(settings, expected, tmp_path, monkeypatch):
  now = iter(range(2_000_000_000, 0, -1000))
  run = Run(dataclasses.replace(settings, output_dir=str(tmp_path)))
  saves = []
  real = Checkpoints.save

  def save(self, epoch):
    real(self, epoch)
    saves.append(epoch)
    if saves == [1, 2]:
      raise KeyboardInterrupt

  monkeypatch.setattr(time, 'time', lambda: float(next(now)))
  monkeypatch.setattr(Checkpoints, 'save', save)
  with pytest.raises(KeyboardInterrupt):
    tickets_tf.train(run.settings, say=lambda line: None)
  assert_same(train(settings, tmp_path), expected)
  assert saves == [1, 2, 3], 'the newest checkpoint is that of the highest epoch'
