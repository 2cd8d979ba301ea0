"""Image files as a source of stored images, and what is computed once from all of them."""

import os
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tickets_tf.data import crops
from tickets_tf.data import images as image_tools
from tickets_tf.data import remembered
from tickets_tf.data.image_files import ImageFile
from tickets_tf.data.images import Shape
from tickets_tf.data.stored import StoredImages
from tickets_tf.errors import TicketsError

Statistics = tuple[tuple[float, ...], tuple[float, ...]]


class StoredFiles:
  """Image files, each decoded when it is asked for, with the pixels that `images.decode_files` gives.

  Args:
    found: the files.
    shape: (height, width, channels) that every image gets.
    white: the value of images of 16 bits that becomes 255.
  """

  def __init__(self, found: Sequence[ImageFile], shape: Shape, white: int) -> None:
    self._found, self.shape, self._white = found, shape, white

  def __len__(self) -> int:
    return len(self._found)

  def read(self, index: int, crop: int | None = None) -> npt.NDArray[np.uint8]:
    """Returns an image, or the part of it that a seed decides on, resized to the shape of all."""
    file = self._found[index]
    if crop is None:
      return image_tools.load_file(file, self.shape, self._white)
    whole = image_tools.load_file(file, (file.height, file.width, self.shape[2]), self._white)
    return image_tools.resized(crops.random_part(whole, crop), self.shape[:2])


def statistics(images: StoredImages, found: Sequence[ImageFile], white: int) -> Statistics:
  """Returns what `images.pixel_statistics` does, of stored images, and remembers it for the same files.

  Args:
    images: the images.
    found: their files, which count as the same if path, size and time of change are.
    white: the value of images of 16 bits that becomes 255.

  Raises:
    TicketsError: if an image cannot be read; it names the file.
  """
  try:
    stats = [(file.path, os.stat(file.path)) for file in found]
  except OSError as error:
    raise TicketsError(f'{error.filename}: {error.strerror}') from error
  made_of = [images.shape, white, *((os.path.abspath(path), stat.st_size, stat.st_mtime_ns) for path, stat in stats)]
  kept = remembered.remembered('pixel_statistics', made_of,
                               lambda: dict(zip(('mean', 'std'), map(np.array, image_tools.pixel_statistics(images)),
                                                strict=True)))
  return tuple(kept['mean'].tolist()), tuple(kept['std'].tolist())
