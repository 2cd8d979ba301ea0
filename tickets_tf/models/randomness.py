"""Whether a network computes the same however often it was called before."""

import tf_keras as keras
from tf_keras.src.engine import base_layer

_RANDOM = ('random', 'dropout')  # parts of the names of functions that are used as layers


def may_be_random(model: keras.Model) -> bool:
  """Returns whether a layer of a network is random in training mode, or is none of Keras' own, so that it might be."""
  return any(not type(layer).__module__.startswith('tf_keras.')
             or isinstance(layer, (base_layer.BaseRandomLayer, keras.layers.Lambda))
             or any(word in getattr(layer, 'symbol', '') for word in _RANDOM)
             for layer in model._flatten_layers())  # pylint: disable=protected-access
