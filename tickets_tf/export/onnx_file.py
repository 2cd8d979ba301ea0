"""ONNX files of a ticket, converted from its SavedModel and run on the test set by ONNX Runtime."""

import collections
import dataclasses
import functools
import gzip
import json
import pathlib
import tempfile
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tickets_tf import notes
from tickets_tf.errors import TicketsError
from tickets_tf.export import choice
from tickets_tf.export import startup
from tickets_tf.export import verify
from tickets_tf.export.classifier import DESCRIPTION, ENCLOSED, LABELS
from tickets_tf.export.export_report import ExportedOnnx, FailedFile
from tickets_tf.export.onnx_program import OnnxProgram, first_line
from tickets_tf.export.saved_model import SavedModelClassifier
from tickets_tf.export.size import Reference

_OPSET = 15  # ONNX Runtime 1.10 and later read it

Model = Any  # an onnx.ModelProto; onnx is imported only if it is asked for


@dataclasses.dataclass(frozen=True)
class Form:
  """One form of a ticket's ONNX file.

  Attributes:
    file: name of the file.
    change: makes it from the float32 form; may change what it is given.
    bits: of a stored weight, for the reference that sizes are compared with.
  """
  file: str
  change: Callable[[Model], Model]
  bits: int = 32


def _unchanged(model: Model) -> Model:
  return model


def _sparse(model: Model) -> Model:
  """Returns the model with kernels stored as their weights that are not zero and the positions of those.

  ONNX Runtime makes them dense when it loads the file. Positions have 8 bytes each, as the format asks, so that kernels
  of which more than a third is kept stay dense.
  """
  import onnx
  for tensor in list(model.graph.initializer):
    array = onnx.numpy_helper.to_array(tensor)
    positions = np.flatnonzero(array)
    if array.ndim > 1 and array.dtype == np.float32 and 0 < 3 * len(positions) <= array.size:
      values = onnx.numpy_helper.from_array(array.ravel()[positions], tensor.name)
      indices = onnx.numpy_helper.from_array(positions.astype(np.int64), f'{tensor.name}_positions')
      model.graph.sparse_initializer.append(onnx.helper.make_sparse_tensor(values, indices, array.shape))
      model.graph.initializer.remove(tensor)
  return model


def _dynamic_int8(model: Model) -> Model:
  """Returns the model with weights of 8 bits, computed in integers whose range each call takes from its activations.

  Weights are unsigned, because older versions of ONNX Runtime have no convolution for signed ones. Zero is a value of
  its own in both, so that removed weights stay removed.
  """
  import onnx
  from onnxruntime import quantization
  with tempfile.TemporaryDirectory() as folder, notes.dropped():
    path = pathlib.Path(folder) / 'model.onnx'
    quantization.quantize_dynamic(model, path, weight_type=quantization.QuantType.QUInt8)
    return onnx.load(path)


# The first is kept in any case; latency is measured against it.
FORMS = (Form('model.onnx', _unchanged), Form('model_sparse.onnx', _sparse),
         Form('model_int8.onnx', _dynamic_int8, bits=8))


def write(classifier: SavedModelClassifier, verifier: verify.Verifier, folder: pathlib.Path, tolerance: float,
          say: Callable[[str], object], reference: Reference | None = None) -> tuple[ExportedOnnx, ...]:
  """Writes the ONNX files of a ticket: `model.onnx`, and others if they are smaller and accurate enough.

  Args:
    classifier: the ticket's SavedModel.
    verifier: knows the test set.
    folder: where to write.
    tolerance: points of test accuracy that a file may lose against the SavedModel.
    say: takes lines for the user.
    reference: what there is to know of the network; None if that is not known.

  Returns:
    What each form is and does that could be made.

  Raises:
    TicketsError: if the network cannot be converted, or `model.onnx` loses more accuracy.
  """
  say(f'{FORMS[0].file}: converting it, and running it on {len(verifier.images):,} test images')
  model = convert(classifier)
  names = kernels(model, classifier)
  rows: list[ExportedOnnx] = []
  dense = b''
  for form in FORMS:
    try:
      content, row = _measure(form, model, names, classifier, verifier)
    except TicketsError as error:
      if not dense:
        raise TicketsError(f'{form.file}: {error}') from error
      say(f'{form.file}: {error}')
      continue
    good = bool(choice.within([row], verifier.accuracy, tolerance))
    if not dense and not good:
      raise TicketsError(f'{row.file}: test accuracy {row.accuracy:.2%} is not within --tolerance={tolerance:g} points '
                         f'of the SavedModel, {verifier.accuracy:.2%}')
    kept = not dense or (good and len(content) < len(dense))
    dense = dense or content
    latency = verify.time_in_turn(functools.partial(OnnxProgram, content), functools.partial(OnnxProgram, dense),
                                  verifier.images[0], verifier.rounds)
    known = None if reference is None else reference.bytes(form.bits)
    rows.append(dataclasses.replace(row, kept=kept, latency=latency, reference_bytes=known,
                                    startup=startup.measure('onnx', content)))
    if kept:
      (folder / row.file).write_bytes(content)
  return tuple(rows)


def failed(error: TicketsError) -> FailedFile:
  """Returns what a report says of an error of `write`."""
  file = FORMS[0].file
  return FailedFile(file, str(error).removeprefix(f'{file}: '))


def convert(classifier: SavedModelClassifier) -> Model:
  """Returns a ticket as an ONNX model, from `images` to `probabilities` and `logits`.

  Images are uint8 [N, height, width, channels]. N is open.

  Raises:
    TicketsError: if the converter fails.
  """
  import tf2onnx
  signature = classifier.signatures['logits']

  @tf.function  # type: ignore[untyped-decorator]
  def outputs(images: tf.Tensor) -> dict[str, tf.Tensor]:
    logits = signature(images=images)['logits']
    return {'probabilities': tf.nn.softmax(logits), 'logits': logits}

  images = tf.TensorSpec([None, *classifier.image_shape], tf.uint8, name='images')
  try:
    with notes.dropped():
      model, _ = tf2onnx.convert.from_function(outputs, [images], opset=_OPSET,
                                               custom_op_handlers={'Erfc': (_complement_of_erf, [])})
  except Exception as error:  # The converter's rewriters raise whatever comes up.
    raise TicketsError(f'{FORMS[0].file}: cannot be converted to ONNX: {first_line(error)}') from error
  for tensor in (*model.graph.input, *model.graph.output):
    tensor.type.tensor_type.shape.dim[0].dim_param = 'N'
  return model


def _complement_of_erf(context: Any, node: Any, name: str, args: Sequence[Any]) -> None:
  # ONNX has no erfc, which GELU computes, and the converter lets it through.
  del name, args
  node.type = 'Erf'
  one = context.make_const(f'{node.name}_one', np.array(1, np.float32)).output[0]
  context.insert_new_node_on_output('Sub', node.output[0], f'{node.name}_complement', inputs=[one, node.output[0]])


def finish(model: Model, classifier: SavedModelClassifier) -> bytes:
  """Returns the file to ship of a model with `logits`: without them, and with labels and description inside."""
  import onnx
  shipped = _copy(model)
  for output in [each for each in shipped.graph.output if each.name == 'logits']:
    shipped.graph.output.remove(output)
  description = classifier.description
  onnx.helper.set_model_props(shipped, {
      LABELS: '\n'.join(classifier.class_names) + '\n',
      DESCRIPTION: json.dumps({key: description[key] for key in ENCLOSED if key in description})})
  content: bytes = shipped.SerializeToString()
  return content


def kernels(model: Model, classifier: SavedModelClassifier) -> frozenset[str]:
  """Returns the names of a float32 model's arrays that are kernels of the SavedModel.

  The converter transposes kernels, reorders them and scales their channels. What stays is how many weights there are,
  and how many of them are not zero; an array with a kernel's two numbers is taken for it.
  """
  import onnx
  wanted = collections.Counter((variable.numpy().size, np.count_nonzero(variable.numpy()))
                               for variable in classifier.trackable.variables if len(variable.shape) > 1)
  found = []
  for tensor in model.graph.initializer:
    array = onnx.numpy_helper.to_array(tensor)
    numbers = array.size, np.count_nonzero(array)
    if array.dtype == np.float32 and array.ndim > 1 and wanted[numbers]:
      wanted[numbers] -= 1
      found.append(tensor.name)
  return frozenset(found)


def kept_weights(model: Model, names: Collection[str]) -> int:
  """Returns how many weights are not zero in the arrays of these names, which are sparse, of 8 bits or neither.

  Zero is the zero point of arrays of 8 bits.
  """
  import onnx
  arrays = {each.name: onnx.numpy_helper.to_array(each) for each in model.graph.initializer}
  dense = sum(int(np.count_nonzero(array != arrays.get(f'{name.removesuffix("_quantized")}_zero_point', 0)))
              for name, array in arrays.items() if name.removesuffix('_quantized') in names)
  return dense + sum(int(each.values.dims[0]) for each in model.graph.sparse_initializer if each.values.name in names)


def _copy(model: Model) -> Model:
  copied = type(model)()
  copied.CopyFrom(model)
  return copied


def _measure(form: Form, model: Model, names: Collection[str], classifier: SavedModelClassifier,
             verifier: verify.Verifier) -> tuple[bytes, ExportedOnnx]:
  """Returns a file and what it is and does, all but latency."""
  try:
    changed = form.change(_copy(model))
  except Exception as error:  # The quantiser raises whatever comes up.
    raise TicketsError(f'cannot be made: {first_line(error)}') from error
  content = finish(changed, classifier)
  outputs = OnnxProgram(changed.SerializeToString()).run(verifier.images)
  shipped = OnnxProgram(content).run(verifier.images)['probabilities']
  if np.max(np.abs(shipped - outputs['probabilities'])) > verify.ROUNDING:
    raise TicketsError('the file and its copy with logits as an output compute different probabilities')
  compared = verifier.compare(shipped, outputs['logits'])
  return content, ExportedOnnx(
      file=form.file, bytes=len(content), gzip_bytes=len(gzip.compress(content)), accuracy=compared.accuracy,
      same_class=compared.same_class, largest_logit_difference=compared.largest_logit_difference,
      kept_weights=kept_weights(changed, names), latency=(),
      loss=verifier.loss(compared, lambda images: OnnxProgram(content).run(images)['probabilities']))
