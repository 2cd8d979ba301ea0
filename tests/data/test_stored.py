"""Images that stay in their files: the same pixels, batches and trainings as in memory, and what is refused."""

import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import sys

import numpy as np
import pytest

from tests import small_network
from tests import weights_files
from tests.data import large_set
import tickets_tf
from tickets_tf import checks
from tickets_tf import machine
from tickets_tf import registry
from tickets_tf.data import crops
from tickets_tf.data import load_dataset
from tickets_tf.data import memory
from tickets_tf.data import Pipeline
from tickets_tf.data import Placement
from tickets_tf.data import remembered
from tickets_tf.data import scoring_images
from tickets_tf.data import stored
from tickets_tf.data.images import pixel_statistics
from tickets_tf.errors import TicketsError
from tickets_tf.errors import UsageError
from tickets_tf.experiment.train import train
from tickets_tf.runs import records
from tickets_tf.runs.run import Run
from tickets_tf.training import feed

ROOT = pathlib.Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
  """The folder of what is remembered, each test's own."""
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
  return tmp_path / 'cache' / 'tickets_tf'


@pytest.fixture
def tree(tmp_path, write_images):
  """Images of three formats and two sizes."""
  return write_images(tmp_path / 'tree', {
      f'{part}/{name}/{k:02}.{("png", "jpg", "jpeg")[k % 3]}': (8 if k % 4 else 11, 8, 3)
      for part, count in (('train', 24), ('test', 10)) for name in ('ant', 'cat', 'dog') for k in range(count)})


@pytest.fixture
def both(tree):
  """The tree in memory and in files."""
  pytest.importorskip('grain', reason='reading images for each batch needs grain')
  return [load_dataset('folder', str(tree), 8, validation_split=0.25, train_examples=45, images_in=where)
          for where in ('memory', 'files')]


def test_rows_are_those_of_the_array(both):
  held, kept = both
  for part in ('train', 'test', 'validation'):
    array, images = getattr(held, part).images, getattr(kept, part).images
    assert isinstance(images, stored.StoredImages) and images.shape == array.shape and len(images) == len(array)
    assert np.array_equal(images[2:9], array[2:9]) and np.array_equal(images[3], array[3])
    assert np.array_equal(images[np.array([5, 0, 5])], array[[5, 0, 5]])
    assert np.array_equal(getattr(held, part).labels, getattr(kept, part).labels)
  assert kept.mean == held.mean and kept.std == held.std
  assert held.notes == kept.notes[:-1]
  assert kept.notes[-1] == 'the images stay in their files and are read for each batch: as --images_in asks'
  indices = np.array([7, 1, 4])
  for one, other in zip(scoring_images(held.train, indices, held.mean, held.std),
                        scoring_images(kept.train, indices, held.mean, held.std), strict=True):
    assert np.array_equal(one, other)


@pytest.mark.parametrize('augmentation', ['none', 'crop', 'crop_flip'])
def test_batches_are_those_of_memory(both, augmentation):
  held, kept = (Pipeline(each.train, 6, 3, augmentation, 2, each.mean, each.std) for each in both)
  for one, other in zip(held.dataset(5, 9), kept.dataset(5, 9), strict=True):
    assert np.array_equal(one[0], other[0]) and np.array_equal(one[1], other[1])
  shares = list(kept.dataset(8, 9, parts=3))
  assert np.array_equal(np.concatenate([images for images, _ in shares]), other[0]), 'the shares of a batch'
  assert np.array_equal(kept.batch(8)[0], other[0]), 'the same batch by itself'
  evaluated = [list(feed.everything(each.test, 7)) for each in both]
  assert [len(drawn['labels']) for drawn in evaluated[1]] == [7, 7, 7, 7, 2]
  assert np.array_equal(np.concatenate([drawn['images'] for drawn in evaluated[1]]), both[0].test.images)


@pytest.mark.parametrize('check', ['random_labels', 'random_pixels', 'half_dataset'])
def test_checks_of_the_data_change_the_same(both, check):
  (held, proof), (kept, same) = (
      checks.change_data(check, registry.CHECKS.get(check), each.train, 3, seed=4) for each in both)
  assert proof == same and np.array_equal(held.labels, kept.labels) and kept.in_files
  assert np.array_equal(held.images, kept.images[np.arange(len(kept))])


def test_parts_of_images_are_a_function_of_seed_and_step(both):
  def batches(seed, first, **shares):
    pipeline = Pipeline(both[1].train, 8, seed, 'resized_crop', 0, both[1].mean, both[1].std)
    return [images.numpy() for images, _ in pipeline.dataset(first, 4, **shares)]

  whole = batches(1, 2)
  assert np.array_equal(whole[1], batches(1, 3)[0]), 'whatever came before'
  assert np.array_equal(whole[1], np.concatenate(batches(1, 3, parts=2)))
  assert not np.array_equal(whole[1], batches(2, 3)[0])
  with pytest.raises(UsageError, match=r'--augmentation=resized_crop: .* are in memory; expected --images_in=files'):
    Pipeline(both[0].train, 8, 1, 'resized_crop', 0, both[0].mean, both[0].std)


def test_nothing_takes_them_all_without_a_word(both):
  with pytest.raises(TicketsError, match='45 images stay in their files, and something asks for all of them as one'):
    np.asarray(both[1].train.images)


@pytest.mark.parametrize('changes', [{'pruner': 'snip', 'check': 'random_pixels', 'validation_split': 0.25},
                                     {'pruner': 'rigl', 'update_every': '3steps', 'epochs': 1}])
def test_trainings_are_those_of_memory(tree, tmp_path, changes):
  pytest.importorskip('grain', reason='reading images for each batch needs grain')
  found = {}
  for where in ('memory', 'files'):
    settings = tickets_tf.Settings(**{
        'dataset': 'folder', 'data_dir': str(tree), 'image_size': 8, 'model': small_network.NAME, 'width': 4,
        'batch_size': 16, 'epochs': 2, 'ratio': 0.7, 'samples_per_class': 5, 'output_dir': str(tmp_path / where),
        'images_in': where, 'progress': False, 'tensorboard': False, 'export': False, **changes})
    train(settings, lambda line: None)
    found[where] = Run(settings).folder
  _assert_same(found['memory'], found['files'])


def _assert_same(one, other):
  """Asserts that two folders hold runs of the same bits."""
  assert one.path.name == other.path.name
  for name in ('start.weights.h5', 'final.weights.h5'):
    first, second = weights_files.read(one.path / name), weights_files.read(other.path / name)
    assert first and all(np.array_equal(value, second[path]) for path, value in first.items())
  for name in ('mask.npz', 'correct.npy', 'proof.json'):
    assert (one.path / name).read_bytes() == (other.path / name).read_bytes(), name
  first, second = (records.read(folder.path) for folder in (one, other))
  left_out = {'settings': first.settings, 'seconds': first.seconds, 'environment': first.environment,
              'notes': first.notes}
  assert dataclasses.replace(second, **left_out) == first


@pytest.mark.skipif(sys.platform != 'linux', reason='the limit of a process\'s memory is Linux\'s')
def test_a_set_larger_than_memory_is_trained_on_and_killed(tmp_path):
  """Flat memory under a limit that the images do not fit into, and after a kill the bits of a run without either."""
  pytest.importorskip('grain', reason='reading images for each batch needs grain')
  images = large_set.write(tmp_path)
  # One arena, because each would keep what its threads have freed.
  environment = {**os.environ, 'MALLOC_ARENA_MAX': '1', 'PYTHONPATH': str(ROOT)}

  def process(dies):
    code = f'from tests.data import large_set; large_set.main({str(images)!r}, {str(tmp_path / "limited")!r}, {dies})'
    return subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, env=environment, cwd=ROOT)

  killed = process(dies=True)
  assert killed.returncode == -signal.SIGKILL, killed.stderr
  settings = large_set.settings(images, tmp_path / 'limited')
  assert len((Run(settings).folder.path / 'metrics.jsonl').read_text().splitlines()) == 1, 'within the second epoch'
  done = process(dies=False)
  assert done.returncode == 0, done.stderr
  told = json.loads(done.stdout.splitlines()[-1])
  assert '944 images of 320x320x3 need 0.5 GiB of memory' in told['refused'], 'the limit is one'
  assert told['grown'] < large_set.ROOM < large_set.BYTES
  free = dataclasses.replace(settings, images_in='memory', output_dir=str(tmp_path / 'free'))
  train(free, lambda line: None)
  _assert_same(Run(free).folder, Run(settings).folder)


def test_the_place_is_chosen_by_size(tree, monkeypatch):
  monkeypatch.setattr(machine, 'free_memory', lambda: 4 * 2**30)
  monkeypatch.setattr(memory, 'installed', lambda package: True)
  shape = (256, 256, 3)  # 5461 of these are 1 GiB
  assert not Placement().in_files(10922, shape) and Placement().in_files(10923, shape)
  assert Placement('auto', 1.0).in_files(5462, shape) and not Placement('auto', 1.0).in_files(5461, shape)
  assert not Placement('auto', 100.0).in_files(50000, shape) and not Placement('memory').in_files(10**9, shape)
  assert Placement('auto', 1.5).note(20000, shape).endswith(
      ': 20,000 images of 256x256x3 take 3.66 GiB, more than the 1.5 GiB of --image_memory')
  monkeypatch.setattr(memory, 'installed', lambda package: False)
  assert not Placement().in_files(1, shape)
  with pytest.raises(UsageError, match=r'4 GiB, more than half of the free memory: .* pip install "tickets_tf.large."'):
    Placement().in_files(21845, shape)
  with pytest.raises(UsageError, match=r'^--images_in=files: reading images for each batch needs the package grain'):
    load_dataset('folder', str(tree), images_in='files')
  with pytest.raises(UsageError, match="--images_in=files: data set 'digits' is always in memory"):
    load_dataset('digits', images_in='files')


def test_statistics_are_remembered_while_the_files_stay(both, tree, cache, monkeypatch, write_images):
  kept, = cache.iterdir()
  passes = []
  monkeypatch.setattr('tickets_tf.data.images.pixel_statistics',
                      lambda images: passes.append(len(images)) or pixel_statistics(images))

  def load():
    return load_dataset('folder', str(tree), 8, images_in='files')

  assert load().mean == both[0].mean and not passes
  write_images(tree, {'train/ant/01.jpg': (8, 8, 3)})
  assert load().mean != both[0].mean and passes == [72]
  kept.write_bytes(b'PK')
  assert remembered.remembered('x', [1], lambda: {'a': np.arange(2)})['a'].tolist() == [0, 1]
  for path in cache.iterdir():
    path.write_bytes(b'PK damaged')
  assert len(load().mean) == 3 and passes == [72, 72]


def test_parts_lie_inside_and_have_the_area_and_proportion_asked_for():
  places = np.stack(np.meshgrid(np.arange(90), np.arange(120), indexing='ij'), axis=-1)
  parts = [crops.random_part(places, seed) for seed in range(2000)]
  areas = np.array([part.shape[0] * part.shape[1] / (90 * 120) for part in parts])
  proportions = np.array([part.shape[1] / part.shape[0] for part in parts])
  assert 0.075 < areas.min() < 0.1 and areas.max() > 0.95
  assert 0.73 < proportions.min() < 0.77 and 1.3 < proportions.max() < 1.37
  tops, lefts = np.array([part[0, 0] for part in parts]).T
  assert tops.min() == 0 and lefts.min() == 0 and len(set(tops.tolist())) > 50
  assert np.array_equal(parts[5], crops.random_part(places, 5))
  assert crops.random_part(np.zeros((300, 10, 1)), 0).shape == (13, 10, 1), 'no part fits: the middle'
  assert crops.random_part(np.zeros((10, 300, 1)), 0).shape == (10, 13, 1)
  assert crops.middle(places, 4)[0, 0].tolist() == [43, 58]
  assert crops.short_side(500, 375, 224) == (341, 256) and crops.short_side(64, 64, 64) == (73, 73)
