"""The handwritten digits that come with scikit-learn: real data, 8x8 pixels, nothing to download."""

import numpy as np
from sklearn import datasets

from tickets_tf import seeds
from tickets_tf.data import images as image_tools
from tickets_tf.data import subsets
from tickets_tf.data.sources import Dataset
from tickets_tf.data.sources import Examples

_TEST_EXAMPLES = 360


def load(data_dir: str | None = None, image_size: int = 0) -> Dataset:
  """Loads the digits, 1437 to train and 360 to test, a fixed split with the same share of every class.

  Args:
    data_dir: not used; the images are part of scikit-learn.
    image_size: height and width in pixels; 0 keeps the 8x8.

  Returns:
    A `Dataset` of gray images.
  """
  del data_dir
  digits = datasets.load_digits()
  images = np.round(digits.images * (255 / 16)).astype(np.uint8)[..., None]  # pixels come as 0 to 16
  examples = Examples(image_tools.resize(images, image_size), digits.target.astype(np.int32))
  counts = subsets.proportional_counts(np.bincount(examples.labels), _TEST_EXAMPLES)
  test = np.sort(np.concatenate(subsets.draw(examples.labels, counts, seeds.generator(0, 'digits'))))
  train = examples.take(np.setdiff1d(np.arange(len(examples)), test))
  mean, std = image_tools.pixel_statistics(train.images)
  return Dataset(
      name='digits',
      train=train,
      test=examples.take(test),
      class_names=tuple(str(name) for name in digits.target_names),
      mean=mean,
      std=std,
      augmentation='crop',  # a digit that is flipped is no longer that digit
      crop_padding=image_tools.padding_for(train.images.shape[1:]))
