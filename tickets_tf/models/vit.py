"""Vision transformers with average pooling and fixed positions (Dosovitskiy et al. 2021, Beyer et al. 2022)."""

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tf_keras as keras

from tickets_tf.models import layers

_BLOCKS, _HEADS, _WIDENING = 12, 3, 4


def vit_tiny(input_shape: tuple[int, ...] = (224, 224, 3), num_classes: int = 1000, width: int = 192) -> keras.Model:
  """Builds the tiny vision transformer of Touvron et al. 2021 (12 blocks, 3 heads), without a class token.

  A patch is an eighth of the image's shorter side, between 2 and 16 pixels: 16 from 128 pixels up, 4 for 32x32.

  Args:
    input_shape: (height, width, channels), from 8x8 up.
    num_classes: number of outputs.
    width: features of each patch.

  Returns:
    A `tf_keras.Model` to logits [N, num_classes].

  Raises:
    UsageError: if the images are too small.
  """
  layers.check_size('vit_tiny', input_shape, 8)
  patch = min(max(min(input_shape[:2]) // 8, 2), 16)
  inputs = keras.Input(input_shape, name='image')
  x = keras.layers.Conv2D(width, patch, patch, 'same', name='patches')(inputs)
  rows, columns = x.shape[1:3]
  x = keras.layers.Reshape((rows * columns, width), name='tokens')(x)
  x = x + tf.constant(_positions(rows, columns, width)[None])
  for block in range(1, _BLOCKS + 1):
    x = _block(x, width, f'block{block}')
  x = _norm(x, 'norm')
  x = keras.layers.GlobalAveragePooling1D(name='pool')(x)
  return keras.Model(inputs, layers.classifier(x, num_classes), name='vit_tiny')


def _block(x: tf.Tensor, width: int, name: str) -> tf.Tensor:
  y = _norm(x, f'{name}_norm1')
  y = keras.layers.MultiHeadAttention(_HEADS, max(width // _HEADS, 1), name=f'{name}_attention')(y, y)
  x = keras.layers.Add(name=f'{name}_add1')([x, y])
  y = keras.layers.Dense(_WIDENING * width, 'gelu', name=f'{name}_dense1')(_norm(x, f'{name}_norm2'))
  y = keras.layers.Dense(width, name=f'{name}_dense2')(y)
  return keras.layers.Add(name=f'{name}_add2')([x, y])


def _norm(x: tf.Tensor, name: str) -> tf.Tensor:
  return keras.layers.LayerNormalization(epsilon=1e-6, name=name)(x)


def _positions(rows: int, columns: int, width: int) -> npt.NDArray[np.float32]:
  """Returns sines and cosines of each patch's row and column, float32 [rows * columns, width] (Beyer et al. 2022).

  They take four features for each rate. Features that are left over have zeros.
  """
  place = np.stack(np.meshgrid(np.arange(rows), np.arange(columns), indexing='ij'), -1).reshape(-1, 2, 1)
  rates = 10000.0**-(np.arange(width // 4) / max(width // 4 - 1, 1))
  angles = (place * rates).reshape(rows * columns, -1)
  left_over = np.zeros((rows * columns, width % 4))
  return np.concatenate([np.sin(angles), np.cos(angles), left_over], axis=1).astype(np.float32)
