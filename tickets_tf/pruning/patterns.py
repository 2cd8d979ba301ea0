"""Patterns: where in a kernel the kept weights may sit, so that hardware and file formats can make use of it.

A pattern is a `Pattern` in `tickets_tf.registry.PATTERNS`, or a user's own. It sees a kernel as `Kernel.arranged` gives
it: the last axis but one counts the inputs, the last one the outputs, whatever the layer. Those here act on groups:
four consecutive inputs of one output, at one place of a convolution; if the number of inputs is not a multiple of four,
the last group is smaller.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from tickets_tf.pruning import selection
from tickets_tf.pruning.kernels import Kernel
from tickets_tf.pruning.selection import Select, highest

_GROUP = 4


@dataclasses.dataclass(frozen=True)
class Pattern:
  """Where kept weights may sit.

  Attributes:
    select: function(scores, count, rng) that returns a boolean array of the shape of `scores`, which are arranged. It
      keeps `count` weights, or up to one group more or less: the highest scores, as far as the pattern allows. `rng`
      decides ties.
    holds: function(mask) that returns whether a boolean array has the pattern.
  """
  select: Select
  holds: Callable[[np.ndarray], bool]


def choose(pattern: Pattern, kernels: Sequence[Kernel], scores: Sequence[np.ndarray], counts: Sequence[int],
           rng: np.random.Generator, candidates: Mapping[str, np.ndarray] | None = None) -> list[np.ndarray]:
  """Keeps the highest scores of every kernel, as far as a pattern allows.

  Args:
    pattern: the pattern.
    kernels: the network's kernels.
    scores: one array per kernel, of its shape.
    counts: weights to keep per kernel.
    rng: decides ties.
    candidates: a `Mask` of the weights that may be kept, as many as `counts` at least; None: all of them. The others
      come last: one is kept only if the pattern asks for it.

  Returns:
    One boolean array per kernel, of its shape.

  Raises:
    UsageError: as `selection.select`.
  """
  names = [kernel.name for kernel in kernels]
  if candidates is not None:
    scores = last_if_removed(scores, [candidates[name] for name in names])
  arranged = [kernel.arranged(layer) for kernel, layer in zip(kernels, scores, strict=True)]
  kept = selection.select(arranged, counts, rng, names, pattern.select)
  if candidates is not None:
    kept = [_without_others(pattern, mask, layer, kernel.arranged(candidates[kernel.name]), rng)
            for kernel, mask, layer in zip(kernels, kept, arranged, strict=True)]
  return [kernel.restored(mask) for kernel, mask in zip(kernels, kept, strict=True)]


def last_if_removed(scores: Sequence[np.ndarray], candidates: Sequence[np.ndarray]) -> list[np.ndarray]:
  """Returns scores of which those outside `candidates` are lower than all others.

  Args:
    scores: one array per kernel.
    candidates: one boolean array per kernel, of the same shapes.
  """
  # Well below every other score, so that neither a threshold nor the mean of a block can reach them.
  smallest = float(min(score.min() for score in scores))
  lowest = smallest - abs(smallest) - 1
  return [np.where(keep, score.astype(np.float64), lowest) for score, keep in zip(scores, candidates, strict=True)]


def broken_by(pattern: Pattern, mask: Mapping[str, np.ndarray], kernels: Sequence[Kernel] = ()) -> list[str]:
  """Returns the names of the kernels whose part of a mask does not have a pattern.

  Args:
    pattern: the pattern.
    mask: a `Mask`, or any mapping from kernel name to boolean array.
    kernels: the kernels, which know their axes; an array of no kernel is taken as it is.
  """
  arranged = {kernel.name: kernel.arranged(mask[kernel.name]) for kernel in kernels}
  return [name for name, keep in mask.items() if not pattern.holds(arranged.get(name, keep))]


def _without_others(pattern: Pattern, kept: np.ndarray, scores: np.ndarray, candidates: np.ndarray,
                    rng: np.random.Generator) -> np.ndarray:
  # A layer with more weights than its pattern holds has others anyway: it takes candidates.
  others = int(np.count_nonzero(kept & ~candidates))
  free = candidates & ~kept
  if not others or others > np.count_nonzero(free) or pattern.holds(kept):
    return kept
  kept = kept & candidates
  kept[free] = highest(scores[free], others, rng)
  return kept


def _blocks(scores: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
  # Ranked by the mean, not the sum, so that a smaller last group is judged by its weights and not by its size.
  groups = _grouped(scores.astype(np.float64), np.nan)
  means, widths = np.nanmean(groups, axis=1), np.count_nonzero(~np.isnan(groups), axis=1)
  order = np.lexsort((rng.permutation(len(means)), -means))
  kept = np.zeros(groups.shape, dtype=bool)
  if count:
    kept[order[:1 + np.argmin(np.abs(np.cumsum(widths[order]) - count))]] = True
  return _ungrouped(kept, scores.shape)


def _whole_blocks(mask: np.ndarray) -> bool:
  groups = _grouped(mask.astype(np.float64), np.nan)
  return bool(np.all(np.nanmin(groups, axis=1) == np.nanmax(groups, axis=1)))


def _two_of_four(scores: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
  # The two best of each group come before all others. A layer that keeps more than half of its weights cannot have the
  # pattern, but it can then have it in a later round.
  groups = _grouped(scores.astype(np.float64), -np.inf)
  order = np.lexsort((rng.random(groups.shape), -groups), axis=1)
  best = np.zeros(groups.shape, dtype=bool)
  np.put_along_axis(best, order[:, :2], True, axis=1)
  first = _ungrouped(best, scores.shape)
  room = int(np.count_nonzero(first))
  kept = np.zeros(scores.shape, dtype=bool)
  kept[first] = highest(scores[first], min(count, room), rng)
  kept[~first] = highest(scores[~first], max(count - room, 0), rng)
  return kept


def _at_most_two(mask: np.ndarray) -> bool:
  return bool(np.all(_grouped(mask, False).sum(axis=1) <= 2))


def _grouped(values: np.ndarray, fill: float) -> np.ndarray:
  """Returns the groups of an array, [groups, 4]; smaller ones are filled up with `fill`."""
  columns = np.moveaxis(values, -2, -1)
  padding = [(0, 0)] * (columns.ndim - 1) + [(0, -columns.shape[-1] % _GROUP)]
  return np.pad(columns, padding, constant_values=fill).reshape(-1, _GROUP)


def _ungrouped(groups: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
  columns = groups.reshape(*shape[:-2], shape[-1], -1)[..., :shape[-2]]
  return np.moveaxis(columns, -1, -2)


UNSTRUCTURED = Pattern(highest, lambda mask: True)
BLOCKS_OF_FOUR = Pattern(_blocks, _whole_blocks)
TWO_OF_FOUR = Pattern(_two_of_four, _at_most_two)
