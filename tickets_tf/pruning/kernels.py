"""What may be pruned, described without TensorFlow."""

import dataclasses
import math
from typing import Any


@dataclasses.dataclass(frozen=True)
class Kernel:
  """One prunable kernel of a network.

  Attributes:
    name: unique within the network, e.g. `'stage2_block1_conv1'`.
    shape: HWIO for convolutions, (inputs, outputs) for dense layers.
    kind: `'conv'` or `'dense'`.
    classifier: whether this is the network's classifier (the last dense layer).
    residual: whether the network has residual connections; smart ratios depend on it.
    flattened: shape (height, width, channels) of the feature map whose values are a dense layer's inputs, where a
      layer flattens one for it, else None; PyTorch flattens in another order.
    variable: the live variable, or None where only the description is needed.
    layer: the live layer that owns the variable, or None.
  """
  name: str
  shape: tuple
  kind: str
  classifier: bool = False
  residual: bool = False
  flattened: tuple | None = None
  variable: Any = dataclasses.field(default=None, compare=False, repr=False)
  layer: Any = dataclasses.field(default=None, compare=False, repr=False)

  @property
  def size(self):
    """Number of weights."""
    return math.prod(self.shape)
