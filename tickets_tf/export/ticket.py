"""What a trained ticket says and does in whatever file it is."""

import abc

import numpy as np

from tickets_tf.errors import UsageError

DESCRIPTION = 'ticket.json'


class Classifier(abc.ABC):
  """A trained ticket that predicts.

  Args:
    description: dictionary of what is known of the ticket.

  Attributes:
    description: the dictionary.
    class_names: list of strings, in the order of the outputs.
    image_shape: (height, width, channels) of an image.
  """

  def __init__(self, description):
    self.description = description
    self.class_names = description['class_names']
    self.image_shape = tuple(description['image_shape'])

  def predict(self, images):
    """Returns the probability of every class.

    Args:
      images: uint8 [N, height, width, channels], or one image [height, width, channels].

    Returns:
      float32 [N, classes], or [classes] for one image.

    Raises:
      UsageError: for images of another type or shape.
    """
    images = np.asarray(images)
    if images.dtype != np.uint8 or images.shape[-3:] != self.image_shape or images.ndim not in (3, 4):
      raise UsageError(f'images of dtype {images.dtype} and shape {images.shape}; expected uint8 [N, '
                       f'{", ".join(map(str, self.image_shape))}]')
    outputs = self._probabilities(images.reshape(-1, *self.image_shape))
    return outputs.reshape(*images.shape[:-3], -1)

  def classify(self, images):
    """Returns the name of the most probable class of every image, or of the one image; arguments as `predict`."""
    best = np.argmax(self.predict(images), axis=-1)
    return self.class_names[best] if best.ndim == 0 else [self.class_names[index] for index in best]

  @abc.abstractmethod
  def _probabilities(self, images):
    """Returns float32 [N, classes] of uint8 images [N, height, width, channels]."""
