"""ResNets in their ImageNet form (He et al. 2016, table 1): a 7x7 convolution and max pooling halve the image first."""

import tf_keras as keras

from tickets_tf.models import layers


def resnet18(input_shape: tuple[int, ...] = (224, 224, 3), num_classes: int = 1000, width: int = 64) -> keras.Model:
  """Builds a ResNet of eight basic blocks in four stages of `width`, 2, 4 and 8 times `width` filters.

  Args:
    input_shape: (height, width, channels), from 8x8 up.
    num_classes: number of outputs.
    width: filters of the first stage.

  Returns:
    A `tf_keras.Model` to logits [N, num_classes].

  Raises:
    UsageError: if the images are too small.
  """
  layers.check_size('resnet18', input_shape, 8)
  inputs = keras.Input(input_shape, name='image')
  x = layers.conv_norm(inputs, width, 7, 2, 'conv1', 'norm1')
  x = keras.layers.ReLU(name='relu1')(x)
  # After ReLU the zeros of the padding are never the maximum of anything else.
  x = keras.layers.ZeroPadding2D(1, name='pool1_pad')(x)
  x = keras.layers.MaxPooling2D(3, 2, name='pool1')(x)
  for stage in (1, 2, 3, 4):
    for block in (1, 2):
      stride = 2 if stage > 1 and block == 1 else 1
      x = layers.basic_block(x, width * 2**(stage - 1), stride, f'stage{stage}_block{block}')
  x = keras.layers.GlobalAveragePooling2D(name='pool')(x)
  return keras.Model(inputs, layers.classifier(x, num_classes), name='resnet18')


def resnet50(input_shape: tuple[int, ...] = (224, 224, 3), num_classes: int = 1000) -> keras.Model:
  """Builds the ResNet of 50 layers of `tf_keras.applications`, with fresh weights; it has no other width.

  Args:
    input_shape: (height, width, channels), from 32x32 up.
    num_classes: number of outputs.

  Returns:
    A `tf_keras.Model` to logits [N, num_classes].

  Raises:
    UsageError: if the images are too small.
  """
  layers.check_size('resnet50', input_shape, 32)
  features = keras.applications.ResNet50(include_top=False, weights=None, input_shape=input_shape, pooling='avg')
  return layers.with_classifier(features, num_classes, 'resnet50')
