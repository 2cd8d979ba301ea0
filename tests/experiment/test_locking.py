"""One process at a time in a folder, whatever becomes of the others."""

import subprocess
import sys
import threading
import time

import pytest

from tickets_tf.errors import UsageError
from tickets_tf.experiment import locking
from tickets_tf.runs.folder import RunFolder

HOLDS = """
import pathlib, sys, time
from tickets_tf.experiment import locking
from tickets_tf.runs.folder import RunFolder
with locking.locked(RunFolder(pathlib.Path(sys.argv[1])), lambda: False, print) as has_work:
  print(has_work, flush=True)
  time.sleep(60)
"""


@pytest.fixture
def other(tmp_path):
  """Another process, which holds the lock of `tmp_path / 'run'`."""
  process = subprocess.Popen([sys.executable, '-c', HOLDS, str(tmp_path / 'run')], stdout=subprocess.PIPE, text=True)
  assert process.stdout.readline() == 'True\n'
  yield process
  process.kill()
  process.wait()


def test_a_second_process_waits_until_the_first_has_ended(tmp_path, other):
  said, entered = [], []

  def second():
    with locking.locked(RunFolder(tmp_path / 'run'), lambda: False, said.append) as has_work:
      entered.append(has_work)

  thread = threading.Thread(target=second)
  thread.start()
  deadline = time.monotonic() + 30
  while not said and time.monotonic() < deadline:
    time.sleep(0.02)
  time.sleep(0.5)
  assert said == [f'{tmp_path}/run: another process is at work here; waiting for it'] and not entered
  other.kill()
  thread.join(30)
  assert entered == [True], 'the lock of a process that died is free'


def test_a_second_process_goes_home_if_the_first_has_done_the_work(tmp_path, other):
  (tmp_path / 'done').touch()
  with locking.locked(RunFolder(tmp_path / 'run'), (tmp_path / 'done').exists, lambda line: None) as has_work:
    assert not has_work


def test_the_lock_is_given_back(tmp_path):
  for _ in range(2):
    with locking.locked(RunFolder(tmp_path / 'run'), lambda: False, pytest.fail) as has_work:
      assert has_work
  with pytest.raises(ZeroDivisionError), locking.locked(RunFolder(tmp_path / 'run'), lambda: False, pytest.fail):
    _ = 1 / 0
  with locking.locked(RunFolder(tmp_path / 'run'), lambda: False, pytest.fail) as has_work:
    assert has_work


def test_a_folder_that_cannot_be_made(tmp_path):
  (tmp_path / 'file').touch()
  with pytest.raises(UsageError, match=r'--output_dir=.*file: cannot be written to: Not a directory'), \
       locking.locked(RunFolder(tmp_path / 'file' / 'run'), lambda: False, pytest.fail):
    pass


def test_a_run_that_fails_before_anything_is_done_leaves_no_folder(tmp_path):
  folder = RunFolder(tmp_path / 'runs' / 'run')
  with pytest.raises(ZeroDivisionError), locking.locked(folder, lambda: False, pytest.fail):
    folder.settings.touch()
    _ = 1 / 0
  assert not (tmp_path / 'runs').exists()
  (tmp_path / 'runs' / 'other').mkdir(parents=True)
  with pytest.raises(ZeroDivisionError), locking.locked(folder, lambda: False, pytest.fail):
    _ = 1 / 0
  assert [path.name for path in (tmp_path / 'runs').iterdir()] == ['other']


def test_a_run_that_fails_later_keeps_what_it_has_done(tmp_path):
  folder = RunFolder(tmp_path / 'run')
  with pytest.raises(ZeroDivisionError), locking.locked(folder, lambda: False, pytest.fail):
    folder.mask.touch()
    _ = 1 / 0
  assert folder.mask.exists()
