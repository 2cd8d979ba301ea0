"""What is built from this repository, installed where there is no checkout and used there."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile

import numpy as np
from PIL import Image
import pytest

import tickets_tf

ROOT = pathlib.Path(__file__).parents[1]
SMALL = ['--model=resnet8', '--width=4', '--epochs=1', '--train_examples=160', '--noprogress', '--notensorboard']
PROGRAMS = ('evaluate', 'exchange', 'export', 'instability', 'predict', 'records', 'report', 'sanity-check', 'sweep',
            'train')


@pytest.fixture(scope='module')
def built(tmp_path_factory):
  """The paths of (wheel, source distribution); the wheel is made from the source distribution."""
  # A copy, because a build leaves files in the folder that it builds, and takes up what an earlier one left.
  source = tmp_path_factory.mktemp('source')
  for name in ('benchmarks', 'bin', 'configs', 'docs', 'examples', 'tests', 'tickets_tf'):
    shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns('__pycache__'))
  for path in ROOT.iterdir():
    if path.is_file():
      shutil.copy(path, source)
  out = tmp_path_factory.mktemp('dist')
  done = call(sys.executable, '-m', 'build', '--no-isolation', '--outdir', out, source, cwd=source)
  assert done.returncode == 0, done.stdout + done.stderr
  (wheel,), (archive,) = out.glob('*.whl'), out.glob('*.tar.gz')
  return wheel, archive


@pytest.fixture(scope='module')
def installed(built, tmp_path_factory):
  """The folder of programs of a fresh environment with the wheel, and what it needs taken from this one."""
  folder = tmp_path_factory.mktemp('fresh')
  builder = venv.EnvBuilder()
  builder.create(folder)
  python = pathlib.Path(builder.ensure_directories(folder).env_exe)
  packages = call(python, '-c', 'import sysconfig; print(sysconfig.get_path("purelib"))', cwd=folder).stdout.strip()
  # Folders that a .pth file names come last, and .pth files in them do not count: a checkout that is installed here
  # is not seen.
  here = dict.fromkeys([sysconfig.get_path('purelib'), sysconfig.get_path('platlib')])
  (pathlib.Path(packages) / 'dependencies.pth').write_text('\n'.join(here) + '\n')
  done = call(sys.executable, '-m', 'pip', '--python', python, 'install', '--no-deps', '--no-index', built[0],
              cwd=folder)
  assert done.returncode == 0, done.stderr
  return python.parent


def outside():
  """Returns an environment that knows nothing of the checkout."""
  return {name: value for name, value in os.environ.items() if name not in ('PYTHONPATH', 'VIRTUAL_ENV')}


def call(program, *arguments, cwd):
  return subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, cwd=cwd, env=outside(),
                        stdin=subprocess.DEVNULL, check=False)


def test_the_wheel_holds_the_package_and_its_configs_alone(built):
  with zipfile.ZipFile(built[0]) as wheel:
    names = set(wheel.namelist())
  package = {path.relative_to(ROOT).as_posix() for path in (ROOT / 'tickets_tf').rglob('*')
             if path.is_file() and '__pycache__' not in path.parts}
  configs = {f'tickets_tf/{path.relative_to(ROOT).as_posix()}' for path in (ROOT / 'configs').rglob('*.flags')}
  assert 'tickets_tf/py.typed' in package and len(configs) > 8
  assert {name for name in names if '.dist-info/' not in name} == package | configs


def test_the_source_distribution_can_be_tested(built):
  with tarfile.open(built[1]) as archive:
    names = {name.partition('/')[2] for name in archive.getnames()}
  assert {'bin/train', 'tests/test_wheel.py', 'benchmarks/__init__.py', 'configs/sweeps/cifar10.flags'} <= names


def test_the_version_has_one_source(installed, tmp_path):
  code = ('from importlib import metadata; import tickets_tf; '
          'print(metadata.version("tickets_tf"), tickets_tf.__version__, tickets_tf.__file__)')
  done = call(installed / 'python', '-c', code, cwd=tmp_path)
  version, same, where = done.stdout.split()
  assert version == same == tickets_tf.__version__
  assert pathlib.Path(where).is_relative_to(installed.parent)


@pytest.mark.parametrize('program', PROGRAMS)
def test_every_program_is_a_command(program, installed, tmp_path):
  done = call(installed / f'tickets-{program}', '--help', cwd=tmp_path)
  assert done.returncode == 0, done.stderr
  assert f'    tickets-{program} --' in done.stdout.partition('flags:')[0]
  known = re.search(r'--config: .*?\((.*?)\)', ' '.join(done.stdout.split()))
  assert bool(known) == (program in ('exchange', 'instability', 'sanity-check', 'sweep', 'train'))
  if known:
    assert {'digits', 'cifar10_resnet32', 'sweeps/cifar10'} <= set(known[1].split(', '))
  assert sorted(path.name for path in installed.glob('tickets-*')) == [f'tickets-{each}' for each in PROGRAMS]


def test_the_main_job_and_what_follows_it(installed, tmp_path):
  done = call(installed / 'tickets-train', '--config=digits', '--pruner=random', '--ratio=0.95', *SMALL, cwd=tmp_path)
  assert done.returncode == 0, done.stderr
  assert done.stdout.splitlines()[-2].startswith('test accuracy ')
  run, = (tmp_path / 'runs').iterdir()
  assert done.stdout.splitlines()[-1] == f'ticket: {run.relative_to(tmp_path) / "ticket"}'
  done = call(installed / 'tickets-evaluate', f'--run={run}', cwd=tmp_path)
  assert done.returncode == 0 and done.stdout.endswith('they agree\n'), done.stderr
  Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / 'black.png')
  done = call(installed / 'tickets-predict', f'--model={run}', 'black.png', cwd=tmp_path)
  assert done.returncode == 0 and re.fullmatch(r'black.png: \d \d+\.\d\d%\n', done.stdout), done.stderr
