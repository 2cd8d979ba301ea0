"""Which functions of TensorFlow and Keras act on each value by itself."""

from collections.abc import Callable
from typing import Any

import tf_keras as keras

ACTIVATIONS = frozenset({
    'linear', 'relu', 'relu6', 'elu', 'selu', 'gelu', 'silu', 'swish', 'mish', 'leaky_relu', 'tanh', 'sigmoid',
    'hard_sigmoid', 'softplus', 'softsign', 'exponential'})


def is_elementwise(activation: Callable[..., Any]) -> bool:
  """Returns whether a layer's activation is one of `ACTIVATIONS`; a user's own function may compute anything."""
  return is_known(activation) and activation.__name__ in ACTIVATIONS


def is_known(activation: Callable[..., Any]) -> bool:
  """Returns whether a function belongs to TensorFlow or Keras."""
  return getattr(activation, '__module__', '').partition('.')[0] in ('tf_keras', 'tensorflow')


def operation(layer: keras.layers.Layer) -> str:
  """Names the function of a layer that a functional model made from a function call: `'add'` for `x + y`.

  Args:
    layer: a Keras layer.

  Returns:
    The last part of the function's name, such as `'add'`, `'relu'` or `'reshape'`; an empty string for other layers.
  """
  symbol: str = getattr(layer, 'symbol', None) or ''
  return symbol.rpartition('.')[2]
