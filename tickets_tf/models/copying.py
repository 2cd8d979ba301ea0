"""Copies of layers with changes."""

from typing import Any

import tf_keras as keras


def copied(layer: keras.layers.Layer, **changes: Any) -> keras.layers.Layer:
  """Returns a layer made from a layer's configuration, which has no weights yet.

  Args:
    layer: any layer.
    **changes: entries of the configuration with other values.

  Returns:
    The new layer; or `layer` itself if it is of a user's own and cannot be made again: a subclassed model, or a layer
    whose configuration does not say all that its class asks for.
  """
  if isinstance(layer, keras.Model) and not layer._is_graph_network:  # pylint: disable=protected-access
    return layer
  try:
    copy = type(layer).from_config({**layer.get_config(), **changes})
  except (NotImplementedError, TypeError, ValueError):
    return layer
  # A configuration that forgets the name makes a layer that nobody finds again.
  return copy if copy.name == layer.name else layer
