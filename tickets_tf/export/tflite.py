"""TFLite files of a ticket: dense or sparse, in several number types."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from tensorflow.lite.python.convert_phase import ConverterError

from tickets_tf import notes
from tickets_tf import registry
from tickets_tf.errors import TicketsError, UsageError
from tickets_tf.export import flatbuffer
from tickets_tf.export import integer_weights
from tickets_tf.export import sparse_kernels
from tickets_tf.export import tflite_metadata
from tickets_tf.export.saved_model import SavedModelClassifier
from tickets_tf.export.tflite_classifier import enclose


# Sets up a converter for one kind of numbers; the images, uint8 [M, height, width, channels], are for calibration.
Prepare = Callable[[tf.lite.TFLiteConverter, npt.NDArray[np.uint8] | None], None]
Finish = Callable[[schema.ModelT], None]


@dataclasses.dataclass(frozen=True)
class Variant:
  """One form of a ticket's TFLite file.

  Attributes:
    sparse: whether kernels are stored as their kept weights and the positions of those.
    numbers: `'float32'`; `'float16'`: weights in 16 bits, computed in 32; `'int8'`: integers throughout, from uint8
      images to uint8 probabilities in steps of 1/256; `'dynamic'`: weights in 8 bits, and what they are
      multiplied by too while an operator computes; `'int4'`: as `'dynamic'`, with weights of 4 bits in convolutions and
      dense layers; `'weights8'`: weights in 8 bits, computed in 32; or a word of your own.
    prepare: sets up the converter for these numbers.
    integers: whether images and probabilities are computed as integers too. `prepare` then sees the network from float
      images on.
    finish: changes what the converter made, before kernels become sparse.
    bits: of a stored weight, for the reference that sizes are compared with, see `size.Reference`; None if it is not
      known, and the size is then compared with nothing.
    other_bits: likewise of all other parameters, such as biases.
  """
  sparse: bool
  numbers: str
  prepare: Prepare
  integers: bool = False
  finish: Finish | None = None
  bits: int | None = None
  other_bits: int = 32

  @property
  def name(self) -> str:
    """Name of the variant."""
    return f'{"sparse" if self.sparse else "dense"}_{self.numbers}'

  @property
  def file(self) -> str:
    """Name of its file."""
    return f'{self.name}.tflite'


def _float32(converter: tf.lite.TFLiteConverter, calibration: npt.NDArray[np.uint8] | None) -> None:
  del converter, calibration


def _float16(converter: tf.lite.TFLiteConverter, calibration: npt.NDArray[np.uint8] | None) -> None:
  del calibration
  converter.optimizations = [tf.lite.Optimize.DEFAULT]
  converter.target_spec.supported_types = [tf.float16]


def _dynamic(converter: tf.lite.TFLiteConverter, calibration: npt.NDArray[np.uint8] | None) -> None:
  del calibration
  converter.optimizations = [tf.lite.Optimize.DEFAULT]


def _int8(converter: tf.lite.TFLiteConverter, calibration: npt.NDArray[np.uint8] | None) -> None:
  if calibration is None:
    raise TicketsError('int8 needs images for calibration')
  converter.optimizations = [tf.lite.Optimize.DEFAULT]
  converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
  converter.representative_dataset = lambda: _with_full_range(calibration)
  converter.inference_input_type = converter.inference_output_type = tf.uint8


VARIANTS = {variant.name: variant for variant in (
    Variant(False, 'float32', _float32, bits=32),
    Variant(False, 'float16', _float16, bits=16, other_bits=16),
    Variant(False, 'int8', _int8, integers=True, bits=8),
    Variant(False, 'dynamic', _dynamic, bits=8),
    Variant(False, 'int4', _dynamic, finish=integer_weights.store_in_four_bits, bits=4),
    Variant(True, 'float32', _float32, bits=32),
    Variant(True, 'float16', _float16, bits=16, other_bits=16),
    Variant(True, 'int8', _int8, integers=True, bits=8),
    Variant(True, 'weights8', _float32, finish=integer_weights.store_in_eight_bits, bits=8),
)}
# It runs even if a runtime lacks the operator DENSIFY.
FALLBACK = 'dense_float32'


def find(name: str) -> Variant:
  """Returns the variant called `name`, or that of `package.module:name`.

  Raises:
    UsageError: if there is none.
  """
  found = registry.Registry('TFLite variant', VARIANTS).get(name)
  if not isinstance(found, Variant):
    raise UsageError(f'{name!r}: expected a tickets_tf.export.tflite.Variant, found {type(found).__name__}')
  return found


def convert(classifier: SavedModelClassifier, variant: Variant,
            calibration: npt.NDArray[np.uint8] | None = None) -> bytes:
  """Converts a ticket to TFLite: one image of raw uint8 pixels in, the probability of every class out.

  The converter folds batch norm and preprocessing into the convolutions as far as it can.

  Args:
    classifier: the ticket's SavedModel.
    variant: the form of the file.
    calibration: uint8 [M, height, width, channels], images that ranges of activations are taken from. Only int8 needs
      them.

  Returns:
    The file, with TFLite's metadata, labels and description inside.

  Raises:
    TicketsError: if the converter fails.
  """
  converter = _converter(classifier, variant.integers)
  variant.prepare(converter, calibration)
  with notes.dropped():
    try:
      content = converter.convert()
    except (OSError, RuntimeError, ValueError, tf.errors.OpError, ConverterError) as error:
      # The converter's message begins with a line of the code that called it.
      reason = str(error).splitlines()[0].rpartition('error: ')[2]
      raise TicketsError(f'{variant.name}: cannot be converted to TFLite: {reason}') from error
  return enclose(_finished(content, variant, classifier.description), classifier.description)


def _converter(classifier: SavedModelClassifier, integer: bool) -> tf.lite.TFLiteConverter:
  signature = classifier.signatures['float_images' if integer else 'serving_default']

  @tf.function  # type: ignore[untyped-decorator]
  def serving_default(images: tf.Tensor) -> dict[str, tf.Tensor]:
    return {'probabilities': signature(images=images)['probabilities']}

  # One image at a time, as devices want it; runtimes can resize the input to batches.
  images = tf.TensorSpec([1, *classifier.image_shape], tf.float32 if integer else tf.uint8, name='images')
  # Given the trackable, the converter makes a SavedModel first, which keeps the signature.
  return tf.lite.TFLiteConverter.from_concrete_functions([serving_default.get_concrete_function(images)],
                                                         classifier.trackable)


def _with_full_range(images: npt.NDArray[np.uint8]) -> Iterator[list[npt.NDArray[np.float32]]]:
  """Yields the images one by one in floating point, with the values 0 and 255 among them.

  If the input's range is exactly that, a byte keeps its value when it is quantised. Two pixels are enough, and hardly
  change the ranges of the activations.
  """
  for index, image in enumerate(images.astype(np.float32)):
    if index == 0:
      image[0, 0], image[-1, -1] = 0, 255
    yield [image[None]]


def _finished(content: bytes, variant: Variant, description: Mapping[str, Any]) -> bytes:
  model = flatbuffer.read(content)
  if variant.finish is not None:
    variant.finish(model)
  if variant.sparse:
    sparse_kernels.sparsify(model)
  flatbuffer.remove_unused(model)
  flatbuffer.shorten_names(model)
  tflite_metadata.add(model, description)
  return flatbuffer.write(model)
