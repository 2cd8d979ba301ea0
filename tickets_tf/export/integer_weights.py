"""Weights of 8 and of 4 bits in a TFLite file that otherwise computes in floating point.

Both are symmetric: a weight is a whole number times the scale of its output channel, so that zeros stay zeros.
"""

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from tickets_tf.export import flatbuffer
from tickets_tf.export import sparse_kernels

# Dimension of the output channels in the kernel, which is the second input, by the kind of operator.
_CHANNELS = {schema.BuiltinOperator.CONV_2D: 0, schema.BuiltinOperator.DEPTHWISE_CONV_2D: 3,
             schema.BuiltinOperator.TRANSPOSE_CONV: 0, schema.BuiltinOperator.FULLY_CONNECTED: 0}
_FOUR_BITS = (schema.BuiltinOperator.CONV_2D, schema.BuiltinOperator.FULLY_CONNECTED)  # operators that take 4 bits
_LARGEST = {8: 127, 4: 7}  # whole number of a weight, by bits
_FEW = 256  # weights; fewer take less as they are, without an operator of their own
_DEQUANTIZE_VERSION = 5  # of scales by channel

Array = npt.NDArray[Any]


def store_in_eight_bits(model: schema.ModelT) -> None:
  """Stores float32 kernels in 8 bits; DEQUANTIZE makes them float32 again when the file is loaded.

  So they can be sparse. XNNPACK refuses a file that computes with 8-bit weights from DENSIFY while activations are in
  floating point (seen with ai_edge_litert 2.3), but unpacks by DENSIFY and then DEQUANTIZE.

  Args:
    model: is changed in place.
  """
  for graph in model.subgraphs:
    made: dict[int, schema.OperatorT] = {}  # by the tensor that it gives
    for operator, kernel, channels in _kernels(model, graph, schema.TensorType.FLOAT32):
      index = operator.inputs[1]
      values = _array(model, kernel, np.float32)
      if index in made or values.size < _FEW:  # Layers that are used twice share their kernel.
        continue
      scales = _largest(values, channels) / _LARGEST[8]
      packed = copy.copy(kernel)
      _set_integers(model, packed, schema.TensorType.INT8, _rounded(values, scales, channels, 8), scales, channels)
      graph.tensors.append(packed)
      kernel.buffer = 0
      made[index] = flatbuffer.new_operator(model, schema.BuiltinOperator.DEQUANTIZE, len(graph.tensors) - 1, index,
                                            _DEQUANTIZE_VERSION)
    graph.operators = [*made.values(), *graph.operators]


def store_in_four_bits(model: schema.ModelT) -> None:
  """Stores the 8-bit kernels of convolutions and dense layers in 4 bits.

  The largest weight of a channel becomes 7. Scales that clip the largest weights have a smaller squared error, and gave
  logits that were further off on digits.

  Args:
    model: a file with 8-bit weights; is changed in place.
  """
  for graph in model.subgraphs:
    for operator, kernel, channels in _kernels(model, graph, schema.TensorType.INT8):
      # XNNPACK takes pairs of inputs in dense layers.
      if flatbuffer.code(model, operator) not in _FOUR_BITS or kernel.shape[-1] % 2:
        continue
      numbers = _array(model, kernel, np.int8)
      # One scale may do for all channels.
      before = np.resize(np.asarray(kernel.quantization.scale, np.float32), kernel.shape[channels])
      values = numbers * _along(before, numbers, channels)
      scales = _largest(values, channels) / _LARGEST[4]
      small = _rounded(values, scales, channels, 4).ravel()
      pairs = (small[::2] & 15) | (small[1::2] << 4)  # the first of a pair is in the lower bits
      _set_integers(model, kernel, schema.TensorType.INT4, pairs, scales, channels)


def _kernels(model: schema.ModelT, graph: schema.SubGraphT,
             numbers: int) -> Iterator[tuple[schema.OperatorT, schema.TensorT, int]]:
  """Yields the constant kernels of one type: (the operator, the kernel, the dimension of its output channels)."""
  for operator in graph.operators:
    channels = _CHANNELS.get(flatbuffer.code(model, operator))
    if channels is not None:
      kernel = graph.tensors[operator.inputs[1]]
      if kernel.type == numbers and model.buffers[kernel.buffer].data is not None:
        yield operator, kernel, channels


def _array(model: schema.ModelT, kernel: schema.TensorT, dtype: type[np.generic]) -> Array:
  return np.asarray(model.buffers[kernel.buffer].data, np.uint8).view(dtype).reshape(kernel.shape)


def _set_integers(model: schema.ModelT, tensor: schema.TensorT, numbers: int, values: Array, scales: Array,
                  channels: int) -> None:
  tensor.type = numbers
  tensor.quantization = schema.QuantizationParametersT()
  tensor.quantization.scale = scales.astype(np.float32)
  tensor.quantization.zeroPoint = np.zeros(len(scales), np.int64)
  tensor.quantization.quantizedDimension = channels
  sparse_kernels.store(model, tensor, values)


def _largest(values: Array, channels: int) -> Array:
  """Returns the largest absolute weight of every channel; 1 if a channel has none."""
  found = np.abs(values).max(axis=_others(values, channels))
  return np.where(found > 0, found, 1)


def _rounded(values: Array, scales: Array, channels: int, bits: int) -> Array:
  largest = _LARGEST[bits]
  return np.clip(np.rint(values / _along(scales, values, channels)), -largest, largest).astype(np.int8)


def _along(scales: Array, values: Array, channels: int) -> Array:
  """Returns scales by channel in a shape that multiplies a kernel."""
  return np.expand_dims(scales, _others(values, channels))


def _others(values: Array, channels: int) -> tuple[int, ...]:
  return tuple({*range(values.ndim)} - {channels})
