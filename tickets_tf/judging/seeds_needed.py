"""How many seeds would let something be said of a comparison that is open: a range, since little is known of it yet.

One number would hold by luck. Of an open comparison neither the drop nor the deviation is known well, so the answer is
given for the ends of an interval of each: the fewest seeds that may be enough, and the most that may be needed.
"""

import bisect
import dataclasses
import math

import scipy  # Its stats is imported when it is first used, half a second that most programs save.

from tickets_tf.errors import UsageError
from tickets_tf.judging.bounds import Bounds
from tickets_tf.judging.bounds import check_bounds
from tickets_tf.judging.bounds import critical_value


@dataclasses.dataclass(frozen=True)
class SeedsNeeded:
  """Numbers of seeds in total at which an open comparison gets a statement with the wanted probability.

  Attributes:
    fewest: if drop and deviation are at the best ends of their intervals; None: not within `limit`.
    most: if they are at the worst ends; None: not within `limit`.
    limit: the most seeds that were considered.
  """
  fewest: int | None
  most: int | None
  limit: int

  def told(self, flag: str = '--max_seeds') -> str:
    """Returns the range in words, as in '8 to 20 seeds'."""
    if self.fewest is None:
      return f'not within {flag}={self.limit}'
    if self.most is None:
      return f'{self.fewest} seeds at best, perhaps not within {flag}={self.limit}'
    return f'{self.fewest} seeds' if self.fewest == self.most else f'{self.fewest} to {self.most} seeds'


@dataclasses.dataclass(frozen=True)
class NextLook:
  """How a comparison will be judged next.

  Attributes:
    groups: groups of its family, as in `critical_value`.
    comparisons: comparisons of each.
    level: error rate that the look takes, two-sided.
    margin: in percent points.
    can_fail: whether it may be told to be worth less than the margin; see `statements.obstacle`.
    limit: the most seeds that there can be.
  """
  groups: int
  comparisons: int
  level: float
  margin: float
  can_fail: bool
  limit: int


def seeds_needed(bounds: Bounds, seeds: int, degrees_of_freedom: int, look: NextLook, power: float = 0.8,
                 confidence: float = 0.8) -> SeedsNeeded | None:
  """Returns how many seeds would give an open comparison a statement.

  With r the half width of the interval that n seeds would give, something is said if the estimate is above r ('uses
  it') or below margin - r ('worth less than d'). If r is half of the margin, one of the two always is. The estimate is
  taken as normal with the deviation error sqrt(seeds), and the degrees of freedom as growing by one a seed.

  Args:
    bounds: what is known now.
    seeds: number of seeds behind it.
    degrees_of_freedom: of its error.
    look: how it will be judged.
    power: wanted probability of a statement, above 0.5 and below 1.
    confidence: of the intervals of drop and deviation, likewise.

  Returns:
    The range, or None for fewer than 3 seeds.

  Raises:
    UsageError: if an argument is out of range.
  """
  check_bounds(look.margin, look.level)
  for name, value in (('power', power), ('confidence', confidence)):
    if not 0.5 < value < 1:
      raise UsageError(f'{name} {value!r}: expected a number above 0.5 and below 1')
  if math.isnan(bounds.error):
    return None
  tail = (1 - confidence) / 2
  reach = float(scipy.stats.t.isf(tail, degrees_of_freedom)) * bounds.error
  ends = bounds.drop - reach, bounds.drop + reach
  # The worst drop lies half-way between what the two statements ask for, the best at one end.
  drops = *ends, min(max(look.margin / 2 if look.can_fail else 0.0, ends[0]), ends[1])
  scale = [math.sqrt(degrees_of_freedom / float(scipy.stats.chi2.isf(end, degrees_of_freedom)))
           for end in (tail, 1 - tail)]
  low, high = (factor * bounds.error * math.sqrt(seeds) for factor in scale)
  more = range(seeds + 1, look.limit + 1)

  def enough(deviation: float, best: bool) -> int | None:
    def chance(n: int) -> float:
      found = [statement_probability(drop, deviation, n, degrees_of_freedom + n - seeds, look) for drop in drops]
      return max(found) if best else min(found)

    index = bisect.bisect_left(more, power, key=chance)
    return more[index] if index < len(more) else None

  return SeedsNeeded(enough(low, True), enough(high, False), look.limit)


def statement_probability(drop: float, deviation: float, n: int, degrees_of_freedom: int, look: NextLook) -> float:
  """Returns the probability that n seeds let something be said, for errors about as large as expected.

  Args:
    drop: true drop, in percent points.
    deviation: true deviation of the difference of one seed, in percent points.
    n: number of seeds.
    degrees_of_freedom: of the errors.
    look: how it is judged.
  """
  error = max(deviation / math.sqrt(n), 1e-12)
  reach = critical_value(look.groups, look.comparisons, degrees_of_freedom, look.level) * error
  low = look.margin - reach if look.can_fail else -reach
  if low >= reach:
    return 1.0
  normal = scipy.special.ndtr
  return float(normal((drop - reach) / error) + normal((low - drop) / error))
