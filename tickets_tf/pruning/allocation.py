"""Allocations: how many weights each kernel keeps.

An allocation is a function `f(kernels, keep, scores=None, rng=None, **options)` that returns one integer per kernel,
`keep` in total. `kernels` is a sequence of `Kernel` in network order, `scores` one array per kernel or None, `rng` a
`numpy.random.Generator`. `allocate` calls an allocation, built in or a user's own, and checks what it returns. Those
that follow the scores are here, those that follow layer ratios in `layer_ratios`.
"""

import inspect
import numbers
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from absl import logging
import numpy as np
import numpy.typing as npt

from tickets_tf.pruning import selection
from tickets_tf import registry
from tickets_tf import seeds
from tickets_tf.errors import UsageError
from tickets_tf.pruning.kernels import Kernel
from tickets_tf.pruning.layer_ratios import classifier_share
from tickets_tf.pruning.rounding import round_exactly

# See the top of this module.
Allocation = Callable[..., Sequence[int]]


def kept_total(kernels: Sequence[Kernel], ratio: float) -> int:
  """Returns the number of weights that a ticket keeps, int(N * (1 - ratio)) of N prunable weights.

  Args:
    kernels: the network's kernels.
    ratio: pruning ratio, the removed share of all prunable weights, in [0, 1).

  Raises:
    UsageError: if the ratio is not in [0, 1).
  """
  if not isinstance(ratio, numbers.Real) or not 0 <= ratio < 1:
    raise UsageError(f'ratio {ratio!r}: expected a number from 0 up to, but not including, 1')
  return int(sum(kernel.size for kernel in kernels) * (1 - float(ratio)))


def allocate(kernels: Sequence[Kernel], ratio: float, allocation: str | Allocation = 'smart',
             scores: Sequence[npt.ArrayLike] | None = None, seed: int = 0, **options: Any) -> list[int]:
  """Distributes the weights that a pruning ratio leaves over the kernels.

  Args:
    kernels: the network's kernels, in network order.
    ratio: pruning ratio in [0, 1).
    allocation: a name in `registry.ALLOCATIONS`, `package.module:name`, or a function (see the top of this module).
    scores: one array per kernel, of its shape, higher = keep; only the global allocations need them.
    seed: the run's seed, for ties.
    **options: the allocation's own settings, e.g. `linear_keep_ratio=0.3` of `smart`.

  Returns:
    Kept weights per kernel, `kept_total(kernels, ratio)` in total.

  Raises:
    UsageError: for a ratio, allocation or option that cannot be used, and if the allocation returns anything but one
      integer in [0, size] per kernel with the right total.
    TicketsError: if an allocation uses the scores and one is NaN or infinite.
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
  empty = [kernel.name for kernel, count in zip(kernels, counts, strict=True) if not count]
  if empty:
    logging.warning('allocation %s at ratio %s leaves empty layers, which cut the network: %s', name, ratio,
                    ', '.join(empty))
  return counts


def _check_call(name: str, function: Allocation, positional: tuple[Any, ...], arguments: Mapping[str, Any],
                options: Mapping[str, Any]) -> None:
  signature = inspect.signature(function)
  try:
    signature.bind(*positional, **arguments, **options)
  except TypeError as error:
    own = [option for option in list(signature.parameters)[2:] if option not in arguments]
    raise UsageError(f'allocation {name!r}: {error}; its options: {", ".join(own) or "none"}') from error


def _checked(name: str, returned: Any, kernels: Sequence[Kernel], keep: int) -> list[int]:
  expected = f'expected {len(kernels)} integers, none below 0 or above its kernel\'s size, {keep} in total'
  try:
    counts = list(returned)
  except TypeError:
    raise UsageError(f'allocation {name!r} returned {returned!r}; {expected}') from None
  if len(counts) != len(kernels):
    raise UsageError(f'allocation {name!r} returned {len(counts)} counts; {expected}')
  for kernel, count in zip(kernels, counts, strict=True):
    if not selection.is_count(count, kernel.size):
      raise UsageError(f'allocation {name!r} returned {count!r} for {kernel.name!r} of size {kernel.size}; {expected}')
  if sum(counts) != keep:
    raise UsageError(f'allocation {name!r} returned {sum(counts)} weights in total; {expected}')
  return [int(count) for count in counts]


def global_threshold(kernels: Sequence[Kernel], keep: int, scores: Sequence[npt.ArrayLike] | None = None,
                     rng: np.random.Generator | None = None) -> list[int]:
  """Keeps the highest scores over the whole network; layers may end up empty.

  Ties at the threshold are broken at random over the whole network: how many of the tied weights each layer keeps is
  drawn from the multivariate hypergeometric distribution, and `selection.select` then draws which.

  Args:
    kernels: the network's kernels.
    keep: weights to keep in total.
    scores: one array per kernel, of its shape.
    rng: decides ties; None takes the stream of seed 0.

  Returns:
    Kept weights per kernel.

  Raises:
    UsageError: if scores are missing or do not fit the kernels.
    TicketsError: if a score is NaN or infinite; names the layer.
  """
  arrays = _checked_scores(kernels, scores)
  if not keep:
    return [0] * len(kernels)
  lowest = selection.threshold(arrays, keep)
  reached = np.array([np.count_nonzero(layer >= lowest) for layer in arrays])
  if reached.sum() == keep:
    return [int(count) for count in reached]
  tied = np.array([np.count_nonzero(layer == lowest) for layer in arrays])
  above = reached - tied
  rng = seeds.generator(0, 'allocation') if rng is None else rng
  return [int(count) for count in above + rng.multivariate_hypergeometric(tied, keep - above.sum())]


def global_convolutions(kernels: Sequence[Kernel], keep: int, scores: Sequence[npt.ArrayLike] | None = None,
                        rng: np.random.Generator | None = None) -> list[int]:
  """Keeps the whole classifier, and the highest scores over all other kernels, as Su et al. 2020 for lottery tickets.

  The classifier never takes more than half of the kept weights; a warning says so.

  Args:
    kernels: the network's kernels.
    keep: weights to keep in total.
    scores: one array per kernel, of its shape.
    rng: decides ties; None takes the stream of seed 0.

  Returns:
    Kept weights per kernel.

  Raises:
    UsageError: if scores are missing or do not fit the kernels.
    TicketsError: if a score is NaN or infinite; names the layer.
  """
  arrays = _checked_scores(kernels, scores)
  size = sum(kernel.size for kernel in kernels if kernel.classifier)
  share = classifier_share(kernels, keep, size)
  classifier, rest = round_exactly([share, keep - share], [size, sum(kernel.size for kernel in kernels) - size], keep)
  others = [(kernel, layer) for kernel, layer in zip(kernels, arrays, strict=True) if not kernel.classifier]
  counts = iter(global_threshold([kernel for kernel, _ in others], rest, [layer for _, layer in others], rng))
  return [classifier if kernel.classifier else next(counts) for kernel in kernels]


def _checked_scores(kernels: Sequence[Kernel], scores: Sequence[npt.ArrayLike] | None) -> list[np.ndarray]:
  if scores is None or len(scores) != len(kernels):
    found = 'none' if scores is None else len(scores)
    raise UsageError(f'a global allocation needs one array of scores per kernel: {len(kernels)}, not {found}')
  arrays = selection.check_scores(scores, [kernel.name for kernel in kernels])
  for kernel, layer in zip(kernels, arrays, strict=True):
    if layer.shape != tuple(kernel.shape):
      raise UsageError(f'scores of {kernel.name}: expected shape {tuple(kernel.shape)}, found {layer.shape}')
  return arrays
