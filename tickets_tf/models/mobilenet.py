"""MobileNetV2 (Sandler et al. 2018), as `tf_keras.applications` has it."""

import tf_keras as keras

from tickets_tf.models import layers

_FILTERS = 32  # of the first convolution of the network whose alpha is 1


def mobilenet_v2(input_shape: tuple[int, ...] = (224, 224, 3), num_classes: int = 1000,
                 width: int = _FILTERS) -> keras.Model:
  """Builds a MobileNetV2 with fresh weights.

  Args:
    input_shape: (height, width, channels), from 32x32 up.
    num_classes: number of outputs.
    width: filters of the first convolution, 32 alpha. Keras rounds all numbers of filters to multiples of 8, so some
      widths give the same network.

  Returns:
    A `tf_keras.Model` to logits [N, num_classes].

  Raises:
    UsageError: if the images are too small.
  """
  layers.check_size('mobilenet_v2', input_shape, 32)
  features = keras.applications.MobileNetV2(input_shape, alpha=width / _FILTERS, include_top=False, weights=None,
                                            pooling='avg')
  return layers.with_classifier(features, num_classes, 'mobilenet_v2')
