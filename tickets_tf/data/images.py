"""Image files to uint8 arrays, and what is computed from the pixels."""

import os
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import psutil
import tensorflow as tf

from tickets_tf.errors import TicketsError
from tickets_tf.errors import UsageError

SUFFIXES = ('.jpg', '.jpeg', '.png')
_BLOCK = 1000  # images processed at once: enough to keep all cores busy, few compared to the whole set

Shape = tuple[int, int, int]  # height, width, channels


def shape_of(path: str | os.PathLike[str], image_size: int = 0) -> Shape:
  """Returns the shape of all images of a data set whose first image is this file.

  Args:
    path: a JPEG or PNG file.
    image_size: height and width in pixels; 0: the file's own.

  Returns:
    (height, width, channels); 1 channel for a gray image, with or without alpha, else 3.

  Raises:
    TicketsError: if the file cannot be read or is not a whole image; it names the file.
  """
  height, width, channels = _decode_one(path, channels=0).shape
  return image_size or height, image_size or width, 1 if channels <= 2 else 3


def decode(paths: Sequence[str], shape: Shape) -> npt.NDArray[np.uint8]:
  """Decodes image files in parallel.

  Images of another size are resized. Gray images are made colour, or colour images gray, as `shape` asks.

  Args:
    paths: JPEG or PNG files.
    shape: (height, width, channels) that every image gets; channels is 1 or 3.

  Returns:
    uint8 [N, height, width, channels] in the order of `paths`.

  Raises:
    TicketsError: if a file cannot be read or is not a whole image; it names the file.
    UsageError: if the images would not fit into the free memory.
  """
  _check_memory(len(paths), shape)

  def load(path: tf.Tensor) -> tf.Tensor:
    image = _decode_bytes(tf.io.read_file(path), shape[2])
    same_size = tf.reduce_all(tf.shape(image)[:2] == shape[:2])
    return tf.ensure_shape(tf.cond(same_size, lambda: image, lambda: _resize(image, shape[:2])), shape)

  with tf.device('CPU:0'):
    dataset = tf.data.Dataset.from_tensor_slices(paths).map(load, tf.data.AUTOTUNE, deterministic=True).batch(_BLOCK)
  images: npt.NDArray[np.uint8] = np.empty((len(paths), *shape), np.uint8)
  done = 0
  try:
    for block in dataset.as_numpy_iterator():
      images[done:done + len(block)] = block
      done += len(block)
  except tf.errors.OpError:
    # TensorFlow's message does not say which file it was: try those that were not delivered, one by one.
    for path in paths[done:]:
      _decode_one(path, shape[2])
    raise
  return images


def load_image(path: str | os.PathLike[str], shape: Shape) -> npt.NDArray[np.uint8]:
  """Decodes one image file; as `decode`, for one image [height, width, channels]."""
  with tf.device('CPU:0'):
    image = _decode_one(path, shape[2])
    pixels: npt.NDArray[np.uint8] = (image if image.shape == shape else _resize(image, shape[:2])).numpy()
  return pixels


def resize(images: npt.NDArray[np.uint8], image_size: int) -> npt.NDArray[np.uint8]:
  """Returns images [N, height, width, channels] resized to `image_size` pixels square; 0 leaves them as they are."""
  if not image_size or images.shape[1:3] == (image_size, image_size):
    return images
  with tf.device('CPU:0'):
    return np.concatenate([_resize(images[start:start + _BLOCK], (image_size, image_size)).numpy()
                           for start in range(0, len(images), _BLOCK)])


def pixel_statistics(images: npt.NDArray[np.uint8]) -> tuple[tuple[float, ...], tuple[float, ...]]:
  """Returns mean and standard deviation per channel, of images [N, height, width, channels] scaled to [0, 1]."""
  values = np.arange(256) / 255
  # Counting the 256 values is exact and needs no copy of the images in floating point.
  counts = np.zeros((images.shape[-1], 256), np.int64)
  for start in range(0, len(images), _BLOCK):
    for channel in range(images.shape[-1]):
      counts[channel] += np.bincount(images[start:start + _BLOCK, ..., channel].ravel(), minlength=256)
  shares = counts / counts.sum(axis=1, keepdims=True)
  means = shares @ values
  variances = np.sum(shares * (values - means[:, None])**2, axis=1)
  return tuple(means.tolist()), tuple(np.sqrt(variances).tolist())


def padding_for(shape: tuple[int, ...]) -> int:
  """Returns the pixels to pad before a random crop: 4 if images have at least 32 (as in the papers), else an eighth."""
  size = min(shape[:2])
  return 4 if size >= 32 else size // 8


def _resize(images: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
  resized = tf.image.resize(images, size, method='bilinear', antialias=True)
  return tf.saturate_cast(tf.round(resized), tf.uint8)


def _decode_bytes(contents: bytes | tf.Tensor, channels: int) -> tf.Tensor:
  # decode_jpeg reads PNG as well. The accurate transform gives the same pixels as Pillow. TensorFlow's default is off
  # by up to 6 of 255, and darkens red and blue of CIFAR-10 by 1 of 255 on average.
  return tf.io.decode_jpeg(contents, channels=channels, dct_method='INTEGER_ACCURATE')


def _decode_one(path: str | os.PathLike[str], channels: int) -> tf.Tensor:
  try:
    with open(path, 'rb') as file, tf.device('CPU:0'):
      return _decode_bytes(file.read(), channels)
  except OSError as error:
    raise TicketsError(f'{path}: {error.strerror}') from error
  except tf.errors.OpError as error:
    raise TicketsError(f'{path}: broken image: not a whole JPEG or PNG file') from error


def _check_memory(count: int, shape: Shape) -> None:
  height, width, channels = shape
  # Twice: as a NumPy array, and as the tensor that the training pipeline copies it to.
  needed, free = 2 * count * height * width * channels, psutil.virtual_memory().available
  if needed > free:
    raise UsageError(f'{count} images of {height}x{width}x{channels} need {needed / 2**30:.1f} GiB of memory, '
                     f'{free / 2**30:.1f} GiB are free; make them smaller with --image_size, or give a --data_dir '
                     'with fewer images (--train_examples acts only after decoding)')
