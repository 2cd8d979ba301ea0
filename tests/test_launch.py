"""The launch files of docs/scale.md: what a cluster would run is run here, as far as listing the runs."""

import json
import os
import pathlib
import stat
import subprocess

import pytest

from tests.bin import warm

LAUNCH = pathlib.Path(__file__).parents[1] / 'configs' / 'launch'
# It stands for the program: says what it was called with, and as which worker.
PROGRAM = '''#!/bin/bash
printf '%s\\0' "$(basename "$0")" "${TF_CONFIG:-}" "$@" >> "$CALLS"
'''
# They stand for Slurm: one machine after the other starts the command line.
SRUN = '''#!/bin/bash
while [[ "$1" == --* ]]; do shift; done
for ((SLURM_PROCID = 0; SLURM_PROCID < ${MACHINES:-1}; SLURM_PROCID++)); do export SLURM_PROCID; "$@"; done
'''
SCONTROL = '#!/bin/bash\n[[ "$*" == "show hostnames n[1-2]" ]] && printf "n1\\nn2\\n"\n'


@pytest.fixture
def called(tmp_path):
  """A function that runs a command in bash; returns the (program, TF_CONFIG, arguments) that it called."""
  stands = tmp_path / 'bin'
  stands.mkdir()
  for name, text in (('tickets-sweep', PROGRAM), ('tickets-train', PROGRAM), ('srun', SRUN), ('scontrol', SCONTROL)):
    (stands / name).write_text(text)
    (stands / name).chmod(stat.S_IRWXU)

  def run(command, **variables):
    calls = tmp_path / 'calls'
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env={
        'PATH': f'{stands}{os.pathsep}{os.environ["PATH"]}', 'CALLS': str(calls), 'HOME': str(tmp_path), **variables})
    assert done.returncode == 0, done.stderr
    words = calls.read_text().split('\0')[:-1]
    starts = [index for index, word in enumerate(words) if word.startswith('tickets-')]
    return [(words[start], words[start + 1], words[start + 2:end])
            for start, end in zip(starts, [*starts[1:], len(words)], strict=True)]

  return run


def dry_run(arguments, tmp_path):
  done = warm.call('sweep', *arguments, '--dry_run', cwd=tmp_path)
  assert done.returncode == 0, done.stderr
  return done.stdout


def containers(spec):
  for container in spec['containers']:
    mounts = {mount['name'] for mount in container['volumeMounts']}
    assert mounts <= {volume['name'] for volume in spec['volumes']}
    yield container


def parsed(name):
  yaml = pytest.importorskip('yaml', reason='PyYAML is not installed')
  return yaml.safe_load((LAUNCH / name).read_text())


def test_the_ray_job_lists_its_runs(called, tmp_path):
  job = parsed('ray_job.yaml')
  assert (job['apiVersion'], job['kind']) == ('ray.io/v1', 'RayJob')
  cluster = job['spec']['rayClusterSpec']
  worker = cluster['workerGroupSpecs'][0]
  for group in (cluster['headGroupSpec'], worker):
    container, = containers(group['template']['spec'])
    assert container['image']
  (program, _, arguments), = called(['bash', '-c', job['spec']['entrypoint']])
  assert program == 'tickets-sweep' and '--executor=ray' in arguments
  container, = containers(worker['template']['spec'])
  # A run has what a machine of the cluster has.
  assert f'--cpus_per_run={container["resources"]["requests"]["cpu"]}' in arguments
  assert f'--gpus_per_run={container["resources"]["limits"]["nvidia.com/gpu"]}' in arguments
  assert '102 runs: 102 asked for' in dry_run(arguments, tmp_path)


def test_the_pods_of_the_indexed_job_share_out_the_seeds(called, tmp_path):
  job = parsed('indexed_job.yaml')
  assert (job['apiVersion'], job['kind'], job['spec']['completionMode']) == ('batch/v1', 'Job', 'Indexed')
  container, = containers(job['spec']['template']['spec'])
  (program, _, arguments), = called(container['command'], JOB_COMPLETION_INDEX='5')
  assert program == 'tickets-sweep'
  shown = dry_run(arguments, tmp_path)
  assert '34 runs: 34 asked for, 0 more' in shown and shown.count('-seed5-') == 34


def test_the_slurm_array_shares_out_the_seeds(called, tmp_path):
  path = LAUNCH / 'slurm_array.sbatch'
  assert subprocess.run(['bash', '-n', path], check=False).returncode == 0
  (program, _, arguments), = called(['bash', str(path)], SLURM_ARRAY_TASK_ID='3', SLURM_CPUS_PER_TASK='4')
  assert program == 'tickets-sweep' and f'--output_dir={tmp_path}/tickets/runs' in arguments
  assert dry_run(arguments, tmp_path).count('-seed3-') == 34


def test_the_machines_of_one_run_know_each_other(called, tmp_path):
  path = LAUNCH / 'slurm_one_run.sbatch'
  assert subprocess.run(['bash', '-n', path], check=False).returncode == 0
  calls = called(['bash', str(path)], SLURM_JOB_NODELIST='n[1-2]', SLURM_CPUS_PER_TASK='8', MACHINES='2')
  assert [json.loads(config) for _, config, _ in calls] == [
      {'cluster': {'worker': ['n1:2222', 'n2:2222']}, 'task': {'type': 'worker', 'index': index}} for index in (0, 1)]
  (program, _, arguments), (_, _, others) = calls
  assert program == 'tickets-train' and arguments == others and '--strategy=multi_worker' in arguments
  # bin/sweep has all flags of bin/train.
  assert '1 runs: 1 asked for' in dry_run(arguments, tmp_path)
