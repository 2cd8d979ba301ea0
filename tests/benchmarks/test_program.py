import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[2]


def test_benchmarks_are_found_from_any_folder(tmp_path):
  """They lie beside the program, and are neither in the package nor in the current folder."""
  (tmp_path / 'path').mkdir()
  (tmp_path / 'path' / 'tickets_tf').symlink_to(ROOT / 'tickets_tf')
  done = subprocess.run([sys.executable, ROOT / 'bin' / 'benchmark', 'files', '--files=one.tflite,other.tflite'],
                        cwd=tmp_path, env={**os.environ, 'PYTHONPATH': str(tmp_path / 'path')}, capture_output=True,
                        text=True)
  assert done.returncode == 2 and 'one.tflite: holds no ticket' in done.stderr, done.stderr
