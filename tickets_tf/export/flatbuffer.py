"""TFLite files as objects that can be changed, and what can be read in one."""

from typing import Any

import flatbuffers
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils

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


def with_logits(content: bytes) -> bytes:
  """Returns a TFLite file with the logits, the input of the softmax that its output comes from, as a second output.

  Raises:
    TicketsError: if the output comes from no softmax.
  """
  model = read(content)
  graph = model.subgraphs[0]  # The others are bodies of loops.
  makers = {output: operator for operator in graph.operators for output in operator.outputs}
  maker = makers.get(graph.outputs[0])
  while maker is not None and code(model, maker) != schema.BuiltinOperator.SOFTMAX:
    maker = makers.get(maker.inputs[0])
  if maker is None:
    raise TicketsError('the TFLite file does not end in a softmax')
  graph.outputs = [*graph.outputs, maker.inputs[0]]
  return write(model)


def operators(content: bytes) -> list[str]:
  """Returns the names of the operators in a TFLite file in the order of computation."""
  model = read(content)
  names = {value: name for name, value in vars(schema.BuiltinOperator).items()}
  return [names[code(model, operator)] for graph in model.subgraphs for operator in graph.operators]


def sparse_layers(content: bytes) -> SparseLayers:
  """Returns how a runtime computes with the sparse kernels of a TFLite file."""
  model = read(content)
  as_they_are = made_dense = 0
  for graph in model.subgraphs:
    sparse = {index for index, tensor in enumerate(graph.tensors) if tensor.sparsity is not None}
    for operator in graph.operators:
      if code(model, operator) == schema.BuiltinOperator.DENSIFY:
        made_dense += 1
      else:
        as_they_are += len({*operator.inputs} & sparse)
  return SparseLayers(as_they_are, made_dense)


def read(content: bytes) -> schema.ModelT:
  """Returns the contents of a TFLite file as objects that can be changed."""
  return flatbuffer_utils.read_model_from_bytearray(content)


def write(model: schema.ModelT) -> bytes:
  """Returns the TFLite file of what `read` returned, every buffer aligned as the schema asks."""
  builder = _Builder(1024)
  builder.Finish(model.Pack(builder), file_identifier=b'TFL3')
  return bytes(builder.Output())


def code(model: schema.ModelT, operator: schema.OperatorT) -> int:
  """Returns the number of an operator's kind in `schema.BuiltinOperator`."""
  found: int = flatbuffer_utils.get_builtin_code_from_operator_code(model.operatorCodes[operator.opcodeIndex])
  return found


def index_of_kind(model: schema.ModelT, builtin: int, version: int) -> int:
  """Returns the index of a kind of operator in a model, which learns of it if it has none such yet.

  Args:
    model: is changed in place.
    builtin: the kind's number in `schema.BuiltinOperator`.
    version: what a runtime has to know of the kind.
  """
  for index, each in enumerate(model.operatorCodes):
    if (flatbuffer_utils.get_builtin_code_from_operator_code(each), each.version) == (builtin, version):
      return index
  added = schema.OperatorCodeT()
  added.builtinCode, added.deprecatedBuiltinCode, added.version = builtin, min(builtin, 127), version
  model.operatorCodes.append(added)
  return len(model.operatorCodes) - 1


def new_operator(model: schema.ModelT, builtin: int, source: int, target: int, version: int = 1) -> schema.OperatorT:
  """Returns an operator without options, which makes one tensor of another.

  Args:
    model: is changed in place.
    builtin: as in `index_of_kind`.
    source: index of a tensor.
    target: index of a tensor.
    version: as in `index_of_kind`.
  """
  operator = schema.OperatorT()
  operator.opcodeIndex = index_of_kind(model, builtin, version)
  operator.inputs, operator.outputs = [source], [target]
  return operator


def remove_unused(model: schema.ModelT) -> None:
  """Removes the tensors that nothing reads or writes, and the buffers and kinds of operators that nothing refers to.

  Args:
    model: is changed in place.
  """
  for number, graph in enumerate(model.subgraphs):
    used = {*graph.inputs, *graph.outputs}
    for operator in graph.operators:
      used |= {*operator.inputs, *operator.outputs, *(operator.intermediates or ())}
    # An input that is left out has the index -1.
    places = {index: place for place, index in enumerate(sorted(used - {-1}))} | {-1: -1}
    graph.tensors = [graph.tensors[index] for index in sorted(used - {-1})]
    for reader in (graph, *graph.operators):
      reader.inputs = [places[index] for index in reader.inputs]
      reader.outputs = [places[index] for index in reader.outputs]
    for operator in graph.operators:
      operator.intermediates = operator.intermediates and [places[index] for index in operator.intermediates]
    for signature in model.signatureDefs or ():
      if signature.subgraphIndex == number:
        for tensor in [*signature.inputs, *signature.outputs]:
          tensor.tensorIndex = places[tensor.tensorIndex]
  operators = [operator for graph in model.subgraphs for operator in graph.operators]
  kinds = sorted({operator.opcodeIndex for operator in operators})
  model.operatorCodes = [model.operatorCodes[index] for index in kinds]
  for operator in operators:
    operator.opcodeIndex = kinds.index(operator.opcodeIndex)
  referring = [*(tensor for graph in model.subgraphs for tensor in graph.tensors), *(model.metadata or ())]
  buffers = sorted({each.buffer for each in referring} | {0})  # The first is that of all tensors without one.
  model.buffers = [model.buffers[index] for index in buffers]
  for each in referring:
    each.buffer = buffers.index(each.buffer)


class _Builder(flatbuffers.Builder):  # type: ignore[misc]
  """Aligns vectors of bytes, which the generated Python code does not do, and writes equal vectors of numbers once."""

  head: int
  vectorNumElems: int | None

  def __init__(self, size: int) -> None:
    super().__init__(size)
    self._written: dict[tuple[int, int, bytes], int] = {}
    self._start: tuple[int, int, int] | None = None  # (offset before the vector, size of an element, alignment)

  def StartVector(self, elemSize: int, numElems: int, alignment: int) -> Any:  # pylint: disable=invalid-name
    before = self.Offset()
    alignment = _ALIGNMENT if elemSize == 1 else alignment
    found = super().StartVector(elemSize, numElems, alignment)
    self._start = (before, elemSize, alignment)
    return found

  def PrependUOffsetTRelative(self, off: int) -> None:  # pylint: disable=invalid-name
    self._start = None  # Offsets count from where they stand: equal ones lead to different places.
    super().PrependUOffsetTRelative(off)

  def EndVector(self, *arguments: Any) -> Any:  # pylint: disable=invalid-name
    start, self._start = self._start, None
    if start is None:
      return super().EndVector(*arguments)
    before, size, alignment = start
    key = (size, alignment, bytes(self.Bytes[self.head:self.head + size * (self.vectorNumElems or 0)]))
    if key not in self._written:
      self._written[key] = super().EndVector(*arguments)
      return self._written[key]
    self.nested, self.vectorNumElems = False, None
    self.head = len(self.Bytes) - before
    return self._written[key]
