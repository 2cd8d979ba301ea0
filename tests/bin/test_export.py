"""bin/export and bin/predict as a user runs them."""

import json
import os
import pathlib
import re
import subprocess
import sys

import pytest
from PIL import Image

from tests.bin import warm
import tickets_tf
from tickets_tf import data
from tickets_tf.experiment import train
from tickets_tf.runs.run import Run

ROOT = pathlib.Path(__file__).parents[2]


def call(program, *arguments):
  path = os.pathsep.join([str(ROOT), os.environ.get('PYTHONPATH', '')])
  return subprocess.run([sys.executable, ROOT / 'bin' / program, *map(str, arguments)], capture_output=True, text=True,
                        env={**os.environ, 'PYTHONPATH': path}, stdin=subprocess.DEVNULL)


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
  """The folder of a finished run."""
  settings = tickets_tf.Settings(model='resnet8', width=8, epochs=3, ratio=0.9, progress=False, tensorboard=False,
                                 output_dir=str(tmp_path_factory.mktemp('runs')))
  train.train(settings, lambda line: None)
  return Run(settings).folder.path


@pytest.fixture(scope='module')
def exported(finished):
  """(folder of the export, what the command printed)."""
  done = call('export', f'--run={finished}', '--variants=sparse_float32,sparse_int8', '--rounds=5')
  assert done.returncode == 0, done.stderr
  return finished / 'export', done


@pytest.fixture(scope='module')
def images(tmp_path_factory):
  """A folder with ten digits, named by what they are."""
  folder = tmp_path_factory.mktemp('images')
  test = data.load_dataset('digits').test
  for index in range(10):
    Image.fromarray(test.images[index, ..., 0]).save(folder / f'{index}_is_{test.labels[index]}.png')
  return folder


def test_export_prints_the_table(exported):
  folder, done = exported
  lines = done.stdout.splitlines()
  assert lines[0] == 'dense_float32: converting it, and running it on 360 test images'
  # What the files are, and what they cost.
  assert [line.split()[0] for line in lines if re.match(r' *\w+\.tflite ', line)] == 2 * [
      'dense_float32.tflite', 'sparse_float32.tflite', 'sparse_int8.tflite']
  for start in ('points lost: against the SavedModel on the same 360 test images, ', 'computed sparse: '):
    assert any(line.startswith(start) for line in lines), start
  best = json.loads((folder / 'export.json').read_text())['best']
  assert lines[-1].endswith(f'smallest TFLite file within 0.5 points of it: {best}')
  assert done.stderr == ''


def test_predict_ten_real_images_with_the_tflite_file(exported, finished, images):
  folder, _ = exported
  best = json.loads((folder / 'export.json').read_text())['best']
  done = call('predict', f'--model={folder / best}', images)
  assert done.returncode == 0 and done.stderr == '', done.stderr
  lines = done.stdout.splitlines()
  assert len(lines) == 10
  found = [line.split(': ')[1][0] for line in lines if line.endswith('%')]
  expected = tickets_tf.load_ticket(finished).classify(data.load_dataset('digits').test.images[:10])
  assert len(set(expected)) > 2 and sum(one == other for one, other in zip(found, expected, strict=True)) >= 9


def test_a_broken_image_is_skipped_and_the_exit_code_tells(exported, images, tmp_path):
  broken = tmp_path / 'broken.png'
  broken.write_bytes((images / '0_is_4.png').read_bytes()[:60])
  done = warm.call('predict', f'--model={exported[0] / "saved_model"}', '--json', '--top=3', broken, images / '1*.png',
                   cwd=tmp_path)
  assert done.returncode == 1
  assert done.stderr == f'{ROOT / "bin" / "predict"}: error: {broken}: broken image: not a whole PNG file\n'
  found = json.loads(done.stdout)
  assert found['image'] == str(next(images.glob('1*.png'))) and len(found['classes']) == 3


def test_a_disk_that_fills_up_leaves_the_earlier_files(exported, finished, tmp_path):
  folder, _ = exported
  before = {path: path.read_bytes() for path in finished.rglob('*') if path.is_file()}
  few = 60_000  # bytes that a file may have; the SavedModel is larger
  done = warm.call('export', f'--run={finished}', '--tflite=none', cwd=tmp_path, file_bytes=few)
  assert done.returncode == 1
  line, = done.stderr.splitlines()
  assert 'cannot be written: File too large' in line
  assert before == {path: path.read_bytes() for path in finished.rglob('*') if path.is_file()}
  assert folder.is_dir()


@pytest.mark.parametrize('program, arguments, expected', [
    ('export', [], 'one of --run and --saved_model is needed'),
    ('export', ['--run=a', '--saved_model=b'], 'one of --run and --saved_model is needed'),
    ('export', ['--run=a', 'b'], "unexpected argument 'b'"),
    ('export', ['--tflite=some'], 'flag --tflite=some'),
    ('export', ['--tolerance=-1'], 'flag --tolerance=-1'),
    ('predict', ['--model=x'], 'images are needed'),
    ('predict', ['x.png'], '--model is needed'),
    ('predict', ['--model=nowhere.tflite', 'x.png'], 'x.png: no image there'),
])
def test_bad_usage_is_one_line(program, arguments, expected, tmp_path):
  done = warm.call(program, *arguments, cwd=tmp_path)
  assert done.returncode == 2
  line, = done.stderr.splitlines()
  assert line.startswith(f'{ROOT / "bin" / program}: error: ') and expected in line
  assert not list(tmp_path.iterdir())


def test_a_truncated_file_is_one_line(exported, images, tmp_path):
  path = tmp_path / 'x.tflite'
  path.write_bytes((exported[0] / 'dense_float32.tflite').read_bytes()[:-100])
  done = warm.call('predict', f'--model={path}', images, cwd=tmp_path)
  assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
  assert f'{path}: truncated, or not a .tflite file that bin/export wrote' in done.stderr


def test_two_files_are_measured_in_turn(exported, tmp_path):
  dense = exported[0] / 'dense_float32.tflite'
  sparse = exported[0] / json.loads((exported[0] / 'export.json').read_text())['best']
  done = warm.call('benchmark', 'files', f'--files={sparse},{dense}', '--rounds=5', cwd=tmp_path)
  assert done.returncode == 0, done.stderr
  expected = sparse.stat().st_size / dense.stat().st_size
  assert expected < 0.9 and f'size {expected:.3f}; time of an inference, medians of 5 pairs: ' in done.stdout


def test_two_files_are_needed(exported, tmp_path):
  done = warm.call('benchmark', 'files', f'--files={exported[0]}/dense_float32.tflite', cwd=tmp_path)
  assert done.returncode == 2 and 'expected two files' in done.stderr and len(done.stderr.splitlines()) == 1
