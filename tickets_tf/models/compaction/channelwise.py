"""Layers that act on each channel by itself: activations, pooling, padding, batch norm, sums and concatenations."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tf_keras as keras

from tickets_tf.models.compaction.call import Bits, Call, Constants, Index, Integers, Weights, apply

_L = keras.layers


class Channelwise(Call):
  """A layer that passes every channel on by itself."""
  fixed = False

  def trace(self, numbers: Sequence[Integers]) -> tuple[Integers | None, list[tuple[Integers, Integers]]]:
    """Gives every channel of the output the number of that channel of the input."""
    return numbers[0], []

  def constants(self, inputs: Sequence[Constants]) -> list[Constants]:
    """Keeps constants that are the same at every position."""
    return [Constants(inputs[0].steady())]

  def reads(self, read: Sequence[Bits]) -> list[Bits]:
    """Reads the channels that are read of its output."""
    return [read[0]]


class Activation(Channelwise):
  """An elementwise function."""

  def constants(self, inputs: Sequence[Constants]) -> list[Constants]:
    """Applies the function to constants."""
    values = inputs[0].steady()
    return [Constants(apply(lambda x: self._call(self.layer, {self.inputs[0]: x}), values))]


class Padding(Channelwise):
  """Zeros around the image."""

  def constants(self, inputs: Sequence[Constants]) -> list[Constants]:
    """Keeps constants, which are no longer the same at every position."""
    return [Constants(inputs[0].values, flat=False)]


class Flatten(Channelwise):
  """Every channel once for every position, in `Flatten`'s order: height, width, channels."""

  def __init__(self, node: Any, weights: Weights) -> None:
    super().__init__(node, weights)
    self._positions = self._own_channels[0] // self._channels[0]

  def trace(self, numbers: Sequence[Integers]) -> tuple[Integers | None, list[tuple[Integers, Integers]]]:
    """Gives every position of a channel the number of the channel."""
    return np.tile(numbers[0], self._positions), []

  def constants(self, inputs: Sequence[Constants]) -> list[Constants]:
    """Repeats a constant for every position."""
    return [Constants(np.tile(inputs[0].steady(), self._positions))]

  def reads(self, read: Sequence[Bits]) -> list[Bits]:
    """Reads a channel if one of its positions is read."""
    read_anywhere: Bits = np.any(read[0].reshape(self._positions, -1), axis=0)
    return [read_anywhere]


class Concatenate(Channelwise):
  """Channels side by side."""

  def trace(self, numbers: Sequence[Integers]) -> tuple[Integers | None, list[tuple[Integers, Integers]]]:
    """Gives every channel the number that it has in its input."""
    return np.concatenate(numbers), []

  def constants(self, inputs: Sequence[Constants]) -> list[Constants]:
    """Keeps the constants of all inputs."""
    return [Constants(np.concatenate([each.steady() for each in inputs]))]

  def reads(self, read: Sequence[Bits]) -> list[Bits]:
    """Reads of every input the channels that are read of its part of the output."""
    return np.split(read[0], np.cumsum(self._channels)[:-1])


class Add(Channelwise):
  """A sum of tensors of one shape. Terms that are constants become an offset."""

  def __init__(self, node: Any, weights: Weights) -> None:
    super().__init__(node, weights)
    self._terms = list(range(len(self.inputs)))
    self._offset = np.zeros(self._own_channels[0])
    self._read = np.ones(self._own_channels[0], bool)

  def live_inputs(self) -> list[int]:
    """Returns the keys of the terms that are not constants."""
    return [self.inputs[term] for term in self._terms]

  def trace(self, numbers: Sequence[Integers]) -> tuple[Integers | None, list[tuple[Integers, Integers]]]:
    """Ties the same channel of all terms together."""
    first, *others = (numbers[term] for term in self._terms)
    return first, [(first, other) for other in others]

  def constants(self, inputs: Sequence[Constants]) -> list[Constants]:
    """Moves terms that are constants in all channels that are read into the offset, but for the last."""
    values = [each.steady() for each in inputs]
    for term in list(self._terms):
      if len(self._terms) > 1 and np.isfinite(values[term][self._read]).all():
        self._terms.remove(term)
        self._offset += np.where(self._read, values[term], 0.0)
        self.changed = True
    return [Constants(self._offset + sum(values[term] for term in self._terms))]

  def reads(self, read: Sequence[Bits]) -> list[Bits]:
    """Reads of every term the channels that are read of the sum."""
    self._read = read[0]
    self._offset = np.where(read[0], self._offset, 0.0)
    return [read[0] if term in self._terms else np.zeros_like(read[0]) for term in range(len(self.inputs))]

  def build(self, tensors: Mapping[int, Any], kept_in: Sequence[Integers], kept_out: Sequence[Integers],
            copies: dict[keras.layers.Layer, keras.layers.Layer]) -> list[Any]:
    """Adds the terms that are left, and the offset if there is any."""
    terms = [tensors[key] for key in self.live_inputs()]
    policy = {'dtype': self.layer.dtype_policy}
    total = _L.Add(name=self.layer.name, **policy)(terms) if len(terms) > 1 else terms[0]
    offset = self._offset[kept_out[0]]
    if offset.any():
      total = _L.Rescaling(1.0, offset.tolist(), name=f'{self.layer.name}_offset', **policy)(total)
    return [total]


class Norm(Channelwise):
  """Batch norm of the last axis, in inference."""

  def __init__(self, node: Any, weights: Weights) -> None:
    super().__init__(node, weights)
    layer = self.layer
    values = [each.astype(np.float64) for each in weights(layer)]
    gamma = values.pop(0) if layer.scale else 1.0
    beta = values.pop(0) if layer.center else 0.0
    mean, variance = values
    self._scale = gamma / np.sqrt(variance + layer.epsilon)
    self._shift = beta - mean * self._scale

  def constants(self, inputs: Sequence[Constants]) -> list[Constants]:
    """Normalises constants; a channel that is scaled by zero becomes one."""
    values = np.where(self._scale == 0, 0.0, inputs[0].steady())
    return [Constants(values * self._scale + self._shift)]

  def reads(self, read: Sequence[Bits]) -> list[Bits]:
    """Reads the channels that are read of its output and not scaled by zero."""
    return [read[0] & (self._scale != 0)]

  def build(self, tensors: Mapping[int, Any], kept_in: Sequence[Integers], kept_out: Sequence[Integers],
            copies: dict[keras.layers.Layer, keras.layers.Layer]) -> list[Any]:
    """Calls a batch norm of the channels that are kept."""
    layer = type(self.layer).from_config(self.layer.get_config())
    output = layer(tensors[self.inputs[0]])
    layer.set_weights([each[place] for each, place in
                       zip(self._weights(self.layer), self.places(kept_in, kept_out), strict=True)])
    return [output]

  def places(self, kept_in: Sequence[Integers], kept_out: Sequence[Integers]) -> list[Index]:
    """Returns the places of the channels in every weight."""
    return [(kept_out[0],) for _ in self.layer.weights]
