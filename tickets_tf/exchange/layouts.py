"""The two orders of a kernel's axes: Keras' HWIO and (inputs, outputs), PyTorch's OIHW and (outputs, inputs)."""

import math
from typing import Protocol

import numpy as np

LAYOUTS = ('keras', 'torch')
# Kinds of kernels that PyTorch keeps in another order of axes or gates, or does not know.
NOT_IN_TORCH = ('recurrent', 'embedding', 'local')
_SPACE = 'DHW'


class Shaped(Protocol):
  """What has a name and a shape: an array in a file, or a kernel."""

  @property
  def name(self) -> str:
    """Its name, unique in the file or network."""

  @property
  def shape(self) -> tuple[int, ...]:
    """Its shape."""


class KernelLike(Shaped, Protocol):
  """What these modules need to know of a kernel; `tickets_tf.pruning.kernels.Kernel` is one."""

  @property
  def kind(self) -> str:
    """`'conv'`, `'dense'`, or another kind of kernel."""

  @property
  def flattened(self) -> tuple[int, int, int] | None:
    """Shape (height, width, channels) of the feature map that is flattened into a dense layer's inputs, or None."""

  @property
  def unknown_order(self) -> bool:
    """Whether the inputs may be a flattened map in an order that nobody knows."""

  @property
  def depthwise(self) -> bool:
    """Whether every channel has weights of its own."""

  @property
  def split(self) -> bool:
    """Whether a dense layer's inputs or outputs are split into heads; PyTorch has them on one axis."""

  @property
  def fans(self) -> tuple[int, int]:
    """(number of inputs of one output at one place, number of outputs)."""

  def restored(self, values: np.ndarray) -> np.ndarray:
    """Returns an array (*places, inputs, outputs) in the kernel's shape."""


def key(shape: tuple[int, ...], layout: str) -> tuple[int, ...]:
  """Returns the form of an array's shape by which it is compared with `kernel_key`: if they are equal, it fits.

  PyTorch keeps the kernel of a depthwise convolution as (channels x multiplier, 1, height, width), Keras as (height,
  width, channels, multiplier). If there is one channel on either side, the order of the two axes makes no difference.

  Args:
    shape: a shape in Keras' order.
    layout: the layout of the file.
  """
  if layout == 'torch' and len(shape) > 2 and 1 in shape[-2:]:
    return (*shape[:-2], 1, math.prod(shape[-2:]))
  return tuple(shape)


def kernel_key(kernel: KernelLike, layout: str) -> tuple[int, ...]:
  """Returns the form of a kernel's shape by which it is compared with `key`."""
  shape = kernel.shape
  if layout == 'torch' and kernel.depthwise:
    return (*shape[:-2], 1, math.prod(shape[-2:]))
  return kernel.fans if layout == 'torch' and kernel.split else key(shape, layout)


def in_keras_order(shape: tuple[int, ...], layout: str) -> tuple[int, ...]:
  """Returns the shape in Keras' order of an array that has `shape` in a file of `layout`."""
  return (*shape[2:], shape[1], shape[0]) if layout == 'torch' and len(shape) > 1 else tuple(shape)


def to_keras(values: np.ndarray, kernel: KernelLike, layout: str) -> np.ndarray:
  """Returns an array of a file in the shape and order of a kernel.

  Args:
    values: array from the file whose `key` is the kernel's `kernel_key`.
    kernel: the kernel.
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
    if kernel.split:
      return kernel.restored(values)
  return values.reshape(kernel.shape)


def from_torch(values: np.ndarray) -> np.ndarray:
  """Takes an array from PyTorch's order to Keras'; the inverse of `to_torch`."""
  return np.moveaxis(values, (0, 1), (-1, -2)) if values.ndim > 1 else values


def to_torch(values: np.ndarray) -> np.ndarray:
  """Takes an array from Keras' order to PyTorch's, in contiguous memory."""
  return np.ascontiguousarray(np.moveaxis(values, (-1, -2), (0, 1)) if values.ndim > 1 else values)


def to_torch_flattened(values: np.ndarray, flattened: tuple[int, int, int]) -> np.ndarray:
  """Takes the kernel of a dense layer after a flattened map (height, width, channels) to PyTorch's order."""
  return np.ascontiguousarray(values.reshape(*flattened, -1).transpose(3, 2, 0, 1).reshape(values.shape[-1], -1))


def letters(rank: int, layout: str) -> str:
  """Returns the names of the axes of an array with two axes or more, e.g. `'OIHW'`."""
  space = _SPACE[len(_SPACE) - rank + 2:]
  return f'OI{space}' if layout == 'torch' else f'{space}IO'
