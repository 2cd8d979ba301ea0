"""How many seeds would decide a comparison that is undecided: the power of its tests."""

import bisect
import dataclasses
import math
import numbers

import numpy as np
import scipy  # Its stats is imported when it is first used, half a second that most programs save.

from tickets_tf.errors import UsageError
from tickets_tf.judging.comparison import Comparison
from tickets_tf.judging.comparison import check_alpha
from tickets_tf.judging.comparison import tested_deviation
from tickets_tf.judging.correction import Decision
from tickets_tf.judging.correction import INSENSITIVE
from tickets_tf.judging.correction import SENSITIVE


@dataclasses.dataclass(frozen=True)
class Forecast:
  """How many seeds in total would decide a comparison, and how.

  Attributes:
    seeds: number of seeds in total.
    outcome: the verdict that they would give.
  """
  seeds: int
  outcome: Decision


def seeds_to_decide(comparison: Comparison, alpha: float = 0.05, power: float = 0.8, most: int = 1000
                    ) -> Forecast | None:
  """Returns how many seeds would decide an undecided comparison if its estimates were the true values.

  The power is that of the whole verdict. For a drop within the margin it is that of TOST; for a drop above it, that of
  the t-test together with an estimate above the margin. Given the sample deviation S of n normal differences, the
  verdict falls if their mean is in an interval. S^2 (n - 1) / deviation^2 is chi-squared with n - 1 degrees of freedom
  and independent of the mean, so the power is an integral over S. Without the margin that is the noncentral t-test.

  Args:
    comparison: what is undecided.
    alpha: level of its tests, e.g. `Verdict.level`.
    power: wanted probability of the verdict, above 0.5 and below 1.
    most: the largest number of seeds to consider.

  Returns:
    A `Forecast` with a number of seeds above `comparison.n`, or None if no number up to `most` is enough: for n = 1,
    which tells nothing of the deviation, for a drop at the margin, and for a drop at or below -margin, for which there
    is no verdict.

  Raises:
    UsageError: if alpha or power is out of range.
  """
  check_alpha(alpha)
  if not isinstance(power, numbers.Real) or not 0.5 < power < 1:
    raise UsageError(f'power {power!r}: expected a number above 0.5 and below 1')
  if comparison.deviation is None:
    return None
  drop, margin = comparison.drop, comparison.margin
  outcome = SENSITIVE if drop > margin else INSENSITIVE
  # Power grows with n wherever it is above alpha. At the margin and below -margin it never gets past 0.5.
  seeds = range(comparison.n + 1, most + 1)
  deviation = float(tested_deviation(comparison.deviation, comparison.resolution))
  index = bisect.bisect_left(seeds, power, key=lambda n: power_of(outcome, drop, deviation, margin, n, alpha))
  return Forecast(seeds[index], outcome) if index < len(seeds) else None


def power_of(outcome: Decision, drop: float, deviation: float, margin: float, n: int, alpha: float) -> float:
  """Returns the probability that n seeds give the verdict `outcome`, good to four digits; see `seeds_to_decide`.

  Args:
    outcome: `'sensitive'` or `'insensitive'`.
    drop: true mean difference in percent points.
    deviation: true standard deviation of the differences in percent points.
    margin: equivalence margin in percent points.
    n: number of seeds, at least 2.
    alpha: level of the tests.
  """
  # The mean over the quantiles of S.
  quantiles = (np.arange(1000) + 0.5) / 1000
  error = deviation / math.sqrt(n)
  reach = scipy.stats.t.isf(alpha, n - 1) * error * np.sqrt(scipy.stats.chi2.ppf(quantiles, n - 1) / (n - 1))
  error = max(error, 1e-12)  # It is 0 if all differences are equal.
  if outcome == SENSITIVE:
    given = scipy.stats.norm.sf((np.maximum(margin, reach) - drop) / error)
  else:
    below = scipy.stats.norm.cdf
    given = below((margin - reach - drop) / error) - below((reach - margin - drop) / error)
  return float(np.maximum(given, 0).mean())
