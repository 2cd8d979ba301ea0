"""The script for hosts without network access, on the CPU with pieces that stand for TensorFlow's."""

import json
import os
import pathlib
import subprocess
import sys
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

from tests import small_network

ROOT = pathlib.Path(__file__).parents[2]
TINY = ['--pruners=random,lr_rewinding', '--ratios=0.8', f'--model={small_network.NAME}', '--width=4', '--epochs=1',
        '--batch_size=8', '--samples_per_class=2', '--noprogress', '--parallel=1']


def call(*words, **variables):
  environment = {**os.environ, **variables, 'PATH': f'{os.path.dirname(sys.executable)}:{os.environ["PATH"]}'}
  return subprocess.run(['bash', ROOT / 'bin' / 'offline_host', *map(str, words)], capture_output=True, text=True,
                        env=environment, timeout=300)


@pytest.fixture
def images(tmp_path):
  """An archive with a folder around train/ and test/, eight images of two classes in each."""
  rng = np.random.default_rng(0)
  for part in ('train', 'test'):
    for label in ('cat', 'dog'):
      folder = tmp_path / 'some' / part / label
      folder.mkdir(parents=True)
      for number in range(4):
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(folder / f'{number}.png')
  with tarfile.open(tmp_path / 'images.tar.gz', 'w:gz') as archive:
    archive.add(tmp_path / 'some', 'some')
  return tmp_path / 'images.tar.gz'


@pytest.fixture
def pieces(tmp_path):
  """What leaves an env.sh, as the real one does, that leads to the Python of the tests."""
  folder = tmp_path / 'pieces'
  folder.mkdir()
  (folder / 'unpack.sh').write_text('echo unpacked >> "$1/log"; mkdir -p "$2/bin"; cp "$1/python3" "$2/bin/python3"\n'
                                    'echo "export PATH=$2/bin:\\$PATH" > "$2/env.sh"\n')
  (folder / 'python3').write_text(f'#!/bin/sh\necho used >> {folder}/log\nexec {sys.executable} "$@"\n')
  (folder / 'python3').chmod(0o755)
  with zipfile.ZipFile(folder / 'carried-1.0-py3-none-any.whl', 'w') as wheel:
    wheel.writestr('carried.py', 'import numpy as np\nimport tickets_tf\n\n\ndef score(model, images, labels, rng):\n'
                   '  return [rng.random(kernel.shape) for kernel in tickets_tf.prunable_kernels(model)]\n')
  return folder


def test_from_nothing_to_an_archive_that_another_host_goes_on_from(images, pieces, tmp_path):
  out = tmp_path / 'out'
  done = call(f'--pieces={pieces}', f'--images={images}', f'--out={out}', '--minutes=20', '--dense', '--', *TINY,
              '--pruners=carried:score,lr_rewinding')
  assert done.returncode == 0, done.stdout + done.stderr
  assert set((pieces / 'log').read_text().split()) == {'unpacked', 'used'}
  assert 'lr_rewinding' in (out / 'sweep.log').read_text() and 'bin/sweep ' in (out / 'table.md').read_text()
  with tarfile.open(out / 'records.tar.gz') as archive:
    names = archive.getnames()
    assert 'table.md' in names
    assert sum(name.endswith('record.json') for name in names) == 3
    assert sum(name.endswith('mask.npz') for name in names) == 3
    assert sum(name.endswith('/correct.npy') for name in names) == 3, 'which images were right'
    assert [name for name in names if name.endswith('.h5')] == [name for name in names if 'final.weights' in name]
    assert len([name for name in names if name.endswith('.h5')]) == 1, 'of the dense network'
    record = json.load(archive.extractfile(next(name for name in names if name.endswith('record.json'))))
  assert record['dataset']['train'] == 8 and record['final_accuracy'] is not None
  # Another host, with no pieces to unpack: what is done is not made again, what goes on from the dense network is new.
  other = tmp_path / 'other'
  done = call(f'--images={images}', f'--out={other}', '--minutes=20', f'--earlier={out / "records.tar.gz"}', '--',
              *TINY, '--pruners=lr_rewinding,lr_rewinding@rearrange')
  assert done.returncode == 0, done.stdout + done.stderr
  assert '3 runs, 2 of them done already' in done.stdout
  with tarfile.open(other / 'records.tar.gz') as archive:
    assert sum(name.endswith('record.json') for name in archive.getnames()) == 4
    assert not [name for name in archive.getnames() if name.endswith('.h5')]


@pytest.mark.parametrize('words, message', [
    (['--minute=5'], '--minute=5: unknown'),
    (['--images=nowhere.tar', '--out=x', '--minutes=5'], '--images=nowhere.tar: expected an archive'),
    (['--images=IMAGES', '--minutes=5'], '--out=: expected a folder'),
    (['--images=IMAGES', '--out=x', '--minutes=soon'], '--minutes=soon: expected a whole number'),
    (['--images=IMAGES', '--out=x', '--minutes=5', '--pieces=nowhere'], '--pieces=nowhere: expected a folder'),
])
def test_bad_usage_is_one_line(words, message, images):
  done = call(*[word.replace('IMAGES', str(images)) for word in words])
  assert done.returncode == 2 and message in done.stderr and len(done.stderr.splitlines()) == 1


def test_what_cannot_be_imported_or_unpacked_is_named(images, tmp_path):
  (tmp_path / 'pandas.py').write_text('raise ModuleNotFoundError("No module named \'pandas\'")\n')
  (tmp_path / 'damaged.tar').write_text('none')
  done = call(f'--images={images}', f'--out={tmp_path / "out"}', '--minutes=5', PYTHONPATH=str(tmp_path))
  assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
  assert done.stderr.startswith('a package is missing on this host: ') and 'pandas' in done.stderr
  done = call(f'--images={tmp_path / "damaged.tar"}', f'--out={tmp_path / "out"}', '--minutes=5')
  assert done.returncode == 2 and 'damaged.tar: cannot be unpacked' in done.stderr


def test_an_archive_without_images_is_named(tmp_path):
  (tmp_path / 'notes.txt').write_text('none')
  with tarfile.open(tmp_path / 'none.tar', 'w') as archive:
    archive.add(tmp_path / 'notes.txt', 'notes.txt')
  done = call(f'--images={tmp_path / "none.tar"}', f'--out={tmp_path / "out"}', '--minutes=5')
  assert done.returncode == 2 and 'none.tar: holds no train/ and test/' in done.stderr
