"""What may be said of a comparison: words read off its interval, and one plain sentence that tells the bounds.

All words of a family hold together whenever its intervals do, so nothing is paid for saying more than one of them. No
word says that a rule does not use something: an interval bounds what it is worth.
"""

import math
from typing import Literal

Statement = Literal['uses it', 'worth more than d', 'worth less than d', 'better without it', 'equivalent', 'open']
USES: Statement = 'uses it'
MORE: Statement = 'worth more than d'
LESS: Statement = 'worth less than d'
BETTER_WITHOUT: Statement = 'better without it'
EQUIVALENT: Statement = 'equivalent'
OPEN: Statement = 'open'

Interval = tuple[float, float]


def statements(interval: Interval | None, margin: float, can_fail: bool = True) -> tuple[Statement, ...]:
  """Returns what may be said of a drop.

  With L and U the ends: 'uses it' if L > 0, 'worth more than d' if L > d, 'worth less than d' if U < d, 'better without
  it' if U < 0, 'equivalent' if -d < L and U < d, and 'open' if nothing else may be said.

  Args:
    interval: simultaneous interval (L, U) of the drop, in percent points; None for fewer than 3 seeds.
    margin: d, in percent points, above 0.
    can_fail: whether the comparison could have come out otherwise; see `obstacle`. If not, nothing is said to be worth
      less than the margin.
  """
  if interval is None:
    return (OPEN,)
  low, high = interval
  found: dict[Statement, bool] = {
      USES: low > 0,
      MORE: low > margin,
      LESS: high < margin and can_fail,
      BETTER_WITHOUT: high < 0,
      EQUIVALENT: -margin < low and high < margin and can_fail}
  return tuple(word for word, holds in found.items() if holds) or (OPEN,)


def obstacle(failed: int, cut: int, gap: Interval | None, margin: float) -> str:
  """Returns why a comparison could not have failed, so that no upper bound of it may be told; empty if it could.

  Args:
    failed: number of runs of either side that failed or diverged.
    cut: number of original tickets that are cut, or do no better than guessing.
    gap: simultaneous interval of the accuracy of the dense network minus that of luck, in percent points; None if it is
      not known.
    margin: in percent points.
  """
  reasons = []
  if failed:
    reasons.append(f'{failed} of its runs failed')
  if cut:
    reasons.append(f'{cut} of the original tickets collapsed')
  if gap is None or not gap[0] > margin:
    reasons.append(f'the gap between the dense network and luck is not shown to be above {margin:.3g} points')
  return ', and '.join(reasons)


def sentence(rule: str, subject: str, interval: Interval | None, together: str = '', alpha: float = 0.05,
             why_open: str = '') -> str:
  """Returns one interval in a plain sentence, without a full stop.

  As in 'the labels are worth at most 1.6 points to snip, and cost it at most 0.35 (95%, all seven checks together)'.
  Ends are rounded outwards to two digits after the point.

  Args:
    rule: name of the rule.
    subject: what the check takes away, as in 'the labels'.
    interval: simultaneous interval of the drop, in percent points; None for fewer than 3 seeds.
    together: what holds together, as in 'all seven checks together'; empty for one interval alone.
    alpha: the probability that any of the intervals is wrong.
    why_open: what `obstacle` returned. With it no upper bound is told.
  """
  are = _verb(subject)
  if interval is None:
    return f'it is open what {subject} {are} worth to {rule}: fewer than 3 seeds'
  low, high = interval
  confidence = ', '.join(filter(None, (f'{100 * (1 - alpha):g}%', together)))
  if high < 0:
    return f'{rule} is better without {subject}, by {_down(-high)} to {_up(-low)} points ({confidence})'
  if low > 0:
    least = f'{subject} {are} worth at least {_down(low)} points to {rule}'
    most = f'no upper bound is told, as {why_open}' if why_open else f'at most {_up(high)}'
    return f'{least}, {most} ({confidence})'
  if why_open:
    return (f'it is open what {subject} {are} worth to {rule}, as {why_open}; the interval is from {_ends(low, high)} '
            f'points ({confidence})')
  cost = 'costs' if are == 'is' else 'cost'
  return (f'{subject} {are} worth at most {_up(high)} points to {rule}, and {cost} it at most {_up(-low)} '
          f'({confidence})')


def _verb(subject: str) -> str:
  """Returns 'are' if a subject is about more than one thing, by the last word of its head."""
  head = subject
  for word in (',', ' of ', ' that ', ' to ', ' it ', ' in ', ' beyond ', ' under '):
    head = head.partition(word)[0]
  plural = ' and ' in head or (head.endswith('s') and not subject.startswith('which '))
  return 'are' if plural else 'is'


def _ends(low: float, high: float) -> str:
  return f'{_down(low)} to {math.ceil(round(100 * high, 6)) / 100:g}'


def _down(value: float) -> str:
  return f'{math.floor(round(100 * value, 6)) / 100:g}'


def _up(value: float) -> str:
  return f'{abs(math.ceil(round(100 * value, 6)) / 100):g}'
