"""Shares of weights into whole weights, with an exact total."""

import numpy as np
import numpy.typing as npt


def round_exactly(shares: npt.ArrayLike, sizes: npt.ArrayLike, keep: int) -> list[int]:
  """Rounds shares to integers with the exact total `keep`.

  Every share is rounded down; then the weights that are left go to the largest fractions. A positive share becomes at
  least 1, at the cost of the layers that keep most. If `keep` is less than the number of positive shares, the largest
  shares become 1 and the others 0.

  Args:
    shares: floats, at least 0, with the total `keep` up to about one per layer.
    sizes: integers that no count exceeds.
    keep: the total, at most the sum of `sizes`.

  Returns:
    One integer per share.
  """
  shares, sizes = np.asarray(shares, dtype=np.float64), np.asarray(sizes)
  least = (shares > 0).astype(np.int64)
  if keep <= least.sum():
    counts = np.zeros_like(least)
    counts[np.argsort(-shares, kind='stable')[:keep]] = 1
    return [int(count) for count in counts]
  counts = np.clip(np.floor(shares).astype(np.int64), least, sizes)
  while left := int(keep - counts.sum()):
    rank: np.ndarray
    if left > 0:
      able, rank = counts < sizes, shares - counts
    else:
      able, rank = counts > least, counts
      if np.any(able & (counts < sizes)):  # Whole layers give last.
        able &= counts < sizes
    order = np.argsort(-rank, kind='stable')
    counts[order[able[order]][:abs(left)]] += 1 if left > 0 else -1
  return [int(count) for count in counts]
