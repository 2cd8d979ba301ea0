"""The only answer to what may be pruned in a network, and in which order."""

import dataclasses

import tf_keras as keras

from tickets_tf.errors import UsageError
from tickets_tf.pruning.kernels import Kernel

_CONVOLUTIONS = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
_DEPTHWISE = (keras.layers.DepthwiseConv1D, keras.layers.DepthwiseConv2D)
_SEPARABLE = (keras.layers.SeparableConv1D, keras.layers.SeparableConv2D)
_DENSE = (keras.layers.Dense, keras.layers.EinsumDense)
# First match wins: Keras derives the special convolutions from the plain ones.
_KERNELS = (
    (_SEPARABLE, 'conv', ('depthwise_kernel', 'pointwise_kernel')),
    (_DEPTHWISE, 'conv', ('depthwise_kernel',)),
    (_CONVOLUTIONS, 'conv', ('kernel',)),
    (_DENSE, 'dense', ('kernel',)),
)
_FLATTENING = (keras.layers.Flatten, keras.layers.Reshape)
_ELEMENTWISE = (keras.layers.Activation, keras.layers.ReLU, keras.layers.LeakyReLU, keras.layers.ELU,
                keras.layers.Dropout, keras.layers.BatchNormalization)
_MERGES = (keras.layers.Add, keras.layers.Average, keras.layers.Subtract, keras.layers.Concatenate)


def prunable_kernels(model):
  """Lists the kernels of every convolution and dense layer, in the order of the forward definition.

  Layers of one's own take part where their class has tfmot's `get_prunable_weights`. Biases and normalisation
  parameters are never listed.

  Args:
    model: a built `tf_keras` model: functional, sequential or subclassed, with nested models and wrappers.

  Returns:
    A list of `Kernel`, live variables included; a layer that is used twice is listed once.

  Raises:
    UsageError: where the model is not built, or has nothing to prune.
  """
  if not model.built:
    raise UsageError(f'model {model.name!r} has no weights yet; build it or call it once')
  found = []
  _collect(model, '', found, set())
  if not found:
    raise UsageError(f'model {model.name!r} has no convolution or dense layer to prune')
  classifier = next((kernel for kernel in reversed(found) if kernel.kind == 'dense'), None)
  residual = any(_merges(layer) for layer in model._flatten_layers())  # pylint: disable=protected-access
  return [dataclasses.replace(kernel, name=name, classifier=kernel is classifier, residual=residual,
                              flattened=_flattened(kernel.layer) if kernel.kind == 'dense' else None)
          for name, kernel in zip(_unique([kernel.name for kernel in found]), found)]


def _collect(layer, prefix, found, seen):
  for child in layer._flatten_layers(recursive=False, include_self=False):  # pylint: disable=protected-access
    if id(child) in seen:
      continue
    seen.add(id(child))
    found += _own_kernels(child, prefix)
    # A wrapper changes nothing about what a layer is called: masks fit the wrapped and the bare network.
    inner = prefix if isinstance(child, keras.layers.Wrapper) else f'{prefix}{child.name}/'
    _collect(child, inner, found, seen)


def _own_kernels(layer, prefix):
  if hasattr(type(layer), 'get_prunable_weights'):
    weights = layer.get_prunable_weights()
    kinds = ['dense' if len(weight.shape) == 2 else 'conv' for weight in weights]
  else:
    kind, attributes = next((row[1:] for row in _KERNELS if isinstance(layer, row[0])), ('', ()))
    weights = [getattr(layer, attribute) for attribute in attributes]
    kinds = [kind] * len(weights)
  names = [layer.name] if len(weights) == 1 else [f'{layer.name}/{index}' for index in range(len(weights))]
  return [Kernel(prefix + name, tuple(weight.shape), kind, variable=weight, layer=layer)
          for name, kind, weight in zip(names, kinds, weights)]


def _flattened(layer):
  layer = _previous(layer)
  while isinstance(layer, _ELEMENTWISE):
    layer = _previous(layer)
  # A network that permutes before it flattens takes care of the order itself.
  if not isinstance(layer, _FLATTENING) or isinstance(_previous(layer), keras.layers.Permute):
    return None
  shape = layer.input_shape[1:]
  return shape if len(shape) == 3 and len(layer.output_shape) == 2 else None


def _previous(layer):
  # None where there is no one layer before, and in subclassed models, which have no graph.
  tensors = layer.inbound_nodes[0].keras_inputs if layer.inbound_nodes else ()
  return tensors[0]._keras_history.layer if len(tensors) == 1 else None  # pylint: disable=protected-access


def _merges(layer):
  if isinstance(layer, _MERGES):
    return True
  # `x + y` on the tensors of a functional model.
  return getattr(layer, 'symbol', '').endswith('add') and len(getattr(layer, 'inbound_nodes', ())) > 0 and any(
      len(node.keras_inputs) > 1 for node in layer.inbound_nodes)


def _unique(names):
  # Keras allows two layers of one name in different branches of a subclassed model.
  counts = {}
  for name in names:
    counts[name] = counts.get(name, 0) + 1
    yield name if counts[name] == 1 else f'{name}_{counts[name]}'
