"""Verdicts on a family of comparisons, corrected so that even one wrong verdict in the family is rare.

The correction is Holm's step-down method (Holm 1979) with m comparisons as units that test two hypotheses each: both
p-values of a comparison are compared with alpha / (comparisons still open), and a comparison is closed once *both* its
hypotheses are rejected.

Why no factor 2: if both null hypotheses of a comparison are true, then drop <= -margin, and both p-values are at least
that of the t-test against -margin, so the smaller one is a valid p-value too. So one comparison alone is tested at
alpha, and a family is never tested more strictly than by Holm's method on all 2 m p-values (Shaffer 1986 has the idea
of counting only hypotheses that can be true together).

Why a verdict does not close its comparison: the other hypothesis can still be true. Eight checks with a drop exactly at
the margin would each get a correct `'sensitive'` half of the time; the others, tested at the levels that this frees,
would wrongly be called insensitive with a probability of nearly 2 alpha.

All of this holds for any dependence between comparisons, which share their originals.
"""

from collections.abc import Iterable
import dataclasses
import numbers
from typing import Literal

import numpy as np
import numpy.typing as npt

from tickets_tf.errors import UsageError
from tickets_tf.judging.comparison import Comparison
from tickets_tf.judging.comparison import check_alpha

# What a verdict can be.
Decision = Literal['insensitive', 'sensitive', 'undecided']
INSENSITIVE: Decision = 'insensitive'
SENSITIVE: Decision = 'sensitive'
UNDECIDED: Decision = 'undecided'
_DECISIONS = {decision: decision for decision in (INSENSITIVE, SENSITIVE, UNDECIDED)}
MINIMUM = 3  # With fewer seeds the verdict is always undecided.

_Floats = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Verdict:
  """The verdict on one comparison of a family.

  Attributes:
    outcome: `'insensitive'`, `'sensitive'` or `'undecided'`.
    p_equivalent: p-value of |drop| >= margin, corrected for the family, to compare with `alpha`; None for n < 3.
    p_drop: p-value of drop <= 0, corrected likewise; None for n < 3.
    alpha: the family-wise level.
    level: what the p-values before correction were compared with: alpha / open comparisons.
  """
  outcome: Decision
  p_equivalent: float | None
  p_drop: float | None
  alpha: float
  level: float


def judge(comparisons: Iterable[Comparison], alpha: float = 0.05, family: int | None = None) -> list[Verdict]:
  """Gives each comparison of a family its verdict; the probability of even one wrong verdict is at most `alpha`.

  `'insensitive'` is wrong if |drop| >= margin, `'sensitive'` if drop <= 0. The verdict on a comparison is
  `'insensitive'` if its corrected `p_equivalent` is at most alpha. It is `'sensitive'` if its corrected `p_drop` is at
  most alpha and the estimated drop is above the margin. Otherwise, and always with n < 3, it is `'undecided'`. No
  comparison can be both, as p_equivalent is above 0.5 if the estimate is outside the margin.

  Args:
    comparisons: the family. Those with n < 3 count as members that stay open.
    alpha: family-wise level, above 0 and below 0.5; if there are several looks, the level of this look.
    family: number of comparisons in the whole family, for a later look that leaves out those that have their verdict;
      they count as open. None: the number given.

  Returns:
    One `Verdict` per comparison.

  Raises:
    UsageError: if alpha or family is out of range.
  """
  comparisons = list(comparisons)
  check_alpha(alpha)
  family = len(comparisons) if family is None else family
  if not isinstance(family, numbers.Integral) or family < len(comparisons):
    raise UsageError(f'family {family!r}: expected a whole number of at least {len(comparisons)}, the number given')
  if not comparisons:
    return []
  outcomes, p_equivalent, p_drop = decide(*_columns(comparisons, family), alpha=alpha)
  still_open = int(np.count_nonzero(np.maximum(p_equivalent, p_drop) > alpha))
  level = alpha / max(still_open, 1)
  verdicts = []
  for index, comparison in enumerate(comparisons):
    corrected = (float(p_equivalent[index]), float(p_drop[index])) if comparison.n >= MINIMUM else (None, None)
    verdicts.append(Verdict(_DECISIONS[outcomes[index]], *corrected, alpha, level))
  return verdicts


def decide(drop: _Floats, margin: _Floats | float, p_equivalent: _Floats, p_drop: _Floats, alpha: float
           ) -> tuple[npt.NDArray[np.str_], _Floats, _Floats]:
  """Returns (outcomes, corrected p_equivalent, corrected p_drop) of families along the last axis, see `judge`.

  Args:
    drop: mean differences in percent points, [..., family].
    margin: equivalence margins in percent points, of a shape that fits.
    p_equivalent: p-values before correction, [..., family].
    p_drop: p-values before correction, [..., family].
    alpha: family-wise level.
  """
  largest = np.maximum(p_equivalent, p_drop)
  p_equivalent, p_drop = _corrected(p_equivalent, largest), _corrected(p_drop, largest)
  sensitive = (p_drop <= alpha) & (drop > margin)
  outcomes = np.where(p_equivalent <= alpha, INSENSITIVE, np.where(sensitive, SENSITIVE, UNDECIDED))
  return outcomes, p_equivalent, p_drop


def _columns(comparisons: list[Comparison], family: int) -> _Floats:
  """Returns drops, margins, p_equivalent and p_drop of a family, [4, family]."""
  # A p-value of 1 keeps a member open and without a verdict.
  columns = np.ones((4, family))
  for index, comparison in enumerate(comparisons):
    columns[:2, index] = comparison.drop, comparison.margin
    if comparison.n >= MINIMUM:
      columns[2:, index] = comparison.p_equivalent, comparison.p_drop
  return columns


def _corrected(p_values: _Floats, largest: _Floats) -> _Floats:
  # A comparison is closed by its largest p-value. The method gets past a value t if t times the comparisons open at t
  # is at most alpha, and on its way to p it gets past all smaller values that close one. With one p-value each this is
  # Holm's own correction.
  def times_open(values: _Floats) -> _Floats:
    return np.asarray(values * np.count_nonzero(largest[..., np.newaxis, :] >= values[..., np.newaxis], axis=-1))

  on_the_way = largest[..., np.newaxis, :] <= p_values[..., np.newaxis]
  before = np.where(on_the_way, times_open(largest)[..., np.newaxis, :], 0).max(axis=-1)
  return np.asarray(np.minimum(np.maximum(times_open(p_values), before), 1))
