"""Feature maps that are flattened into the inputs of a dense layer: PyTorch flattens them in another order."""

import math
from collections.abc import Sequence
from typing import Any

import tf_keras as keras

_L = keras.layers
_FLATTENING = (_L.Flatten, _L.Reshape)
_ELEMENTWISE = (_L.Activation, _L.ReLU, _L.LeakyReLU, _L.ELU, _L.Dropout, _L.BatchNormalization)


def flattened(layer: keras.layers.Layer) -> tuple[int, int, int] | None:
  """Returns the shape (height, width, channels) of the map that a dense layer reads flattened; None if it reads none.

  Args:
    layer: a dense layer of a functional or sequential network.
  """
  found = _source(layer)
  # A network that permutes before it flattens takes care of the order itself.
  if found is None or type(found) not in _FLATTENING or isinstance(previous(found), _L.Permute):
    return None
  if len(found.input_shape) != 4 or len(found.output_shape) != 2:
    return None
  _, height, width, channels = found.input_shape
  return height, width, channels


def is_unknown(layer: keras.layers.Layer, widths: Sequence[int], image_shape: tuple[int | None, ...]) -> bool:
  """Returns whether a dense layer may read a flattened map in an order that the graph of the network does not tell.

  A layer of a user's own before it may flatten in any order. In a subclassed network, which has no graph, the number of
  inputs tells: a multiple of the last convolution's outputs, or all values of an image.

  Args:
    layer: a dense layer.
    widths: numbers of outputs of the last convolution before it and of the dense layers since, in the order of the
      network; empty if there is no convolution.
    image_shape: shape of the network's input with the axis of images; empty if it is not known.
  """
  found = _source(layer)
  if found is not None and not isinstance(found, _L.InputLayer):
    return type(found) not in _FLATTENING and not _is_of_keras(found) and _flattens(found)
  axes = getattr(layer.input_spec, 'axes', None) or {}
  inputs = axes.get(-1, 0)
  if not widths:
    return len(image_shape) == 4 and inputs == math.prod(each or 0 for each in image_shape[1:]) and (
        _has_order(image_shape))
  return inputs not in widths and inputs % widths[0] == 0 and widths[0] > 1


def previous(layer: keras.layers.Layer) -> keras.layers.Layer | None:
  """Returns the layer before; None if there is not exactly one, as in subclassed models, which have no graph."""
  tensors: Sequence[Any] = layer.inbound_nodes[0].keras_inputs if layer.inbound_nodes else ()
  return _maker(tensors[0]) if len(tensors) == 1 else None


def _source(layer: keras.layers.Layer) -> keras.layers.Layer | None:
  # The first layer before it that does more than to change every value in its place.
  found = previous(layer)
  while isinstance(found, _ELEMENTWISE):
    found = previous(found)
  return found


def _maker(tensor: Any) -> keras.layers.Layer:
  # Of a network inside the network, the layer inside that makes its output.
  layer = tensor._keras_history.layer  # pylint: disable=protected-access
  while getattr(layer, '_is_graph_network', False) and len(layer.outputs) == 1:
    layer = layer.outputs[0]._keras_history.layer  # pylint: disable=protected-access
  return layer


def _flattens(layer: keras.layers.Layer) -> bool:
  try:
    shape, output = layer.input_shape, layer.output_shape
  except (AttributeError, RuntimeError):
    return False  # It has been called with several shapes.
  return (isinstance(shape, tuple) and len(shape) == 4 and isinstance(output, tuple) and len(output) == 2
          and None not in shape[1:] and output[1] == math.prod(shape[1:]) and _has_order(shape))


def _has_order(shape: tuple[int | None, ...]) -> bool:
  # With one place or one channel both orders are the same.
  return (shape[1], shape[2]) != (1, 1) and shape[3] != 1


def _is_of_keras(layer: keras.layers.Layer) -> bool:
  # An operator on tensors, or a function of the user's own, may be a flattening in any order.
  return type(layer).__module__.startswith('tf_keras.') and not isinstance(layer, _L.Lambda) and not hasattr(
      layer, 'symbol')
