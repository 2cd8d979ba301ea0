"""The two orders of a kernel's axes: Keras' HWIO and (inputs, outputs), PyTorch's OIHW and (outputs, inputs)."""

import math

import numpy as np

LAYOUTS = ('keras', 'torch')
_SPACE = 'DHW'


def key(shape, layout):
  """Returns what two shapes have in common where one array fits both; arrays and kernels are compared by it.

  PyTorch keeps the kernel of a depthwise convolution as (channels, 1, height, width), Keras as (height, width,
  channels, 1). Where there is one channel on either side the order of the two axes says nothing.

  Args:
    shape: a shape in Keras' order.
    layout: the layout of the file.

  Returns:
    A tuple.
  """
  if layout == 'torch' and len(shape) > 2 and 1 in shape[-2:]:
    return (*shape[:-2], 1, math.prod(shape[-2:]))
  return tuple(shape)


def in_keras_order(shape, layout):
  """Returns the shape that an array of `shape` in a file of `layout` has in Keras' order."""
  return (*shape[2:], shape[1], shape[0]) if layout == 'torch' and len(shape) > 1 else tuple(shape)


def to_keras(values, kernel, layout):
  """Returns an array of a file in the shape and order of a kernel.

  Args:
    values: array from the file whose key is that of the kernel.
    kernel: the `Kernel`.
    layout: the layout of the file.

  Returns:
    An array of the kernel's shape.
  """
  if layout == 'torch' and kernel.flattened:
    # PyTorch flattens a feature map channel by channel, Keras position by position.
    height, width, channels = kernel.flattened
    values = values.reshape(-1, channels, height, width).transpose(2, 3, 1, 0)
  elif layout == 'torch':
    values = from_torch(values)
  return values.reshape(kernel.shape)


def from_torch(values):
  """Returns an array in PyTorch's order in Keras'; undoes `to_torch`."""
  return np.moveaxis(values, (0, 1), (-1, -2)) if values.ndim > 1 else values


def to_torch(values):
  """Returns a kernel in Keras' order as a contiguous array in PyTorch's."""
  return np.ascontiguousarray(np.moveaxis(values, (-1, -2), (0, 1)) if values.ndim > 1 else values)


def letters(rank, layout):
  """Returns the axes of an array of two axes or more as letters, e.g. `'OIHW'`."""
  space = _SPACE[len(_SPACE) - rank + 2:]
  return f'OI{space}' if layout == 'torch' else f'{space}IO'
