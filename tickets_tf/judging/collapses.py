"""How often tickets collapse, a comparison of its own: a mean over seeds hides that one ticket in five is dead.

A ticket collapses if its run failed or diverged, no path leads through it, or it does no better than guessing.
"""

from collections.abc import Sequence
import dataclasses
from typing import Literal

import scipy  # Its stats is imported when it is first used, half a second that most programs save.

from tickets_tf.errors import UsageError

Difference = Literal['checked tickets collapse more often', 'original tickets collapse more often', 'open']


@dataclasses.dataclass(frozen=True)
class Collapses:
  """How often the original and the checked ticket of a seed collapse.

  Attributes:
    seeds: number of pairs.
    original: pairs whose original collapses.
    checked: pairs whose checked ticket collapses.
    only_original: pairs of which only the original collapses.
    only_checked: pairs of which only the checked ticket collapses.
    original_rate: Clopper-Pearson interval (low, high) of the rate at which originals collapse, from 0 to 1.
    checked_rate: that of the checked tickets.
    checked_share: that of the share of `only_checked` in all pairs that differ; 1/2 is no difference. (0, 1) if no pair
      differs.
    p_value: two-sided, of the null hypothesis that both collapse equally often, not corrected.
    difference: what is shown at the level asked for.
  """
  seeds: int
  original: int
  checked: int
  only_original: int
  only_checked: int
  original_rate: tuple[float, float]
  checked_rate: tuple[float, float]
  checked_share: tuple[float, float]
  p_value: float
  difference: Difference


def compare_collapses(original: Sequence[bool], checked: Sequence[bool], alpha: float = 0.05) -> Collapses:
  """Compares how often two tickets of the same seeds collapse.

  The test is the sign test of the pairs that differ, McNemar's (1947) in exact form: if both collapse equally often,
  it is as likely that only the one collapses as that only the other does. Intervals are those of Clopper and Pearson
  (1934). All of it is exact for any number of seeds; 5 seeds in a row can show nothing at 5%, 6 can.

  Args:
    original: whether the original collapses, a value a seed.
    checked: whether the checked ticket does, of the same seeds.
    alpha: level; for one of m comparisons whose errors are held together, alpha / m (Bonferroni).

  Raises:
    UsageError: if the numbers of seeds differ or there are none.
  """
  if len(original) != len(checked) or not original:
    raise UsageError(f'collapses: {len(original)} originals, {len(checked)} checked; expected one of each per seed')
  seeds = len(original)
  only_original = sum(one and not other for one, other in zip(original, checked, strict=True))
  only_checked = sum(other and not one for one, other in zip(original, checked, strict=True))
  differing = only_original + only_checked
  p_value = float(scipy.stats.binomtest(only_checked, differing, 0.5).pvalue) if differing else 1.0
  difference: Difference = 'open'
  if p_value <= alpha:
    difference = ('checked tickets collapse more often' if only_checked > only_original
                  else 'original tickets collapse more often')
  return Collapses(seeds, sum(original), sum(checked), only_original, only_checked, rate(sum(original), seeds, alpha),
                   rate(sum(checked), seeds, alpha), rate(only_checked, differing, alpha), p_value, difference)


def rate(count: int, seeds: int, alpha: float = 0.05) -> tuple[float, float]:
  """Returns the Clopper-Pearson interval of a rate, from 0 to 1; (0, 1) without seeds.

  Args:
    count: how often it happened.
    seeds: out of how many.
    alpha: 1 - alpha is the confidence.
  """
  if not seeds:
    return 0.0, 1.0
  interval = scipy.stats.binomtest(count, seeds).proportion_ci(1 - alpha, 'exact')
  return float(interval.low), float(interval.high)


def guessing(classes: int, images: int, alpha: float = 0.001) -> float:
  """Returns the accuracy in percent that guessing exceeds with a probability of at most `alpha`.

  Args:
    classes: number of classes, about equally frequent.
    images: number of test images.
    alpha: for a ticket that guesses, the probability to be told from one.
  """
  return 100 * float(scipy.stats.binom.isf(alpha, images, 1 / classes)) / images
