"""Allocations: how many weights each kernel keeps.

An allocation is a function `f(kernels, keep, scores=None, rng=None, **options)` that returns one integer per kernel,
`keep` in total. `kernels` is a sequence of `Kernel` in network order, `scores` one array per kernel or None, `rng` a
`numpy.random.Generator`. `allocate` calls it, be it one of these or a user's own, and checks what comes back.
"""

import inspect
import math
import numbers

from absl import logging
import numpy as np

from tickets_tf.pruning import selection
from tickets_tf import registry
from tickets_tf import seeds
from tickets_tf.errors import UsageError


def kept_total(kernels, ratio):
  """Returns the number of weights that a ticket keeps, int(N * (1 - ratio)) of N prunable weights.

  Args:
    kernels: sequence of `Kernel`.
    ratio: pruning ratio, the removed share of all prunable weights, in [0, 1).

  Raises:
    UsageError: where the ratio is not in [0, 1).
  """
  if not isinstance(ratio, numbers.Real) or not 0 <= ratio < 1:
    raise UsageError(f'ratio {ratio!r}: expected a number from 0 up to, but not including, 1')
  return int(_total(kernels) * (1 - float(ratio)))


def allocate(kernels, ratio, allocation='smart', scores=None, seed=0, **options):
  """Distributes the weights that a pruning ratio leaves over the kernels.

  Args:
    kernels: sequence of `Kernel` in network order.
    ratio: pruning ratio in [0, 1).
    allocation: a name in `registry.ALLOCATIONS`, `package.module:name`, or a function (see the top of this module).
    scores: one array per kernel, of its shape, higher = keep; only the allocations called global need them.
    seed: the run's seed, for ties.
    **options: the allocation's own settings, e.g. `linear_keep_ratio=0.3` of `smart`.

  Returns:
    Kept weights per kernel, a list of integers with the total `kept_total(kernels, ratio)`.

  Raises:
    UsageError: for a ratio, allocation or option that cannot be used, and where the allocation returns anything but
      one integer in [0, size] per kernel with the right total.
    TicketsError: where an allocation that uses scores meets NaN or infinity.
  """
  if not kernels:
    raise UsageError('allocation: there are no prunable kernels')
  keep = kept_total(kernels, ratio)
  function = registry.ALLOCATIONS.get(allocation) if isinstance(allocation, str) else allocation
  name = allocation if isinstance(allocation, str) else getattr(allocation, '__name__', repr(allocation))
  if not callable(function):
    raise UsageError(f'allocation {name!r}: expected a function, found {type(function).__name__}')
  arguments = {'scores': scores, 'rng': seeds.generator(seed, 'allocation')}
  _check_call(name, function, (kernels, keep), arguments, options)
  counts = _checked(name, function(kernels, keep, **arguments, **options), kernels, keep)
  empty = [kernel.name for kernel, count in zip(kernels, counts) if not count]
  if empty:
    logging.warning('allocation %s at ratio %s leaves empty layers, which cut the network: %s', name, ratio,
                    ', '.join(empty))
  return counts


def _check_call(name, function, positional, arguments, options):
  signature = inspect.signature(function)
  try:
    signature.bind(*positional, **arguments, **options)
  except TypeError as error:
    own = [option for option in list(signature.parameters)[2:] if option not in arguments]
    raise UsageError(f'allocation {name!r}: {error}; its options: {", ".join(own) or "none"}') from error


def _checked(name, counts, kernels, keep):
  expected = f'expected {len(kernels)} integers, none below 0 or above its kernel\'s size, {keep} in total'
  try:
    counts = list(counts)
  except TypeError:
    raise UsageError(f'allocation {name!r} returned {counts!r}; {expected}') from None
  if len(counts) != len(kernels):
    raise UsageError(f'allocation {name!r} returned {len(counts)} counts; {expected}')
  for kernel, count in zip(kernels, counts):
    if not selection.is_count(count, kernel.size):
      raise UsageError(f'allocation {name!r} returned {count!r} for {kernel.name!r} of size {kernel.size}; {expected}')
  if sum(counts) != keep:
    raise UsageError(f'allocation {name!r} returned {sum(counts)} weights in total; {expected}')
  return [int(count) for count in counts]


def global_threshold(kernels, keep, scores=None, rng=None):
  """Keeps the highest scores over the whole network; layers may come out empty.

  Equal scores at the threshold are drawn by lot over the whole network: each layer's share of the lots follows the
  multivariate hypergeometric law, and `selection.select` then draws within the layers.

  Args:
    kernels: sequence of `Kernel`.
    keep: weights to keep in total.
    scores: one array per kernel, of its shape.
    rng: `numpy.random.Generator` that decides ties.

  Returns:
    Kept weights per kernel, integers.

  Raises:
    UsageError: where scores are missing or do not fit the kernels.
    TicketsError: where a score is NaN or infinite; names the layer.
  """
  scores = _checked_scores(kernels, scores)
  if not keep:
    return [0] * len(kernels)
  pool = np.concatenate([layer.ravel() for layer in scores])
  pool.partition(pool.size - keep)
  threshold = pool[pool.size - keep]
  above = np.array([np.count_nonzero(layer > threshold) for layer in scores])
  tied = np.array([np.count_nonzero(layer == threshold) for layer in scores])
  rng = seeds.generator(0, 'allocation') if rng is None else rng
  return (above + rng.multivariate_hypergeometric(tied, keep - above.sum())).tolist()


def global_convolutions(kernels, keep, scores=None, rng=None):
  """Keeps the classifier whole and the highest scores over all other kernels, as the lottery tickets of the paper.

  Where the whole classifier would take more than half of the weights it gets the overall density, with a warning.

  Args:
    kernels: sequence of `Kernel`.
    keep: weights to keep in total.
    scores: one array per kernel, of its shape.
    rng: `numpy.random.Generator` that decides ties.

  Returns:
    Kept weights per kernel, integers.

  Raises:
    UsageError: where scores are missing or do not fit the kernels.
    TicketsError: where a score is NaN or infinite; names the layer.
  """
  scores = _checked_scores(kernels, scores)
  size = sum(kernel.size for kernel in kernels if kernel.classifier)
  share = _classifier_share(kernels, keep, size)
  classifier, rest = _round([share, keep - share], [size, _total(kernels) - size], keep)
  others = [(kernel, layer) for kernel, layer in zip(kernels, scores) if not kernel.classifier]
  counts = iter(global_threshold([kernel for kernel, _ in others], rest, [layer for _, layer in others], rng))
  return [classifier if kernel.classifier else next(counts) for kernel in kernels]


def _checked_scores(kernels, scores):
  if scores is None or len(scores) != len(kernels):
    found = 'none' if scores is None else len(scores)
    raise UsageError(f'a global allocation needs one array of scores per kernel: {len(kernels)}, not {found}')
  scores = selection.check_scores(scores, [kernel.name for kernel in kernels])
  for kernel, layer in zip(kernels, scores):
    if layer.shape != tuple(kernel.shape):
      raise UsageError(f'scores of {kernel.name}: expected shape {tuple(kernel.shape)}, found {layer.shape}')
  return scores


def smart(kernels, keep, scores=None, rng=None, linear_keep_ratio=0.3, residual=None):
  """Smart ratios (Su et al. 2020, section 4.2): raw share h^2 + h for the layer at height h = L - l + 1.

  The raw shares are divided by l^2 in networks without residual connections, as the authors' code does; the
  classifier has a fixed share. `linear`, `cubic` and `ascending` differ in the raw share alone.

  Args:
    kernels: sequence of `Kernel`.
    keep: weights to keep in total.
    scores: not used.
    rng: not used.
    linear_keep_ratio: kept share of the classifier, in [0, 1].
    residual: whether to leave out the division by l^2; None asks the kernels.

  Returns:
    Kept weights per kernel, integers.

  Raises:
    UsageError: for an option that cannot be used.
  """
  del scores, rng
  return _by_depth(kernels, keep, lambda level, height: height**2 + height, linear_keep_ratio, residual)


def linear(kernels, keep, scores=None, rng=None, linear_keep_ratio=0.3, residual=None):
  """Ablation of smart ratios with raw share L - l + 1; arguments and result as `smart`."""
  del scores, rng
  return _by_depth(kernels, keep, lambda level, height: height, linear_keep_ratio, residual)


def cubic(kernels, keep, scores=None, rng=None, linear_keep_ratio=0.3, residual=None):
  """Ablation of smart ratios with raw share (L - l + 1)^3; arguments and result as `smart`."""
  del scores, rng
  return _by_depth(kernels, keep, lambda level, height: height**3, linear_keep_ratio, residual)


def ascending(kernels, keep, scores=None, rng=None, linear_keep_ratio=0.3, residual=None):
  """Ablation of smart ratios with raw share l^2 + l, more towards the end; arguments and result as `smart`."""
  del scores, rng
  return _by_depth(kernels, keep, lambda level, height: level**2 + level, linear_keep_ratio, residual)


def uniform(kernels, keep, scores=None, rng=None, linear_keep_ratio=0.3):
  """One keep ratio for all layers but the classifier, which has a fixed share; arguments and result as `smart`."""
  del scores, rng
  return _with_fixed_classifier(kernels, keep, np.ones(len(kernels)), linear_keep_ratio)


def er(kernels, keep, scores=None, rng=None):
  """Erdos-Renyi ratios (Mocanu et al. 2018): keep ratio proportional to (n_in + n_out) / (n_in n_out).

  Layers that reach 1 are kept whole and the others rescaled; the classifier is a layer like any other.

  Args:
    kernels: sequence of `Kernel`; n_in and n_out are the last two axes.
    keep: weights to keep in total.
    scores: not used.
    rng: not used.

  Returns:
    Kept weights per kernel, integers.
  """
  del scores, rng
  return _rescaled(kernels, keep, [sum(kernel.shape[-2:]) / math.prod(kernel.shape[-2:]) for kernel in kernels])


def erk(kernels, keep, scores=None, rng=None):
  """Erdos-Renyi-kernel ratios (Evci et al. 2020): (n_in + n_out + k_h + k_w) / (n_in n_out k_h k_w); else as `er`.

  Any number of spatial axes counts; a dense layer has none.
  """
  del scores, rng
  return _rescaled(kernels, keep, [sum(kernel.shape) / kernel.size for kernel in kernels])


def _total(kernels):
  return sum(kernel.size for kernel in kernels)


def _by_depth(kernels, keep, profile, linear_keep_ratio, residual):
  # `profile` maps level l = 1..L and height L - l + 1, both float arrays, to the raw shares.
  if residual not in (None, True, False):
    raise UsageError(f'residual {residual!r}: expected True, False or None')
  level = np.arange(1.0, len(kernels) + 1)
  raw = profile(level, level[::-1])
  if not (kernels[0].residual if residual is None else residual):
    raw = raw / level**2
  return _with_fixed_classifier(kernels, keep, raw, linear_keep_ratio)


def _with_fixed_classifier(kernels, keep, raw, linear_keep_ratio):
  if not isinstance(linear_keep_ratio, numbers.Real) or not 0 <= linear_keep_ratio <= 1:
    raise UsageError(f'linear_keep_ratio {linear_keep_ratio!r}: expected a number from 0 to 1')
  sizes = np.array([kernel.size for kernel in kernels])
  fixed = np.array([kernel.classifier for kernel in kernels])
  wanted = linear_keep_ratio * sizes[fixed].sum()
  share = _classifier_share(kernels, keep, max(int(wanted), min(wanted, 1)))  # Less than 1 is still a positive share.
  weights = np.where(fixed, 0, raw * sizes)
  shares = (keep - share) * weights / (weights.sum() or 1)
  shares[fixed] = share
  # What does not fit into a layer goes to the following ones, then round to the earlier ones, last to the classifier.
  # It moves in whole weights, as in the authors' code, to agree with it to the weight; `_round` settles the fractions.
  others = np.flatnonzero(~fixed).tolist()
  surplus = int(keep - shares.sum())  # 0 unless there is nothing but a classifier.
  for index in [*others, *others, *np.flatnonzero(fixed)]:
    room = int(sizes[index] - shares[index])  # Below 0 where the share is more than the layer.
    shares[index] = min(shares[index] + surplus, sizes[index])
    surplus = max(surplus - room, 0)
  return _round(shares, sizes, keep)


def _classifier_share(kernels, keep, wanted):
  # `wanted`, unless it is more than half of `keep` and the overall density is less.
  size = sum(kernel.size for kernel in kernels if kernel.classifier)
  lowered = size * keep / _total(kernels)
  if wanted <= max(keep / 2, lowered):
    return wanted
  name = next(kernel.name for kernel in kernels if kernel.classifier)
  logging.warning('the classifier %s would keep %d of its %d weights, more than half of the %d in total: '
                  'its share is lowered to the overall density, %.4g', name, wanted, size, keep, lowered / size)
  return lowered


def _rescaled(kernels, keep, raw):
  sizes = np.array([kernel.size for kernel in kernels])
  weights = np.array(raw) * sizes
  full = np.zeros(len(kernels), dtype=bool)
  while not full.all():
    shares = np.where(full, sizes, weights * (keep - sizes[full].sum()) / weights[~full].sum())
    over = shares > sizes
    if not over.any():
      break
    full |= over
  return _round(shares, sizes, keep)


def _round(shares, sizes, keep):
  """Rounds shares to integers with the exact total `keep`.

  Floors first, then the remainder by the largest fraction. A positive share becomes at least 1, at the cost of the
  layers that keep most; where `keep` is less than the number of such layers, the largest shares become 1.

  Args:
    shares: floats, at least 0, with the total `keep` up to about one per layer.
    sizes: integers that no count exceeds.
    keep: the total, at most the sum of `sizes`.

  Returns:
    A list of integers.
  """
  shares, sizes = np.asarray(shares, dtype=np.float64), np.asarray(sizes)
  least = (shares > 0).astype(np.int64)
  if keep <= least.sum():
    counts = np.zeros_like(least)
    counts[np.argsort(-shares, kind='stable')[:keep]] = 1
    return counts.tolist()
  counts = np.clip(np.floor(shares).astype(np.int64), least, sizes)
  while left := int(keep - counts.sum()):
    if left > 0:
      able, rank = counts < sizes, shares - counts
    else:
      able, rank = counts > least, counts
      if np.any(able & (counts < sizes)):  # Whole layers give last.
        able &= counts < sizes
    order = np.argsort(-rank, kind='stable')
    counts[order[able[order]][:abs(left)]] += 1 if left > 0 else -1
  return counts.tolist()
