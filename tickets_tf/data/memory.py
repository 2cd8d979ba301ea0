"""How much memory is free, and whether the images of a data set are to be held in it."""

import dataclasses
import importlib.util
import pathlib

import psutil

from tickets_tf.errors import UsageError

PLACES = ('auto', 'memory', 'files')
_CGROUPS = pathlib.Path('/sys/fs/cgroup')
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
    return self.image_memory * _GIB or free() / 2

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


def free() -> int:
  """Returns the bytes that this process may still take: of the machine, of its container, and of its own limits."""
  return max(0, min([psutil.virtual_memory().available, *_of_container(), *_of_process()]))


def _of_container() -> list[int]:
  """Returns what the control groups that the process is in have left, as far as they are limited."""
  found = []
  for folder in _groups():
    for limit, used in (('memory.max', 'memory.current'), ('memory.limit_in_bytes', 'memory.usage_in_bytes')):
      try:
        most, taken = (int((folder / name).read_text()) for name in (limit, used))
        # Pages of files that were read are counted as used, and given back when they are needed.
        counted = dict(line.split() for line in (folder / 'memory.stat').read_text().splitlines())
        found.append(most - taken + int(counted.get('total_inactive_file', counted.get('inactive_file', 0))))
      except (OSError, ValueError):  # of the other version, or its limit is the word max
        continue
  return found


def _groups() -> list[pathlib.Path]:
  """Returns the folders of the control groups that the process is in; a group is limited by those above it, too."""
  try:
    lines = pathlib.Path('/proc/self/cgroup').read_text().splitlines()
  except OSError:  # Linux alone has it
    return []
  names = {kinds: name for _, kinds, name in (line.split(':', 2) for line in lines)}
  ends = [(_CGROUPS, names.get('')), (_CGROUPS / 'memory', names.get('memory'))]
  inner = [(root, root / name.lstrip('/')) for root, name in ends if name]
  return [folder for root, end in inner for folder in (end, *end.parents) if folder.is_relative_to(root)]


def _of_process() -> list[int]:
  """Returns what the limits of the process leave (`ulimit -v` and `-d`), if it has any."""
  process = psutil.Process()
  if not hasattr(process, 'rlimit'):  # Linux alone has it
    return []
  used = process.memory_info()
  limits = ((process.rlimit(psutil.RLIMIT_AS)[0], used.vms), (process.rlimit(psutil.RLIMIT_DATA)[0], used.data))
  return [limit - taken for limit, taken in limits if limit != psutil.RLIM_INFINITY]
