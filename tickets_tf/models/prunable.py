"""The only answer to what may be pruned in a network, and in which order."""

from collections.abc import Iterable, Iterator, Sequence
import dataclasses
from typing import Any

import tf_keras as keras

from tickets_tf.errors import UsageError
from tickets_tf.pruning.kernels import Kernel

_CONVOLUTIONS = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
_DEPTHWISE = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
_SEPARABLE = (keras.layers.SeparableConv1D, keras.layers.SeparableConv2D)
_DENSE = (keras.layers.Dense, keras.layers.EinsumDense)
# (layers, kind, attributes that hold the kernels). The first match wins: Keras derives the special convolutions from
# the plain ones.
_KERNELS: tuple[tuple[tuple[type, ...], str, tuple[str, ...]], ...] = (
    (_SEPARABLE, 'conv', ('depthwise_kernel', 'pointwise_kernel')),
    (_DEPTHWISE, 'conv', ('depthwise_kernel',)),
    (_CONVOLUTIONS, 'conv', ('kernel',)),
    (_DENSE, 'dense', ('kernel',)),
)
_FLATTENING = (keras.layers.Flatten, keras.layers.Reshape)
_ELEMENTWISE = (keras.layers.Activation, keras.layers.ReLU, keras.layers.LeakyReLU, keras.layers.ELU,
                keras.layers.Dropout, keras.layers.BatchNormalization)
_MERGES = (keras.layers.Add, keras.layers.Average, keras.layers.Subtract, keras.layers.Concatenate)


def prunable_kernels(model: keras.Model) -> list[Kernel]:
  """Lists the kernels of every convolution and dense layer, in the order of the forward definition.

  A layer of your own takes part if its class has tfmot's `get_prunable_weights`. Biases and normalisation parameters
  are never listed.

  Args:
    model: a built `tf_keras` model: functional, sequential or subclassed, with nested models and wrappers.

  Returns:
    Kernels with their live variables and layers; a layer that is used twice is listed once.

  Raises:
    UsageError: if the model is not built, or has nothing to prune.
  """
  if not model.built:
    raise UsageError(f'model {model.name!r} has no weights yet; build it or call it once')
  found: list[Kernel] = []
  _collect(model, '', found, set())
  if not found:
    raise UsageError(f'model {model.name!r} has no convolution or dense layer to prune')
  classifier = next((kernel for kernel in reversed(found) if kernel.kind == 'dense'), None)
  residual = any(_merges(layer) for layer in model._flatten_layers())  # pylint: disable=protected-access
  names = _unique(kernel.name for kernel in found)
  return [dataclasses.replace(kernel, name=name, classifier=kernel is classifier, residual=residual,
                              flattened=_flattened(kernel.layer) if kernel.kind == 'dense' else None)
          for name, kernel in zip(names, found, strict=True)]


def _collect(layer: keras.layers.Layer, prefix: str, found: list[Kernel], seen: set[int]) -> None:
  # Adds the kernels of all layers inside a layer to `found`, and the ids of these layers to `seen`.
  for child in layer._flatten_layers(recursive=False, include_self=False):  # pylint: disable=protected-access
    if id(child) in seen:
      continue
    seen.add(id(child))
    found += _own_kernels(child, prefix)
    # A wrapper adds nothing to the name of its layer, so that a mask fits the wrapped and the bare network.
    inner = prefix if isinstance(child, keras.layers.Wrapper) else f'{prefix}{child.name}/'
    _collect(child, inner, found, seen)


def _own_kernels(layer: keras.layers.Layer, prefix: str) -> list[Kernel]:
  if hasattr(type(layer), 'get_prunable_weights'):
    weights = layer.get_prunable_weights()
    kinds = ['dense' if len(weight.shape) == 2 else 'conv' for weight in weights]
  else:
    kind, attributes = next((row[1:] for row in _KERNELS if isinstance(layer, row[0])), ('', ()))
    weights = [getattr(layer, attribute) for attribute in attributes]
    kinds = [kind] * len(weights)
  names = [layer.name] if len(weights) == 1 else [f'{layer.name}/{index}' for index in range(len(weights))]
  return [Kernel(prefix + name, tuple(weight.shape), kind, variable=weight, layer=layer)
          for name, kind, weight in zip(names, kinds, weights, strict=True)]


def _flattened(layer: keras.layers.Layer) -> tuple[int, int, int] | None:
  # The `flattened` of a dense layer's kernel.
  layer = _previous(layer)
  while isinstance(layer, _ELEMENTWISE):
    layer = _previous(layer)
  # A network that permutes before it flattens takes care of the order itself.
  if not isinstance(layer, _FLATTENING) or isinstance(_previous(layer), keras.layers.Permute):
    return None
  if len(layer.input_shape) != 4 or len(layer.output_shape) != 2:
    return None
  _, height, width, channels = layer.input_shape
  return height, width, channels


def _previous(layer: keras.layers.Layer) -> keras.layers.Layer | None:
  # The layer before, or None if there is not exactly one, as in subclassed models, which have no graph.
  tensors: Sequence[Any] = layer.inbound_nodes[0].keras_inputs if layer.inbound_nodes else ()
  return tensors[0]._keras_history.layer if len(tensors) == 1 else None  # pylint: disable=protected-access


def _merges(layer: keras.layers.Layer) -> bool:
  if isinstance(layer, _MERGES):
    return True
  # `x + y` on the tensors of a functional model.
  is_sum = getattr(layer, 'symbol', '').endswith('add')
  return is_sum and any(len(node.keras_inputs) > 1 for node in getattr(layer, 'inbound_nodes', ()))


def _unique(names: Iterable[str]) -> Iterator[str]:
  # Keras allows two layers of one name in different branches of a subclassed model.
  counts: dict[str, int] = {}
  for name in names:
    counts[name] = counts.get(name, 0) + 1
    yield name if counts[name] == 1 else f'{name}_{counts[name]}'
