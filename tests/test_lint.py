"""Errors that reading alone finds, and lines that are too long; pyproject.toml says which."""

import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[1]


def ruff(option):
  return subprocess.run([sys.executable, '-m', 'ruff', 'check', '--no-cache', option, '.'], capture_output=True,
                        text=True, cwd=ROOT, check=False)


def test_ruff_finds_nothing():
  done = ruff('--output-format=concise')
  assert done.returncode == 0, done.stdout + done.stderr


def test_ruff_reads_all_that_is_python():
  files = {pathlib.Path(line).relative_to(ROOT).as_posix() for line in ruff('--show-files').stdout.splitlines()}
  folders = ('benchmarks', 'docs', 'examples', 'tests', 'tickets_tf')
  assert files >= {path.relative_to(ROOT).as_posix() for folder in folders
                   for path in (ROOT / folder).rglob('*.py')}
  assert files >= {f'bin/{path.name}' for path in (ROOT / 'bin').iterdir()
                   if 'python' in path.read_text().partition('\n')[0]}
