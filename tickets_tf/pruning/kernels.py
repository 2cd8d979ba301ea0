"""Kernels: the weight arrays that may be pruned, described without TensorFlow."""

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
    flattened: shape (height, width, channels) of the feature map that is flattened into a dense layer's inputs, or None
      if there is none; PyTorch flattens in another order.
    variable: the live `tf.Variable`, or None if only the description is needed; Any, as no TensorFlow is imported here.
    layer: the live Keras layer that owns the variable, or None.
  """
  name: str
  shape: tuple[int, ...]
  kind: str
  classifier: bool = False
  residual: bool = False
  flattened: tuple[int, int, int] | None = None
  variable: Any = dataclasses.field(default=None, compare=False, repr=False)
  layer: Any = dataclasses.field(default=None, compare=False, repr=False)

  @property
  def size(self) -> int:
    """Number of weights."""
    return math.prod(self.shape)
