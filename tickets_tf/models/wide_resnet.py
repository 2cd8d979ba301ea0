"""Wide ResNets (Zagoruyko and Komodakis 2016): normalisation before each convolution, and more filters."""

import tensorflow as tf
import tf_keras as keras

from tickets_tf.errors import UsageError
from tickets_tf.models import layers


def wide_resnet(input_shape: tuple[int, ...] = (32, 32, 3), num_classes: int = 10, depth: int = 16, factor: int = 8,
                width: int = 16) -> keras.Model:
  """Builds a wide ResNet: three stages of `factor` times `width`, 2 and 4 times `width` filters, without dropout.

  Args:
    input_shape: (height, width, channels), from 8x8 up.
    num_classes: number of outputs.
    depth: 6n + 4 for n blocks a stage.
    factor: how much wider the stages are, the k of WRN-n-k.
    width: filters of the first convolution.

  Returns:
    A `tf_keras.Model` to logits [N, num_classes].

  Raises:
    UsageError: if there is no such network of this depth or for this input size.
  """
  name = f'wide_resnet{depth}_{factor}'
  if depth < 10 or depth % 6 != 4:
    raise UsageError(f'model {name}: the depth must be 6n + 4: 10, 16, 22, 28, 40, ...')
  layers.check_size(name, input_shape, 8)
  inputs = keras.Input(input_shape, name='image')
  x = _conv(inputs, width, 3, 1, 'conv1')
  for stage in (1, 2, 3):
    for block in range(1, (depth - 4) // 6 + 1):
      stride = 2 if stage > 1 and block == 1 else 1
      x = _block(x, factor * width * 2**(stage - 1), stride, f'stage{stage}_block{block}')
  x = keras.layers.ReLU(name='relu')(layers.batch_norm(x, 'norm'))
  x = keras.layers.GlobalAveragePooling2D(name='pool')(x)
  return keras.Model(inputs, layers.classifier(x, num_classes), name=name)


def _conv(x: tf.Tensor, filters: int, size: int, stride: int, name: str) -> tf.Tensor:
  return layers.conv(x, filters, size, stride, layers.normal('fan_in'), use_bias=False, name=name)


def _block(x: tf.Tensor, filters: int, stride: int, name: str) -> tf.Tensor:
  before = keras.layers.ReLU(name=f'{name}_relu1')(layers.batch_norm(x, f'{name}_norm1'))
  y = _conv(before, filters, 3, stride, f'{name}_conv1')
  y = keras.layers.ReLU(name=f'{name}_relu2')(layers.batch_norm(y, f'{name}_norm2'))
  y = _conv(y, filters, 3, 1, f'{name}_conv2')
  if stride > 1 or x.shape[-1] != filters:
    x = _conv(before, filters, 1, stride, f'{name}_shortcut')
  return keras.layers.Add(name=f'{name}_add')([y, x])
