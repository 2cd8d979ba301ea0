"""Whether the images of a data set are to be held in memory."""

import dataclasses
import importlib.util

from tickets_tf import machine
from tickets_tf.errors import UsageError

PLACES = ('auto', 'memory', 'files')
_GIB = 2**30

Shape = tuple[int, int, int]  # height, width, channels


@dataclasses.dataclass(frozen=True)
class Placement:
  """Where the images of a data set are to be: in memory as one array, or in their files, read for each batch.

  The same images give the same training either way.

  Attributes:
    images_in: `'memory'`, `'files'`, or `'auto'`: in memory if they fit.
    image_memory: GiB that the images may take with `'auto'`; 0: half of what is free, since training copies them once.
  """
  images_in: str = 'auto'
  image_memory: float = 0.0

  def in_files(self, count: int, shape: Shape) -> bool:
    """Returns whether so many images of (height, width, channels) stay in their files.

    Raises:
      UsageError: if they should, and the package that reads them for each batch is missing.
    """
    if self.images_in == 'memory':
      return False
    if self.images_in == 'auto' and size(count, shape) <= self._limit():
      return False
    if not installed('grain'):
      reason = f'--images_in={self.images_in}' if self.images_in == 'files' else self._too_large(count, shape)
      raise UsageError(f'{reason}: reading images for each batch needs the package grain, pip install '
                       '"tickets_tf[large]"; or make them smaller with --image_size, or allow more with --image_memory')
    return True

  def note(self, count: int, shape: Shape) -> str:
    """Returns the line that tells that images stay in their files, and why."""
    why = 'as --images_in asks' if self.images_in == 'files' else self._too_large(count, shape)
    return f'the images stay in their files and are read for each batch: {why}'

  def _limit(self) -> float:
    return self.image_memory * _GIB or machine.free_memory() / 2

  def _too_large(self, count: int, shape: Shape) -> str:
    limit = f'the {self.image_memory:g} GiB of --image_memory' if self.image_memory else 'half of the free memory'
    height, width, channels = shape
    taken = f'{size(count, shape) / _GIB:.3g} GiB'
    return f'{count:,} images of {height}x{width}x{channels} take {taken}, more than {limit}'


def installed(package: str) -> bool:
  """Returns whether a package can be imported, without importing it."""
  return importlib.util.find_spec(package) is not None


def size(count: int, shape: Shape) -> int:
  """Returns the bytes of so many images of (height, width, channels)."""
  height, width, channels = shape
  return count * height * width * channels
