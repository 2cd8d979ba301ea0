"""Layers with the constants of the paper's networks, which are not Keras' defaults, and what networks share."""

from collections.abc import Iterator
import contextlib
import contextvars

import tensorflow as tf
import tf_keras as keras

from tickets_tf.errors import UsageError

# A family's function takes no such argument, and need not pass it on to each of its layers.
_SYNCHRONISED = contextvars.ContextVar('synchronised', default=False)


def check_size(name: str, input_shape: tuple[int, ...], least: int) -> None:
  """Raises UsageError that names the model if a side of its images has less than `least` pixels."""
  if min(input_shape[:2]) < least:
    raise UsageError(f'model {name}: images of {input_shape[0]}x{input_shape[1]}; at least {least}x{least} are needed')


@contextlib.contextmanager
def synchronised(whether: bool) -> Iterator[None]:
  """Inside the `with`, `batch_norm` makes layers that take the statistics of the batches of all replicas together.

  The default is each replica's own share, as in Keras.
  """
  token = _SYNCHRONISED.set(whether)
  try:
    yield
  finally:
    _SYNCHRONISED.reset(token)


def batch_norm(x: tf.Tensor, name: str) -> tf.Tensor:
  """Applies batch norm with epsilon 1e-5; each batch moves the running averages by a tenth of the difference."""
  return keras.layers.BatchNormalization(epsilon=1e-5, momentum=0.9, synchronized=_SYNCHRONISED.get(), name=name)(x)


def conv(x: tf.Tensor, filters: int, size: int, stride: int, initializer: keras.initializers.Initializer,
         use_bias: bool, name: str) -> tf.Tensor:
  """Applies a convolution padded by size // 2 pixels on every side; TensorFlow's SAME may pad only right and bottom."""
  if stride > 1 and size > 1:
    x = keras.layers.ZeroPadding2D(size // 2, name=f'{name}_pad')(x)
  padding = 'same' if stride == 1 else 'valid'
  return keras.layers.Conv2D(filters, size, stride, padding, use_bias=use_bias, kernel_initializer=initializer,
                             name=name)(x)


def classifier(x: tf.Tensor, num_classes: int) -> tf.Tensor:
  """Applies a dense layer with weights from N(0, 0.01^2); logits are float32, under mixed precision too."""
  initializer = keras.initializers.RandomNormal(stddev=0.01)
  x = keras.layers.Dense(num_classes, kernel_initializer=initializer, name='classifier')(x)
  return keras.layers.Activation('linear', dtype='float32', name='logits')(x)


def normal(mode: str) -> keras.initializers.Initializer:
  """Returns the initialiser N(0, 2 / fan); `mode` is `'fan_in'` or `'fan_out'`."""
  return keras.initializers.VarianceScaling(2.0, mode, 'untruncated_normal')


def with_classifier(features: keras.Model, num_classes: int, name: str) -> keras.Model:
  """Returns the network from the images of `features`, which gives [N, channels], to logits of a new classifier."""
  return keras.Model(features.inputs, classifier(features.output, num_classes), name=name)


def conv_norm(x: tf.Tensor, filters: int, size: int, stride: int, conv_name: str, norm_name: str) -> tf.Tensor:
  """Applies a convolution of a ResNet with its batch norm."""
  return batch_norm(conv(x, filters, size, stride, normal('fan_out'), use_bias=False, name=conv_name), norm_name)


def basic_block(x: tf.Tensor, filters: int, stride: int, name: str) -> tf.Tensor:
  """Applies two 3x3 convolutions, with a 1x1 convolution beside them if the shape changes (He et al. 2016)."""
  y = conv_norm(x, filters, 3, stride, f'{name}_conv1', f'{name}_norm1')
  y = keras.layers.ReLU(name=f'{name}_relu1')(y)
  y = conv_norm(y, filters, 3, 1, f'{name}_conv2', f'{name}_norm2')
  if stride > 1 or x.shape[-1] != filters:
    x = conv_norm(x, filters, 1, stride, f'{name}_shortcut', f'{name}_shortcut_norm')
  # The main path comes first, so that Keras lists the shortcut's layers after it.
  x = keras.layers.Add(name=f'{name}_add')([y, x])
  return keras.layers.ReLU(name=f'{name}_relu2')(x)
