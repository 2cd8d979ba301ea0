"""What a network computes: multiply-accumulates per image."""

import math


def multiply_accumulates(kernels, counts):
  """Counts the multiply-accumulates of one image in every prunable layer.

  A weight is used once per output position: height times width for a convolution, once for a dense layer.

  Args:
    kernels: list of `Kernel` with live layers of a functional or sequential model.
    counts: kept weights per kernel.

  Returns:
    A list of integers, or None where a layer cannot tell the shape of its output (subclassed models).
  """
  positions = [_positions(kernel.layer) for kernel in kernels]
  return [None if each is None else each * count for each, count in zip(positions, counts)]


def _positions(layer):
  try:
    shape = layer.output_shape
  except (AttributeError, RuntimeError):
    return None
  return math.prod(shape[1:-1])
