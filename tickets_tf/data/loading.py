"""Batches of images that stay in their files: grain reads ahead, with a thread for each core.

What an element is, is a pure function of its number. So a run that resumes at a step has the batches of one that never
stopped, and replicas share a batch, as they do with images in memory.
"""

import functools
import threading
from collections.abc import Callable
from collections.abc import Iterator
from typing import TYPE_CHECKING
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tickets_tf import machine
from tickets_tf.data import stored

if TYPE_CHECKING:
  from tickets_tf.data.sources import Examples

# What the host draws for a batch or a share of it, see `Pipeline.draw`: arrays [n, ...] by name.
Drawn = dict[str, npt.NDArray[Any]]
READ_BY = ('index', 'crop')  # what says which images are read, and which part of each
_AHEAD = 2  # batches that are ready while another one is used
_AHEAD_OF_A_CORE = 4  # images that are decoded while a batch is put together: enough that no core waits for a slow one


def batches(examples: 'Examples', draw: Callable[[int], Drawn], size: int, count: int,
            whole: bool = True) -> tf.data.Dataset:
  """Returns draws with their images and labels.

  Args:
    examples: the `Examples`, whose images are stored.
    draw: function from the number k of an element to what is drawn for its examples; `index` says which these are, and
      `crop`, if it is there, the seeds of the parts of their images.
    size: examples of an element.
    count: examples of all elements together.
    whole: whether `count` is a multiple of `size`; if not, the last element is smaller.

  Returns:
    A data set of dictionaries: all that is drawn but `READ_BY`, `images` uint8 [size, height, width, channels]
    and `labels` int64 [size].
  """
  reads = _Reads(examples, draw, size, count)
  first = reads[0]
  signature = {name: tf.TensorSpec([size if whole else None, *np.shape(value)], np.asarray(value).dtype)
               for name, value in first.items()}
  with tf.device('CPU:0'):
    return tf.data.Dataset.from_generator(lambda: _read_ahead(reads, size), output_signature=signature).prefetch(_AHEAD)


def in_order(examples: 'Examples', size: int) -> tf.data.Dataset:
  """Returns every example once, in order, as `batches` does; the last batch holds what is left."""
  count = len(examples)
  return batches(examples, lambda k: {'index': np.arange(k * size, min((k + 1) * size, count))}, size, count,
                 whole=count % size == 0)


def _read_ahead(reads: '_Reads', size: int) -> Iterator[dict[str, npt.NDArray[Any]]]:
  import grain
  options = grain.ReadOptions(num_threads=machine.cores(), prefetch_buffer_size=_AHEAD_OF_A_CORE * machine.cores())
  return iter(grain.MapDataset.source(reads).to_iter_dataset(options).batch(size))


class _Reads:
  """One example after the other, for grain; `reads[number]` is the same whenever it is asked for."""

  def __init__(self, examples: 'Examples', draw: Callable[[int], Drawn], size: int, count: int) -> None:
    assert isinstance(examples.images, stored.StoredImages)
    self._images, self._labels, self._size, self._count = examples.images, examples.labels, size, count
    self._draw = functools.lru_cache(maxsize=2 * _AHEAD)(draw)
    self._lock = threading.Lock()  # Threads that come to a new batch at once draw for it once.

  def __len__(self) -> int:
    return self._count

  def __getitem__(self, number: int) -> dict[str, Any]:
    batch, row = divmod(int(number), self._size)
    with self._lock:
      drawn = self._draw(batch)
    index, crop = int(drawn['index'][row]), int(drawn['crop'][row]) if 'crop' in drawn else None
    return {**{name: values[row] for name, values in drawn.items() if name not in READ_BY},
            'images': self._images.read(index, crop), 'labels': np.int64(self._labels[index])}
