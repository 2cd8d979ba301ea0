"""How the mask of a ticket changed in training."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class MaskChange:
  """One mask update.

  Attributes:
    step: the step before which the mask changed, counted from 0 over all epochs.
    kept: weights that each layer keeps from then on, in network order.
    removed: number of weights that were kept before and are not from then on.
    grown: number of weights that were not kept before and are from then on.
  """
  step: int
  kept: tuple[int, ...]
  removed: int
  grown: int

  @property
  def replaced(self) -> float:
    """Share of the kept weights that came back in this update, in [0, 1]."""
    return self.grown / max(sum(self.kept), 1)
