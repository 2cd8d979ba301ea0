"""The only answer to what may be pruned in a network, and in which order."""

from collections.abc import Iterable, Iterator
import dataclasses
import itertools
import math

import tensorflow as tf
import tf_keras as keras

from tickets_tf.errors import UsageError
from tickets_tf.models import axes
from tickets_tf.models import flattening
from tickets_tf.models import naming
from tickets_tf.models import own
from tickets_tf.models import residual
from tickets_tf.pruning.kernels import Kernel

_L = keras.layers
# (layers, kind, attributes that hold the kernels). The first match wins: Keras derives the special convolutions from
# the plain ones.
_KERNELS: tuple[tuple[tuple[type, ...], str, tuple[str, ...]], ...] = (
    ((_L.SeparableConv1D, _L.SeparableConv2D), 'conv', ('depthwise_kernel', 'pointwise_kernel')),
    ((_L.DepthwiseConv1D, _L.DepthwiseConv2D), 'conv', ('depthwise_kernel',)),
    ((_L.Conv1D, _L.Conv2D, _L.Conv3D), 'conv', ('kernel',)),
    ((_L.Dense, _L.EinsumDense), 'dense', ('kernel',)),
    ((_L.LocallyConnected1D, _L.LocallyConnected2D), 'local', ('kernel',)),
    ((_L.Embedding,), 'embedding', ('embeddings',)),
    ((_L.SimpleRNNCell, _L.GRUCell, _L.LSTMCell), 'recurrent', ('kernel', 'recurrent_kernel')),
)
_CONV_LSTM = (_L.ConvLSTM1D, _L.ConvLSTM2D, _L.ConvLSTM3D)
_NORMALISATION = (_L.BatchNormalization, _L.LayerNormalization, _L.GroupNormalization)


def prunable_kernels(model: keras.Model) -> list[Kernel]:
  """Lists the kernels of all layers that Keras gives kernels, in the order of the forward definition.

  These are convolutions, dense, locally connected and recurrent layers and embeddings. A layer of your own takes part
  if its class has tfmot's `get_prunable_weights`. Biases and normalisation parameters are never listed. Names depend on
  the structure alone, see `naming`.

  Args:
    model: a built `tf_keras` model: functional, sequential or subclassed, with nested models and wrappers.

  Returns:
    Kernels with their live variables and layers; a layer that is used twice is listed once.

  Raises:
    UsageError: if it is no `tf_keras` model, is not built, has nothing to prune, or has a locally connected layer of an
      implementation that keeps weights without use.
  """
  own.check_kind(model, 'model')
  if not model.built:
    raise UsageError(f'model {model.name!r} has no weights yet; build it or call it once')
  found: list[Kernel] = []
  listed: set[int] = set()
  for layer, name in named_layers(model):
    # A recurrent layer has listed the kernels of its cells.
    kernels = [kernel for kernel in _own_kernels(layer, name) if id(kernel.variable) not in listed]
    listed.update(id(kernel.variable) for kernel in kernels)
    found += kernels
  if not found:
    raise UsageError(f'model {model.name!r} has no convolution or dense layer to prune, nor a recurrent or locally '
                     'connected one or an embedding')
  found = list(_with_flattened(model, found))
  classifier = next((kernel for kernel in reversed(found) if kernel.kind == 'dense'), None)
  with_sums = residual.has_residual_connections(model)
  names = _unique(kernel.name for kernel in found)
  return [dataclasses.replace(kernel, name=name, classifier=kernel is classifier, residual=with_sums)
          for name, kernel in zip(names, found, strict=True)]


def unpruned_weights(model: keras.Model) -> list[tuple[str, int]]:
  """Lists the matrices that no rule can prune: trainable weights of two or more axes that are no kernels.

  They come from `add_weight` in layers of one's own; `get_prunable_weights` makes such a layer prunable. Biases of
  Keras' layers and normalisation parameters are not listed.

  Args:
    model: a built `tf_keras` model that has kernels.

  Returns:
    (name, number of weights) of each, in the order of the layers.
  """
  known = {id(kernel.variable) for kernel in prunable_kernels(model)}
  known.update(id(weight) for layer, _ in named_layers(model)
               if isinstance(layer, _NORMALISATION) or _row(layer)[1] for weight in layer.weights)
  trainable = {id(weight) for weight in model.trainable_weights}
  found: list[tuple[str, int]] = []
  for layer, name in [(model, ''), *named_layers(model)]:
    for weight in layer._trainable_weights:  # pylint: disable=protected-access
      if id(weight) in trainable - known and len(weight.shape) > 1:
        known.add(id(weight))
        own = weight.name.split(':')[0].rpartition('/')[2]
        found.append((f'{name}/{own}'.lstrip('/'), math.prod(weight.shape)))
  return list(zip(_unique(name for name, _ in found), (size for _, size in found), strict=True))


def _with_flattened(model: keras.Model, kernels: list[Kernel]) -> Iterator[Kernel]:
  # `model` may also be a layer, such as a wrapper, which has no inputs.
  shape = getattr(model, 'input_shape' if getattr(model, 'inputs', None) else '_build_input_shape', None)
  image_shape = tuple(shape) if isinstance(shape, (tuple, tf.TensorShape)) else ()
  widths: list[int] = []
  for kernel in kernels:
    if kernel.kind == 'dense':
      # What is split into heads reads tokens, never a flattened map.
      unknown = not kernel.split and flattening.is_unknown(kernel.layer, widths, image_shape)
      yield dataclasses.replace(kernel, flattened=flattening.flattened(kernel.layer), unknown_order=unknown)
      widths += [kernel.fans[1]] * bool(widths)
      continue
    yield kernel
    if kernel.kind == 'conv':
      widths = [math.prod(kernel.shape[-2:]) if kernel.depthwise else kernel.fans[1]]


def named_layers(model: keras.Model) -> Iterator[tuple[keras.layers.Layer, str]]:
  """Yields every layer inside a network once, before those inside it, with the name by which its kernel is known."""
  yield from _layers(model, '', naming.Names(), set())


def _layers(layer: keras.layers.Layer, prefix: str, names: naming.Names,
            seen: set[int]) -> Iterator[tuple[keras.layers.Layer, str]]:
  # All layers inside a layer, each once and before those inside it, with their names.
  for child in layer._flatten_layers(recursive=False, include_self=False):  # pylint: disable=protected-access
    if id(child) in seen:
      continue
    seen.add(id(child))
    name = names.of(child, prefix)
    yield child, name
    # A wrapper adds nothing to the name of its layer, so that a mask fits the wrapped and the bare network; nor does a
    # network that is wrapped as a whole.
    adds_no_name = isinstance(child, _L.Wrapper) or getattr(layer, 'whole', False)
    yield from _layers(child, prefix if adds_no_name else f'{name}/', names, seen)


def _own_kernels(layer: keras.layers.Layer, name: str) -> list[Kernel]:
  cells = _cells(layer)
  attributes: tuple[str, ...] = ()
  if hasattr(type(layer), 'get_prunable_weights'):
    weights = layer.get_prunable_weights()
    kinds = ['dense' if len(weight.shape) == 2 else 'conv' for weight in weights]
  elif cells:
    weights = [getattr(cell, attribute) for cell in cells for attribute in ('kernel', 'recurrent_kernel')]
    kinds = ['recurrent'] * len(weights)
  else:
    kind, attributes = _row(layer)
    weights = [getattr(layer, attribute) for attribute in attributes]
    kinds = [kind] * len(weights)
  if kinds == ['local'] and layer.implementation != 1:
    raise UsageError(f'layer {layer.name!r}: its implementation={layer.implementation} keeps weights in another form '
                     'than a kernel; build it with implementation=1')
  names = [name] if len(weights) == 1 else [f'{name}/{index}' for index in range(len(weights))]
  both = [axes.kernel_axes(layer, weight) for weight in weights]
  depthwise = [attribute == 'depthwise_kernel' for attribute in attributes] or [False] * len(weights)
  return [Kernel(each, tuple(weight.shape), kind, depthwise=apart, inputs=inputs, outputs=outputs, variable=weight,
                 layer=layer)
          for each, kind, apart, weight, (inputs, outputs) in zip(names, kinds, depthwise, weights, both, strict=True)]


def _row(layer: keras.layers.Layer) -> tuple[str, tuple[str, ...]]:
  # (kind, attributes) of a layer that Keras gives kernels.
  return next((row[1:] for row in _KERNELS if isinstance(layer, row[0])), ('', ()))


def _cells(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
  # The cells of a recurrent layer whose kernels are known.
  if not isinstance(layer, _L.RNN):
    return []
  inside = layer.cell._flatten_layers()  # pylint: disable=protected-access
  return [cell for cell in inside if isinstance(layer, _CONV_LSTM) or _row(cell)[0] == 'recurrent']


def _unique(names: Iterable[str]) -> Iterator[str]:
  # Keras allows two layers of one name in different branches of a subclassed model.
  given: set[str] = set()
  for name in names:
    unique = next(each for each in _numbered(name) if each not in given)
    given.add(unique)
    yield unique


def _numbered(name: str) -> Iterator[str]:
  yield name
  for number in itertools.count(2):
    yield f'{name}_{number}'
