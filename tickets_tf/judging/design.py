"""What a number of seeds could show, before they are trained: the smallest drop that would probably be seen."""

import dataclasses
import math

import scipy  # Its stats is imported when it is first used, half a second that most programs save.

from tickets_tf.judging.bounds import critical_value
from tickets_tf.judging.estimates import MINIMUM

POWER = 0.8
# Of the differences between two tickets of one seed, in percent points, if nothing is known: 1 for each of them.
ASSUMED_DEVIATION = math.sqrt(2)


@dataclasses.dataclass(frozen=True)
class Spread:
  """How much the differences between two tickets of one seed vary.

  Attributes:
    deviation: typical standard deviation, in percent points.
    comparisons: number of recorded comparisons that it is the median of; 0: it is assumed.
  """
  deviation: float
  comparisons: int


@dataclasses.dataclass(frozen=True)
class Size:
  """The size of a call.

  Attributes:
    groups: number of ratios of a rule.
    checks: the most checks of a rule at one ratio.
    comparisons: comparisons of all rules.
  """
  groups: int
  checks: int
  comparisons: int


@dataclasses.dataclass(frozen=True)
class Design:
  """A number of seeds, what it costs and what it could show.

  Attributes:
    seeds: number of seeds.
    runs: number of all runs.
    left: number of those that are not done yet.
    hours: time that these take; None if it is unknown.
    drop: the smallest drop under a check that would be shown to be above zero with 80% power, in percent points; None
      for fewer than 3 seeds.
    luck: the same for the difference from luck.
  """
  seeds: int
  runs: int
  left: int
  hours: float | None
  drop: float | None
  luck: float | None


def smallest_drop(seeds: int, deviation: float, size: Size, alpha: float) -> float | None:
  """Returns the smallest true drop whose interval would be above zero with 80% power.

  With c the critical value of the family and f its degrees of freedom, drop / error has the noncentral t distribution:
  the power is P(T > c), T noncentral with f degrees of freedom and the noncentrality drop sqrt(n) / deviation. That the
  variances of a group are alike is assumed to be worth as many degrees of freedom as a ticket's own seeds, n - 1.

  Args:
    seeds: n, number of seeds.
    deviation: of the differences between two tickets of one seed, in percent points.
    size: of the family and the call.
    alpha: probability of even one wrong statement in the family.

  Returns:
    Percent points; None for fewer than 3 seeds or nothing to compare.
  """
  if seeds < MINIMUM or not size.checks:
    return None
  own = seeds - 1
  of_arms = min(2 * own, own * (size.checks + 1))
  freedom = max(math.floor(1 / (1 / of_arms + 1 / (2 * own * size.comparisons)) + 1e-9), 1)
  reach = critical_value(size.groups, size.checks, freedom, alpha)

  def lacking(shift: float) -> float:
    return float(scipy.stats.nct.sf(reach, freedom, shift)) - POWER

  shift = float(scipy.optimize.brentq(lacking, 0.0, reach + 10 * (1 + reach / math.sqrt(2 * freedom)), xtol=1e-6))
  return shift * deviation / math.sqrt(seeds)
