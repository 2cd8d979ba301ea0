"""bin/sweep and bin/sanity_check as a user runs them."""

import json
import signal
import subprocess
import sys
import time

import psutil
import pytest

from tests import small_network
from tests.bin import warm
from tests.bin.test_commands import BIN
from tests.bin.test_commands import call
from tests.bin.test_commands import environment

SMALL = [f'--model={small_network.NAME}', '--width=4', '--epochs=1', '--train_examples=160', '--batch_size=32',
         '--samples_per_class=2', '--noprogress', '--notensorboard', '--noexport']
ONE = [*SMALL, '--parallel=1']


def test_a_sanity_check_ends_with_verdicts_and_a_report(tmp_path):
  arguments = [*SMALL, '--pruner=snip', '--ratio=0.8', '--seeds=3', '--checks=random_labels,rearrange', '--nonarrow',
               '--parallel=auto', f'--output_dir={tmp_path / "runs"}', f'--report={tmp_path / "report"}']
  done = call('sanity_check', *arguments)
  assert done.returncode == 0, done.stderr
  assert done.stdout.splitlines()[-1] == f'report: {tmp_path / "report" / "report.html"}'
  assert 'rearrange' in done.stdout and 'No planted controls were run' in done.stdout
  verdicts = json.loads((tmp_path / 'report' / 'verdicts.json').read_text())
  assert [each['check'] for each in verdicts['judgements']] == ['random_labels', 'rearrange']
  for each in (*verdicts['judgements'], *verdicts['luck'], *verdicts['gaps']):
    low, high = each['interval']['rule_family']
    assert len(each['proofs']) == 3 and each['statements'] and low <= each['drop'] <= high
  assert (tmp_path / 'report' / 'report.md').exists()
  # 3 seeds of the dense network, luck, the original and two checks.
  assert len(list((tmp_path / 'runs').glob('*/record.json'))) == 15
  again = warm.call('sanity_check', *arguments, cwd=tmp_path)
  assert again.returncode == 0 and '15 runs, 15 of them done already' in again.stdout
  assert json.loads((tmp_path / 'report' / 'verdicts.json').read_text()) == verdicts
  # The command in the report makes the same verdicts.
  assert verdicts['command'].startswith('bin/sanity_check --pruners=snip --ratios=0.8 --checks=random_labels,rearrange')


def test_a_mask_from_a_file_is_judged(tmp_path):
  made = warm.call('train', *SMALL, '--pruner=magnitude', '--ratio=0.8', f'--output_dir={tmp_path / "made"}',
                   cwd=tmp_path)
  assert made.returncode == 0, made.stderr
  mask, = tmp_path.glob('made/*/mask.npz')
  done = warm.call('sanity_check', *ONE, f'--mask={mask}', '--seeds=1', '--nonarrow',
                   f'--output_dir={tmp_path / "runs"}', cwd=tmp_path)
  assert done.returncode == 0, done.stderr
  assert all(check in done.stdout for check in ('rearrange', 'shuffle_weights', 'reinitialise'))
  assert 'random_labels' not in done.stdout


def test_a_sweep_prints_and_writes_its_table(tmp_path):
  table = tmp_path / 'table.md'
  done = warm.call('sweep', *ONE, '--pruners=random,snip', '--ratios=0.5,0.8', '--seeds=0,1',
                   f'--output_dir={tmp_path}', f'--table={table}', cwd=tmp_path)
  assert done.returncode == 0, done.stderr
  lines = done.stdout.splitlines()
  assert lines[0] == '8 runs, 0 of them done already' and len(lines) == 1 + 1 + 4
  text = table.read_text()
  assert text.startswith(f'    bin/sweep --model={small_network.NAME}') and '±' in text
  assert text.count('| digits | plain |') == 4


def test_a_sweep_out_of_time_says_that_alone(tmp_path):
  # Workers have begun to train by then, on most machines.
  done = call('sweep', f'--model={small_network.NAME}', '--width=4', '--epochs=20000', '--pruners=random,snip',
              '--notensorboard', f'--output_dir={tmp_path}', '--parallel=2', '--minutes=0.25')
  assert done.returncode == 0 and 'out of time with 0 runs done' in done.stdout
  assert 'leaked' not in done.stderr and 'Traceback' not in done.stderr, done.stderr


def test_a_killed_sweep_resumes_and_leaves_no_worker(tmp_path):
  arguments = [*ONE, '--pruners=random,snip,lottery', f'--output_dir={tmp_path}']
  process = subprocess.Popen([sys.executable, BIN / 'sweep', *arguments, '--parallel=2'], stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL, env=environment())
  while process.poll() is None and not list(tmp_path.glob('*/settings.json')):
    time.sleep(0.1)
  workers = psutil.Process(process.pid).children()
  process.send_signal(signal.SIGKILL)
  assert process.wait() == -signal.SIGKILL
  assert workers and not psutil.wait_procs(workers, timeout=60)[1]
  done = warm.call('sweep', *arguments, cwd=tmp_path)
  assert done.returncode == 0, done.stderr
  assert len(list(tmp_path.glob('*/record.json'))) == 4


@pytest.mark.parametrize('program, arguments, expected', [
    ('sanity_check', ['--seeds=many'], '--seeds=many: expected a number, or auto'),
    ('sanity_check', ['--pruner=dense'], '--pruner=dense: it removes nothing that could be judged'),
    ('sanity_check', ['--checks=rearange'], "unknown check 'rearange' (did you mean 'rearrange'?)"),
    # As with a flag file that has one ratio.
    ('sanity_check', ['--ratio=0.9', '--ratios=0.9,much'], '--ratios=0.9,much: expected float values'),
    ('sanity_check', ['--pruners=snip', '--ratios=1.5'], '--ratio=1.5: expected a number'),
    ('sanity_check', ['--mask=/dev/null', '--checks=random_labels'], 'the mask of --mask is given'),
    ('sanity_check', ['--mask=/dev/null', '--checks=invert'], 'a mask from a file has none'),
    ('sanity_check', ['--mask=nowhere.npz', '--parallel=1'], '--mask=nowhere.npz: cannot be read'),
    ('sanity_check', ['--mask=/dev/null', '--noprogress', '--parallel=1'],
     "mask file '/dev/null': the name must end in .npz"),
    ('sanity_check', ['--check=rearrange'], '--check=rearrange: expected --checks=rearrange'),
    ('sanity_check', ['--margin=0'], '--margin=0: expected percent points above 0'),
    ('sanity_check', ['--budget_minutes=nan'], 'flag --budget_minutes=nan: expected a number of minutes'),
    ('sanity_check', ['--report=/dev/null/report'], '--report=/dev/null/report: cannot be written to'),
    ('sanity_check', ['--model=resnet9', '--noprogress', '--parallel=1'], 'the depth must be'),
    ('sanity_check', ['--dataset=folder', '--data_dir=nowhere', '--parallel=2', '--noprogress'],
     '--data_dir=nowhere: no such folder'),
    ('sweep', ['--pruners=snip@'], '--pruners=snip@: expected the name of a check behind the @'),
    ('sweep', ['--pruners=snip@invert', '--checks=rearrange'], '--pruners=snip@invert: expected no --checks'),
    ('sweep', ['--pruners=snip@inwert'], "unknown check 'inwert' (did you mean 'invert'?)"),
    ('sweep', ['--table=nowhere/table.md'], '--table=nowhere/table.md: expected a file in a folder that exists'),
    ('sweep', ['--minutes=nan'], 'flag --minutes=nan: expected a number of minutes'),
    ('sweep', ['--seeds=0,x'], '--seeds=0,x: expected int values'),
    ('sweep', ['--pruners=snap'], "unknown pruner 'snap' (did you mean 'snip'?)"),
    ('train', ['--pruner=given'], '--pruner=given: expected --mask=FILE'),
    ('train', ['--scored_at=later'], '--scored_at=later: expected init or trained or a number of epochs up to 20'),
    ('train', ['--rewound_to=50'], '--rewound_to=50: expected init or none or a number of epochs up to 20'),
    ('train', ['--pruner=weight_rewinding', '--rewind_epoch=30'],
     '--rewind_epoch=30: expected a number of epochs up to 20'),
    ('train', ['--check=rearrange', '--pruner=dense'], 'removes nothing that could be checked'),
    ('train', ['--score_options=curvature'], '--score_options=curvature: expected name=value'),
    ('train', ['--mask=nowhere.npz'], 'nowhere.npz'),
    ('train', ['--stop_epoch=30'], '--stop_epoch=30: expected at most --epochs, 20'),
])
def test_bad_usage_is_one_line(program, arguments, expected, tmp_path):
  done = warm.call(program, *arguments, cwd=tmp_path)
  assert done.returncode == 2, done.stderr
  assert expected in done.stderr.splitlines()[-1] and len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize('path', sorted((BIN.parent / 'configs' / 'sweeps').glob('*.flags')),
                         ids=lambda path: path.stem)
@pytest.mark.parametrize('flag', ['--flagfile={path}', '--config=sweeps/{path.stem}'])
def test_flag_files_of_sweeps_are_read(path, flag, tmp_path):
  # The last flag wins: what comes before it was understood.
  done = call('sweep', flag.format(path=path), '--seeds=none', cwd=tmp_path)
  assert done.returncode == 2 and '--seeds=none: expected int values' in done.stderr, done.stderr
