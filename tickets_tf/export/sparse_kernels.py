"""Sparse kernels of a TFLite file, stored in the smallest way that the runtime can read.

TensorFlow's converter can store kernels sparse too. It loses weights where it takes blocks that do not divide the
number of inputs (seen with TensorFlow 2.21), knows one order of the dimensions, and keeps scales on both sides of
DENSIFY.
"""

import copy
from typing import Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from tickets_tf.export import flatbuffer
from tickets_tf.export import sparse_encoding

_BUILTIN, _TYPE = schema.BuiltinOperator, schema.TensorType
_DTYPES = {_TYPE.FLOAT32: np.float32, _TYPE.FLOAT16: np.float16, _TYPE.INT8: np.int8}  # those that DENSIFY takes
# Operators whose second input is a kernel.
_KINDS = (_BUILTIN.CONV_2D, _BUILTIN.DEPTHWISE_CONV_2D, _BUILTIN.TRANSPOSE_CONV, _BUILTIN.FULLY_CONNECTED)
# What FULLY_CONNECTED computes with as it is: outputs, then blocks of 4 inputs.
_NATIVE = sparse_encoding.Encoding(order=(0, 1), sparse=(False, True), block=4)
_NATIVE_VERSION = 8  # of FULLY_CONNECTED; XNNPACK leaves this one to the runtime's own operator
_NATIVE_SHARE = 0.9  # of the zeros, that such blocks have to leave out


def sparsify(model: schema.ModelT) -> None:
  """Stores every constant kernel sparse that takes fewer bytes so.

  Dense layers in float32 whose weights are in blocks of 4 inputs get them as they are. For all others DENSIFY unpacks
  the kernel. Its sparse side needs no scales and zero points: no operator computes with it.

  Args:
    model: is changed in place.
  """
  for graph in model.subgraphs:
    makers = {output: operator for operator in graph.operators for output in operator.outputs}
    unpacking = []
    for operator in [each for each in graph.operators if flatbuffer.code(model, each) in _KINDS]:
      index = operator.inputs[1]
      if index in makers and flatbuffer.code(model, makers[index]) == _BUILTIN.DEQUANTIZE:
        index = makers[index].inputs[0]
      kernel = graph.tensors[index]
      if kernel.type not in _DTYPES or kernel.sparsity is not None or model.buffers[kernel.buffer].data is None:
        continue
      values = np.asarray(model.buffers[kernel.buffer].data, np.uint8).view(_DTYPES[kernel.type]).reshape(kernel.shape)
      encoding = sparse_encoding.smallest(values)
      if encoding is None:
        continue
      readers = [each for each in graph.operators if index in each.inputs]
      if _compute_sparse(model, readers, index, values):
        kernel.sparsity, stored = sparse_encoding.encode(values, _NATIVE)
        store(model, kernel, stored)
        for each in readers:
          each.opcodeIndex = flatbuffer.index_of_kind(model, _BUILTIN.FULLY_CONNECTED, _NATIVE_VERSION)
      elif index != operator.inputs[1] or _takes_unpacked(model, graph, operator):
        packed = copy.copy(kernel)
        packed.quantization = None
        packed.sparsity, stored = sparse_encoding.encode(values, encoding)
        store(model, packed, stored)
        graph.tensors.append(packed)
        kernel.buffer = 0  # DENSIFY computes it.
        unpacking.append(flatbuffer.new_operator(model, _BUILTIN.DENSIFY, len(graph.tensors) - 1, index))
    graph.operators = [*unpacking, *graph.operators]


def _compute_sparse(model: schema.ModelT, readers: list[schema.OperatorT], index: int,
                    values: npt.NDArray[Any]) -> bool:
  """Returns whether all that reads a kernel are dense layers, and can compute with its blocks as they are."""
  if values.dtype != np.float32 or values.ndim != 2 or values.shape[1] % _NATIVE.block:
    return False
  if any(flatbuffer.code(model, each) != _BUILTIN.FULLY_CONNECTED or each.inputs[1] != index for each in readers):
    return False
  blocks = values.reshape(-1, _NATIVE.block)
  left_out = _NATIVE.block * np.count_nonzero(~blocks.any(axis=1))
  return bool(left_out > _NATIVE_SHARE * np.count_nonzero(values == 0))


def _takes_unpacked(model: schema.ModelT, graph: schema.SubGraphT, operator: schema.OperatorT) -> bool:
  """Returns whether the runtime accepts that an operator gets its kernel from DENSIFY.

  XNNPACK, on by default in every runtime, refuses a file where DENSIFY gives int8 weights to a dense layer, or to an
  operator with floating-point activations (seen with ai_edge_litert 2.3). It accepts those of convolutions in int8.
  """
  if graph.tensors[operator.inputs[1]].type != _TYPE.INT8:
    return True
  activations = operator.inputs[2 if flatbuffer.code(model, operator) == _BUILTIN.TRANSPOSE_CONV else 0]
  return bool(flatbuffer.code(model, operator) != _BUILTIN.FULLY_CONNECTED
              and graph.tensors[activations].type == _TYPE.INT8)


def store(model: schema.ModelT, tensor: schema.TensorT, values: npt.NDArray[Any]) -> None:
  """Gives a tensor a buffer of its own with these values; others may share the one that it had."""
  buffer = schema.BufferT()
  buffer.data = np.ascontiguousarray(values).view(np.uint8).ravel()
  model.buffers.append(buffer)
  tensor.buffer = len(model.buffers) - 1
