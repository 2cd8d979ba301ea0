"""Kernels: the weight arrays that may be pruned, described without TensorFlow."""

import dataclasses
import math
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class Kernel:
  """One prunable kernel of a network.

  Attributes:
    name: unique within the network, e.g. `'stage2_block1_conv1'`; the same in every process.
    shape: HWIO for convolutions, (inputs, outputs) for dense layers.
    kind: `'conv'`, `'dense'`, `'recurrent'`, `'embedding'` or `'local'`.
    classifier: whether this is the network's classifier (the last dense layer).
    residual: whether the network has residual connections; smart ratios depend on it.
    flattened: shape (height, width, channels) of the feature map that is flattened into a dense layer's inputs, or None
      if there is none; PyTorch flattens in another order.
    unknown_order: whether the inputs may be a flattened map in an order that the network's graph does not tell.
    depthwise: whether every channel has weights of its own, in the shape (height, width, channels, multiplier).
    inputs: the axes of the shape that count what one output at one place sums over.
    outputs: the axes that count the outputs. All other axes are places, such as the height and width of a convolution.
    variable: the live `tf.Variable`, or None if only the description is needed; Any, as no TensorFlow is imported here.
    layer: the live Keras layer that owns the variable, or None; of a cell, the recurrent layer around it.
  """
  name: str
  shape: tuple[int, ...]
  kind: str
  classifier: bool = False
  residual: bool = False
  flattened: tuple[int, int, int] | None = None
  unknown_order: bool = False
  depthwise: bool = False
  inputs: tuple[int, ...] = (-2,)
  outputs: tuple[int, ...] = (-1,)
  variable: Any = dataclasses.field(default=None, compare=False, repr=False)
  layer: Any = dataclasses.field(default=None, compare=False, repr=False)

  def __post_init__(self) -> None:
    """Counts the axes from the first; an array of one axis has inputs alone."""
    rank = len(self.shape)
    inputs, outputs = (self.inputs, self.outputs) if rank > 1 else ((0,) * rank, ())
    object.__setattr__(self, 'inputs', tuple(axis % rank for axis in inputs))
    object.__setattr__(self, 'outputs', tuple(axis % rank for axis in outputs))

  @property
  def size(self) -> int:
    """Number of weights."""
    return math.prod(self.shape)

  @property
  def places(self) -> tuple[int, ...]:
    """The axes that count neither inputs nor outputs."""
    return tuple(axis for axis in range(len(self.shape)) if axis not in self.inputs + self.outputs)

  @property
  def fans(self) -> tuple[int, int]:
    """(number of inputs of one output at one place, number of outputs)."""
    return math.prod(self.shape[axis] for axis in self.inputs), math.prod(self.shape[axis] for axis in self.outputs)

  @property
  def split(self) -> bool:
    """Whether a dense layer's inputs or outputs are split over several axes, as those of the heads of attention."""
    return self.kind == 'dense' and len(self.shape) > 2 and not self.places

  def arranged(self, values: np.ndarray) -> np.ndarray:
    """Returns an array of the kernel's shape in the form (*places, inputs, outputs), whatever the order of its axes."""
    order = self.places + self.inputs + self.outputs
    return values.transpose(order).reshape(*(self.shape[axis] for axis in self.places), *self.fans)

  def restored(self, values: np.ndarray) -> np.ndarray:
    """Returns an array that `arranged` gave in the kernel's shape."""
    order = self.places + self.inputs + self.outputs
    return values.reshape([self.shape[axis] for axis in order]).transpose(np.argsort(order))
