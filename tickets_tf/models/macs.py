"""The work of a network: multiply-accumulates per image."""

from collections.abc import Sequence
import math

import tf_keras as keras

from tickets_tf.pruning.kernels import Kernel


def multiply_accumulates(kernels: Sequence[Kernel], counts: Sequence[int]) -> list[int | None]:
  """Counts the multiply-accumulates of one image in every prunable layer.

  A weight is used once per output position: height times width for a convolution, once for a dense layer.

  Args:
    kernels: kernels with live layers.
    counts: kept weights per kernel.

  Returns:
    One number per kernel; None for a layer that cannot tell the shape of its output (in subclassed models).
  """
  positions = [_positions(kernel.layer) for kernel in kernels]
  return [None if each is None else each * count for each, count in zip(positions, counts, strict=True)]


def _positions(layer: keras.layers.Layer) -> int | None:
  try:
    shape = layer.output_shape
  except (AttributeError, RuntimeError):
    return None
  return int(math.prod(shape[1:-1]))
