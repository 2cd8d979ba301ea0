"""The classifier that a trained ticket is, whatever file holds it."""

import abc
from typing import Any

import numpy as np
import numpy.typing as npt

from tickets_tf.data import WHITE
from tickets_tf.errors import UsageError

DESCRIPTION = 'ticket.json'  # name of the file of a `description`
LABELS = 'labels.txt'  # name of a file of class names, one a line
ENCLOSED = ('class_names', 'image_shape', 'preprocessing', 'mask')  # of a `description`, in single files


class Classifier(abc.ABC):
  """A trained ticket that classifies images.

  Args:
    description: what is known of the ticket, JSON values.

  Attributes:
    description: the same.
    class_names: in the order of the outputs.
    image_shape: (height, width, channels) of an image.
    white: the value of images of 16 bits that becomes 255 in those that `predict` takes.
  """

  def __init__(self, description: dict[str, Any]) -> None:
    self.description = description
    self.class_names: list[str] = description['class_names']
    height, width, channels = description['image_shape']
    self.image_shape: tuple[int, int, int] = height, width, channels
    self.white: int = description.get('preprocessing', {}).get('white', WHITE)

  def predict(self, images: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """Returns the probability of every class.

    Args:
      images: uint8 [N, height, width, channels], or one image [height, width, channels].

    Returns:
      float32 [N, classes], or [classes] for one image.

    Raises:
      UsageError: if images have another type or shape.
    """
    images = np.asarray(images)
    if images.dtype != np.uint8 or images.shape[-3:] != self.image_shape or images.ndim not in (3, 4):
      raise UsageError(f'images of dtype {images.dtype} and shape {images.shape}; expected uint8 [N, '
                       f'{", ".join(map(str, self.image_shape))}]')
    outputs = self._probabilities(images.reshape(-1, *self.image_shape))
    return outputs.reshape(*images.shape[:-3], -1)

  def classify(self, images: npt.ArrayLike) -> str | list[str]:
    """Returns the name of the most probable class of every image, or of the one image; arguments as for `predict`."""
    best = np.argmax(self.predict(images), axis=-1)
    return self.class_names[best] if best.ndim == 0 else [self.class_names[index] for index in best]

  @abc.abstractmethod
  def _probabilities(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Returns float32 [N, classes] of uint8 images [N, height, width, channels]."""
