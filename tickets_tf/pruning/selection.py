"""Selection: which weights of a layer are kept, given their scores and how many to keep."""

import math
import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tickets_tf.errors import TicketsError, UsageError

# f(scores, count, rng) -> boolean array of the scores' shape: the kept weights of one layer.
Select = Callable[[np.ndarray, int, np.random.Generator], np.ndarray]

# Fewer scores than these are partitioned as they are.
_FEW = 2**12


def check_scores(scores: Iterable[npt.ArrayLike], names: Iterable[str] | None = None) -> list[np.ndarray]:
  """Checks that every score is a finite real number.

  Args:
    scores: one array per layer.
    names: the layers' names for messages, or None for their numbers.

  Returns:
    The scores as NumPy arrays; those that are NumPy arrays already are not copied.

  Raises:
    UsageError: if names and scores differ in number, or scores are not real numbers.
    TicketsError: if a score is NaN or infinite; names the first such layer.
  """
  arrays = [np.asarray(layer) for layer in scores]
  for name, layer in zip(_names(names, len(arrays)), arrays, strict=True):
    if layer.dtype.kind not in 'biuf':
      raise UsageError(f'scores of {name}: expected real numbers, found dtype {layer.dtype}')
    # A sum shows any NaN or infinity in one pass; it may also overflow, so then the scores are looked at one by one.
    with np.errstate(over='ignore', invalid='ignore'):
      total = layer.sum()
    if not np.isfinite(total) and (bad := layer.size - np.count_nonzero(np.isfinite(layer))):
      raise TicketsError(f'scores of {name}: {bad} of {layer.size} are NaN or infinite')
  return arrays


def threshold(arrays: Sequence[np.ndarray], count: int) -> Any:
  """Returns the lowest of the highest scores of several arrays, exactly.

  A sample gives two scores between which it lies, as in Floyd and Rivest 1975. Only what lies between them is copied
  and partitioned. If the sample misleads, all scores are.

  Args:
    arrays: arrays of any shapes, real dtypes, finite.
    count: how many scores are the highest, from 1 to the size of all arrays.

  Returns:
    A NumPy number: the `count`-th highest score of all.
  """
  size = sum(array.size for array in arrays)
  if size > _FEW:
    low, high = _bounds(arrays, size, size - count)
    # Scores that equal a bound are counted and not partitioned: equal ones can be many, and slow NumPy down.
    above = _number(array >= high for array in arrays)
    if count <= above:
      if count > _number(array > high for array in arrays):
        return high
    else:
      between = [array[(array > low) & (array < high)] for array in arrays]
      if count <= above + sum(array.size for array in between):
        return _partitioned(between, count - above)
      if count <= _number(array >= low for array in arrays):
        return low
  return _partitioned(arrays, count)


def _number(masks: Iterable[np.ndarray]) -> int:
  return sum(int(np.count_nonzero(mask)) for mask in masks)


def _partitioned(arrays: Sequence[np.ndarray], count: int) -> Any:
  pool = np.concatenate([array.ravel(order='K') for array in arrays])
  pool.partition(pool.size - count)
  return pool[pool.size - count]


def _bounds(arrays: Sequence[np.ndarray], size: int, place: int) -> tuple[Any, Any]:
  """Returns two scores between which the one at a place, in rising order of all scores, almost certainly lies."""
  step = round(size**(1 / 3))
  while math.gcd(step, 30) > 1:  # Or few of a kernel's outputs would be in the sample, as their number is round.
    step += 1
  sample = np.sort(np.concatenate([array.ravel(order='K')[::step] for array in arrays]))
  # Four standard deviations of a score's place in the sample, at most.
  margin, middle = 2 * math.isqrt(sample.size), place * sample.size // size
  low, high = middle - margin, middle + margin
  return (sample[low] if low >= 0 else min(array.min() for array in arrays if array.size),
          sample[high] if high < sample.size else max(array.max() for array in arrays if array.size))


def highest(scores: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
  """Returns the mask of the highest scores of one layer; ties at the threshold are broken at random.

  Args:
    scores: array of any shape, real dtype, finite.
    count: weights to keep, from 0 to the array's size.
    rng: decides ties.

  Returns:
    A boolean array of the scores' shape with exactly `count` entries true.
  """
  if count in (0, scores.size):
    return np.full(scores.shape, count > 0)
  lowest = threshold([scores], count)
  kept: np.ndarray = scores >= lowest
  if np.count_nonzero(kept) == count:
    return kept
  tied = scores == lowest
  kept &= ~tied
  # Shuffled booleans rather than random sort keys: one byte for each tied weight, and no second tie.
  drawn = np.zeros(np.count_nonzero(tied), dtype=bool)
  drawn[:count - np.count_nonzero(kept)] = True
  rng.shuffle(drawn)
  kept[tied] = drawn
  return kept


def select(scores: Iterable[npt.ArrayLike], counts: Iterable[int], rng: np.random.Generator,
           names: Iterable[str] | None = None, keep: Select = highest) -> list[np.ndarray]:
  """Keeps the highest scores of every layer, as far as a pattern allows; ties are broken at random.

  Args:
    scores: one array per layer, any shapes, real dtypes.
    counts: weights to keep per layer.
    rng: decides ties.
    names: the layers' names for messages, or None for their numbers.
    keep: what selects in one layer: `highest`, or the `select` of a `Pattern`.

  Returns:
    One boolean array per layer, of the layer's shape, with exactly `counts[i]` entries true, or as close to that as the
    pattern comes.

  Raises:
    UsageError: if scores, counts and names differ in number, a count is not in [0, layer size], or `keep` does not
      return a mask.
    TicketsError: if a score is NaN or infinite; names the layer.
  """
  names = None if names is None else list(names)
  arrays = check_scores(scores, names)
  names, counts = _names(names, len(arrays)), list(counts)
  if len(counts) != len(arrays):
    raise UsageError(f'{len(counts)} counts for the scores of {len(arrays)} layers')
  for name, layer, count in zip(names, arrays, counts, strict=True):
    if not is_count(count, layer.size):
      raise UsageError(f'count of {name}: {count!r}; expected an integer from 0 to {layer.size}')
  kept = [np.asarray(keep(layer, int(count), rng)) for layer, count in zip(arrays, counts, strict=True)]
  for name, layer, mask in zip(names, arrays, kept, strict=True):
    if mask.dtype != bool or mask.shape != layer.shape:
      raise UsageError(f'pattern of {name}: expected booleans of shape {layer.shape}, found {mask.dtype} of shape '
                       f'{mask.shape}')
  return kept


def is_count(count: object, size: int) -> bool:
  """Returns whether `count` is an integer, of Python or NumPy, from 0 to `size`."""
  try:
    return 0 <= operator.index(count) <= size  # type: ignore[arg-type]  # It refuses what is not an integer.
  except TypeError:
    return False


def _names(names: Iterable[str] | None, number: int) -> list[str]:
  found = [f'layer {index + 1}' for index in range(number)] if names is None else list(names)
  if len(found) != number:
    raise UsageError(f'{len(found)} names for the scores of {number} layers')
  return found
