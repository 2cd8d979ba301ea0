"""The folder loader on a few hundred real images, where they are."""

import os
import pathlib
import tarfile

import numpy as np
import pytest
from PIL import Image

from tickets_tf.data import load_dataset

_VARIABLE = 'TICKETS_TF_CIFAR10_JPEG'
_ARCHIVE = pathlib.Path(__file__).resolve().parents[3] / 'shared/data/cifar10-jpeg.tar.xz'
_PER_CLASS = {'train': 30, 'test': 10}


def _wanted(name):
  split, _, file = name.split('/')
  return int(pathlib.Path(file).stem) < _PER_CLASS[split]


@pytest.fixture
def real_images(tmp_path):
  if os.environ.get(_VARIABLE):
    source = pathlib.Path(os.environ[_VARIABLE]).resolve()
    for path in source.glob('t*/*/*.jpg'):
      name = path.relative_to(source)
      if _wanted(name.as_posix()):
        (tmp_path / name.parent).mkdir(parents=True, exist_ok=True)
        (tmp_path / name).symlink_to(path)
  elif _ARCHIVE.exists():
    with tarfile.open(_ARCHIVE) as archive:
      for member in archive:
        if member.isfile() and _wanted(member.name):
          (tmp_path / member.name).parent.mkdir(parents=True, exist_ok=True)
          (tmp_path / member.name).write_bytes(archive.extractfile(member).read())
  else:
    pytest.skip(f'no CIFAR-10 images: {_VARIABLE} is not set to a folder with train/ and test/, and there is no '
                f'{_ARCHIVE}')
  return tmp_path


def test_real_images(real_images):
  dataset = load_dataset('folder', str(real_images))
  assert dataset.class_names == ('airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog', 'horse', 'ship',
                                 'truck')
  assert dataset.image_shape == (32, 32, 3) and dataset.crop_padding == 4
  assert np.bincount(dataset.train.labels).tolist() == [30] * 10
  assert np.bincount(dataset.test.labels).tolist() == [10] * 10
  np.testing.assert_allclose(dataset.mean, (0.4914, 0.4822, 0.4465), atol=0.05)
  np.testing.assert_allclose(dataset.std, (0.247, 0.243, 0.262), atol=0.03)
  paths = sorted((real_images / 'train').glob('*/*.jpg'))
  for k in (0, 123, 299):
    assert paths[k].parent.name == dataset.class_names[dataset.train.labels[k]]
    original = np.asarray(Image.open(paths[k])).astype(int)
    np.testing.assert_allclose(dataset.train.images[k].astype(int), original, atol=1)
