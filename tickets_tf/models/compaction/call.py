"""One call of a layer, as compaction sees it: channels in and channels out.

A channel is an entry of a tensor's last axis. What the known kinds of layers do to channels is in `channelwise` and
`linear`.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tf_keras as keras

from tickets_tf.models.copying import copied

Bits = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.intp]
Index = tuple[Any, ...]  # of a NumPy array
Weights = Callable[[keras.layers.Layer], list[npt.NDArray[Any]]]  # what a layer's weights are


@dataclasses.dataclass(frozen=True)
class Constants:
  """What is known of a tensor's channels.

  Attributes:
    values: [channels]; NaN for a channel that depends on the network's input.
    flat: whether a constant has its value at every position. Otherwise it has been padded with zeros: every constant
      is its value times the same picture of zeros and ones.
  """
  values: Floats
  flat: bool = True

  @classmethod
  def none(cls, channels: int) -> 'Constants':
    """Returns that nothing is known of so many channels."""
    return cls(np.full(channels, np.nan))

  def steady(self) -> Floats:
    """Returns the values of constants that are the same at every position, NaN for other channels."""
    return self.values if self.flat else np.where(self.values == 0, 0.0, np.nan)


class Call:
  """The call of a layer of unknown kind: it reads all channels, and none of its own can be removed.

  Args:
    node: the Keras node of the call.
    weights: gives the weights of a layer.

  Attributes:
    inputs: keys of the tensors that it takes.
    outputs: keys of the tensors that it gives.
    fixed: whether all channels of its outputs must stay.
    makes_channels: whether its kernel makes channels of its own that can go one by one.
    changed: whether anything has changed since this was last set to False.
  """
  fixed = True
  makes_channels = False

  def __init__(self, node: Any, weights: Weights) -> None:
    self.layer = node.layer
    self.inputs = [id(tensor) for tensor in node.keras_inputs]
    self.outputs = [id(tensor) for tensor in tf.nest.flatten(node.outputs)]
    self.changed = False
    self._node = node
    self._weights = weights
    self._channels = [channels_of(tensor) for tensor in node.keras_inputs]
    self._own_channels = [channels_of(tensor) for tensor in tf.nest.flatten(node.outputs)]

  def live_inputs(self) -> list[int]:
    """Returns the keys of the inputs that still matter."""
    return self.inputs

  def trace(self, numbers: Sequence[Integers]) -> tuple[Integers | None, list[tuple[Integers, Integers]]]:
    """Follows channels through the layer.

    Args:
      numbers: for every input the numbers of its channels.

    Returns:
      (numbers of the output's channels, or None if its channels are new; pairs of arrays of numbers, whose entries can
      only be removed together).
    """
    del numbers
    return None, []

  def constants(self, inputs: Sequence[Constants]) -> list[Constants]:
    """Absorbs constants among its inputs into its own weights, and returns what is known of every output.

    Args:
      inputs: what is known of every input.
    """
    del inputs
    return [Constants.none(channels) for channels in self._own_channels]

  def reads(self, read: Sequence[Bits]) -> list[Bits]:
    """Drops what only makes channels that nothing reads, and returns which channels of every input it reads.

    Args:
      read: which channels of every output are read.
    """
    del read
    return [np.ones(channels, bool) for channels in self._channels]

  def build(self, tensors: Mapping[int, Any], kept_in: Sequence[Integers], kept_out: Sequence[Integers],
            copies: dict[keras.layers.Layer, keras.layers.Layer]) -> list[Any]:
    """Calls a copy of the layer that has only the channels that are kept.

    Args:
      tensors: the new tensor of every live input, by key.
      kept_in: for every input the indices of the channels that are left; none for an input that nothing reads.
      kept_out: the same for every output.
      copies: copies of layers that are called more than once; a new one is added.

    Returns:
      The new outputs.
    """
    del kept_in, kept_out
    layer = self._copy(copies)
    outputs: list[Any] = tf.nest.flatten(self._call(layer, tensors))
    layer.set_weights(self._weights(self.layer))
    return outputs

  def places(self, kept_in: Sequence[Integers], kept_out: Sequence[Integers]) -> list[Index]:
    """Returns for each of the layer's weights where those of the channels that are kept are in it.

    Args:
      kept_in: see `build`.
      kept_out: see `build`.
    """
    del kept_in, kept_out
    return [(...,) for _ in self.layer.weights]

  def _copy(self, copies: dict[keras.layers.Layer, keras.layers.Layer]) -> keras.layers.Layer:
    if self.layer not in copies:
      copies[self.layer] = copied(self.layer)
    return copies[self.layer]

  def _call(self, layer: keras.layers.Layer, tensors: Mapping[int, Any]) -> Any:
    args, kwargs = tf.nest.map_structure(lambda each: tensors.get(id(each), each),
                                         (self._node.call_args, self._node.call_kwargs))
    return layer(*args, **kwargs)


def channels_of(tensor: Any) -> int:
  """Returns the length of a Keras tensor's last axis, 0 if there is none or its length is not known."""
  return tensor.shape[-1] or 0 if len(tensor.shape) > 1 else 0


def apply(function: Callable[[tf.Tensor], tf.Tensor], values: Floats) -> Floats:
  """Applies an elementwise function to the values that are known, in the precision of the network."""
  known = np.isfinite(values)
  found = np.array(function(tf.constant(np.where(known, values, 0.0), tf.float32)), np.float64)
  return np.where(known & np.isfinite(found), found, np.nan)
