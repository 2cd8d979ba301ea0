"""Facts of the digits."""

import hashlib

import numpy as np
from sklearn import datasets

from tickets_tf.data import digits
from tickets_tf.data import load_dataset


def test_facts():
  dataset = load_dataset('digits')
  assert dataset.image_shape == (8, 8, 1) and dataset.class_names == tuple('0123456789')
  assert len(dataset.train) == 1437 and len(dataset.test) == 360
  assert dataset.augmentation == 'crop' and dataset.crop_padding == 1
  assert dataset.train.images.min() == 0 and dataset.train.images.max() == 255
  pixels = dataset.train.images / 255
  np.testing.assert_allclose(dataset.mean, [pixels.mean()], rtol=1e-12)
  np.testing.assert_allclose(dataset.std, [pixels.std()], rtol=1e-12)


def test_the_split_is_of_the_real_images_and_stratified():
  dataset, real = load_dataset('digits'), datasets.load_digits()
  known = {np.round(image * 255 / 16).astype(np.uint8).tobytes(): label
           for image, label in zip(real.images, real.target, strict=True)}
  seen = [[image.tobytes() for image in part.images] for part in (dataset.train, dataset.test)]
  assert len(known) == 1797 and set(seen[0]) | set(seen[1]) == set(known), 'every image once, in train or test'
  for images, part in zip(seen, (dataset.train, dataset.test), strict=True):
    assert [known[image] for image in images] == part.labels.tolist()
  share = np.bincount(dataset.test.labels) / np.bincount(real.target)
  assert np.all(np.abs(share - 360 / 1797) < 1 / 170)


def test_the_split_never_changes():
  # Results on record refer to this split: a change of it is a change of the data set.
  digest = hashlib.sha256(digits.load().test.images.tobytes()).hexdigest()
  assert digest.startswith('feaefdd707ca241f')


def test_image_size():
  dataset = load_dataset('digits', image_size=16)
  assert dataset.image_shape == (16, 16, 1) and dataset.crop_padding == 2
  small, large = load_dataset('digits').test.images, dataset.test.images
  np.testing.assert_allclose(large.mean((1, 2, 3)), small.mean((1, 2, 3)), atol=3)
