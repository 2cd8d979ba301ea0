"""Changes to a TFLite file that the converter has no setting for, and what can be read in one."""

import copy
from collections.abc import Callable
from typing import Any

import flatbuffers
import numpy.typing as npt
from ai_edge_litert import interpreter
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils

from tickets_tf import notes
from tickets_tf.errors import TicketsError
from tickets_tf.export.export_report import SparseLayers

_ALIGNMENT = 16  # bytes, as the schema asks of every buffer


def shorten_names(model: schema.ModelT) -> None:
  """Names every tensor inside by its layer; the converter joins the paths of all operations that went into it.

  In a sparse file of a small network the converter's names are a twentieth of the bytes.

  Args:
    model: is changed in place.
  """
  for graph in model.subgraphs:
    outside = {*graph.inputs, *graph.outputs}
    for index, tensor in enumerate(graph.tensors):
      if index not in outside:
        layer = tensor.name.split(b';')[0].split(b'/')[-2:][0]
        tensor.name = b'%s:%d' % (layer, index)  # other tools need different names


def densify_dense_layers(model: schema.ModelT, content: bytes) -> None:
  """Stores int8 weights of dense layers densely.

  XNNPACK, on by default in every runtime, refuses a file whose dense layers get int8 weights from DENSIFY (seen with
  ai_edge_litert 2.3). It accepts those of convolutions.

  Args:
    model: has one graph; is changed in place.
    content: the same as a file.
  """
  graph, = model.subgraphs
  sources = {operator.outputs[0]: operator for operator in graph.operators
             if _code(model, operator) == schema.BuiltinOperator.DENSIFY}
  weights = {operator.inputs[1] for operator in graph.operators
             if _code(model, operator) == schema.BuiltinOperator.FULLY_CONNECTED}
  found = [index for index in weights & sources.keys() if graph.tensors[index].type == schema.TensorType.INT8]
  if not found:
    return
  dense = _computed(content)
  for index in found:
    # The tensor that DENSIFY computed becomes a constant. The sparse one, which nothing reads any more, becomes empty.
    operator = sources[index]
    sparse = graph.tensors[operator.inputs[0]]
    model.buffers[sparse.buffer].data = dense(index).view('uint8').ravel()
    graph.tensors[index].buffer, sparse.buffer, sparse.sparsity = sparse.buffer, 0, None
    graph.operators.remove(operator)


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
      if source and source.sparsity is not None and _code(model, operator) == schema.BuiltinOperator.DEQUANTIZE:
        dense = copy.copy(source)
        dense.sparsity, dense.buffer = None, 0
        graph.tensors.append(dense)
        densify = schema.OperatorT()
        densify.opcodeIndex = _index_of_code(model, schema.BuiltinOperator.DENSIFY)
        densify.inputs, densify.outputs = [operator.inputs[0]], [len(graph.tensors) - 1]
        operator.inputs = densify.outputs
        operators.append(densify)
      operators.append(operator)
    graph.operators = operators


def _index_of_code(model: schema.ModelT, builtin: int) -> int:
  codes = [flatbuffer_utils.get_builtin_code_from_operator_code(each) for each in model.operatorCodes]
  if builtin not in codes:
    added = schema.OperatorCodeT()
    added.builtinCode = added.deprecatedBuiltinCode = builtin
    model.operatorCodes.append(added)
    return len(codes)
  return codes.index(builtin)


def _computed(content: bytes) -> Callable[[int], npt.NDArray[Any]]:
  """Returns a function from the index of a tensor to its value after one inference, by the runtime's own kernels."""
  with notes.dropped():
    runtime = interpreter.Interpreter(
        model_content=content,
        experimental_op_resolver_type=interpreter.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
    runtime.allocate_tensors()
    runtime.invoke()
  get_tensor: Callable[[int], npt.NDArray[Any]] = runtime.get_tensor
  return get_tensor


def with_logits(content: bytes) -> bytes:
  """Returns a TFLite file with the logits, the input of the softmax that its output comes from, as a second output.

  Raises:
    TicketsError: if the output comes from no softmax.
  """
  model = read(content)
  graph = model.subgraphs[0]  # The others are bodies of loops.
  makers = {output: operator for operator in graph.operators for output in operator.outputs}
  maker = makers.get(graph.outputs[0])
  while maker is not None and _code(model, maker) != schema.BuiltinOperator.SOFTMAX:
    maker = makers.get(maker.inputs[0])
  if maker is None:
    raise TicketsError('the TFLite file does not end in a softmax')
  graph.outputs = [*graph.outputs, maker.inputs[0]]
  return write(model)


def operators(content: bytes) -> list[str]:
  """Returns the names of the operators in a TFLite file in the order of computation."""
  model = read(content)
  names = {value: name for name, value in vars(schema.BuiltinOperator).items()}
  return [names[_code(model, operator)] for graph in model.subgraphs for operator in graph.operators]


def sparse_layers(content: bytes) -> SparseLayers:
  """Returns how a runtime computes with the sparse kernels of a TFLite file."""
  model = read(content)
  as_they_are = made_dense = 0
  for graph in model.subgraphs:
    sparse = {index for index, tensor in enumerate(graph.tensors) if tensor.sparsity is not None}
    for operator in graph.operators:
      if _code(model, operator) == schema.BuiltinOperator.DENSIFY:
        made_dense += 1
      else:
        as_they_are += len({*operator.inputs} & sparse)
  return SparseLayers(as_they_are, made_dense)


def read(content: bytes) -> schema.ModelT:
  """Returns the contents of a TFLite file as objects that can be changed."""
  return flatbuffer_utils.read_model_from_bytearray(content)


def write(model: schema.ModelT) -> bytes:
  """Returns the TFLite file of what `read` returned, every buffer aligned as the schema asks."""
  builder = _AlignedBuilder(1024)
  builder.Finish(model.Pack(builder), file_identifier=b'TFL3')
  return bytes(builder.Output())


def _code(model: schema.ModelT, operator: schema.OperatorT) -> int:
  code: int = flatbuffer_utils.get_builtin_code_from_operator_code(model.operatorCodes[operator.opcodeIndex])
  return code


class _AlignedBuilder(flatbuffers.Builder):  # type: ignore[misc]
  """Aligns vectors of bytes, which the generated Python code does not do."""

  def StartVector(self, elemSize: int, numElems: int, alignment: int) -> Any:  # pylint: disable=invalid-name
    return super().StartVector(elemSize, numElems, _ALIGNMENT if elemSize == 1 else alignment)
