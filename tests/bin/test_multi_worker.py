"""Two workers on one machine, as real processes that talk over loopback, with one --output_dir."""

import json
import os
import pathlib
import socket
import subprocess
import sys
import time

import pytest

from tickets_tf.runs import records

ROOT = pathlib.Path(__file__).parents[2]
FLAGS = ['--model=resnet8', '--width=4', '--train_examples=160', '--batch_size=32', '--ratio=0.8', '--noprogress',
         '--notensorboard', '--noexport', '--strategy=multi_worker']


def free_port():
  with socket.socket() as probe:
    probe.bind(('127.0.0.1', 0))
    return probe.getsockname()[1]


@pytest.fixture
def workers(tmp_path):
  """A function that starts two workers with more flags; they are ended with the test."""
  started = []

  def start(*flags):
    hosts = [f'127.0.0.1:{free_port()}' for _ in range(2)]
    for index in range(2):
      config = {'cluster': {'worker': hosts}, 'task': {'type': 'worker', 'index': index}}
      started.append(subprocess.Popen(
          [sys.executable, str(ROOT / 'bin' / 'train'), *FLAGS, f'--output_dir={tmp_path / "runs"}', *flags],
          env={**os.environ, 'TF_CONFIG': json.dumps(config)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
          text=True))
    return started

  yield start
  for process in started:
    process.kill()
    process.communicate()


def test_two_workers_do_one_run_and_the_chief_leaves_it(workers, tmp_path):
  ended = [(process.communicate(timeout=240), process.returncode) for process in workers('--epochs=1')]
  assert [code for _, code in ended] == [0, 0], ended
  folder, = (tmp_path / 'runs').iterdir()
  record = records.read(folder)
  for (out, _), _ in ended:
    assert f'test accuracy {record.final_accuracy:.2%}' in out, 'both have computed the same'


def test_a_worker_that_dies_ends_the_other_with_a_clear_message(workers, tmp_path):
  chief, other = workers('--epochs=100000')
  deadline = time.monotonic() + 120
  while not list(tmp_path.glob('runs/*/metrics.jsonl')) and time.monotonic() < deadline:
    time.sleep(0.2)
  other.kill()
  _, errors = chief.communicate(timeout=120)
  assert chief.returncode == 1
  assert 'another worker has ended or cannot be reached; start all workers again to resume' in errors
