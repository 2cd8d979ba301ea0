"""Images that stay where they are stored, and are decoded when they are asked for."""

from collections.abc import Iterator
from concurrent import futures
from typing import Any
from typing import Protocol
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from tickets_tf import machine
from tickets_tf.data.memory import Shape
from tickets_tf.errors import TicketsError

_BLOCK = 2**24  # bytes of images that are looked at together
_MOST = 1000  # images in a block, if they are small


class Source(Protocol):
  """Stored images of one shape. `read` is called by several threads at once.

  Attributes:
    shape: (height, width, channels) of every image.
  """
  shape: Shape

  def __len__(self) -> int:
    """Returns the number of images."""

  def read(self, index: int, crop: int | None = None) -> npt.NDArray[np.uint8]:
    """Returns one image.

    Args:
      index: which one, from 0 on.
      crop: seed of a random part of the image to take in its place, see `crops.random_part`; None: all of it.

    Returns:
      uint8 [height, width, channels], the same for the same arguments.
    """


class StoredImages:
  """Some of the images of a source, in an order. It is used as an array whose rows are decoded when they are taken.

  Args:
    source: the stored images.
    rows: [N], which of them; None: all.

  Attributes:
    dtype: uint8.
    ndim: 4.
  """
  dtype = np.dtype(np.uint8)
  ndim = 4

  def __init__(self, source: Source, rows: npt.NDArray[np.int64] | None = None) -> None:
    self._source = source
    self._rows: npt.NDArray[np.int64] = np.arange(len(source)) if rows is None else rows

  @property
  def shape(self) -> tuple[int, int, int, int]:
    """(N, height, width, channels)."""
    height, width, channels = self._source.shape
    return len(self._rows), height, width, channels

  def __len__(self) -> int:
    return len(self._rows)

  def take(self, indices: npt.NDArray[np.integer[Any]] | slice) -> 'StoredImages':
    """Returns the images at `indices` ([M], in that order) or in a slice; none is read."""
    return StoredImages(self._source, self._rows[indices])

  def read(self, index: int, crop: int | None = None) -> npt.NDArray[np.uint8]:
    """Returns one image, or a part of it, as `Source.read`."""
    return self._source.read(int(self._rows[index]), crop)

  def read_all(self, indices: npt.NDArray[np.integer[Any]],
               crops: npt.NDArray[np.integer[Any]] | None = None) -> npt.NDArray[np.uint8]:
    """Returns the images at `indices` ([M]), or the parts of them by the seeds `crops` ([M]), read by all cores."""
    images: npt.NDArray[np.uint8] = np.empty((len(indices), *self._source.shape), np.uint8)

    def read(place: int) -> None:
      images[place] = self.read(int(indices[place]), None if crops is None else int(crops[place]))

    with futures.ThreadPoolExecutor(machine.cores()) as pool:
      list(pool.map(read, range(len(indices))))
    return images

  def __getitem__(self, asked: int | slice | npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.uint8]:
    """Returns one image, or those of a slice or of indices ([M]), as an array of uint8."""
    rows = np.arange(len(self))[asked]
    return self.read_all(rows) if rows.ndim else self.read(int(rows))

  def __array__(self, *_: Any, **__: Any) -> npt.NDArray[np.uint8]:
    # Whoever takes them for an array would have all of them in memory, without a word.
    raise TicketsError(f'{len(self):,} images stay in their files, and something asks for all of them as one array; '
                       'take some at a time, images[indices], or hold them in memory with --images_in=memory')


Images: TypeAlias = npt.NDArray[np.uint8] | StoredImages


def blocks(images: Images) -> Iterator[slice]:
  """Yields slices that are all of the images, each small in memory."""
  _, height, width, channels = images.shape
  step = min(_MOST, max(1, _BLOCK // (height * width * channels)))
  for start in range(0, len(images), step):
    yield slice(start, start + step)


def equal(first: Images, second: Images) -> bool:
  """Returns whether two sets of images are the same, comparing some at a time."""
  return first is second or (first.shape == second.shape and all(
      np.array_equal(first[part], second[part]) for part in blocks(first)))


def permuted(images: Images, rng: np.random.Generator) -> Images:
  """Returns images with the values of each one permuted, channels included.

  Args:
    images: [N, height, width, channels].
    rng: draws a permutation for each image, one after the other.
  """
  if isinstance(images, StoredImages):
    return StoredImages(_Permuted(images, rng))
  return rng.permuted(images.reshape(len(images), -1), axis=1).reshape(images.shape)


class _Permuted:
  """Stored images whose values are permuted when they are read; the permutations are those of an array of them.

  How many random numbers a permutation takes depends on these numbers. So all of them are drawn once, to know the
  state of the generator before each image.
  """

  def __init__(self, images: StoredImages, rng: np.random.Generator) -> None:
    self.shape: Shape = images.shape[1:]
    self._images = images
    self._generator = type(rng.bit_generator)
    self._states = _States(len(images))
    values = np.zeros((1, int(np.prod(self.shape))), np.uint8)
    for index in range(len(images)):
      self._states[index] = rng.bit_generator.state
      rng.permuted(values, axis=1, out=values)

  def __len__(self) -> int:
    return len(self._images)

  def read(self, index: int, crop: int | None = None) -> npt.NDArray[np.uint8]:
    generator = self._generator()
    generator.state = self._states[index]
    values = self._images.read(index, crop).reshape(1, -1)
    return np.random.Generator(generator).permuted(values, axis=1).reshape(self.shape)


class _States:
  """States of a PCG64 generator in few bytes each: as Python's dictionaries they would take more than the images."""

  def __init__(self, count: int) -> None:
    self._numbers = np.zeros((count, 4), np.uint64)  # the state's two halves, whether half a number is left, and it

  def __setitem__(self, index: int, state: Any) -> None:
    value = state['state']['state']
    self._numbers[index] = value >> 64, value & (2**64 - 1), state['has_uint32'], state['uinteger']
    self._rest = state

  def __getitem__(self, index: int) -> Any:
    high, low, has_half, half = (int(number) for number in self._numbers[index])
    return {**self._rest, 'state': {**self._rest['state'], 'state': high << 64 | low}, 'has_uint32': has_half,
            'uinteger': half}
