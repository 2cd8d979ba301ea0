"""Patterns: where in a kernel the kept weights may sit, so that hardware and file formats can make use of it.

A pattern is a `Pattern` in `tickets_tf.registry.PATTERNS`, or a user's own. It sees a kernel as `Kernel.arranged` gives
it: the last axis but one counts the inputs, the last one the outputs, whatever the layer. Those here act on groups:
four consecutive inputs of one output, at one place of a convolution; if the number of inputs is not a multiple of four,
the last group is smaller.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from tickets_tf.pruning import selection
from tickets_tf.pruning.kernels import Kernel
from tickets_tf.pruning.selection import Select, highest

_GROUP = 4


def log2_choices(total: int, chosen: int) -> float:
  """Returns log2 of the number of ways to choose so many of a total."""
  return (math.lgamma(total + 1) - math.lgamma(chosen + 1) - math.lgamma(total - chosen + 1)) / math.log(2)


def free_bits(mask: np.ndarray) -> float:
  """Returns the bits that the places of a kernel's kept weights take if every choice of so many is equally likely.

  That is log2 C(N, k) for k of N weights.

  Args:
    mask: boolean array of any shape.
  """
  return log2_choices(mask.size, int(np.count_nonzero(mask)))


@dataclasses.dataclass(frozen=True)
class Pattern:
  """Where kept weights may sit.

  Attributes:
    select: function(scores, count, rng) that returns a boolean array of the shape of `scores`, which are arranged. It
      keeps `count` weights, or up to one group more or less: the highest scores, as far as the pattern allows. `rng`
      decides ties.
    holds: function(mask) that returns whether a boolean array has the pattern.
    position_bits: function(mask) that returns the bits which the places of the kept weights take if it is known that
      the mask has the pattern: log2 of the number of masks with the pattern that keep as many.
  """
  select: Select
  holds: Callable[[np.ndarray], bool]
  position_bits: Callable[[np.ndarray], float] = free_bits


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
  if candidates is not None:
    scores = last_if_removed(scores, [candidates[kernel.name] for kernel in kernels])
  return choose_lowered(pattern, kernels, scores, counts, rng, candidates)


def choose_lowered(pattern: Pattern, kernels: Sequence[Kernel], scores: Sequence[np.ndarray], counts: Sequence[int],
                   rng: np.random.Generator, candidates: Mapping[str, np.ndarray] | None) -> list[np.ndarray]:
  """As `choose`, for scores that are `last_if_removed` already, if there are candidates."""
  names = [kernel.name for kernel in kernels]
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
  return [np.where(keep, score, np.float64(lowest)) for score, keep in zip(scores, candidates, strict=True)]


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
  if not others or pattern.holds(kept):
    return kept
  free = candidates & ~kept
  if others > np.count_nonzero(free):
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


def _bits_of_blocks(mask: np.ndarray) -> float:
  return math.fsum(log2_choices(len(groups), int(np.count_nonzero(groups[:, 0]))) for groups in _groups_by_width(mask))


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


def _bits_of_pairs(mask: np.ndarray) -> float:
  return math.fsum(_log2_at_most_two(len(groups), groups.shape[1], int(np.count_nonzero(groups)))
                   for groups in _groups_by_width(mask))


def _log2_at_most_two(groups: int, width: int, kept: int) -> float:
  """Returns log2 of the number of ways to keep so many weights in groups of one width, at most two in each.

  It is the coefficient of x^kept in (1 + w x + w (w - 1) / 2 x^2)^groups, a sum over the number of full groups.
  """
  pairs = width * (width - 1) // 2
  full = np.arange(max(0, kept - groups), kept // 2 + 1 if pairs else 1)
  single = kept - 2 * full
  factorials = np.cumsum(np.log(np.maximum(1, np.arange(groups + 1))))  # log n!
  terms = (factorials[groups] - factorials[full] - factorials[single] - factorials[groups - full - single] +
           full * math.log(max(1, pairs)) + single * math.log(width))
  return float(np.logaddexp.reduce(terms)) / math.log(2)


def _groups_by_width(mask: np.ndarray) -> Iterator[np.ndarray]:
  """Yields the groups of a mask, [groups, width]: those of four, and the smaller last ones."""
  groups = _grouped(mask.astype(np.float32), np.nan)
  widths = np.count_nonzero(~np.isnan(groups), axis=1)
  for width in np.unique(widths):
    yield groups[widths == width, :width] > 0


def _grouped(values: np.ndarray, fill: float) -> np.ndarray:
  """Returns the groups of an array, [groups, 4]; smaller ones are filled up with `fill`."""
  columns = np.moveaxis(values, -2, -1)
  padding = [(0, 0)] * (columns.ndim - 1) + [(0, -columns.shape[-1] % _GROUP)]
  return np.pad(columns, padding, constant_values=fill).reshape(-1, _GROUP)


def _ungrouped(groups: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
  columns = groups.reshape(*shape[:-2], shape[-1], -1)[..., :shape[-2]]
  return np.moveaxis(columns, -1, -2)


UNSTRUCTURED = Pattern(highest, lambda mask: True)
BLOCKS_OF_FOUR = Pattern(_blocks, _whole_blocks, _bits_of_blocks)
TWO_OF_FOUR = Pattern(_two_of_four, _at_most_two, _bits_of_pairs)
