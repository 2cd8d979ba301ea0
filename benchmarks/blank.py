"""A data set of a blank image, for exports of networks that were not trained."""

import numpy as np

from tickets_tf import data


def dataset(image_shape, num_classes):
  """Returns a `Dataset` of one black image.

  Args:
    image_shape: (height, width, channels).
    num_classes: number of classes.
  """
  examples = data.Examples(np.zeros((1, *image_shape), np.uint8), np.zeros(1, np.int32))
  channels = image_shape[-1]
  return data.Dataset('none', examples, examples, tuple(map(str, range(num_classes))), (0.5,) * channels,
                      (0.25,) * channels, 'none', 0)
