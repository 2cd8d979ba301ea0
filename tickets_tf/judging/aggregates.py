"""Over ratios and data sets: the mean drop, the probability that the original is better, and a list for exploring."""

from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import math

import numpy as np
import scipy  # Its stats is imported when it is first used, half a second that most programs save.

from tickets_tf.errors import UsageError
from tickets_tf.judging.bounds import Bounds
from tickets_tf.judging.bounds import Group
from tickets_tf.judging.bounds import check_alpha
from tickets_tf.judging.bounds import simultaneous


@dataclasses.dataclass(frozen=True)
class MeanDrops:
  """Mean drops over ratios or data sets.

  Attributes:
    bounds: by (rule, check); `rule_family` holds for all checks of a rule together, `whole_call` for all rules.
    ratios: how many ratios or data sets each is the mean of, by rule.
  """
  bounds: dict[tuple[str, str], Bounds]
  ratios: dict[str, int]


@dataclasses.dataclass(frozen=True)
class Superiority:
  """The probability that an original ticket is better than a checked one of another training; a tie is half of it."""
  probability: float
  interval: tuple[float, float]


def mean_drops(groups: Sequence[Group], resolution: float, alpha: float = 0.05) -> MeanDrops:
  """Returns the mean drop of each check of a rule over its ratios, with simultaneous intervals.

  The accuracies of a seed are averaged over ratios first, and the averages are judged as accuracies are. So whatever
  the tickets of one seed have in common at different ratios is in the deviation. Only what all ratios of a rule have
  counts: their common checks, and as many seeds as each has.

  Args:
    groups: rules at ratios; data sets may stand as more groups of the same rule, with other ratios.
    resolution: smallest step between two accuracies in percent points.
    alpha: probability that any interval of a family is wrong.
  """
  by_rule: dict[str, list[Group]] = {}
  for group in groups:
    by_rule.setdefault(group.rule, []).append(group)
  averaged, ratios = [], {}
  for rule, own in by_rule.items():
    checks = [check for check in own[0].checked if all(check in group.checked for group in own)]
    seeds = min(len(arm) for group in own for arm in (group.original, *(group.checked[check] for check in checks)))
    ratios[rule] = len(own)
    averaged.append(Group(rule, 0.0, _mean([group.original[:seeds] for group in own]),
                          {check: _mean([group.checked[check][:seeds] for group in own]) for check in checks}))
  found, _ = simultaneous(averaged, resolution / max(ratios.values(), default=1), alpha)
  return MeanDrops({(rule, check): bounds for (rule, _, check), bounds in found.items()}, ratios)


def superiority(strata: Sequence[tuple[Sequence[float], Sequence[float]]], alpha: float = 0.05) -> Superiority:
  """Returns the probability that an original is better than a checked ticket.

  It is Mann and Whitney's (1947) U over the number of pairs: it has no unit and is not moved by a few collapses. Over
  several strata it is the mean. The interval is method 5 of Newcombe (2006, Statistics in Medicine 25:559): all theta
  with |estimate - theta| <= z sqrt(V(theta)), V(theta) = theta (1 - theta) (1 + h (1 - theta) / (2 - theta) + h theta /
  (1 + theta)) / (m n), h = (m + n) / 2 - 1. V is averaged over strata and divided by their number.

  Args:
    strata: (accuracies of the originals, of the checked tickets), of one comparison or of one at each ratio.
    alpha: 1 - alpha is the confidence of this interval alone.

  Raises:
    UsageError: if there is no stratum, one is empty, or alpha is out of range.
  """
  check_alpha(alpha)
  if not strata or not all(len(one) and len(other) for one, other in strata):
    raise UsageError('superiority: expected accuracies of originals and of checked tickets')
  estimates = [float(np.mean(np.sign(np.subtract.outer(one, other)) + 1) / 2) for one, other in strata]
  estimate = math.fsum(estimates) / len(estimates)
  z = float(scipy.stats.norm.isf(alpha / 2))

  def error(theta: float) -> float:
    variances = []
    for one, other in strata:
      m, n = len(one), len(other)
      h = (m + n) / 2 - 1
      variances.append(theta * (1 - theta) * (1 + h * ((1 - theta) / (2 - theta) + theta / (1 + theta))) / (m * n))
    return math.sqrt(math.fsum(variances)) / len(variances)

  def end(far: float) -> float:
    if estimate == far:
      return far
    # Next to the estimate the difference is below z times the error, at 0 or 1 above it.
    near = estimate + 1e-9 * (far - estimate)
    gap = lambda theta: abs(estimate - theta) - z * error(theta)
    return float(scipy.optimize.brentq(gap, near, far))

  return Superiority(estimate, (end(0.0), end(1.0)))


def exploring(bounds: Mapping[tuple[str, float, str], Bounds], degrees_of_freedom: int
              ) -> dict[tuple[str, float, str], float]:
  """Returns q-values (Benjamini and Hochberg 1995) of the hypotheses that a drop is 0, for exploring.

  Of all comparisons with a q-value of at most q, a share of at most q is expected to be false: a list of what to look
  into, not a statement of any of them. p-values are two-sided, of Student's t. Comparisons that share an original are
  positively correlated, which the method stands (Benjamini and Yekutieli 2001).

  Args:
    bounds: what `simultaneous` returned.
    degrees_of_freedom: of their errors.
  """
  known = {key: each for key, each in bounds.items() if not math.isnan(each.error)}
  if not known:
    return {}
  ratios = [abs(each.drop) / each.error for each in known.values()]
  p_values = 2 * scipy.stats.t.sf(ratios, degrees_of_freedom)
  return dict(zip(known, scipy.stats.false_discovery_control(p_values).tolist(), strict=True))


def _mean(arms: Sequence[tuple[float, ...]]) -> tuple[float, ...]:
  """Returns the mean of each seed over some arms."""
  return tuple(math.fsum(each) / len(each) for each in zip(*arms, strict=True))
