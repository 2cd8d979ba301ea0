"""ResNet in its CIFAR form (He et al. 2016, section 4.2), with 1x1 convolutions where the shape changes."""

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
  layers.check_size(f'resnet{depth}', input_shape, 8)
  inputs = keras.Input(input_shape, name='image')
  x = layers.conv_norm(inputs, width, 3, 1, 'conv1', 'norm1')
  x = keras.layers.ReLU(name='relu1')(x)
  for stage in (1, 2, 3):
    for block in range(1, (depth - 2) // 6 + 1):
      stride = 2 if stage > 1 and block == 1 else 1
      x = layers.basic_block(x, width * 2**(stage - 1), stride, f'stage{stage}_block{block}')
  x = keras.layers.GlobalAveragePooling2D(name='pool')(x)
  return keras.Model(inputs, layers.classifier(x, num_classes), name=f'resnet{depth}')
