"""A miniature of Tiny-ImageNet's folder layout."""

import numpy as np
import pytest

from tickets_tf.data import load_dataset
from tickets_tf.errors import TicketsError
from tickets_tf.errors import UsageError

_WNIDS = ('n01443537', 'n01629819', 'n01641577', 'n09999999')


@pytest.fixture
def tree(tmp_path, write_images):
  # Flat images of a shade of their own, so that JPEG coding keeps each one recognisable.
  shades = {}
  for label, wnid in enumerate(_WNIDS):
    for k in range(3):
      shades[f'train/{wnid}/images/{wnid}_{k}.JPEG'] = 20 * label + 5 * k
  for k in range(6):
    shades[f'val/images/val_{k}.JPEG'] = 100 + 10 * k
  files = {name: np.full((64, 64, 3), shade, np.uint8) for name, shade in shades.items()}
  files['train/n01629819/images/n01629819_1.JPEG'] = np.full((64, 64), 25, np.uint8)  # some of the real ones are gray
  write_images(tmp_path, files)
  order = [5, 0, 3, 1, 4, 2]  # the annotations need not be sorted
  (tmp_path / 'val/val_annotations.txt').write_text(
      ''.join(f'val_{k}.JPEG\t{_WNIDS[k % 4]}\t0\t0\t62\t62\n' for k in order))
  (tmp_path / 'words.txt').write_text(
      'n00001740\tentity\nn01443537\tgoldfish, Carassius auratus\nn01629819\tcrane\nn01641577\tcrane, bird\n')
  return tmp_path


def test_facts(tree):
  dataset = load_dataset('tiny_imagenet', str(tree))
  assert dataset.image_shape == (64, 64, 3) and dataset.crop_padding == 4 and dataset.augmentation == 'crop_flip'
  assert dataset.mean == (0.4802, 0.4481, 0.3975) and dataset.std == (0.2770, 0.2691, 0.2821)
  assert dataset.class_names == ('goldfish', 'n01629819', 'n01641577', 'n09999999')
  assert dataset.train.labels.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
  shades = [20 * label + 5 * k for label in range(4) for k in range(3)]
  np.testing.assert_allclose(dataset.train.images.mean((1, 2, 3)), shades, atol=1.5)
  assert dataset.test.labels.tolist() == [0, 1, 2, 3, 0, 1]
  np.testing.assert_allclose(dataset.test.images.mean((1, 2, 3)), [100, 110, 120, 130, 140, 150], atol=1.5)


def test_colour_even_where_the_first_image_is_gray(tree, write_images):
  write_images(tree, {'train/n01443537/images/n01443537_0.JPEG': (64, 64)})
  assert load_dataset('tiny_imagenet', str(tree), image_size=32).image_shape == (32, 32, 3)


def test_without_words(tree):
  (tree / 'words.txt').unlink()
  assert load_dataset('tiny_imagenet', str(tree)).class_names == _WNIDS


def _append(tree, line):
  with (tree / 'val/val_annotations.txt').open('a') as file:
    file.write(line)


@pytest.mark.parametrize('damage, message', [
    (lambda tree: (tree / 'train').rename(tree / 'training'), 'no train/WNID/images folders'),
    (lambda tree: (tree / 'train/n01641577/images').rename(tree / 'gone'), 'n01641577/images: no images there'),
    (lambda tree: (tree / 'val/val_annotations.txt').unlink(), 'val_annotations.txt: no such file'),
    (lambda tree: (tree / 'val/val_annotations.txt').write_text(''), 'val_annotations.txt: holds no labels'),
    (lambda tree: _append(tree, 'val_1.JPEG\tn5\t0\t0\t1\t1\n'), "val_annotations.txt, line 7: 'n5' is not a class"),
    (lambda tree: _append(tree, 'val_1.JPEG n01443537\n'), "val_annotations.txt, line 7: '' is not a class"),
])
def test_clear_errors(tree, damage, message):
  damage(tree)
  with pytest.raises(UsageError, match=message) as error:
    load_dataset('tiny_imagenet', str(tree))
  assert '\n' not in str(error.value)


def test_no_data_dir():
  with pytest.raises(UsageError, match='--dataset=tiny_imagenet needs --data_dir'):
    load_dataset('tiny_imagenet')


def test_missing_test_image_is_named(tree):
  (tree / 'val/images/val_3.JPEG').unlink()
  with pytest.raises(TicketsError, match=r'val_3\.JPEG: No such file'):
    load_dataset('tiny_imagenet', str(tree))
