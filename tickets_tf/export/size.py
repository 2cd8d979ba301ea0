"""What there is to know of a sparse network: the reference that sizes of its files are compared with."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tickets_tf.pruning import patterns
from tickets_tf.pruning.kernels import Kernel


@dataclasses.dataclass(frozen=True)
class Reference:
  """What there is to know of a sparse network.

  A file has to hold it in some way, but this is no limit: trained values are not equally likely, so that they can be
  compressed. What an integer form adds, scales and zero points, is not counted.

  Attributes:
    kept: weights that are kept.
    position_bits: bits of their positions, given the pattern and how many weights each layer keeps.
    others: parameters that are not pruned, such as biases.
  """
  kept: int
  position_bits: float
  others: int

  def bytes(self, bits: int = 32, other_bits: int = 32) -> float:
    """Returns the size for weights and other parameters of so many bits each."""
    return (bits * self.kept + self.position_bits + other_bits * self.others) / 8


def describe_layers(kernels: Sequence[Kernel], pattern: patterns.Pattern) -> list[dict[str, Any]]:
  """Returns what a ticket's description says of its prunable layers, JSON values.

  Weights are kept if they are not zero. A kernel that does not have the pattern, because it is too full for it or
  because channels have been removed from it, is counted as if there were none.

  Args:
    kernels: the network's kernels, with their variables.
    pattern: the pattern of the mask.
  """
  found = []
  for kernel in kernels:
    mask = kernel.arranged(kernel.variable.numpy() != 0)
    bits = (pattern if pattern.holds(mask) else patterns.UNSTRUCTURED).position_bits(mask)
    found.append({'name': kernel.name, 'shape': list(kernel.shape), 'kept': int(np.count_nonzero(mask)),
                  'position_bits': round(bits, 2)})
  return found


def reference(layers: Sequence[Mapping[str, Any]], parameters: int) -> Reference:
  """Returns the reference of a network.

  Args:
    layers: what `describe_layers` gave. Of a layer without `position_bits`, as earlier versions wrote it, every choice
      of positions counts as equally likely.
    parameters: number of all parameters, those of the layers among them.
  """
  kept, sizes = [layer['kept'] for layer in layers], [math.prod(layer['shape']) for layer in layers]
  bits = [layer.get('position_bits', patterns.log2_choices(size, count))
          for layer, size, count in zip(layers, sizes, kept, strict=True)]
  return Reference(sum(kept), sum(bits), parameters - sum(sizes))
