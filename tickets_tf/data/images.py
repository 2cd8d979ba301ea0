"""Image files to uint8 arrays, and what is computed from the pixels.

Plain JPEG and PNG files are decoded by TensorFlow, all others by Pillow. Whatever the format, an image is turned as its
EXIF orientation says, transparency is left out, and 16 bits become 8 by one rule: the values 0 to `white` of the data
set become 0 to 255.
"""

import io
import os
from collections.abc import Sequence
from concurrent import futures
from typing import Any
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from PIL import Image
from PIL import ImageOps

from tickets_tf import machine
from tickets_tf.data import image_files
from tickets_tf.data import memory
from tickets_tf.data import stored
from tickets_tf.data.image_files import ImageFile
from tickets_tf.errors import TicketsError
from tickets_tf.errors import UsageError

WHITE = 65535  # the largest value of 16 bits
_BLOCK = 1000  # images processed at once: enough to keep all cores busy, few compared to the whole set

Shape = memory.Shape
_Value = TypeVar('_Value', bound=np.generic)


def shape_of(path: str | os.PathLike[str], image_size: int = 0) -> Shape:
  """Returns the shape of all images of a data set whose first image is this file.

  Args:
    path: an image file.
    image_size: height and width in pixels; 0: the file's own.

  Returns:
    (height, width, channels); 1 channel for a gray image, with or without transparency, else 3.

  Raises:
    TicketsError: if the file cannot be read or is not a whole image; it names the file.
  """
  file = image_files.inspect(path)
  load_file(file, (file.height, file.width, file.channels), WHITE)
  return image_size or file.height, image_size or file.width, file.channels


def decode(paths: Sequence[str], shape: Shape) -> npt.NDArray[np.uint8]:
  """Decodes image files: as `decode_files`, of paths."""
  return decode_files([image_files.inspect(path) for path in paths], shape)


def decode_files(found: Sequence[ImageFile], shape: Shape, white: int = WHITE) -> npt.NDArray[np.uint8]:
  """Decodes image files in parallel.

  Images of another size are resized. Gray images are made colour, or colour images gray, as `shape` asks.

  Args:
    found: image files.
    shape: (height, width, channels) that every image gets; channels is 1 or 3.
    white: the value of images of 16 bits that becomes 255; larger ones become 255 too.

  Returns:
    uint8 [N, height, width, channels] in the order of `found`.

  Raises:
    TicketsError: if a file cannot be read or is not a whole image; it names the file.
    UsageError: if the images would not fit into the free memory.
  """
  _check_memory(len(found), shape)
  images: npt.NDArray[np.uint8] = np.empty((len(found), *shape), np.uint8)
  plain = [index for index, file in enumerate(found) if _is_plain(file)]
  _decode_plain([found[index].path for index in plain], shape, images, plain)
  others = [index for index, file in enumerate(found) if not _is_plain(file)]
  with futures.ThreadPoolExecutor(os.cpu_count()) as pool:
    decoded = pool.map(lambda index: load_file(found[index], shape, white), others)
    for index, pixels in zip(others, decoded, strict=True):
      images[index] = pixels
  return images


def load_image(path: str | os.PathLike[str], shape: Shape, white: int = WHITE) -> npt.NDArray[np.uint8]:
  """Decodes one image file; as `decode_files`, for one image [height, width, channels]."""
  return load_file(image_files.inspect(path), shape, white)


def load_file(file: ImageFile, shape: Shape, white: int = WHITE) -> npt.NDArray[np.uint8]:
  """Decodes one image file; as `decode_files`, for one image [height, width, channels]."""
  if file.bits == 16:
    scaled = np.minimum(_deep_pixels(file), white) * (255 / white)
    pixels = _with_channels(np.round(scaled).astype(np.uint8), shape[2])
  elif file.format in ('JPEG', 'PNG') and not file.cmyk:
    pixels = _turned(_by_tensorflow(file, shape[2]), file.orientation)
  else:
    pixels = _with_channels(_by_pillow(file, 'L' if file.channels == 1 else 'RGB'), shape[2])
  return resized(pixels, shape[:2])


def resized(image: npt.NDArray[np.uint8], size: tuple[int, int]) -> npt.NDArray[np.uint8]:
  """Returns an image [height, width, channels] resized to (height, width): bilinear, antialiased, rounded."""
  if image.shape[:2] == size:
    return image
  with tf.device('CPU:0'):
    found: npt.NDArray[np.uint8] = _resize(image, size).numpy()
  return found


def largest_value(found: Sequence[ImageFile]) -> int:
  """Returns the largest value of the pixels of image files of 16 bits, at least 1."""
  with futures.ThreadPoolExecutor(os.cpu_count()) as pool:
    return max(1, *pool.map(lambda file: int(_deep_pixels(file).max()), found))


def _decode_plain(paths: Sequence[str], shape: Shape, images: npt.NDArray[np.uint8], places: Sequence[int]) -> None:
  """Decodes plain files in parallel into `images` at `places`."""

  def load(path: tf.Tensor) -> tf.Tensor:
    image = _decode_bytes(tf.io.read_file(path), shape[2])
    same_size = tf.reduce_all(tf.shape(image)[:2] == shape[:2])
    return tf.ensure_shape(tf.cond(same_size, lambda: image, lambda: _resize(image, shape[:2])), shape)

  if not paths:
    return
  with tf.device('CPU:0'):
    dataset = tf.data.Dataset.from_tensor_slices(paths).map(load, tf.data.AUTOTUNE, deterministic=True).batch(_BLOCK)
  done = 0
  try:
    for block in dataset.as_numpy_iterator():
      images[places[done:done + len(block)]] = block
      done += len(block)
  except tf.errors.OpError:
    # TensorFlow's message does not say which file it was: try those that were not delivered, one by one.
    for path in paths[done:]:
      load_image(path, shape)
    raise


def _is_plain(file: ImageFile) -> bool:
  return file.format in ('JPEG', 'PNG') and file.bits == 8 and file.orientation == 1 and not file.cmyk


def _deep_pixels(file: ImageFile) -> npt.NDArray[np.uint16]:
  """Returns uint16 [height, width, channels] of a file of 16 bits, turned."""
  if file.format != 'PNG':
    return _by_pillow(file, '')
  content = _content(file)
  try:
    with tf.device('CPU:0'):
      pixels = tf.io.decode_png(content, file.channels, tf.uint16).numpy()
  except tf.errors.OpError as error:
    raise image_files.broken(file.path, file.format) from error
  return _turned(pixels, file.orientation)


def decode_bytes(content: bytes, channels: int) -> npt.NDArray[np.uint8]:
  """Returns [height, width, channels] of a plain JPEG or PNG file; raises tf.errors.OpError if it is none."""
  with tf.device('CPU:0'):
    pixels: npt.NDArray[np.uint8] = _decode_bytes(content, channels).numpy()
  return pixels


def _by_tensorflow(file: ImageFile, channels: int) -> npt.NDArray[np.uint8]:
  content = _content(file)
  try:
    return decode_bytes(content, channels)
  except tf.errors.OpError as error:
    raise image_files.broken(file.path, file.format) from error


def _by_pillow(file: ImageFile, mode: str) -> npt.NDArray[Any]:
  """Returns [height, width, channels] of the first image of a file, in a mode of Pillow; empty: in its own."""
  # From memory, because Pillow maps gray TIFF files into memory by their turned size, which mixes up their rows.
  content = io.BytesIO(_content(file))
  try:
    with Image.open(content, formats=[file.format.upper()]) as image:
      turned = ImageOps.exif_transpose(image)
      pixels = np.asarray(turned.convert(mode) if mode else turned)
  except Exception as error:  # readers of image formats raise whatever a broken file leads them to
    raise image_files.broken(file.path, file.format) from error
  return pixels if pixels.ndim == 3 else pixels[..., None]


def _content(file: ImageFile) -> bytes:
  try:
    with open(file.path, 'rb') as opened:
      return opened.read()
  except OSError as error:
    raise TicketsError(f'{file.path}: {error.strerror}') from error


def _turned(pixels: npt.NDArray[_Value], orientation: int) -> npt.NDArray[_Value]:
  """Returns an image [height, width, channels] turned as an orientation of EXIF says (CIPA DC-008, tag 274)."""
  if orientation in (5, 6, 7, 8):  # the stored rows are columns
    pixels = pixels.swapaxes(0, 1)
  if orientation in (3, 4, 7, 8):
    pixels = pixels[::-1]
  if orientation in (2, 3, 6, 7):
    pixels = pixels[:, ::-1]
  return pixels


def _with_channels(pixels: npt.NDArray[np.uint8], channels: int) -> npt.NDArray[np.uint8]:
  if pixels.shape[2] == channels:
    return pixels
  if channels == 3:
    return np.repeat(pixels, 3, axis=2)
  return np.asarray(Image.fromarray(pixels).convert('L'))[..., None]


def resize(images: npt.NDArray[np.uint8], image_size: int) -> npt.NDArray[np.uint8]:
  """Returns images [N, height, width, channels] resized to `image_size` pixels square; 0 leaves them as they are."""
  if not image_size or images.shape[1:3] == (image_size, image_size):
    return images
  with tf.device('CPU:0'):
    return np.concatenate([_resize(images[start:start + _BLOCK], (image_size, image_size)).numpy()
                           for start in range(0, len(images), _BLOCK)])


def pixel_statistics(images: stored.Images) -> tuple[tuple[float, ...], tuple[float, ...]]:
  """Returns mean and standard deviation per channel, of images [N, height, width, channels] scaled to [0, 1]."""
  values = np.arange(256) / 255
  # Counting the 256 values is exact and needs no copy of the images in floating point.
  counts = np.zeros((images.shape[-1], 256), np.int64)
  for part in stored.blocks(images):
    block = images[part]
    for channel in range(images.shape[-1]):
      counts[channel] += np.bincount(block[..., channel].ravel(), minlength=256)
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


def _check_memory(count: int, shape: Shape) -> None:
  height, width, channels = shape
  # Twice: as a NumPy array, and as the tensor that the training pipeline copies it to.
  needed, free = 2 * memory.size(count, shape), machine.free_memory()
  if needed > free:
    raise UsageError(f'{count} images of {height}x{width}x{channels} need {needed / 2**30:.1f} GiB of memory, '
                     f'{free / 2**30:.1f} GiB are free; make them smaller with --image_size, give a --data_dir with '
                     'fewer images (--train_examples acts only after decoding), or leave those of --dataset=folder in '
                     'their files with --images_in=files')
