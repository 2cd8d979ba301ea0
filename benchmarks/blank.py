"""A data set of a blank image, for exports of networks that were not trained."""

import numpy as np

from tickets_tf.data import Dataset, Examples


def dataset(image_shape: tuple[int, int, int], num_classes: int) -> Dataset:
  """Returns a data set of one black image.

  Args:
    image_shape: (height, width, channels).
    num_classes: number of classes.
  """
  examples = Examples(np.zeros((1, *image_shape), np.uint8), np.zeros(1, np.int32))
  channels = image_shape[-1]
  return Dataset('none', examples, examples, tuple(map(str, range(num_classes))), (0.5,) * channels,
                 (0.25,) * channels, 'none', 0)
