"""The small dense network that stands in for a ticket: how its width was chosen, and how near it comes."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Narrowed:
  """A dense network of fewer filters, as large as a ticket of the wide one, as near as whole widths allow.

  Attributes:
    width: its width.
    of_width: the width of the network that the ticket is of.
    match: what it has as many of as the ticket: `'weights'`, prunable ones, or `'macs'`, multiply-accumulates an image.
    wanted: how many the ticket has.
    found: how many the small network has.
  """
  width: int
  of_width: int
  match: str
  wanted: int
  found: int

  def told(self) -> str:
    """Returns it in words, as in 'width 3 of 16 has 12,345 prunable weights, 1.2% more than the ticket's 12,199'."""
    what = {'weights': 'prunable weights', 'macs': 'multiply-accumulates an image'}[self.match]
    apart = (self.found - self.wanted) / max(self.wanted, 1)
    nearness = f'{abs(apart):.1%} {"more" if apart > 0 else "fewer"} than' if apart else 'as many as'
    return f'width {self.width} of {self.of_width} has {self.found:,} {what}, {nearness} the ticket\'s {self.wanted:,}'
