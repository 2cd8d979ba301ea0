"""Errors that reading alone finds, and lines that are too long; pyproject.toml says which."""

import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[1]


def test_ruff_finds_nothing():
  programs = [path for path in (ROOT / 'bin').iterdir() if 'python' in path.read_text().partition('\n')[0]]
  assert len(programs) >= 6
  done = subprocess.run([sys.executable, '-m', 'ruff', 'check', '--output-format=concise', '--no-cache',
                         ROOT / 'tickets_tf', ROOT / 'tests', ROOT / 'examples', ROOT / 'setup.py', *programs],
                        capture_output=True, text=True, check=False)
  assert done.returncode == 0, done.stdout + done.stderr
