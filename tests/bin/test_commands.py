"""The programs of bin/ as a user runs them."""

import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from tests import small_network
from tests import weights_files
from tests.bin import warm

BIN = pathlib.Path(__file__).parents[2] / 'bin'
ROOT = BIN.parent
SMALL = ['--model=resnet8', '--width=8', '--epochs=6', '--noprogress', '--notensorboard']


def environment():
  # The checkout comes first on the path, so that these are the programs under test, installed or not.
  return {**os.environ, 'PYTHONPATH': os.pathsep.join([str(ROOT), os.environ.get('PYTHONPATH', '')])}


def call(program, *arguments, cwd=None):
  return subprocess.run([sys.executable, BIN / program, *arguments], capture_output=True, text=True, cwd=cwd,
                        env=environment(), stdin=subprocess.DEVNULL)


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
  """A finished run: (its folder, what the command printed)."""
  output = tmp_path_factory.mktemp('finished')
  done = call('train', *SMALL, f'--output_dir={output}')
  assert done.returncode == 0, done.stderr
  folder, = output.iterdir()
  return folder, done


def test_train_ends_with_accuracy_table_and_ticket(finished):
  folder, done = finished
  lines = done.stdout.splitlines()
  assert lines[-1] == f'ticket: {folder / "ticket"}'
  assert lines[-2].startswith('test accuracy ') and ' (final weights); best over the epochs ' in lines[-2]
  kept = re.fullmatch(r'resnet8 on digits: pruner random, 973 of 19,464 weights kept, (\d+) on paths from input to '
                      r'output, seed 0', lines[-4])
  assert kept and 0 < int(kept[1]) <= 973
  assert lines[-3].startswith('sparsity 95.00% of the prunable weights, ')
  assert lines[-5].split()[:4] == ['total', '19,464', '973', '0.0500']
  assert done.stderr == ''


def test_train_again_finds_the_work_done(finished):
  folder, first = finished
  before = {path: path.stat().st_mtime_ns for path in folder.rglob('*')}
  again = warm.call('train', *SMALL, f'--output_dir={folder.parent}', cwd=folder)
  assert again.returncode == 0 and again.stdout.startswith(f'{folder}: already done')
  assert again.stdout.splitlines()[-3:] == first.stdout.splitlines()[-3:]
  assert before == {path: path.stat().st_mtime_ns for path in folder.rglob('*')}


def test_evaluate_agrees_and_notices_when_not(finished, tmp_path):
  folder, _ = finished
  done = warm.call('evaluate', f'--run={folder}', cwd=tmp_path)
  assert done.returncode == 0 and done.stdout.endswith('they agree\n'), done.stderr
  import json
  import shutil
  shutil.copytree(folder, tmp_path / 'run')
  record = json.loads((tmp_path / 'run' / 'record.json').read_text())
  record['final_accuracy'] += 0.01
  (tmp_path / 'run' / 'record.json').write_text(json.dumps(record))
  done = warm.call('evaluate', f'--run={tmp_path / "run"}', cwd=tmp_path)
  assert done.returncode == 1 and done.stdout.endswith('they differ by more than 0.1 points in test accuracy\n')


def test_killed_at_any_moment_it_goes_on_to_the_same_bits(tmp_path):
  flags = [f'--model={small_network.NAME}', '--width=4', '--epochs=6', '--checkpoint_seconds=0', '--noprogress',
           '--notensorboard']
  start = time.monotonic()
  assert warm.call('train', *flags, f'--output_dir={tmp_path / "peace"}', cwd=tmp_path).returncode == 0
  longest = time.monotonic() - start
  folder, = (tmp_path / 'peace').iterdir()
  moments = random.Random(5)
  kills = 0
  for _ in range(5):
    process = warm.start('train', *flags, f'--output_dir={tmp_path}', cwd=tmp_path)
    while process.poll() is None and not (tmp_path / folder.name / 'settings.json').exists():
      time.sleep(0.05)
    time.sleep(moments.uniform(0, longest))
    process.kill()
    kills += process.completed().returncode == -signal.SIGKILL
  assert kills, 'the test must have killed something'
  done = warm.call('train', *flags, f'--output_dir={tmp_path}', cwd=tmp_path)
  assert done.returncode == 0, done.stderr
  expected, found = (weights_files.read(each / 'final.weights.h5') for each in (folder, tmp_path / folder.name))
  assert expected.keys() == found.keys() and expected
  for path, value in expected.items():
    np.testing.assert_array_equal(value, found[path], err_msg=path)
  metrics = [[line.split(', "seconds"')[0] for line in (each / 'metrics.jsonl').read_text().splitlines()]
             for each in (folder, tmp_path / folder.name)]
  assert metrics[0] == metrics[1]


@pytest.mark.parametrize('arguments, expected', [
    (['--ratio=1'], '--ratio=1.0: expected a number at least 0 and below 1'),
    (['--ratio=lots'], 'flag --ratio=lots'),
    (['--epochs=-1'], '--epochs=-1: expected a number at least 0'),
    (['--pruner=randm'], "unknown pruner 'randm' (did you mean 'random'?); known: random, "),
    (['--dataset=cifar11'], "unknown data set 'cifar11' (did you mean 'cifar10'?); known: digits, "),
    (['--model=resent20'], "unknown model 'resent' (did you mean 'resnet'?); known: resnet, vgg"),
    (['--pruner=no_such_module:score'], "pruner 'no_such_module:score': No module named 'no_such_module'"),
    (['--rtaio=0.5'], "Unknown command line flag 'rtaio'"),
    (['0.95'], "unexpected argument '0.95'"),
    (['--flagfile=nowhere.flags'], 'nowhere.flags'),
    (['--config=cifar10_resent32'], "unknown config 'cifar10_resent32' (did you mean 'cifar10_resnet32'?); known: "),
    (['--config'], 'Missing value for flag --config'),
    (['--dataset=folder', '--data_dir=nowhere'], '--data_dir=nowhere: no such folder'),
    (['--output_dir=/dev/null/runs'], '--output_dir=/dev/null/runs: cannot be written to'),
])
def test_bad_usage_is_one_line_and_leaves_nothing(arguments, expected, tmp_path):
  done = warm.call('train', *arguments, cwd=tmp_path)
  assert done.returncode == 2
  line, = done.stderr.splitlines()
  assert line.startswith(f'{BIN / "train"}: error: ') and expected in line
  assert not list(tmp_path.iterdir())


def test_a_traceback_is_there_for_those_who_ask(tmp_path):
  done = call('train', '--ratio=2', '--traceback', cwd=tmp_path)
  assert done.returncode == 2 and 'Traceback' in done.stderr


def test_evaluate_says_what_it_needs(tmp_path):
  for arguments, expected in (([], '--run is needed'), ([f'--run={tmp_path}'], 'holds no record.json')):
    done = warm.call('evaluate', *arguments, cwd=tmp_path)
    assert done.returncode == 2 and expected in done.stderr and len(done.stderr.splitlines()) == 1


# bin/offline_host runs where there is no Python package yet; it has tests of its own.
PYTHON = sorted(path.name for path in BIN.iterdir() if 'python' in path.read_text().splitlines()[0])


@pytest.mark.parametrize('program', PYTHON)
def test_help_needs_no_tensorflow(program):
  code = ('import runpy, sys\nsys.argv = [sys.argv[1], "--help"]\n'
          'try:\n  runpy.run_path(sys.argv[0], run_name="__main__")\n'
          'except SystemExit as end:\n  code = end.code\n'
          'print("tensorflow" in sys.modules, code)')
  done = subprocess.run([sys.executable, '-c', code, BIN / program], capture_output=True, text=True, env=environment())
  assert done.stdout.splitlines()[-1] == 'False 0', done.stderr
  assert 'flags:' in done.stdout
  help_text, flags = done.stdout.split('flags:', 1)
  assert len(help_text.splitlines()) > 3, 'the program says what it does'
  own = {'train': 'ratio', 'evaluate': 'tolerance', 'exchange': 'masks_only', 'export': 'compact', 'predict': 'top',
         'records': 'where', 'report': 'compare', 'sanity_check': 'max_seeds', 'sweep': 'datasets',
         'instability': 'share_epochs', 'benchmark': 'steps'}[program]
  assert re.search(rf'^  --(\[no\])?{own}: ', flags, re.MULTILINE)
  assert re.search(r'^  --\[no\]traceback: ', flags, re.MULTILINE)


def test_programs_can_be_imported_side_by_side():
  code = ('from absl import app, flags; before = set(flags.FLAGS)\n'
          'from tickets_tf.cli import evaluate, exchange, export, instability, predict, sanity_check, sweep, train\n'
          'print(set(flags.FLAGS) - before)')
  done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, env=environment())
  assert done.stdout == 'set()\n', done.stderr


@pytest.mark.parametrize('path', sorted((ROOT / 'configs').glob('*.flags')), ids=lambda path: path.stem)
def test_flag_files_are_good_settings(path):
  code = ('from absl import flags; from tickets_tf.cli.flags import define_flags, from_flags; define_flags(); '
          f'flags.FLAGS(["x", "--flagfile={path}"]); '
          'from tickets_tf.runs.run import Run; print(Run(from_flags()).name)')
  done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, env=environment())
  assert done.returncode == 0, done.stderr
  assert done.stdout.startswith(path.stem.split('_')[0])


@pytest.mark.parametrize('before, config, behind', [
    (['--epochs=3', '--ratio=0.5'], ['--config=cifar10_resnet32'], []),
    (['--pruner=snip'], ['--config', 'cifar10_quick'], ['--seed=4', '--epochs=3']),
    ([], ['--config=cifar10_resnet32', '--config=cifar10_quick'], []),
])
def test_a_config_is_its_flag_file_from_anywhere(before, config, behind, tmp_path):
  def settings(*arguments):
    code = ('import sys; from absl import flags; from tickets_tf.cli.flags import define_flags, from_flags; '
            'define_flags(); flags.FLAGS(["x", *sys.argv[1:]]); print(from_flags())')
    done = subprocess.run([sys.executable, '-c', code, *arguments], capture_output=True, text=True, env=environment(),
                          cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    return done.stdout

  names = [each.removeprefix('--config=') for each in config if each != '--config']
  files = [f'--flagfile={ROOT / "configs" / name}.flags' for name in names]
  assert settings(*before, *config, *behind) == settings(*before, *files, *behind) != settings(*before, *behind)


def test_the_digits_flags_are_the_defaults():
  code = ('from absl import flags; from tickets_tf.cli.flags import define_flags, from_flags; define_flags(); '
          f'flags.FLAGS(["x", "--flagfile={ROOT / "configs" / "digits.flags"}"]); '
          'print(from_flags() == type(from_flags())())')
  assert subprocess.run([sys.executable, '-c', code], capture_output=True, text=True,
                        env=environment()).stdout == 'True\n'


def test_benchmark_prints_a_ratio(tmp_path):
  done = warm.call('benchmark', 'step', f'--model={small_network.NAME}', '--batch_size=4', '--steps=1', '--rounds=5',
                   cwd=tmp_path)
  assert done.returncode == 0, done.stderr
  assert f'{small_network.NAME}, batch 4, ratio 0.95: ' in done.stdout and '5 pairs: median ' in done.stdout


def test_benchmark_tells_what_compact_training_saves(tmp_path):
  done = warm.call('benchmark', 'compact', '--model=tests.small_network:wide', '--batch_size=4', '--steps=1',
                   '--rounds=5', '--rules=snip', '--ratios=0.96', cwd=tmp_path)
  assert done.returncode == 0, done.stderr
  *_, row = done.stdout.splitlines()
  ratio = r' [\d.]+ \([\d.]+ to [\d.]+\) \|'
  assert re.fullmatch(rf'\| \S+:wide \| snip \| 0\.96 \| [\d.]+% \| [\d.]+% \|{ratio}{ratio}', row)
  done = warm.call('benchmark', 'channels', '--channels=1,2', '--batch_size=1', '--steps=1', '--rounds=5', cwd=tmp_path)
  assert [line.split('|')[1].strip() for line in done.stdout.splitlines()] == ['channels', '---', '1', '2']
  assert done.stdout.endswith('| 2 | 1.00 |\n')


@pytest.mark.parametrize('words', [[], ['speed'], ['step', 'size']])
def test_benchmark_says_what_it_can_measure(words):
  done = call('benchmark', *words)
  assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
