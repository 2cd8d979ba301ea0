"""ResNet in its CIFAR form (He et al. 2016, section 4.2), with 1x1 convolutions where the shape changes."""

import tensorflow as tf
import tf_keras as keras

from tickets_tf.errors import UsageError
from tickets_tf.models import layers


def resnet(input_shape: tuple[int, ...] = (32, 32, 3), num_classes: int = 10, depth: int = 32,
           width: int = 32) -> keras.Model:
  """Builds a ResNet of basic blocks in three stages of `width`, 2 and 4 times `width` filters.

  Args:
    input_shape: (height, width, channels), from 8x8 up.
    num_classes: number of outputs.
    depth: 6n + 2 for n blocks a stage.
    width: filters of the first stage.

  Returns:
    A `tf_keras.Model` to logits [N, num_classes].

  Raises:
    UsageError: if there is no such network of this depth or for this input size.
  """
  if depth < 8 or depth % 6 != 2:
    raise UsageError(f'model resnet{depth}: the depth must be 6n + 2: 8, 14, 20, 26, 32, ...')
  if min(input_shape[:2]) < 8:
    raise UsageError(f'model resnet{depth}: images of {input_shape[0]}x{input_shape[1]}; at least 8x8 are needed')
  inputs = keras.Input(input_shape, name='image')
  x = _conv_norm(inputs, width, 3, 1, 'conv1', 'norm1')
  x = keras.layers.ReLU(name='relu1')(x)
  for stage in (1, 2, 3):
    for block in range(1, (depth - 2) // 6 + 1):
      stride = 2 if stage > 1 and block == 1 else 1
      x = _basic_block(x, width * 2**(stage - 1), stride, f'stage{stage}_block{block}')
  x = keras.layers.GlobalAveragePooling2D(name='pool')(x)
  return keras.Model(inputs, layers.classifier(x, num_classes), name=f'resnet{depth}')


def _conv_norm(x: tf.Tensor, filters: int, size: int, stride: int, conv_name: str, norm_name: str) -> tf.Tensor:
  x = layers.conv(x, filters, size, stride, layers.normal('fan_out'), use_bias=False, name=conv_name)
  return layers.batch_norm(x, norm_name)


def _basic_block(x: tf.Tensor, filters: int, stride: int, name: str) -> tf.Tensor:
  y = _conv_norm(x, filters, 3, stride, f'{name}_conv1', f'{name}_norm1')
  y = keras.layers.ReLU(name=f'{name}_relu1')(y)
  y = _conv_norm(y, filters, 3, 1, f'{name}_conv2', f'{name}_norm2')
  if stride > 1 or x.shape[-1] != filters:
    x = _conv_norm(x, filters, 1, stride, f'{name}_shortcut', f'{name}_shortcut_norm')
  # The main path comes first, so that Keras lists the shortcut's layers after it.
  x = keras.layers.Add(name=f'{name}_add')([y, x])
  return keras.layers.ReLU(name=f'{name}_relu2')(x)
