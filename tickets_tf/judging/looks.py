"""Looking at intervals more than once while seeds are added, without more wrong statements.

The levels of all looks add up to the error rate, a Bonferroni-type bound that holds for any dependence: looks share
their seeds. `look_history` keeps the looks that were done.
"""

from collections.abc import Iterable
import itertools
import math
import numbers
from typing import Literal

import numpy as np
import numpy.typing as npt
import scipy  # Its stats is imported when it is first used, half a second that most programs save.

from tickets_tf.errors import UsageError
from tickets_tf.judging.bounds import check_alpha
from tickets_tf.judging.estimates import MINIMUM

Spending = Literal['pocock', 'obrien_fleming']
FIRST = 5  # Three seeds bound nothing that a reader would want to know, and a look at them costs level all the same.


def look_sizes(most: int, first: int = MINIMUM, growth: float = 1.6) -> list[int]:
  """Returns numbers of seeds at which to look, from `first` to `most` by a factor of about `growth` each time.

  Few looks waste least of the level: `nominal_levels` pays for each look as if it shared no seeds with the others.

  Args:
    most: number of seeds at the last look.
    first: number of seeds at the first look, at least 3.
    growth: wanted factor from look to look, above 1.

  Returns:
    Increasing numbers, e.g. [3, 5, 8, 12, 20] for 20.

  Raises:
    UsageError: if `first` is below 3 or above `most`, or `growth` is not above 1.
  """
  if not MINIMUM <= first <= most or not growth > 1:
    raise UsageError(f'looks from {first!r} to {most!r} seeds by a factor of {growth!r}: '
                     f'expected at least {MINIMUM}, no less than that, and a factor above 1')
  steps = max(round(math.log(most / first) / math.log(growth)), 1)
  return sorted({round(first * (most / first)**(step / steps)) for step in range(steps + 1)})


def planned_looks(most: int) -> list[int]:
  """Returns the numbers of seeds at which `--seeds=auto` looks, e.g. [5, 8, 13, 20] for 20.

  Raises:
    UsageError: if `most` is below 3.
  """
  return look_sizes(most, min(FIRST, most))


def spent_alpha(fraction: npt.ArrayLike, alpha: float = 0.05, kind: Spending = 'pocock') -> npt.NDArray[np.float64]:
  """Returns the part of `alpha` that may be spent by an information fraction t (Lan and DeMets 1983).

  `'pocock'`: alpha ln(1 + (e - 1) t); `'obrien_fleming'`: 2 - 2 Phi(z / sqrt(t)) with z the upper alpha / 2 point of
  the normal distribution. Both are 0 at 0 and alpha at 1.

  Args:
    fraction: t, number or array in [0, 1]: seeds so far over seeds at most.
    alpha: one-sided level of the whole sequence, above 0 and below 0.5.
    kind: `'pocock'`, about evenly over the looks, or `'obrien_fleming'`, nearly all at the last ones.

  Returns:
    An array of the shape of `fraction`.

  Raises:
    UsageError: if an argument is out of range.
  """
  fraction = np.asarray(fraction, np.float64)
  check_alpha(alpha)
  if not np.all((fraction >= 0) & (fraction <= 1)):
    raise UsageError(f'fraction {fraction!r}: expected numbers from 0 to 1')
  if kind == 'pocock':
    return np.asarray(alpha * np.log1p((math.e - 1) * fraction))
  if kind == 'obrien_fleming':
    root = np.sqrt(fraction)
    ratio = np.divide(scipy.stats.norm.isf(alpha / 2), root, out=np.full(root.shape, math.inf), where=root > 0)
    return np.asarray(2 * scipy.stats.norm.sf(ratio))
  raise UsageError(f'spending {kind!r}: expected \'pocock\' or \'obrien_fleming\'')


def nominal_levels(looks: Iterable[int], alpha: float = 0.05, kind: Spending = 'pocock') -> list[float]:
  """Returns the level to test at in each look, so that all looks together are wrong with at most `alpha`.

  Look k gets what the spending function adds at it, alpha(n_k / n_K) - alpha(n_(k-1) / n_K). The levels add up to
  alpha, so the bound is the sum of the looks' error rates. It holds for intervals from the smallest n, for any
  dependence between looks, and if one stops early for any reason, such as the end of a budget. The boundaries of Pocock
  (1977) and O'Brien and Fleming (1979) are wider, but rest on normal theory, which is too optimistic at few seeds.

  How to look: fix `looks` beforehand. At look k, with n_k seeds, make the intervals of the whole family with
  alpha = levels[k]. Every statement of every look holds, all together, with 1 - alpha.

  Args:
    looks: numbers of seeds at each look, increasing, at least 1; the last is the most there can be.
    alpha: level of the whole sequence, above 0 and below 0.5.
    kind: as in `spent_alpha`.

  Returns:
    One level per look.

  Raises:
    UsageError: if an argument is out of range.
  """
  sizes = list(looks)
  whole = all(isinstance(size, numbers.Integral) for size in sizes)
  if not sizes or not whole or any(low >= high for low, high in itertools.pairwise([0, *sizes])):
    raise UsageError(f'looks {sizes}: expected increasing whole numbers of seeds, from 1')
  return [float(level) for level in np.diff(spent_alpha(np.array(sizes) / sizes[-1], alpha, kind), prepend=0)]
