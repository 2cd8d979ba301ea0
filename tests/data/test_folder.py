"""Trees of image files."""

import numpy as np
import pytest
from PIL import Image

from tickets_tf.data import images
from tickets_tf.data import load_dataset
from tickets_tf.errors import TicketsError
from tickets_tf.errors import UsageError


@pytest.fixture
def tree(tmp_path, write_images):
  files = {f'{split}/{name}/{k}.{suffix}': (16, 16, 3)
           for split, count in (('train', 6), ('test', 3)) for name in ('dog', 'ant', 'cat')
           for k, suffix in enumerate((['png', 'jpg', 'jpeg'] * 2)[:count])}
  return write_images(tmp_path / 'tree', files)


def test_facts(tree):
  before = sorted(tree.rglob('*'))
  dataset = load_dataset('folder', str(tree))
  assert sorted(tree.rglob('*')) == before, 'nothing may be written there'
  assert dataset.class_names == ('ant', 'cat', 'dog') and dataset.image_shape == (16, 16, 3)
  assert dataset.augmentation == 'crop_flip' and dataset.crop_padding == 2
  assert len(dataset.train) == 18 and len(dataset.test) == 9
  for split, part in (('train', dataset.train), ('test', dataset.test)):
    paths = sorted((tree / split).glob('*/*'))
    assert part.labels.tolist() == [dataset.class_names.index(path.parent.name) for path in paths]
    for path, image in zip(paths, part.images, strict=True):
      np.testing.assert_allclose(image.astype(int), np.asarray(Image.open(path)).astype(int),
                                 atol=0 if path.suffix == '.png' else 1)
  mean, std = images.pixel_statistics(dataset.train.images)
  assert dataset.mean == mean and dataset.std == std
  assert mean != images.pixel_statistics(dataset.test.images)[0]


def test_other_folders_beside_do_not_matter(tree, write_images):
  write_images(tree, {'extra/aardvark/0.png': (9, 9, 3)})
  (tree / 'train' / 'ant' / 'notes.txt').write_text('no image')
  dataset = load_dataset('folder', str(tree))
  assert dataset.class_names == ('ant', 'cat', 'dog') and dataset.train.labels.tolist() == [0] * 6 + [1] * 6 + [2] * 6


def test_size_and_colour_follow_the_first_image_or_the_flag(tree, write_images):
  write_images(tree, {'train/ant/0.png': (40, 36), 'test/cat/1.jpg': (50, 60, 3)})
  dataset = load_dataset('folder', str(tree))
  assert dataset.image_shape == (40, 36, 1) and dataset.crop_padding == 4 and len(dataset.mean) == 1
  assert np.array_equal(dataset.train.images[0, ..., 0], np.asarray(Image.open(tree / 'train/ant/0.png')))
  assert load_dataset('folder', str(tree), image_size=20).image_shape == (20, 20, 1)


def test_subsets_work_on_a_tree(tree):
  dataset = load_dataset('folder', str(tree), train_examples=6, validation_split=0.5)
  assert np.bincount(dataset.train.labels).tolist() == [2, 2, 2]
  assert np.bincount(dataset.validation.labels).tolist() == [3, 3, 3]


def _remove(path):
  for child in path.iterdir():
    _remove(child) if child.is_dir() else child.unlink()
  path.rmdir()


def _empty(path):
  _remove(path)
  path.mkdir()


@pytest.mark.parametrize('damage, message', [
    (_remove, '--data_dir=.*tree: no such folder'),
    (lambda tree: _remove(tree / 'train'), "tree: no folder 'train' in it"),
    (lambda tree: _remove(tree / 'test'), "tree: no folder 'test' in it"),
    (lambda tree: _remove(tree / 'test' / 'cat'), "test: has no folder for class 'cat', which train has"),
    (lambda tree: _remove(tree / 'train' / 'dog'), "train: has no folder for class 'dog', which test has"),
    (lambda tree: _empty(tree / 'train' / 'cat'), 'train/cat: no images there'),
    (lambda tree: _empty(tree / 'test' / 'cat'), 'test/cat: no images there'),
    (lambda tree: [_empty(tree / 'test' / name) for name in ('ant', 'cat', 'dog')], 'test/ant: no images there'),
    (lambda tree: [_empty(tree / split) for split in ('train', 'test')], 'at least 2 classes, has 0'),
])
def test_clear_errors(tree, damage, message):
  damage(tree)
  with pytest.raises(UsageError, match=message) as error:
    load_dataset('folder', str(tree))
  assert '\n' not in str(error.value)


def test_no_data_dir():
  with pytest.raises(UsageError, match='--dataset=folder needs --data_dir'):
    load_dataset('folder')


@pytest.mark.parametrize('name', ['train/cat/1.jpg', 'test/dog/2.jpeg', 'train/ant/0.png'])
def test_a_truncated_image_is_named(tree, name):
  path = tree / name
  path.write_bytes(path.read_bytes()[:-100])
  with pytest.raises(TicketsError, match=f'{path}: broken image'):
    load_dataset('folder', str(tree))
