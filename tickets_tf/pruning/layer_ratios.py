"""Allocations by layer ratios: the kept share of a layer follows from its depth and shape, whatever the scores.

Each function here has the form that `allocation` describes, and ignores `scores` and `rng`.
"""

import math
import numbers
from collections.abc import Callable, Sequence

from absl import logging
import numpy as np
import numpy.typing as npt

from tickets_tf.errors import UsageError
from tickets_tf.pruning.kernels import Kernel
from tickets_tf.pruning.rounding import round_exactly


def smart(kernels: Sequence[Kernel], keep: int, scores: object = None, rng: object = None,
          linear_keep_ratio: float = 0.3, residual: bool | None = None) -> list[int]:
  """Smart ratios (Su et al. 2020, section 4.2): raw share h^2 + h for the layer at height h = L - l + 1.

  In networks without residual connections the raw shares are divided by l^2, as in the authors' code. The classifier
  has a fixed share. `linear`, `cubic` and `ascending` differ only in the raw share.

  Args:
    kernels: the network's kernels, in network order.
    keep: weights to keep in total.
    scores: not used.
    rng: not used.
    linear_keep_ratio: kept share of the classifier, in [0, 1].
    residual: whether the network has residual connections, so that nothing is divided by l^2; None asks the kernels.

  Returns:
    Kept weights per kernel.

  Raises:
    UsageError: for an option that cannot be used.
  """
  del scores, rng
  return _by_depth(kernels, keep, lambda level, height: height**2 + height, linear_keep_ratio, residual)


def linear(kernels: Sequence[Kernel], keep: int, scores: object = None, rng: object = None,
           linear_keep_ratio: float = 0.3, residual: bool | None = None) -> list[int]:
  """Ablation of smart ratios with raw share L - l + 1; arguments and result as for `smart`."""
  del scores, rng
  return _by_depth(kernels, keep, lambda level, height: height, linear_keep_ratio, residual)


def cubic(kernels: Sequence[Kernel], keep: int, scores: object = None, rng: object = None,
          linear_keep_ratio: float = 0.3, residual: bool | None = None) -> list[int]:
  """Ablation of smart ratios with raw share (L - l + 1)^3; arguments and result as for `smart`."""
  del scores, rng
  return _by_depth(kernels, keep, lambda level, height: height**3, linear_keep_ratio, residual)


def ascending(kernels: Sequence[Kernel], keep: int, scores: object = None, rng: object = None,
              linear_keep_ratio: float = 0.3, residual: bool | None = None) -> list[int]:
  """Ablation of smart ratios with raw share l^2 + l, which rises with depth; arguments and result as for `smart`."""
  del scores, rng
  return _by_depth(kernels, keep, lambda level, height: level**2 + level, linear_keep_ratio, residual)


def uniform(kernels: Sequence[Kernel], keep: int, scores: object = None, rng: object = None,
            linear_keep_ratio: float = 0.3) -> list[int]:
  """One keep ratio for all layers but the classifier, which has a fixed share; arguments and result as for `smart`."""
  del scores, rng
  return _with_fixed_classifier(kernels, keep, np.ones(len(kernels)), linear_keep_ratio)


def per_layer(kernels: Sequence[Kernel], keep: int, scores: object = None, rng: object = None) -> list[int]:
  """One keep ratio for all layers, the classifier too, as tfmot's `PruneLowMagnitude` has it; arguments as for `er`."""
  del scores, rng
  return _rescaled(kernels, keep, [1.0] * len(kernels))


def er(kernels: Sequence[Kernel], keep: int, scores: object = None, rng: object = None) -> list[int]:
  """Erdos-Renyi ratios (Mocanu et al. 2018): keep ratio proportional to (n_in + n_out) / (n_in n_out).

  Layers that reach 1 are kept whole and the others rescaled; the classifier is a layer like any other.

  Args:
    kernels: the network's kernels; n_in and n_out are their `fans`.
    keep: weights to keep in total.
    scores: not used.
    rng: not used.

  Returns:
    Kept weights per kernel.
  """
  del scores, rng
  return _rescaled(kernels, keep, [sum(kernel.fans) / math.prod(kernel.fans) for kernel in kernels])


def erk(kernels: Sequence[Kernel], keep: int, scores: object = None, rng: object = None) -> list[int]:
  """Erdos-Renyi-kernel ratios (Evci et al. 2020): (n_in + n_out + k_h + k_w) / (n_in n_out k_h k_w).

  There may be any number of spatial axes; a dense layer has none. Everything else is as for `er`.
  """
  del scores, rng
  return _rescaled(kernels, keep, [_sides(kernel) / kernel.size for kernel in kernels])


def balanced(kernels: Sequence[Kernel], keep: int, scores: object = None, rng: object = None) -> list[int]:
  """Balanced ratios (Gadhikar et al. 2023): every layer keeps equally many weights, and a smaller layer all it has.

  In the authors' code what does not fit into a layer is lost. Here the other layers share it equally, so that the total
  is exact. The classifier is a layer like any other. Arguments and result as for `er`.
  """
  del scores, rng
  return _rescaled(kernels, keep, [1 / kernel.size for kernel in kernels])


def pyramidal(kernels: Sequence[Kernel], keep: int, scores: object = None, rng: object = None) -> list[int]:
  """Pyramidal ratios (Gadhikar et al. 2023): keep ratio r^l, with the one r in (0, 1) that gives the total.

  The classifier is a layer like any other. Arguments and result as for `er`.
  """
  del scores, rng
  sizes = np.array([kernel.size for kernel in kernels])
  level = np.arange(1.0, len(kernels) + 1)
  shares = _with_total(keep, lambda lost: sizes * (1 - lost)**level)
  # In deep networks the power can be too small for a float. It is positive all the same, so a weight is kept.
  return round_exactly(np.maximum(shares, np.finfo(float).tiny), sizes, keep)


def like(kernels: Sequence[Kernel], keep: int, scores: object = None, rng: object = None,
         counts: Sequence[int] | None = None) -> list[int]:
  """The layer ratios of another ticket, to the weight.

  In the rounds before the last, which keep more, the density of every layer falls as that of the network does: with
  density d_l at the end, layer l keeps d_l^t, t being the same for all layers.

  Args:
    kernels: the network's kernels.
    keep: weights to keep in total, at least as many as the other ticket keeps.
    scores: not used.
    rng: not used.
    counts: kept weights of each kernel of the other ticket; a run takes them from the ticket that `like:` names.

  Returns:
    Kept weights per kernel.

  Raises:
    UsageError: if the counts are missing, or are those of another network or of a ticket that keeps more.
  """
  del scores, rng
  sizes = np.array([kernel.size for kernel in kernels])
  if counts is None or len(counts) != len(kernels) or np.any(np.asarray(counts) > sizes) or sum(counts) > keep:
    raise UsageError(f'allocation like: expected counts of the {len(kernels)} kernels, at most {keep} weights in '
                     f'total, found {counts}')
  if sum(counts) == keep:
    return [int(count) for count in counts]
  densities = np.asarray(counts) / sizes
  # All is kept at t = 0, but for layers that the other ticket left empty.
  return round_exactly(_with_total(keep, lambda t: sizes * densities**t), sizes, keep)


def _with_total(keep: int, shares: Callable[[float], np.ndarray]) -> np.ndarray:
  # `shares(t)` falls with t in [0, 1]; returns those of the t at which their total is `keep`.
  low, high = 0.0, 1.0
  for _ in range(60):
    middle = (low + high) / 2
    low, high = (middle, high) if shares(middle).sum() > keep else (low, middle)
  return shares(high)


def _sides(kernel: Kernel) -> int:
  return sum(kernel.fans) + sum(kernel.shape[axis] for axis in kernel.places)


def classifier_share(kernels: Sequence[Kernel], keep: int, wanted: float) -> float:
  """Returns how many weights the classifier keeps, fractions included.

  It is `wanted`, but at most half of `keep`, with a warning if that is less; more only if the other kernels have no
  room for the rest. So nothing jumps as `keep` falls.

  Args:
    kernels: the network's kernels.
    keep: weights to keep in total.
    wanted: weights that the classifier is to keep.
  """
  others = sum(kernel.size for kernel in kernels if not kernel.classifier)
  most = max(keep // 2, keep - others)
  if wanted <= most:
    return wanted
  classifier = next(kernel for kernel in kernels if kernel.classifier)
  logging.warning('the classifier %s would keep %d of its %d weights, more than half of the %d in total: it keeps %d',
                  classifier.name, wanted, classifier.size, keep, most)
  return most


def _by_depth(kernels: Sequence[Kernel], keep: int, profile: Callable[[np.ndarray, np.ndarray], np.ndarray],
              linear_keep_ratio: float, residual: bool | None) -> list[int]:
  # `profile` maps level l = 1..L and height L - l + 1, both float arrays, to the raw shares.
  if residual not in (None, True, False):
    raise UsageError(f'residual {residual!r}: expected True, False or None')
  level = np.arange(1.0, len(kernels) + 1)
  raw = profile(level, level[::-1])
  if not (kernels[0].residual if residual is None else residual):
    raw = raw / level**2
  return _with_fixed_classifier(kernels, keep, raw, linear_keep_ratio)


def _with_fixed_classifier(kernels: Sequence[Kernel], keep: int, raw: np.ndarray,
                           linear_keep_ratio: float) -> list[int]:
  if not isinstance(linear_keep_ratio, numbers.Real) or not 0 <= linear_keep_ratio <= 1:
    raise UsageError(f'linear_keep_ratio {linear_keep_ratio!r}: expected a number from 0 to 1')
  sizes = np.array([kernel.size for kernel in kernels])
  fixed = np.array([kernel.classifier for kernel in kernels])
  wanted = linear_keep_ratio * sizes[fixed].sum()
  share = classifier_share(kernels, keep, max(int(wanted), min(wanted, 1)))  # Less than 1 is still a positive share.
  weights = np.where(fixed, 0, raw * sizes)
  shares = (keep - share) * weights / (weights.sum() or 1)
  shares[fixed] = share
  # What does not fit into a layer goes to the following ones, then to the earlier ones, last to the classifier. It
  # moves in whole weights, as in the authors' code, to agree with it to the weight; fractions are settled at the end.
  others = np.flatnonzero(~fixed).tolist()
  surplus = int(keep - shares.sum())  # 0 unless there is nothing but a classifier.
  for index in [*others, *others, *np.flatnonzero(fixed)]:
    room = int(sizes[index] - shares[index])  # Below 0 if the share is more than the layer.
    shares[index] = min(shares[index] + surplus, sizes[index])
    surplus = max(surplus - room, 0)
  return round_exactly(shares, sizes, keep)


def _rescaled(kernels: Sequence[Kernel], keep: int, raw: npt.ArrayLike) -> list[int]:
  sizes = np.array([kernel.size for kernel in kernels])
  weights = np.array(raw) * sizes
  full = np.zeros(len(kernels), dtype=bool)
  while not full.all():
    shares = np.where(full, sizes, weights * (keep - sizes[full].sum()) / weights[~full].sum())
    over = shares > sizes
    if not over.any():
      break
    full |= over
  return round_exactly(shares, sizes, keep)
