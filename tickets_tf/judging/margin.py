"""The margin of a statement: a number of percent points, or a share of the gap between the dense network and luck."""

import dataclasses
import math
import re

from tickets_tf.errors import UsageError

_GAP = re.compile(r'(.+)gap')


@dataclasses.dataclass(frozen=True)
class Margin:
  """What a drop has to be worth more or less than.

  Attributes:
    amount: percent points, or a share of the gap, above 0.
    of_gap: whether it is a share.
  """
  amount: float
  of_gap: bool = False

  @classmethod
  def parse(cls, text: str) -> 'Margin':
    """Reads a margin such as `0.5` or `0.2gap`.

    Args:
      text: percent points, or a share of the gap dense - luck at the ratio of the comparison.

    Raises:
      UsageError: if it is neither, or not above 0.
    """
    found = _GAP.fullmatch(text)
    try:
      amount = float(found[1] if found else text)
    except ValueError:
      amount = math.nan
    if not 0 < amount < math.inf:
      raise UsageError(f'--margin={text}: expected percent points above 0, such as 0.5, or a share of the gap between '
                       'the dense network and luck, such as 0.2gap')
    return cls(amount, found is not None)

  def __str__(self) -> str:
    return f'{self.amount:g}' + 'gap' * self.of_gap

  def points(self, gap: float | None) -> float | None:
    """Returns the margin in percent points; None if it is a share of a gap that is unknown or no gap at all.

    Args:
      gap: mean accuracy of the dense network minus that of luck, in percent points; None if unknown.
    """
    if not self.of_gap:
      return self.amount
    return self.amount * gap if gap is not None and gap > 0 else None
