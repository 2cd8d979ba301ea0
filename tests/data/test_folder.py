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


def test_size_follows_the_first_image_or_the_flag(tree, write_images):
  write_images(tree, {'train/ant/0.png': (40, 36, 3), 'test/cat/1.jpg': (50, 60, 3)})
  dataset = load_dataset('folder', str(tree))
  assert dataset.image_shape == (40, 36, 3) and dataset.crop_padding == 4 and len(dataset.mean) == 3
  assert np.array_equal(dataset.train.images[0], np.asarray(Image.open(tree / 'train/ant/0.png')))
  assert dataset.notes[1].startswith('sizes: 25 of 16x16, 1 of 40x36, 1 of 50x60; all become 40x36, the size of the '
                                     'first training image')
  dataset = load_dataset('folder', str(tree), image_size=20)
  assert dataset.image_shape == (20, 20, 3) and '; all become 20x20, --image_size, stretched' in dataset.notes[1]


def test_gray_if_all_images_are_and_coloured_if_one_is(tree, write_images):
  write_images(tree, {f'{path.relative_to(tree)}': (16, 16) for path in tree.rglob('*.*')})
  dataset = load_dataset('folder', str(tree))
  assert dataset.image_shape == (16, 16, 1) and len(dataset.mean) == 1 and len(dataset.notes) == 1
  write_images(tree, {'test/dog/2.jpeg': (16, 16, 3)})
  dataset = load_dataset('folder', str(tree))
  assert dataset.image_shape == (16, 16, 3) and len(dataset.mean) == 3
  gray = np.asarray(Image.open(tree / 'train/ant/0.png'))
  assert all(np.array_equal(dataset.train.images[0, ..., channel], gray) for channel in range(3))
  assert dataset.notes[1].startswith('26 of 27 images are gray and made colour')


def test_every_format_is_read_by_its_bytes_and_counted(tree):
  for path in [*tree.glob('train/*/0.png')]:
    Image.open(path).save(path, 'WEBP', lossless=True)
  before = load_dataset('folder', str(tree))
  for k, kind in enumerate(('webp', 'bmp', 'tiff')):
    path = tree / 'train' / 'cat' / f'{(0, 3, 0)[k]}.png'
    Image.open(path).save(path.with_name(f'{k}.{kind}'), lossless=True)
  after = load_dataset('folder', str(tree))
  assert before.notes == ('27 files: 18 JPEG, 6 PNG, 3 WebP',
                          '3 of 27 images have the ending of another format and are read by their bytes '
                          '(train/ant/0.png is WebP)')
  assert after.notes[0] == '30 files: 18 JPEG, 6 PNG, 4 WebP, 1 BMP, 1 TIFF'
  cats = after.train.images[after.train.labels == 1]
  names = sorted(path.name for path in (tree / 'train' / 'cat').iterdir())
  by_name = dict(zip(names, cats, strict=True))
  assert np.array_equal(by_name['0.png'], by_name['0.webp']) and np.array_equal(by_name['0.png'], by_name['2.tiff'])
  assert np.array_equal(by_name['3.png'], by_name['1.bmp'])


def test_what_is_skipped_is_counted_and_named(tree):
  (tree / 'Thumbs.db').write_bytes(b'x')
  (tree / 'train' / 'ant' / '._0.png').write_bytes(b'\0\5\x16\7')
  (tree / 'train' / 'ant' / 'notes.txt').write_text('no image')
  (tree / 'train' / 'loose.png').write_bytes(b'x')
  checkpoints = tree / 'test' / '.ipynb_checkpoints'
  checkpoints.mkdir()
  for name in ('a.png', 'b.png'):
    (checkpoints / name).write_bytes(b'x')
  (tree / 'extra').mkdir()
  dataset = load_dataset('folder', str(tree))
  assert dataset.class_names == ('ant', 'cat', 'dog')
  assert dataset.notes == (
      '27 files: 18 JPEG, 9 PNG; skipped 6: Thumbs.db, train/ant/._0.png, train/ant/notes.txt, train/loose.png, '
      'test/.ipynb_checkpoints/ (2 files)', 'beside train, test and not read: extra')


def test_deeper_folders_count_for_their_class(tree):
  plain = load_dataset('folder', str(tree))
  for name in ('dog', 'cat'):
    deeper = tree / 'train' / name / 'more' / 'still'
    deeper.mkdir(parents=True)
    (tree / 'train' / name / '5.jpeg').rename(deeper / '5.jpeg')
  (tree / 'train' / 'dog' / 'more' / 'circle').symlink_to(tree / 'train' / 'dog')
  dataset = load_dataset('folder', str(tree))
  assert np.array_equal(dataset.train.labels, plain.train.labels)
  assert np.array_equal(dataset.train.images, plain.train.images), '5.jpeg is the last by both paths'
  assert dataset.notes[1:] == ('2 images in deeper folders count for the class above them: train/cat/more/still, '
                               'train/dog/more/still',)


def test_validation_folders(tree, write_images):
  val = {f'val/{name}/{k}.png': (16, 16, 3) for name in ('ant', 'cat', 'dog') for k in range(2)}
  write_images(tree, val)
  dataset = load_dataset('folder', str(tree))
  assert len(dataset.train) == 18 and len(dataset.test) == 9 and len(dataset.validation) == 6
  assert dataset.validation.labels.tolist() == [0, 0, 1, 1, 2, 2]
  assert np.array_equal(dataset.validation.images[0], np.asarray(Image.open(tree / 'val/ant/0.png')))
  assert dataset.notes[-1] == 'val/ is the validation set: the best epoch is chosen on it'
  with pytest.raises(UsageError, match='has its own validation set'):
    load_dataset('folder', str(tree), validation_split=0.5)
  _remove(tree / 'test')
  judged = load_dataset('folder', str(tree))
  assert judged.validation is None and np.array_equal(judged.test.images, dataset.validation.images)
  assert judged.notes[-1] == 'no test/: val/ is what is judged by'
  _remove(tree / 'val' / 'cat')
  with pytest.raises(UsageError, match="val: has no folder for class 'cat', which train has"):
    load_dataset('folder', str(tree))


def test_sixteen_bits_keep_their_levels(tmp_path):
  values = np.arange(4000, dtype=np.uint16).reshape(40, 100)
  for part in ('train', 'test'):
    for name in ('a', 'b'):
      folder = tmp_path / part / name
      folder.mkdir(parents=True)
      Image.fromarray(values if part == 'train' else values + 100).save(folder / '0.png')
  dataset = load_dataset('folder', str(tmp_path))
  assert dataset.white == 3999 and dataset.image_shape == (40, 100, 1)
  assert np.array_equal(dataset.train.images[0, ..., 0], np.round(values * (255 / 3999)))
  assert len(np.unique(dataset.train.images)) == 256 and dataset.test.images.max() == 255
  assert dataset.notes[1].startswith('4 of 4 images have 16 bits: their values from 0 to 3,999')


def test_images_that_are_not_read_are_named_and_counted(tree):
  (tree / 'train' / 'cat' / '2.jpeg').write_bytes(b'\0\0\0\x1cftypheic' + bytes(100))
  with pytest.raises(UsageError, match=r'train/cat/2\.jpeg: HEIC images are not read; convert it to PNG or JPEG$'):
    load_dataset('folder', str(tree))
  (tree / 'train' / 'dog' / '1.jpg').write_bytes(b'')
  with pytest.raises(UsageError, match=r'HEIC .*and 1 more files that are not read'):
    load_dataset('folder', str(tree))


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
