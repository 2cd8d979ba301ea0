"""TFLite files of a ticket: dense or sparse, in three number types."""

import dataclasses

import numpy as np
import tensorflow as tf

from tickets_tf import notes
from tickets_tf.errors import TicketsError
from tickets_tf.export import flatbuffer
from tickets_tf.export import lite


@dataclasses.dataclass(frozen=True)
class Variant:
  """One form of a ticket's TFLite file.

  Attributes:
    sparse: whether kernels are stored as their kept weights and the positions of these.
    numbers: `'float32'`; `'float16'`: weights in 16 bits, computed in 32; or `'int8'`: integers throughout, from uint8
      images to uint8 probabilities in steps of 1/256.
  """
  sparse: bool
  numbers: str

  @property
  def name(self):
    """Name of the variant, and of its file."""
    return f'{"sparse" if self.sparse else "dense"}_{self.numbers}'


# Runtimes without the operator DENSIFY can run the first.
VARIANTS = {variant.name: variant for variant in (
    Variant(sparse, numbers) for sparse in (False, True) for numbers in ('float32', 'float16', 'int8'))}
FALLBACK = 'dense_float32'


def convert(ticket, variant, calibration):
  """Converts a ticket to TFLite: one image of raw uint8 pixels in, the probability of every class out.

  The converter folds batch norm and preprocessing into the convolutions as far as it can.

  Args:
    ticket: a `LoadedTicket`.
    variant: a `Variant`.
    calibration: uint8 [M, height, width, channels], the images that ranges of activations are taken from.

  Returns:
    The file, bytes, with labels and description inside.

  Raises:
    TicketsError: where the converter fails.
  """
  integer = variant.numbers == 'int8'
  signature = ticket.signatures['float_images' if integer else 'serving_default']

  @tf.function
  def serving_default(images):
    return {'probabilities': signature(images=images)['probabilities']}

  # One image at a time, as devices want it; runtimes can resize the input to batches.
  images = tf.TensorSpec([1, *ticket.image_shape], tf.float32 if integer else tf.uint8, name='images')
  # With the trackable, the converter goes by a SavedModel and keeps the signature.
  converter = tf.lite.TFLiteConverter.from_concrete_functions([serving_default.get_concrete_function(images)],
                                                              ticket.trackable)
  if variant.numbers == 'float16':
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = [tf.float16]
  if integer:
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.representative_dataset = lambda: _calibration(calibration)
    converter.inference_input_type = converter.inference_output_type = tf.uint8
  if variant.sparse:
    converter.optimizations = [*converter.optimizations, tf.lite.Optimize.EXPERIMENTAL_SPARSITY]
  try:
    with notes.dropped():
      content = converter.convert()
  except (OSError, RuntimeError, ValueError, tf.errors.OpError) as error:
    raise TicketsError(f'{variant.name}: cannot be converted to TFLite: {str(error).splitlines()[0]}') from error
  return lite.enclose(_finished(content), ticket.description)


def _calibration(images):
  """Yields the images one by one in floating point, with the values 0 and 255 among them.

  The range of the input has to be exactly that for a byte to mean itself once quantised. Two pixels are enough, and
  leave the ranges of all activations as real images have them.
  """
  for index, image in enumerate(images.astype(np.float32)):
    if index == 0:
      image[0, 0], image[-1, -1] = 0, 255
    yield [image[None]]


def _finished(content):
  model = flatbuffer.read(content)
  flatbuffer.densify_dense_layers(model, content)
  flatbuffer.densify_before_lengthening(model)
  flatbuffer.shorten_names(model)
  return flatbuffer.write(model)
