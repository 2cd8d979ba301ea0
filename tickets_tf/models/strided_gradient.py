"""The gradient of strided 1x1 convolutions, computed so that it stays inside its memory.

oneDNN's float32 gradient by the kernel of a strided 1x1 convolution writes outside its memory if the input has few
channels (oneDNN issue 6035): below 8 or 16, by processor. Whether the process crashes, other numbers change or nothing
happens depends on what lies there. The shortcut of every narrow ResNet is such a convolution.

A strided 1x1 convolution reads every stride-th pixel and no other. So its gradient is that of the convolution without a
stride of these pixels, for which oneDNN takes another way. `install` gives TensorFlow this gradient for such
convolutions, and all others keep theirs: wherever they are, also in layers of a user's own, and for second derivatives.
"""

from collections.abc import Callable
import functools
from typing import Any

import tensorflow as tf
from tensorflow.python.framework import ops

_FEW = 16  # channels
_Gradient = Callable[[Any, tf.Tensor], list[tf.Tensor | None]]


def install() -> None:
  """Sets the gradients of `Conv2D` and of `Conv2DBackpropInput`, the transposed convolution, of this process."""
  # TensorFlow allows nobody to register a gradient twice.
  known = ops.gradient_registry._registry  # pylint: disable=protected-access
  for name, gradient in (('Conv2D', _convolution), ('Conv2DBackpropInput', _transposed)):
    entry = known[name]
    if not hasattr(entry['type'], 'before_install'):
      replacement = functools.partial(gradient, before=entry['type'])
      vars(replacement)['before_install'] = entry['type']
      entry['type'] = replacement


def _convolution(op: Any, upstream: tf.Tensor, before: _Gradient) -> list[tf.Tensor | None]:
  images, kernel = op.inputs
  if 0 in (getattr(op, 'skip_input_indices', None) or ()):
    # The images of a network, with functions run eagerly: TensorFlow would compute a gradient that nobody wants.
    return [None, _by_kernel(op, images, upstream, kernel) if _writes_outside(op, images, kernel)
            else tf.raw_ops.Conv2DBackpropFilter(input=images, filter_sizes=tf.shape(kernel), out_backprop=upstream,
                                                 **_attributes(op))]
  if not _writes_outside(op, images, kernel):
    return before(op, upstream)
  by_images = tf.raw_ops.Conv2DBackpropInput(input_sizes=tf.shape(images), filter=kernel, out_backprop=upstream,
                                             **_attributes(op))
  return [by_images, _by_kernel(op, images, upstream, kernel)]


def _transposed(op: Any, upstream: tf.Tensor, before: _Gradient) -> list[tf.Tensor | None]:
  _, kernel, images = op.inputs
  if not _writes_outside(op, upstream, kernel):
    return before(op, upstream)
  return [None, _by_kernel(op, upstream, images, kernel),
          tf.raw_ops.Conv2D(input=upstream, filter=kernel, **_attributes(op))]


def _attributes(op: Any) -> dict[str, Any]:
  names = ('strides', 'padding', 'use_cudnn_on_gpu', 'explicit_paddings', 'data_format', 'dilations')
  return {name: op.get_attr(name) for name in names}


def _writes_outside(op: Any, images: tf.Tensor, kernel: tf.Tensor) -> bool:
  shape = kernel.shape
  return (shape.rank == 4 and tuple(shape[:2]) == (1, 1) and max(op.get_attr('strides')) > 1
          and tf.as_dtype(images.dtype) == tf.float32 and (shape[2] is None or shape[2] < _FEW)
          and tf.compat.as_str(op.get_attr('data_format')) == 'NHWC')


def _by_kernel(op: Any, images: tf.Tensor, upstream: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
  # The gradient by the kernel of a convolution of `images`, whose result has the gradient `upstream`.
  _, rows, columns, _ = op.get_attr('strides')
  paddings = op.get_attr('explicit_paddings')  # Empty, or before and after each axis; SAME pads nothing to 1x1.
  if paddings:
    images = tf.pad(images, tf.reshape(tf.constant(paddings), [4, 2]))
  return tf.raw_ops.Conv2DBackpropFilter(
      input=images[:, ::rows, ::columns], filter_sizes=tf.shape(kernel), out_backprop=upstream, strides=[1, 1, 1, 1],
      padding='VALID')
