"""Patterns: where in a kernel the kept weights may sit, so that hardware and file formats can make use of it.

A pattern is a `Pattern` in `tickets_tf.registry.PATTERNS`, or a user's own. Those here act on groups: four consecutive
inputs (the last axis but one) of one output, at one place of a convolution; where the number of inputs is no multiple
of four the last group is smaller.
"""

import dataclasses
from typing import Callable

import numpy as np

from tickets_tf.pruning import selection

_GROUP = 4


@dataclasses.dataclass(frozen=True)
class Pattern:
  """Where kept weights may sit.

  Attributes:
    select: function(scores, count, rng) -> boolean array of the scores' shape that keeps `count` weights up to one
      group, the highest scores as far as the pattern allows; `rng`, a `numpy.random.Generator`, decides ties.
    holds: function(mask) -> whether a boolean array has the pattern.
  """
  select: Callable
  holds: Callable


def broken_by(pattern, mask):
  """Returns the names of the kernels whose mask does not have a pattern.

  Args:
    pattern: a `Pattern`.
    mask: a `Mask`.
  """
  return [name for name, keep in mask.items() if not pattern.holds(keep)]


def _blocks(scores, count, rng):
  # By the mean, not the sum: a smaller last group is worth what its weights are.
  groups = _grouped(scores.astype(np.float64), np.nan)
  means, widths = np.nanmean(groups, axis=1), np.count_nonzero(~np.isnan(groups), axis=1)
  order = np.lexsort((rng.permutation(len(means)), -means))
  kept = np.zeros(groups.shape, dtype=bool)
  if count:
    kept[order[:1 + np.argmin(np.abs(np.cumsum(widths[order]) - count))]] = True
  return _ungrouped(kept, scores.shape)


def _whole_blocks(mask):
  groups = _grouped(mask.astype(np.float64), np.nan)
  return bool(np.all(np.nanmin(groups, axis=1) == np.nanmax(groups, axis=1)))


def _two_of_four(scores, count, rng):
  # The two best of each group go before all others, so that a layer that keeps more than half, which cannot have the
  # pattern, can have it in a later round.
  groups = _grouped(scores.astype(np.float64), -np.inf)
  order = np.lexsort((rng.random(groups.shape), -groups), axis=1)
  first = np.zeros(groups.shape, dtype=bool)
  np.put_along_axis(first, order[:, :2], True, axis=1)
  first = _ungrouped(first, scores.shape)
  room = np.count_nonzero(first)
  kept = np.zeros(scores.shape, dtype=bool)
  kept[first] = selection.highest(scores[first], min(count, room), rng)
  kept[~first] = selection.highest(scores[~first], max(count - room, 0), rng)
  return kept


def _at_most_two(mask):
  return bool(np.all(_grouped(mask, False).sum(axis=1) <= 2))


def _grouped(values, fill):
  """Returns the groups of an array, [groups, 4], with `fill` where one is smaller."""
  columns = np.moveaxis(values, -2, -1)
  padding = [(0, 0)] * (columns.ndim - 1) + [(0, -columns.shape[-1] % _GROUP)]
  return np.pad(columns, padding, constant_values=fill).reshape(-1, _GROUP)


def _ungrouped(groups, shape):
  columns = groups.reshape(*shape[:-2], shape[-1], -1)[..., :shape[-2]]
  return np.moveaxis(columns, -1, -2)


UNSTRUCTURED = Pattern(selection.highest, lambda mask: True)
BLOCKS_OF_FOUR = Pattern(_blocks, _whole_blocks)
TWO_OF_FOUR = Pattern(_two_of_four, _at_most_two)
