"""Layers with kernels: convolutions, depthwise convolutions and dense layers."""

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tf_keras as keras

from tickets_tf.models import elementwise
from tickets_tf.models.compaction.call import Bits, Call, Constants, Floats, Index, Integers, Weights, apply


class Linear(Call):
  """A convolution or dense layer."""
  fixed = False
  makes_channels = True
  _size = frozenset({'filters', 'units'})  # settings of a layer that are its number of output channels

  def __init__(self, node: Any, weights: Weights) -> None:
    super().__init__(node, weights)
    kernel, *bias = (each.astype(np.float64) for each in weights(self.layer))
    self._shape: tuple[int, ...] = kernel.shape
    self._kernel: Floats = self._as_taps(kernel)
    self._bias: Floats = bias[0] if bias else np.zeros(self._kernel.shape[-1])
    self._at_border = _taps_at_border(self.layer, node.keras_inputs[0].shape)
    self._elementwise = elementwise.is_elementwise(self.layer.activation)
    self.fixed = not self._elementwise  # Softmax, for example, looks at all channels.

  def _as_taps(self, kernel: Floats) -> Floats:
    return kernel.reshape(-1, *kernel.shape[-2:])

  def constants(self, inputs: Sequence[Constants]) -> list[Constants]:
    """Absorbs constants into the bias; an output channel without weights becomes a constant."""
    self._absorb(inputs[0])
    empty = ~self._has_weights()
    if not self._elementwise:
      return [Constants.none(len(empty))]
    return [Constants(apply(self.layer.activation, np.where(empty, self._bias, np.nan)))]

  def _has_weights(self) -> Bits:
    has_weights: Bits = np.any(self._kernel, axis=(0, 1))
    return has_weights

  def _absorb(self, constants: Constants) -> None:
    values, known = np.nan_to_num(constants.values), np.isfinite(constants.values)
    at_border = self._kernel[self._at_border].any(axis=0)
    steady = (known & (values == 0))[:, None] | ((known & constants.flat)[:, None] & ~at_border)
    taken = steady & self._kernel.any(axis=0)
    if taken.any():
      self._bias += np.where(taken, self._kernel.sum(axis=0) * values[:, None], 0.0).sum(axis=0)
      self._kernel[:, taken] = 0
      self.changed = True
    # In front of the padding all other constants have the same shape, so that one of them can stand for all.
    others = np.flatnonzero(known & self._kernel.any(axis=(0, 2)))
    if len(others) > 1:
      chosen = np.argmax(np.where(known, np.abs(values), 0.0))
      others = others[others != chosen]
      self._kernel[:, chosen] += np.einsum('tio,i->to', self._kernel[:, others], values[others] / values[chosen])
      self._kernel[:, others] = 0
      self.changed = True

  def reads(self, read: Sequence[Bits]) -> list[Bits]:
    """Drops the weights of output channels that nothing reads, and reads the channels that have weights left."""
    unread = ~read[0] & (self._has_weights() | (self._bias != 0)) if self._elementwise else np.zeros_like(read[0])
    if unread.any():
      self._kernel[..., unread] = 0
      self._bias[unread] = 0
      self.changed = True
    return [self._reads_inputs()]

  def _reads_inputs(self) -> Bits:
    reads: Bits = np.any(self._kernel, axis=(0, 2))
    return reads

  def build(self, tensors: Mapping[int, Any], kept_in: Sequence[Integers], kept_out: Sequence[Integers],
            copies: dict[keras.layers.Layer, keras.layers.Layer]) -> list[Any]:
    """Calls a layer with the kernel and bias of the channels that are kept."""
    place, *_ = self.places(kept_in, kept_out)
    kernel, bias = self._kernel.reshape(self._shape)[place], self._bias[kept_out[0]]
    config = {key: 'zeros' if key.endswith('_initializer') else len(bias) if key in self._size else value
              for key, value in self.layer.get_config().items()}
    config['use_bias'] = self.layer.use_bias or bool(bias.any())
    layer = type(self.layer).from_config(config)
    output = layer(tensors[self.inputs[0]])
    layer.set_weights([kernel, bias] if config['use_bias'] else [kernel])
    return [output]

  def places(self, kept_in: Sequence[Integers], kept_out: Sequence[Integers]) -> list[Index]:
    """Returns the places of kernel and bias."""
    kernel: Index = (..., kept_in[0][:, None], kept_out[0])
    bias: Index = (kept_out[0],)
    return [kernel, bias][:len(self.layer.weights)]


class Depthwise(Linear):
  """A convolution of every channel by itself, into one or more."""
  makes_channels = False
  _size = frozenset()

  def _as_taps(self, kernel: Floats) -> Floats:
    self._multiplier: int = kernel.shape[-1]
    return kernel.reshape(math.prod(kernel.shape[:-2]), 1, -1)

  def trace(self, numbers: Sequence[Integers]) -> tuple[Integers | None, list[tuple[Integers, Integers]]]:
    """Gives every output channel the number of the input channel that it is made of."""
    return np.repeat(numbers[0], self._multiplier), []

  def _absorb(self, constants: Constants) -> None:
    values = np.repeat(constants.values, self._multiplier)
    at_border = self._kernel[self._at_border].any(axis=(0, 1))
    taken = ((values == 0) | (np.isfinite(values) & constants.flat & ~at_border)) & self._has_weights()
    if taken.any():
      self._bias[taken] += (self._kernel.sum(axis=(0, 1)) * values)[taken]
      self._kernel[..., taken] = 0
      self.changed = True

  def _reads_inputs(self) -> Bits:
    reads: Bits = np.any(self._has_weights().reshape(-1, self._multiplier), axis=1)
    return reads

  def places(self, kept_in: Sequence[Integers], kept_out: Sequence[Integers]) -> list[Index]:
    """Returns the places of kernel and bias."""
    kernel: Index = (..., kept_in[0], slice(None))
    bias: Index = (kept_out[0],)
    return [kernel, bias][:len(self.layer.weights)]


def _taps_at_border(layer: keras.layers.Layer, shape: Sequence[int | None]) -> Bits:
  """Tells which taps of a kernel can fall into the padding.

  Args:
    layer: a convolution or dense layer.
    shape: of its input, with batch.

  Returns:
    One entry per tap in the order of the kernel.
  """
  if not hasattr(layer, 'kernel_size'):
    return np.zeros(1, bool)
  if layer.padding == 'valid':
    return np.zeros(math.prod(layer.kernel_size), bool)
  axes = [_axis_at_border(*each, layer.padding) for each in
          zip(layer.kernel_size, layer.strides, layer.dilation_rate, shape[1:-1], strict=True)]
  return functools.reduce(np.logical_or.outer, axes).ravel()


def _axis_at_border(size: int, stride: int, dilation: int, length: int | None, padding: str) -> Bits:
  if size == 1:
    return np.zeros(1, bool)
  if length is None or padding != 'same':
    return np.ones(size, bool)
  last = (-(-length // stride) - 1) * stride
  before = max(last + (size - 1) * dilation + 1 - length, 0) // 2
  offsets = np.arange(size) * dilation - before
  return (offsets < 0) | (last + offsets >= length)
