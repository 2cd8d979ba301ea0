"""Paired statistics of sanity checks: from accuracies of n seeds to a verdict that holds.

Everything here works on values and draws nothing. A drop is original - checked, in percent points. The tests are
t-tests, so the error rates hold for drops that are about normal over seeds; corrections over comparisons and over looks
are Bonferroni-type bounds, which hold for any dependence (comparisons share their original, looks share their seeds).
"""

import bisect
import dataclasses
import math
import numbers

import numpy as np
from scipy import stats

from tickets_tf.errors import UsageError

INSENSITIVE, SENSITIVE, UNDECIDED = 'insensitive', 'sensitive', 'undecided'
MINIMUM = 3  # With fewer seeds the verdict is always undecided.


@dataclasses.dataclass(frozen=True)
class Comparison:
  """The original against one check, paired by seed. All numbers but `n` and the p-values are in percent points.

  Attributes:
    n: number of pairs.
    original_mean, checked_mean: mean accuracies.
    original_deviation, checked_deviation: sample standard deviations (n - 1); None for n = 1.
    drop: mean of the paired differences original - checked.
    deviation: their sample standard deviation (n - 1); None for n = 1.
    interval: (low, high), the two-sided confidence interval of the drop; None for n = 1.
    margin: drops of less than this, up or down, count as none.
    resolution: step between two accuracies that can be told apart; 0 for none.
    p_equivalent: p-value, not corrected, of the null hypothesis |drop| >= margin; None for n = 1.
    p_drop: p-value, not corrected, of the null hypothesis drop <= 0; None for n = 1.
  """
  n: int
  original_mean: float
  original_deviation: float | None
  checked_mean: float
  checked_deviation: float | None
  drop: float
  deviation: float | None
  interval: tuple | None
  margin: float
  resolution: float
  p_equivalent: float | None
  p_drop: float | None


@dataclasses.dataclass(frozen=True)
class Verdict:
  """What a comparison comes to within its family.

  Attributes:
    outcome: `'insensitive'`, `'sensitive'` or `'undecided'`.
    p_equivalent, p_drop: the p-values corrected for the family, to be held against `alpha`; None for n < 3.
    alpha: the family-wise level.
    level: what the p-values before correction were held against: alpha / open comparisons.
  """
  outcome: str
  p_equivalent: float | None
  p_drop: float | None
  alpha: float
  level: float


@dataclasses.dataclass(frozen=True)
class Forecast:
  """How many seeds in total would decide a comparison (`seeds`), and for which `outcome`."""
  seeds: int
  outcome: str


def compare(original, checked, margin=0.5, alpha=0.05, resolution=0.0):
  """Compares paired accuracies; pair i holds the original and the checked ticket of one seed.

  `p_equivalent` is that of two one-sided paired t-tests against -margin and +margin, the larger one (TOST, Schuirmann
  1987); `p_drop` that of the one-sided paired t-test (Student 1908). Where all differences are the same the p-values
  are the limits for a deviation that goes to 0: 0 or 1 on either side of a bound and 0.5 on it.

  Accuracies on a test set of N images are multiples of 100 / N points, so three differences are often the same by
  chance, and the limit would call that certain: at N = 360, 3 seeds and 8 comparisons up to 0.2 of the families had a
  wrong verdict in simulation. A `resolution` r makes the tests and the interval take the deviation as at least
  r / sqrt(6), that of the difference of two rounding errors, each uniform with variance r^2 / 12.

  Args:
    original: n accuracies in percent points.
    checked: n accuracies in percent points, same seeds in the same order.
    margin: equivalence margin in percent points, above 0.
    alpha: 1 - alpha is the confidence of the interval; no p-value depends on it.
    resolution: step between two possible accuracies in percent points, 100 / test images; 0 takes them as exact.

  Returns:
    A `Comparison`.

  Raises:
    UsageError: where there are no pairs, the numbers of accuracies differ, one is NaN or infinite, or margin, alpha or
      resolution cannot be used.
  """
  original, checked = _accuracies('original', original), _accuracies('checked', checked)
  if len(original) != len(checked):
    raise UsageError(f'accuracies do not pair: {len(original)} of the original, {len(checked)} of the check; '
                     'expected one of each per seed')
  check_bounds(margin, alpha)
  if not _is_number(resolution) or not 0 <= resolution < math.inf:
    raise UsageError(f'resolution {resolution!r}: expected percent points, at least 0')
  n = len(original)
  # Subtraction leaves noise of about 1e-14 points, which would pass for a deviation where all differences are equal.
  drop, deviation = _moments(np.round(original - checked, 9))
  interval = p_equivalent = p_drop = None
  if n > 1:
    tested = _tested(deviation, resolution)
    reach = float(stats.t.isf(alpha / 2, n - 1) * tested / math.sqrt(n))
    interval = drop - reach, drop + reach
    p_equivalent, p_drop = map(float, _p_values(drop, tested, n, margin))
  return Comparison(n, *_moments(original), *_moments(checked), drop, deviation, interval, float(margin),
                    float(resolution), p_equivalent, p_drop)


def judge(comparisons, alpha=0.05, family=None):
  """Gives each comparison of a family its verdict; a wrong one anywhere has a probability of at most `alpha`.

  `'insensitive'` is wrong where |drop| >= margin, `'sensitive'` where drop <= 0. A comparison is `'insensitive'` where
  the corrected `p_equivalent` is at most alpha, `'sensitive'` where the corrected `p_drop` is and the estimated drop is
  above the margin, else, and always with n < 3, `'undecided'`. At most one of the two can be, as p_equivalent is above
  0.5 where the estimate is outside the margin.

  The correction is Holm's step-down method (Holm 1979) with m comparisons as units that test two hypotheses each: both
  p-values of a comparison are held against alpha / (comparisons still open), and a comparison is closed once *both*
  its hypotheses are rejected. Why no factor 2: where both null hypotheses of a comparison are true, drop <= -margin,
  and both p-values are at least that of the t-test against -margin, so the smaller is a valid p-value too; so one
  comparison alone is tested at alpha, and a family is never tested more strictly than by Holm's method on all 2 m
  p-values (Shaffer 1986 has the idea of counting only hypotheses that can be true together). Why a verdict does not
  close its comparison: the other hypothesis can still be true. Eight checks with a drop right at the margin would each
  give a rightful `'sensitive'` half of the time, and the others, tested at the levels this frees, would be called
  insensitive wrongly with a probability of nearly 2 alpha.

  Args:
    comparisons: sequence of `Comparison`. Those with n < 3 count as members that stay open.
    alpha: family-wise level, above 0 and below 0.5; the level of this look where one looks more than once.
    family: number of comparisons in the whole family, for a later look in which those that have their verdict are left
      out; they count as open. None: those given.

  Returns:
    A list with one `Verdict` per comparison.

  Raises:
    UsageError: for an alpha or family that cannot be used.
  """
  comparisons = list(comparisons)
  _check_alpha(alpha)
  family = len(comparisons) if family is None else family
  if not isinstance(family, numbers.Integral) or family < len(comparisons):
    raise UsageError(f'family {family!r}: expected a whole number of at least {len(comparisons)}, the number given')
  if not comparisons:
    return []
  # A p-value of 1 keeps a member open and without a verdict.
  columns = np.ones((4, family))
  for index, comparison in enumerate(comparisons):
    columns[:2, index] = comparison.drop, comparison.margin
    if comparison.n >= MINIMUM:
      columns[2:, index] = comparison.p_equivalent, comparison.p_drop
  outcomes, p_equivalent, p_drop = _decide(*columns, alpha)
  still_open = int(np.count_nonzero(np.maximum(p_equivalent, p_drop) > alpha))
  level = alpha / max(still_open, 1)
  verdicts = []
  for index, comparison in enumerate(comparisons):
    corrected = (float(p_equivalent[index]), float(p_drop[index])) if comparison.n >= MINIMUM else (None, None)
    verdicts.append(Verdict(str(outcomes[index]), *corrected, alpha, level))
  return verdicts


def seeds_to_decide(comparison, alpha=0.05, power=0.8, most=1000):
  """Returns how many seeds would decide an undecided comparison, were its estimates the true values.

  The power is that of the whole verdict: of TOST for a drop within the margin, and for one above it of the t-test
  together with an estimate above the margin. Given the sample deviation S of n normal differences the verdict falls
  where their mean is in an interval, and S^2 (n - 1) / deviation^2 is chi-squared with n - 1 degrees of freedom and
  independent of the mean, so the power is an integral over S. Without the margin that is the noncentral t-test.

  Args:
    comparison: a `Comparison`.
    alpha: level of its tests, e.g. `Verdict.level`.
    power: probability with which the verdict is to fall, above 0.5 and below 1.
    most: the largest number of seeds to consider.

  Returns:
    A `Forecast` with a number of seeds above `comparison.n`, or None where no number up to `most` is enough: for n = 1,
    where nothing is known of the deviation, for a drop at the margin, and for one at or below -margin, for which
    there is no verdict.

  Raises:
    UsageError: for an alpha or power that cannot be used.
  """
  _check_alpha(alpha)
  if not _is_number(power) or not 0.5 < power < 1:
    raise UsageError(f'power {power!r}: expected a number above 0.5 and below 1')
  if comparison.n < 2:
    return None
  drop, margin = comparison.drop, comparison.margin
  outcome = SENSITIVE if drop > margin else INSENSITIVE
  # Power grows with n wherever it is above alpha. At the margin and below -margin it never gets past 0.5.
  seeds = range(comparison.n + 1, most + 1)
  deviation = _tested(comparison.deviation, comparison.resolution)
  index = bisect.bisect_left(seeds, power, key=lambda n: _power(outcome, drop, deviation, margin, n, alpha))
  return Forecast(seeds[index], outcome) if index < len(seeds) else None


def look_sizes(most, first=MINIMUM, growth=1.6):
  """Returns numbers of seeds at which to look, from `first` to `most` by a factor of about `growth` each time.

  Few looks waste least of the level: `nominal_levels` pays for each look as if it shared no seeds with the others.

  Args:
    most: number of seeds at the last look.
    first: number of seeds at the first look, at least 3.
    growth: wanted factor from look to look, above 1.

  Returns:
    An increasing list of integers, e.g. [3, 5, 8, 12, 20] for 20.

  Raises:
    UsageError: where `first` is below 3 or above `most`, or `growth` not above 1.
  """
  if not MINIMUM <= first <= most or not growth > 1:
    raise UsageError(f'looks from {first!r} to {most!r} seeds by a factor of {growth!r}: '
                     f'expected at least {MINIMUM}, no less than that, and a factor above 1')
  steps = max(round(math.log(most / first) / math.log(growth)), 1)
  return sorted({round(first * (most / first)**(step / steps)) for step in range(steps + 1)})


def spent_alpha(fraction, alpha=0.05, kind='pocock'):
  """Returns the part of `alpha` that may be spent by an information fraction t (Lan and DeMets 1983).

  `'pocock'`: alpha ln(1 + (e - 1) t); `'obrien_fleming'`: 2 - 2 Phi(z / sqrt(t)) with z the upper alpha / 2 point of
  the normal distribution. Both are 0 at 0 and alpha at 1.

  Args:
    fraction: t, number or array in [0, 1]: seeds so far over seeds at most.
    alpha: one-sided level of the whole sequence, above 0 and below 0.5.
    kind: `'pocock'`, about evenly over the looks, or `'obrien_fleming'`, nearly all at the last ones.

  Returns:
    A float array of the shape of `fraction`.

  Raises:
    UsageError: for an argument that cannot be used.
  """
  fraction = np.asarray(fraction, np.float64)
  _check_alpha(alpha)
  if not np.all((fraction >= 0) & (fraction <= 1)):
    raise UsageError(f'fraction {fraction!r}: expected numbers from 0 to 1')
  if kind == 'pocock':
    return alpha * np.log1p((math.e - 1) * fraction)
  if kind == 'obrien_fleming':
    root = np.sqrt(fraction)
    ratio = np.divide(stats.norm.isf(alpha / 2), root, out=np.full(root.shape, math.inf), where=root > 0)
    return 2 * stats.norm.sf(ratio)
  raise UsageError(f'spending {kind!r}: expected \'pocock\' or \'obrien_fleming\'')


def nominal_levels(looks, alpha=0.05, kind='pocock'):
  """Returns the level to test at in each look, so that all looks together are wrong with at most `alpha`.

  Look k gets what the spending function adds at it, alpha(n_k / n_K) - alpha(n_(k-1) / n_K). The levels add up to
  alpha, so the bound is the sum of the looks' error rates: it holds for t-tests from the smallest n, for whatever
  dependence between looks, and where one stops early for any reason, as at the end of a budget. The boundaries of
  Pocock (1977) and O'Brien and Fleming (1979) are wider, but rest on normal theory, which is too optimistic at n = 3.
  The price in simulation, at alpha = 0.05: of 18 looks at 3, 4, ... 20 seeds all together are wrong with 0.023 (Pocock)
  and 0.015 (O'Brien and Fleming), of the five of `look_sizes(20)` with 0.037 and 0.042.

  How to look: fix `looks` beforehand. At look k, with n_k seeds, call `judge` on all comparisons that have no verdict
  yet, with alpha = levels[k] and family = number of all comparisons. A verdict once reached stays; the comparison needs
  no more seeds.

  Args:
    looks: numbers of seeds at each look, increasing integers of at least 1; the last is the most there can be.
    alpha: level of the whole sequence, above 0 and below 0.5.
    kind: as in `spent_alpha`.

  Returns:
    A list of floats, one level per look.

  Raises:
    UsageError: for an argument that cannot be used.
  """
  sizes = list(looks)
  whole = all(isinstance(size, numbers.Integral) for size in sizes)
  if not sizes or not whole or any(low >= high for low, high in zip([0, *sizes], sizes)):
    raise UsageError(f'looks {sizes}: expected increasing whole numbers of seeds, from 1')
  return np.diff(spent_alpha(np.array(sizes) / sizes[-1], alpha, kind), prepend=0).tolist()


def _is_number(value):
  return isinstance(value, numbers.Real) and not isinstance(value, bool)


def check_bounds(margin, alpha):
  """Refuses a margin or an error rate that no verdict can be drawn with.

  Args:
    margin: in percent points, above 0.
    alpha: above 0 and below 0.5.

  Raises:
    UsageError: for another one.
  """
  if not _is_number(margin) or not 0 < margin < math.inf:
    raise UsageError(f'margin {margin!r}: expected percent points above 0')
  _check_alpha(alpha)


def _check_alpha(alpha):
  if not _is_number(alpha) or not 0 < alpha < 0.5:
    raise UsageError(f'alpha {alpha!r}: expected a number above 0 and below 0.5')


def _accuracies(name, values):
  try:
    array = np.asarray(values, np.float64)
  except (TypeError, ValueError):
    raise UsageError(f'{name}: expected a sequence of accuracies in percent points, found {values!r}') from None
  if array.ndim != 1 or not array.size:
    raise UsageError(f'{name}: expected at least one accuracy, as a flat sequence, found {values!r}')
  for index in np.flatnonzero(~np.isfinite(array)):
    raise UsageError(f'{name}[{index}] is {array[index]}: expected an accuracy in percent points')
  return array


def _moments(values):
  # Mean and sample deviation; exact where all values are the same, as NumPy's are not.
  if np.ptp(values) == 0:
    return float(values[0]), 0.0 if len(values) > 1 else None
  return float(values.mean()), float(values.std(ddof=1))


def _tested(deviation, resolution):
  # What the tests take for the deviation; arrays too.
  return np.maximum(deviation, resolution / math.sqrt(6))


def _p_values(drop, deviation, n, margin):
  # (p_equivalent, p_drop); takes arrays of one shape too.
  error = np.asarray(deviation / np.sqrt(n))

  def tail(distance):
    limit = np.where(distance == 0, 0, np.copysign(math.inf, distance))
    return stats.t.sf(np.divide(distance, error, out=limit, where=error > 0), n - 1)

  return np.maximum(tail(drop + margin), tail(margin - drop)), tail(drop)


def _decide(drop, margin, p_equivalent, p_drop, alpha):
  # Outcomes and corrected p-values of families along the last axis.
  largest = np.maximum(p_equivalent, p_drop)
  p_equivalent, p_drop = _corrected(p_equivalent, largest), _corrected(p_drop, largest)
  sensitive = (p_drop <= alpha) & (drop > margin)
  outcomes = np.where(p_equivalent <= alpha, INSENSITIVE, np.where(sensitive, SENSITIVE, UNDECIDED))
  return outcomes, p_equivalent, p_drop


def _corrected(p_values, largest):
  # A comparison is closed by its largest p-value. The method gets past a value t where t times the comparisons open at
  # t is at most alpha, and on its way to p it gets past all smaller values that close one. With one p-value each this
  # is Holm's own correction.
  def times_open(values):
    return values * np.count_nonzero(largest[..., np.newaxis, :] >= values[..., np.newaxis], axis=-1)

  on_the_way = largest[..., np.newaxis, :] <= p_values[..., np.newaxis]
  before = np.where(on_the_way, times_open(largest)[..., np.newaxis, :], 0).max(axis=-1)
  return np.minimum(np.maximum(times_open(p_values), before), 1)


def _power(outcome, drop, deviation, margin, n, alpha):
  # Probability of the verdict with n seeds: its mean over the quantiles of S, good for four digits.
  quantiles = (np.arange(1000) + 0.5) / 1000
  error = deviation / math.sqrt(n)
  reach = stats.t.isf(alpha, n - 1) * error * np.sqrt(stats.chi2.ppf(quantiles, n - 1) / (n - 1))
  error = max(error, 1e-12)  # It is 0 where all differences are the same.
  if outcome == SENSITIVE:
    given = stats.norm.sf((np.maximum(margin, reach) - drop) / error)
  else:
    given = stats.norm.cdf((margin - reach - drop) / error) - stats.norm.cdf((reach - margin - drop) / error)
  return float(np.maximum(given, 0).mean())
