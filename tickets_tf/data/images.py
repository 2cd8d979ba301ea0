"""Image files to uint8 arrays, and what is computed from the pixels."""

import numpy as np
import psutil
import tensorflow as tf

from tickets_tf.errors import TicketsError
from tickets_tf.errors import UsageError

SUFFIXES = ('.jpg', '.jpeg', '.png')
_BLOCK = 1000  # images in work at once: large enough to keep all cores busy, small beside the whole set


def shape_of(path, image_size=0):
  """Returns the shape that a data set gets whose first image is this file.

  Args:
    path: a JPEG or PNG file.
    image_size: height and width in pixels; 0 takes the file's own.

  Returns:
    (height, width, channels); 1 channel for a gray image, with or without alpha, else 3.

  Raises:
    TicketsError: where the file cannot be read or is not a whole image; it names the file.
  """
  height, width, channels = _decode_one(path, channels=0).shape
  return image_size or height, image_size or width, 1 if channels <= 2 else 3


def decode(paths, shape):
  """Decodes image files in parallel.

  Images of another size are resized, gray ones become colour or the other way round as `shape` asks.

  Args:
    paths: list of JPEG or PNG files.
    shape: (height, width, channels) that every image gets; channels is 1 or 3.

  Returns:
    uint8 [N, height, width, channels] in the order of `paths`.

  Raises:
    TicketsError: where a file cannot be read or is not a whole image; it names the file.
    UsageError: where the images would not fit into the free memory.
  """
  _check_memory(len(paths), shape)

  def load(path):
    image = _decode_bytes(tf.io.read_file(path), shape[2])
    same_size = tf.reduce_all(tf.shape(image)[:2] == shape[:2])
    return tf.ensure_shape(tf.cond(same_size, lambda: image, lambda: _resize(image, shape[:2])), shape)

  with tf.device('CPU:0'):
    dataset = tf.data.Dataset.from_tensor_slices(paths).map(load, tf.data.AUTOTUNE, deterministic=True).batch(_BLOCK)
  images = np.empty((len(paths), *shape), np.uint8)
  done = 0
  try:
    for block in dataset.as_numpy_iterator():
      images[done:done + len(block)] = block
      done += len(block)
  except tf.errors.OpError:
    # TensorFlow's message does not say which file it was: look through those not delivered, one by one.
    for path in paths[done:]:
      _decode_one(path, shape[2])
    raise
  return images


def load_image(path, shape):
  """Decodes one image file; arguments, result and errors as `decode`, for one image [height, width, channels]."""
  with tf.device('CPU:0'):
    image = _decode_one(path, shape[2])
    return (image if image.shape == shape else _resize(image, shape[:2])).numpy()


def resize(images, image_size):
  """Returns uint8 images [N, H, W, C] resized to `image_size` pixels square; 0 leaves them as they are."""
  if not image_size or images.shape[1:3] == (image_size, image_size):
    return images
  with tf.device('CPU:0'):
    return np.concatenate([_resize(images[start:start + _BLOCK], (image_size, image_size)).numpy()
                           for start in range(0, len(images), _BLOCK)])


def pixel_statistics(images):
  """Returns mean and standard deviation per channel, as tuples of floats, of uint8 images scaled to [0, 1]."""
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


def padding_for(shape):
  """Returns the pixels to pad before a random crop: 4 from 32 pixels up (as the papers do), else an eighth."""
  size = min(shape[:2])
  return 4 if size >= 32 else size // 8


def _resize(images, size):
  resized = tf.image.resize(images, size, method='bilinear', antialias=True)
  return tf.saturate_cast(tf.round(resized), tf.uint8)


def _decode_bytes(contents, channels):
  # decode_jpeg reads PNG as well. The accurate transform gives what Pillow gives; TensorFlow's default one is off by
  # up to 6 of 255, and darkens red and blue of CIFAR-10 by 1 of 255 on average.
  return tf.io.decode_jpeg(contents, channels=channels, dct_method='INTEGER_ACCURATE')


def _decode_one(path, channels):
  try:
    with open(path, 'rb') as file, tf.device('CPU:0'):
      return _decode_bytes(file.read(), channels)
  except OSError as error:
    raise TicketsError(f'{path}: {error.strerror}') from error
  except tf.errors.OpError as error:
    raise TicketsError(f'{path}: broken image: not a whole JPEG or PNG file') from error


def _check_memory(count, shape):
  height, width, channels = shape
  # Twice: as NumPy array, and as the tensor that the training pipeline copies it to.
  needed, free = 2 * count * height * width * channels, psutil.virtual_memory().available
  if needed > free:
    raise UsageError(f'{count} images of {height}x{width}x{channels} need {needed / 2**30:.1f} GiB of memory, '
                     f'{free / 2**30:.1f} GiB are free; make them smaller with --image_size, or give a --data_dir '
                     'with fewer images (--train_examples acts only after decoding)')
