"""Sparse kernels of a TFLite file, stored in the smallest way that every runtime can read."""

import copy
from typing import Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from tickets_tf.export import flatbuffer
from tickets_tf.export import sparse_encoding

_TYPES = {schema.TensorType.FLOAT32: np.float32, schema.TensorType.FLOAT16: np.float16,
          schema.TensorType.INT8: np.int8}  # those that DENSIFY takes
_BUILTIN = schema.BuiltinOperator


def densify_before_lengthening(model: schema.ModelT) -> None:
  """Puts DENSIFY before every DEQUANTIZE of sparse 16-bit weights.

  The converter leaves it out for dense layers, whose operator can compute with sparse weights. But the runtime reads
  what DEQUANTIZE makes of a sparse tensor as a dense one, and gets NaN (seen with ai_edge_litert 2.3).

  Args:
    model: is changed in place.
  """
  for graph in model.subgraphs:
    operators = []
    for operator in graph.operators:
      source = graph.tensors[operator.inputs[0]] if len(operator.inputs) else None
      if source and source.sparsity is not None and flatbuffer.code(model, operator) == _BUILTIN.DEQUANTIZE:
        dense = copy.copy(source)
        dense.sparsity, dense.buffer = None, 0
        graph.tensors.append(dense)
        operators.append(flatbuffer.new_operator(model, _BUILTIN.DENSIFY, operator.inputs, [len(graph.tensors) - 1]))
        operator.inputs = [len(graph.tensors) - 1]
      operators.append(operator)
    graph.operators = operators


def store_smallest(model: schema.ModelT) -> None:
  """Stores every kernel that DENSIFY unpacks in the way that takes the fewest bytes, which may be densely.

  The sparse side of DENSIFY needs no scales and zero points: no operator computes with it. Kernels in `_must_be_dense`
  become dense in any case.

  Args:
    model: is changed in place.
  """
  for graph in model.subgraphs:
    dense = _must_be_dense(model, graph)
    operators = []
    for operator in graph.operators:
      if flatbuffer.code(model, operator) == _BUILTIN.DENSIFY:
        packed, unpacked = graph.tensors[operator.inputs[0]], graph.tensors[operator.outputs[0]]
        kernel = sparse_encoding.decode(packed.sparsity, _values(model, packed), packed.shape)
        encoding = None if operator.outputs[0] in dense else sparse_encoding.smallest(kernel)
        if encoding is None:
          store(model, unpacked, kernel)  # What DENSIFY computed becomes a constant.
          continue
        packed.sparsity, values = sparse_encoding.encode(kernel, encoding)
        packed.quantization = None
        store(model, packed, values)
      operators.append(operator)
    graph.operators = operators
  flatbuffer.remove_unused(model)


def sparsify(model: schema.ModelT) -> None:
  """Stores the constant 8-bit kernels that DEQUANTIZE takes sparse where that takes fewer bytes.

  Args:
    model: is changed in place.
  """
  for graph in model.subgraphs:
    operators = []
    for operator in graph.operators:
      if flatbuffer.code(model, operator) == _BUILTIN.DEQUANTIZE:
        operators += _unpacked_first(model, graph, operator)
      operators.append(operator)
    graph.operators = operators


def _unpacked_first(model: schema.ModelT, graph: schema.SubGraphT,
                    operator: schema.OperatorT) -> list[schema.OperatorT]:
  """Returns the DENSIFY that has to stand before an operator whose kernel becomes sparse; none if it stays dense."""
  index, = operator.inputs
  kernel = graph.tensors[index]
  if kernel.type != schema.TensorType.INT8 or model.buffers[kernel.buffer].data is None:
    return []
  values = _values(model, kernel).reshape(kernel.shape)
  encoding = sparse_encoding.smallest(values)
  if encoding is None:
    return []
  packed = copy.copy(kernel)
  packed.quantization = None
  packed.sparsity, stored = sparse_encoding.encode(values, encoding)
  store(model, packed, stored)
  kernel.buffer = 0  # DENSIFY computes it.
  graph.tensors.append(packed)
  return [flatbuffer.new_operator(model, _BUILTIN.DENSIFY, [len(graph.tensors) - 1], [index])]


def _must_be_dense(model: schema.ModelT, graph: schema.SubGraphT) -> set[int]:
  """Returns the int8 weights of dense layers.

  XNNPACK, on by default in every runtime, refuses a file whose dense layers get int8 weights from DENSIFY (seen with
  ai_edge_litert 2.3). It accepts those of convolutions.
  """
  return {operator.inputs[1] for operator in graph.operators
          if flatbuffer.code(model, operator) == _BUILTIN.FULLY_CONNECTED
          and graph.tensors[operator.inputs[1]].type == schema.TensorType.INT8}


def _values(model: schema.ModelT, tensor: schema.TensorT) -> npt.NDArray[Any]:
  return np.asarray(model.buffers[tensor.buffer].data, np.uint8).view(_TYPES[tensor.type])


def store(model: schema.ModelT, tensor: schema.TensorT, values: npt.NDArray[Any]) -> None:
  """Gives a tensor a buffer of its own with these values; others may share the one that it had."""
  buffer = schema.BufferT()
  buffer.data = np.ascontiguousarray(values).view(np.uint8).ravel()
  model.buffers.append(buffer)
  tensor.buffer = len(model.buffers) - 1
