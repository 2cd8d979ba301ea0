"""VGG with batch norm in its CIFAR form: one dense layer after average pooling."""

from collections.abc import Sequence
from typing import Final, Literal

import tf_keras as keras

from tickets_tf.errors import UsageError
from tickets_tf.models import layers

_POOL: Final = 'M'
# Convolutions per stage (Simonyan and Zisserman 2015, table 1, columns A, B, D and E).
_STAGES = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}


def vgg(input_shape: tuple[int, ...] = (32, 32, 3), num_classes: int = 10, depth: int = 19, width: int = 64,
        widths: Sequence[int | Literal['M']] | None = None) -> keras.Model:
  """Builds a VGG, without the pooling steps that the image is too small for.

  Args:
    input_shape: (height, width, channels), from 8x8 up.
    num_classes: number of outputs.
    depth: 11, 13, 16 or 19.
    width: filters of the first stage; the others have 2, 4, 8 and 8 times as many.
    widths: filters of each convolution, and 'M' for each 2x2 max pooling; replaces `depth` and `width`.

  Returns:
    A `tf_keras.Model` to logits [N, num_classes].

  Raises:
    UsageError: if there is no such network of this depth or for this input size.
  """
  if widths is None:
    widths = _widths(depth, width)
  layers.check_size('vgg', input_shape, 8)
  inputs = x = keras.Input(input_shape, name='image')
  pools = convs = 0
  for step in widths:
    if step == _POOL:
      pools += 1
      if min(x.shape[1:3]) > 1:
        x = keras.layers.MaxPooling2D(2, name=f'pool{pools}')(x)
    else:
      convs += 1
      x = layers.conv(x, step, 3, 1, layers.normal('fan_in'), use_bias=True, name=f'conv{convs}')
      x = layers.batch_norm(x, f'norm{convs}')
      x = keras.layers.ReLU(name=f'relu{convs}')(x)
  # On 32x32 images this is the 2x2 average pooling of the paper's network.
  x = keras.layers.GlobalAveragePooling2D(name='pool')(x)
  return keras.Model(inputs, layers.classifier(x, num_classes), name=f'vgg{convs + 3}' if convs > 7 else 'vgg')


def _widths(depth: int, width: int) -> list[int | Literal['M']]:
  if depth not in _STAGES:
    raise UsageError(f'model vgg{depth}: the depth must be one of {", ".join(map(str, _STAGES))}')
  steps: list[int | Literal['M']] = []
  for convs, factor in zip(_STAGES[depth], (1, 2, 4, 8, 8), strict=True):
    steps += [width * factor] * convs + [_POOL]
  # No max pooling after the last stage: average pooling follows it.
  return steps[:-1]
