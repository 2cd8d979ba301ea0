"""A smaller network with the same outputs, and what it saves."""

from collections.abc import Sequence
import dataclasses
import math

import numpy as np
import tf_keras as keras

from tickets_tf.errors import UsageError
from tickets_tf.models.compaction.call import Weights
from tickets_tf.models.compaction.network import Network
from tickets_tf.models.macs import multiply_accumulates
from tickets_tf.models.prunable import prunable_kernels
from tickets_tf.pruning.kernels import Kernel
from tickets_tf.pruning.mask import Mask


def compact(model: keras.Model, mask: Mask | None = None) -> keras.Model:
  """Returns a smaller network of plain Keras layers that computes the same in inference, up to rounding in float32.

  It understands convolutions and dense layers, depthwise convolutions, batch norm, elementwise activations, pooling,
  padding, `Flatten`, `Concatenate` and `Add`. Any other layer is copied as it is and keeps all its channels. A sum
  loses its terms that are constants. Inputs and outputs keep their shapes; a layer keeps its name, and at least one
  channel.

  Args:
    model: a built functional or sequential `tf_keras` model without wrappers. It is left as it was, and shares no
      variable with the result.
    mask: which weights of its `prunable_kernels` are kept; None: those that are not zero.

  Returns:
    A functional `tf_keras` model. `Compaction.between` tells what was removed.

  Raises:
    UsageError: if the mask does not fit, or the model is subclassed.
  """
  if not getattr(model, '_is_graph_network', False):
    raise UsageError(f'model {model.name!r} is subclassed; compaction needs functional or sequential models')
  network = Network(model, _masked_weights(model, mask))
  network.settle()
  return network.build()


def _masked_weights(model: keras.Model, mask: Mask | None) -> Weights:
  kept = {}
  if mask is not None:
    kernels = prunable_kernels(model)
    mask.check(kernels)
    kept = {id(kernel.variable): mask[kernel.name] for kernel in kernels}
  return lambda layer: [np.where(kept.get(id(variable), True), variable.numpy(), 0) for variable in layer.weights]


@dataclasses.dataclass(frozen=True)
class CompactedLayer:
  """What compaction made of a layer with kernel. Pairs are (before, after); after is 0 if the layer is gone.

  Attributes:
    name: name of its kernel.
    channels: of its output.
    weights: of its kernel.
  """
  name: str
  channels: tuple[int, int]
  weights: tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Compaction:
  """What compaction removed. Pairs are (before, after).

  Attributes:
    layers: the layers with kernels, in network order.
    weights: of all kernels.
    macs: multiply-accumulates of one image in all kernels, zeros included; None if those of a layer are not known.
  """
  layers: tuple[CompactedLayer, ...]
  weights: tuple[int, int]
  macs: tuple[int | None, int | None]

  @classmethod
  def between(cls, model: keras.Model, compacted: keras.Model) -> 'Compaction':
    """Returns what was removed.

    Args:
      model: the model that `compact` was given.
      compacted: what it returned.
    """
    before, after = prunable_kernels(model), prunable_kernels(compacted)
    left = {kernel.name: kernel for kernel in after}
    return cls(layers=tuple(_compacted_layer(kernel, left.get(kernel.name)) for kernel in before),
               weights=(sum(kernel.size for kernel in before), sum(kernel.size for kernel in after)),
               macs=(_macs(before), _macs(after)))


def _compacted_layer(before: Kernel, after: Kernel | None) -> CompactedLayer:
  return CompactedLayer(before.name, channels=(_output_channels(before), _output_channels(after) if after else 0),
                        weights=(before.size, after.size if after else 0))


def _output_channels(kernel: Kernel) -> int:
  return math.prod(kernel.shape[axis] for axis in kernel.outputs)


def _macs(kernels: Sequence[Kernel]) -> int | None:
  macs = multiply_accumulates(kernels, [kernel.size for kernel in kernels])
  known = [each for each in macs if each is not None]
  return sum(known) if len(known) == len(macs) else None
