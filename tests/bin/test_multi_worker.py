"""Two workers on one machine, as real processes that talk over loopback, with one --output_dir."""

import json
import socket
import time

import pytest

from tests import small_network
from tests.bin import warm
from tickets_tf.pruning.mask import load_mask
from tickets_tf.runs import records

FLAGS = [f'--model={small_network.NAME}', '--width=4', '--train_examples=160', '--batch_size=32', '--ratio=0.8',
         '--noprogress', '--notensorboard', '--noexport', '--strategy=multi_worker']


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
      (tmp_path / f'temporary{index}').mkdir(exist_ok=True)
      started.append(warm.start('train', *FLAGS, f'--output_dir={tmp_path / "runs"}', *flags, cwd=tmp_path, variables={
          'TF_CONFIG': json.dumps(config), 'TMPDIR': str(tmp_path / f'temporary{index}')}))
    return started[-2:]

  yield start
  for process in started:
    process.kill()


def test_two_workers_do_one_run_and_the_chief_leaves_it(workers, tmp_path):
  ended = [process.completed() for process in workers('--epochs=1')]
  assert [each.returncode for each in ended] == [0, 0], ended
  folder, = (tmp_path / 'runs').iterdir()
  record = records.read(folder)
  for each in ended:
    assert f'test accuracy {record.final_accuracy:.2%}' in each.stdout, 'both have computed the same'
  assert not list(tmp_path.glob('temporary*/tickets-worker-*')), 'the chief alone leaves files'


def metrics(tmp_path):
  return [line for path in tmp_path.glob('runs/*/metrics.jsonl') for line in path.read_text().splitlines()]


def test_a_worker_that_dies_ends_the_other_and_both_resume(workers, tmp_path):
  chief, other = workers('--epochs=20', '--checkpoint_seconds=0')
  deadline = time.monotonic() + 120
  while len(metrics(tmp_path)) < 3 and time.monotonic() < deadline:
    time.sleep(0.01)
  other.kill()
  ended = chief.completed()
  assert ended.returncode == 1
  assert 'another worker has ended or cannot be reached; start all workers again to resume' in ended.stderr
  before = metrics(tmp_path)
  assert 3 <= len(before) < 20
  # It was killed, so that its copy is still there.
  (mask,), (copy,) = tmp_path.glob('runs/*/mask.npz'), tmp_path.glob('temporary1/tickets-worker-*/*/mask.npz')
  assert load_mask(mask) == load_mask(copy)
  ended = [process.completed() for process in workers('--epochs=20', '--checkpoint_seconds=0')]
  assert [each.returncode for each in ended] == [0, 0], ended
  after = metrics(tmp_path)
  assert [json.loads(line)['epoch'] for line in after] == list(range(1, 21)), 'each epoch once'
  # What was trained before the last checkpoint was not trained again: the lines have the time that they took.
  assert after[:len(before) - 1] == before[:-1]
  left = [path.parent.name for path in tmp_path.glob('temporary*/tickets-worker-*')]
  assert left == ['temporary1'], 'the copy of the one that was killed'
