"""Simultaneous intervals for the drops of a call: what every statement of a report is read off.

A drop is the mean accuracy of the original tickets minus that of the checked ones, in percent points. Dunnett's (1955)
critical value makes all intervals of a family hold together; `estimates` has their standard errors. docs/statistics.md
explains it, and shows by simulation how often it is wrong. Nothing here draws anything.
"""

import collections
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import functools
import math
import numbers

import numpy as np
import numpy.typing as npt
import scipy  # Its stats is imported when it is first used, half a second that most programs save.

from tickets_tf.errors import UsageError
from tickets_tf.judging.estimates import estimate

_Floats = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Group:
  """A rule at one ratio: accuracies in percent, one a seed, of its original tickets and of those of each check.

  A run that has not been done is NaN, or left out at the end.

  Attributes:
    rule: name of the rule.
    ratio: pruning ratio.
    original: accuracies of the original tickets. There may be more of them than of the checked ones.
    checked: check -> accuracies of the same seeds in the same order.
  """
  rule: str
  ratio: float
  original: tuple[float, ...]
  checked: Mapping[str, tuple[float, ...]]


@dataclasses.dataclass(frozen=True)
class Bounds:
  """What is known of a drop; all in percent points.

  Attributes:
    drop: the estimate; NaN without accuracies.
    error: its standard error; NaN for fewer than 3 seeds.
    rule_family: (low, high) of the interval that holds with 1 - alpha together with all of the same rule in the call;
      None for fewer than 3 seeds.
    whole_call: that which holds together with all of the call; None for fewer than 3 seeds.
  """
  drop: float
  error: float
  rule_family: tuple[float, float] | None
  whole_call: tuple[float, float] | None


@dataclasses.dataclass(frozen=True)
class Pooled:
  """What the comparisons of a call share.

  Attributes:
    prior_degrees_of_freedom: d0, how much the variances of a group have in common; NaN if no arm has 3 seeds.
    correlation: rho, between the accuracies of an original and a checked ticket of one seed; NaN likewise.
    degrees_of_freedom: f, of the standard errors; the fewest, if numbers of seeds differ; 0 if no arm has 3 seeds.
  """
  prior_degrees_of_freedom: float
  correlation: float
  degrees_of_freedom: int


def simultaneous(groups: Sequence[Group], resolution: float, alpha: float = 0.05
                 ) -> tuple[dict[tuple[str, float, str], Bounds], Pooled]:
  """Returns the simultaneous intervals of all comparisons of a call: (by (rule, ratio, check), what they share).

  If numbers of seeds differ, as when a call was stopped or has more originals than checked tickets, each mean is over
  all the accuracies that its arm has, and each interval takes the degrees of freedom that the smaller of its two arms
  would have in a call where all have its number. A comparison with fewer than 3 seeds has no interval, but counts in
  its family.

  Args:
    groups: the rules at their ratios, none twice. Comparisons that are identical by construction must be left out:
      their zeros would narrow the intervals of the others.
    resolution: smallest step between two accuracies in percent points, 100 / test images; 0 takes them as exact.
    alpha: probability that any interval of a family misses its drop, above 0 and below 0.5.

  Returns:
    The intervals, in the order of the groups and their checks.

  Raises:
    UsageError: if a group is there twice, an accuracy is infinite, there are more checked than original seeds, or
      resolution or alpha is out of range.
  """
  _check(groups, resolution, alpha)
  keys = [(group.rule, group.ratio, check) for group in groups for check in group.checked]
  if not keys:
    return {}, Pooled(math.nan, math.nan, 0)
  values = _values(groups)
  found = estimate(values, resolution)
  counts = np.isfinite(values).sum(-1)
  # Originals that are more in number are shared less.
  shares = counts[:, 1:] / np.maximum(counts[:, :1] + counts[:, 1:], 1)
  most = max(len(group.checked) for group in groups)
  families = collections.Counter(group.rule for group in groups)
  bounds = {}
  places = ((row, column) for row, group in enumerate(groups) for column in range(len(group.checked)))
  for key, place in zip(keys, places, strict=True):
    drop, error, freedom = (float(array[place]) for array in (found.drop, found.error, found.degrees_of_freedom))
    if math.isnan(error):
      bounds[key] = Bounds(drop, error, None, None)
      continue
    reaches = (error * critical_value(number, most, int(freedom), alpha, min(0.5, float(shares[place])))
               for number in (families[key[0]], len(groups)))
    bounds[key] = Bounds(drop, error, *((drop - reach, drop + reach) for reach in reaches))
  freedoms = found.degrees_of_freedom[found.degrees_of_freedom > 0]
  return bounds, Pooled(float(found.prior_degrees_of_freedom), float(found.correlation),
                        int(freedoms.min()) if freedoms.size else 0)


@functools.lru_cache(maxsize=4096)
def critical_value(groups: int, comparisons: int, degrees_of_freedom: int, alpha: float, correlation: float = 0.5
                   ) -> float:
  """Returns c such that all intervals drop +- c error of a family hold together with 1 - alpha (Dunnett 1955).

  c solves 1 - [integral phi(z) (E_s Phi((c s - sqrt(r) z) / sqrt(1 - r)))^k dz]^G = alpha / 2, with f s^2 chi-squared
  with f degrees of freedom and r the correlation of two comparisons that share their originals. Each comparison has a
  standard error of its own, so s is drawn for each; Dunnett has one s for all, and a c that is up to 3% smaller. Each
  end of the intervals is wrong with at most alpha / 2. For one comparison c is that of Student's t.

  Args:
    groups: G, groups of comparisons that share their originals.
    comparisons: k, comparisons in each.
    degrees_of_freedom: f, at least 1.
    alpha: two-sided, above 0 and below 0.5.
    correlation: r, n_c / (n_o + n_c) for n_o originals and n_c checked tickets: 1/2 if there are as many of each.
  """
  tail = alpha / 2
  low = float(scipy.stats.t.isf(tail, degrees_of_freedom))
  if groups * comparisons == 1:
    return low
  z = np.linspace(-8.5, 8.5, 171)
  of_z = scipy.stats.norm.pdf(z) * (z[1] - z[0])
  # The trapezoidal rule converges fast for log s, whose density is smooth and falls off at both ends.
  f = degrees_of_freedom
  least, most = (math.log(float(scipy.stats.chi2.isf(end, f)) / f) / 2 for end in (1 - 1e-14, 1e-14))
  log_s = np.linspace(least, most, 301)
  of_s = 2 * f * np.exp(2 * log_s) * scipy.stats.chi2.pdf(f * np.exp(2 * log_s), f) * (log_s[1] - log_s[0])

  def missed(c: float) -> float:
    reach = (c * np.exp(log_s)[:, np.newaxis] - math.sqrt(correlation) * z) / math.sqrt(1 - correlation)
    alone = of_s @ scipy.special.ndtr(-reach)  # The probability that one comparison is wrong, for each z.
    of_group = float(-np.expm1(comparisons * np.log1p(-np.minimum(alone, 1 - 1e-12))) @ of_z)
    return float(-np.expm1(groups * np.log1p(-min(of_group, 1 - 1e-12)))) - tail

  # Student's t is too small for more than one comparison, and that of Bonferroni too large.
  high = float(scipy.stats.t.isf(tail / (groups * comparisons), f)) * 1.001
  return float(scipy.optimize.brentq(missed, low * 0.999, high, xtol=1e-7))


def _values(groups: Sequence[Group]) -> _Floats:
  """Returns the accuracies of all arms, [groups, 1 + checks, seeds], NaN where there is none."""
  checks, seeds = max(len(group.checked) for group in groups), max(len(group.original) for group in groups)
  values = np.full((len(groups), 1 + checks, max(seeds, 1)), np.nan)
  for row, group in enumerate(groups):
    for column, arm in enumerate((group.original, *group.checked.values())):
      values[row, column, :len(arm)] = arm
  return values


def check_bounds(margin: float, alpha: float) -> None:
  """Checks the margin and the error rate of statements.

  Args:
    margin: in percent points, above 0.
    alpha: above 0 and below 0.5.

  Raises:
    UsageError: if one is out of range.
  """
  if not _is_number(margin) or not 0 < margin < math.inf:
    raise UsageError(f'margin {margin!r}: expected percent points above 0')
  check_alpha(alpha)


def check_alpha(alpha: float) -> None:
  """Raises UsageError unless the error rate is a number above 0 and below 0.5."""
  if not _is_number(alpha) or not 0 < alpha < 0.5:
    raise UsageError(f'alpha {alpha!r}: expected a number above 0 and below 0.5')


def _is_number(value: object) -> bool:
  return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _check(groups: Sequence[Group], resolution: float, alpha: float) -> None:
  check_alpha(alpha)
  if not _is_number(resolution) or not 0 <= resolution < math.inf:
    raise UsageError(f'resolution {resolution!r}: expected percent points, at least 0')
  seen: set[tuple[str, float]] = set()
  for group in groups:
    where = f'{group.rule} at {group.ratio:g}'
    if (group.rule, group.ratio) in seen:
      raise UsageError(f'{where}: it is there twice')
    seen.add((group.rule, group.ratio))
    for check, arm in (('original', group.original), *group.checked.items()):
      if len(arm) > len(group.original):
        raise UsageError(f'{where}, {check}: {len(arm)} seeds, but {len(group.original)} originals')
      if any(math.isinf(value) for value in arm):
        raise UsageError(f'{where}, {check}: expected accuracies in percent, found {arm}')
