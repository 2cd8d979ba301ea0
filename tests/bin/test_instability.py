"""bin/instability as a user runs it."""

import json
import signal
import time

import pytest

from tests import small_network
from tests.bin import warm
from tests.bin.test_commands import call

SMALL = [f'--model={small_network.NAME}', '--width=4', '--epochs=2', '--train_examples=160', '--batch_size=32',
         '--ratio=0.8', '--noprogress', '--notensorboard', '--noexport', '--share_epochs=1,0', '--points=3']


def test_killed_it_resumes_and_ends_with_a_table_all_points_and_a_picture(tmp_path):
  arguments = [*SMALL, f'--output_dir={tmp_path / "runs"}']
  process = warm.start('instability', *arguments, cwd=tmp_path)
  while process.poll() is None and not list(tmp_path.glob('runs/*/record.json')):
    time.sleep(0.1)
  process.kill()
  assert process.completed().returncode == -signal.SIGKILL
  done = call('instability', *arguments)
  assert done.returncode == 0 and done.stderr == '', done.stderr
  lines = done.stdout.splitlines()
  assert lines[0].startswith('3 runs, ') and not lines[0].startswith('3 runs, 0')
  assert [line.split()[0] for line in lines[-4:-2]] == ['0', '1'] and 'shared epochs' in lines[-3 - 2]
  path, = tmp_path.glob('runs/instability-*/instability.json')
  assert lines[-1] == f'all points: {path}' and path.with_suffix('.svg').exists()
  found = json.loads(path.read_text())
  assert [line['share_epochs'] for line in found['lines']] == [0, 1]
  for line in found['lines']:
    assert len(line['points']) == 3 and line['barrier'] >= 0
    assert all((tmp_path / 'runs' / name / 'record.json').exists() for name in line['runs'])
  assert len({name for line in found['lines'] for name in line['runs']}) == 3
  again = warm.call('instability', *arguments, cwd=tmp_path)
  assert again.returncode == 0 and again.stdout.splitlines()[1:] == lines[-5:], 'no line is judged again'
  assert json.loads(path.read_text()) == found


@pytest.mark.parametrize('arguments, expected', [
    (['--share_epochs=0,two'], '--share_epochs=0,two: expected int values, comma-separated'),
    (['--share_epochs=20'], '--share_epochs=20: expected numbers of at least 0 and less than --epochs, 20'),
    (['--points=2'], 'flag --points=2: 2 is not integer >= 3'),
    (['--nodeterministic'], '--nodeterministic: shared epochs would not be the same'),
    (['--order_seed=0'], '--order_seed=0: expected another seed than --seed'),
    (['--report=/dev/null/report'], '--report=/dev/null/report: cannot be written to')])
def test_bad_usage_is_one_line(arguments, expected, tmp_path):
  done = warm.call('instability', *arguments, cwd=tmp_path)
  assert done.returncode == 2, done.stderr
  assert expected in done.stderr and len(done.stderr.splitlines()) == 1
  assert not list(tmp_path.iterdir())
