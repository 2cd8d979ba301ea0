"""bin/records as a user runs it; it imports no TensorFlow."""

import pathlib
import subprocess
import sys

import pytest

from tests import example_records
from tickets_tf.runs import records
from tickets_tf.runs.run import Run
from tickets_tf.runs.settings import Settings

ROOT = pathlib.Path(__file__).parents[2]


def call(*arguments):
  return subprocess.run([sys.executable, ROOT / 'bin' / 'records', *arguments], capture_output=True, text=True)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  """A folder with the records of two seeds at two ratios, and five that are damaged."""
  made = tmp_path_factory.mktemp('runs')
  for number in range(9):
    run = Run(Settings(seed=number % 2, ratio=(number + 1) / 10, output_dir=str(made)))
    run.folder.path.mkdir()
    records.write(run.folder.path, example_records.record(run, settled_accuracy=0.5 + number / 100))
    if number > 3:
      run.folder.record.write_text('{}')
  return made


def test_groups_are_summed_up_and_what_cannot_be_read_is_told(folder):
  done = call(f'--output_dir={folder}', '--where=ratio>0.1', '--by=seed', '--of=settled_accuracy,kept')
  assert done.returncode == 0, done.stderr
  assert [line.split() for line in done.stdout.splitlines()] == [
      ['seed', 'of', 'runs', 'mean', 'deviation', 'lowest', 'highest'],
      ['0', 'settled_accuracy', '1', '0.52', '-', '0.52', '0.52'],
      ['1', 'settled_accuracy', '2', '0.52', '0.0141421', '0.51', '0.53'],
      ['0', 'kept', '1', '4', '-', '4', '4'], ['1', 'kept', '2', '4', '0', '4', '4'], ['3', 'of', '4', 'runs']]
  lines = done.stderr.splitlines()
  assert len(lines) == 4 and all('record.json: lacks format' in line for line in lines[:3])
  assert lines[3].endswith('2 more records cannot be read and are left out')


def test_without_groups_there_is_a_line_for_each_run(folder):
  done = call(f'--output_dir={folder}', '--where=seed=1', '--of=ratio,check,settled_accuracy')
  lines = done.stdout.splitlines()
  assert lines[0] == 'folder\tratio\tcheck\tsettled_accuracy' and lines[-1] == '2 of 4 runs'
  assert [line.split('\t')[1:] for line in lines[1:-1]] == [['0.2', '', '0.51'], ['0.4', '', '0.53']]


@pytest.mark.parametrize('arguments, expected', [
    (['--where=rato=1'], '--where=rato=1: rato: expected a setting, or one of folder, '),
    (['--by=rato'], '--by=rato: expected a setting, or one of folder, '),
    (['--by=ratio', '--of=pruner'], '--of=pruner: expected a number among the settings, or one of '),
    (['--output_dir=nowhere'], '--output_dir=nowhere: cannot be read: No such file or directory')])
def test_bad_usage_is_one_line(arguments, expected):
  done = call(*arguments)
  assert done.returncode == 2 and len(done.stderr.splitlines()) == 1 and expected in done.stderr
