"""A ticket against its checked ticket over seeds: mean difference, confidence interval and the p-values of t-tests.

A drop is original - checked, in percent points. The tests are t-tests, so their error rates hold for drops that are
about normal over seeds. Everything here works on values and draws nothing.
"""

import dataclasses
import math
import numbers

import numpy as np
import numpy.typing as npt
import scipy  # Its stats is imported when it is first used, half a second that most programs save.

from tickets_tf.errors import UsageError

_Floats = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Comparison:
  """The original against one check, paired by seed. All numbers but `n` and the p-values are in percent points.

  Attributes:
    n: number of pairs.
    original_mean: mean accuracy of the original tickets.
    original_deviation: sample standard deviation (n - 1) of their accuracies; None for n = 1.
    checked_mean: mean accuracy of the checked tickets.
    checked_deviation: sample standard deviation (n - 1) of their accuracies; None for n = 1.
    drop: mean of the paired differences original - checked.
    deviation: sample standard deviation (n - 1) of the differences; None for n = 1.
    interval: (low, high), the two-sided confidence interval of the drop; None for n = 1.
    margin: drops smaller than this, up or down, count as none.
    resolution: smallest step between two accuracies; 0 if accuracies are exact.
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
  interval: tuple[float, float] | None
  margin: float
  resolution: float
  p_equivalent: float | None
  p_drop: float | None


def compare(original: npt.ArrayLike, checked: npt.ArrayLike, margin: float = 0.5, alpha: float = 0.05,
            resolution: float = 0.0) -> Comparison:
  """Compares paired accuracies; pair i holds the original and the checked ticket of one seed.

  `p_equivalent` is the larger p-value of two one-sided paired t-tests against -margin and +margin (TOST, Schuirmann
  1987); `p_drop` is that of the one-sided paired t-test (Student 1908). If all differences are equal, the p-values are
  their limits as the deviation goes to 0: 0 or 1 on either side of a bound, and 0.5 on it. The deviation of the tests
  and of the interval is that of `tested_deviation`.

  Args:
    original: n accuracies in percent points.
    checked: n accuracies in percent points, of the same seeds in the same order.
    margin: equivalence margin in percent points, above 0.
    alpha: 1 - alpha is the confidence of the interval; no p-value depends on it.
    resolution: smallest step between two accuracies in percent points, 100 / test images; 0 takes them as exact.

  Returns:
    A `Comparison`.

  Raises:
    UsageError: if there are no pairs, the numbers of accuracies differ, an accuracy is NaN or infinite, or margin,
      alpha or resolution is out of range.
  """
  originals, others = _accuracies('original', original), _accuracies('checked', checked)
  if len(originals) != len(others):
    raise UsageError(f'accuracies do not pair: {len(originals)} of the original, {len(others)} of the check; '
                     'expected one of each per seed')
  check_bounds(margin, alpha)
  if not _is_number(resolution) or not 0 <= resolution < math.inf:
    raise UsageError(f'resolution {resolution!r}: expected percent points, at least 0')
  n = len(originals)
  # Subtraction leaves noise of about 1e-14 points. If all differences are equal, it would pass for a deviation.
  drop, deviation = _moments(np.round(originals - others, 9))
  interval = p_equivalent = p_drop = None
  if deviation is not None:
    tested = float(tested_deviation(deviation, resolution))
    reach = float(scipy.stats.t.isf(alpha / 2, n - 1) * tested / math.sqrt(n))
    interval = drop - reach, drop + reach
    p_equivalent, p_drop = map(float, p_values(np.array(drop), np.array(tested), n, margin))
  return Comparison(n, *_moments(originals), *_moments(others), drop, deviation, interval, float(margin),
                    float(resolution), p_equivalent, p_drop)


def tested_deviation(deviation: npt.ArrayLike, resolution: float) -> _Floats:
  """Returns what the tests take as the deviation of the differences.

  Accuracies on a test set of N images are multiples of 100 / N points, so three differences are often equal by chance,
  and a deviation of 0 would call that certain: with N = 360, 3 seeds and 8 comparisons, up to 0.2 of the simulated
  families had a wrong verdict. So the deviation is taken as at least r / sqrt(6), with r the resolution. That is the
  deviation of the difference of two rounding errors, each uniform with variance r^2 / 12.

  Args:
    deviation: sample deviations in percent points, of any shape.
    resolution: smallest step between two accuracies in percent points; 0 takes them as exact.
  """
  return np.maximum(np.asarray(deviation, np.float64), resolution / math.sqrt(6))


def p_values(drop: _Floats, deviation: _Floats, n: int, margin: float) -> tuple[_Floats, _Floats]:
  """Returns (p_equivalent, p_drop) of paired differences, see `compare`.

  Args:
    drop: mean differences in percent points, of any shape.
    deviation: their sample deviations as the tests take them, of the same shape.
    n: number of differences behind each mean, at least 2.
    margin: equivalence margin in percent points.
  """
  error = np.asarray(deviation / np.sqrt(n))

  def tail(distance: _Floats) -> _Floats:
    limit = np.where(distance == 0, 0, np.copysign(math.inf, distance))
    return np.asarray(scipy.stats.t.sf(np.divide(distance, error, out=limit, where=error > 0), n - 1))

  return np.maximum(tail(drop + margin), tail(margin - drop)), tail(drop)


def check_bounds(margin: float, alpha: float) -> None:
  """Checks the margin and the error rate of verdicts.

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


def _accuracies(name: str, values: npt.ArrayLike) -> _Floats:
  try:
    array = np.asarray(values, np.float64)
  except (TypeError, ValueError):
    raise UsageError(f'{name}: expected a sequence of accuracies in percent points, found {values!r}') from None
  if array.ndim != 1 or not array.size:
    raise UsageError(f'{name}: expected at least one accuracy, as a flat sequence, found {values!r}')
  for index in np.flatnonzero(~np.isfinite(array)):
    raise UsageError(f'{name}[{index}] is {array[index]}: expected an accuracy in percent points')
  return array


def _moments(values: _Floats) -> tuple[float, float | None]:
  """Returns mean and sample deviation; exact if all values are equal, which NumPy's are not."""
  if np.ptp(values) == 0:
    return float(values[0]), 0.0 if len(values) > 1 else None
  return float(values.mean()), float(values.std(ddof=1))
