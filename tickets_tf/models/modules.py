"""A network's variables as PyTorch groups them: a weight and a bias, or the four arrays of a batch norm."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import tf_keras as keras

from tickets_tf.errors import UsageError
from tickets_tf.models import flattening
from tickets_tf.models.prunable import named_layers, prunable_kernels
from tickets_tf.pruning.kernels import Kernel

# Normalisation layer -> (PyTorch's name, Keras' name) of its arrays, of one axis each.
_NORMS: dict[type, tuple[tuple[str, str], ...]] = {
    keras.layers.BatchNormalization: (('weight', 'gamma'), ('bias', 'beta'), ('running_mean', 'moving_mean'),
                                      ('running_var', 'moving_variance')),
    keras.layers.LayerNormalization: (('weight', 'gamma'), ('bias', 'beta')),
}
_KINDS = ('conv', 'dense')


@dataclasses.dataclass(frozen=True, eq=False)
class Module:
  """What is one module with weights in PyTorch.

  Attributes:
    name: the name of its kernel, or of the normalisation layer.
    layer: the Keras layer; a separable convolution is two modules.
    kernel: its kernel, None for normalisation.
    vectors: PyTorch's name of an array of one axis -> its `tf.Variable`, which may split that axis into heads. What a
      normalisation layer does not have is left out.
    channels: number of outputs, or of channels that are normalised.
    after: name of the module whose outputs are normalised, if that is a convolution or dense layer; else empty.
    attention: the MultiHeadAttention that the layer is inside of, or None.
  """
  name: str
  layer: keras.layers.Layer
  kernel: Kernel | None
  vectors: dict[str, Any]
  channels: int
  after: str = ''
  attention: keras.layers.Layer | None = None

  @property
  def owner(self) -> keras.layers.Layer:
    """The layer that is called for it: of the dense layers of attention, the attention."""
    return self.layer if self.attention is None else self.attention


def modules(model: keras.Model) -> list[Module]:
  """Lists the modules of a network, in the order of its layers.

  Args:
    model: a built `tf_keras` model without wrappers.

  Raises:
    UsageError: if a layer has weights that are neither kernels of convolutions, dense layers and attention, nor biases,
      nor those of batch or layer normalisation; the message names it.
  """
  kernels = prunable_kernels(model)
  found: list[Module] = []
  attentions: dict[int, keras.layers.Layer] = {}
  for layer, name in named_layers(model):
    if type(layer) is keras.layers.MultiHeadAttention:
      attentions |= {id(inner): layer for inner in layer._flatten_layers()}  # pylint: disable=protected-access
    mine = [kernel for kernel in kernels if kernel.layer is layer]
    made = list(_of_kernels(layer, mine, attentions.get(id(layer)))) if mine else _norm(layer, name, found)
    held = {id(weight) for module in made for weight in _weights(module)}
    # Those of layers inside it are theirs.
    own = layer._trainable_weights + layer._non_trainable_weights  # pylint: disable=protected-access
    if any(id(weight) not in held for weight in own):
      raise UsageError(f'the layer {name!r} ({type(layer).__name__}) has weights that are not exchanged with PyTorch; '
                       'convolutions, dense layers, attention, batch and layer normalisation are')
    found += made
  return found


def _weights(module: Module) -> list[Any]:
  return [*module.vectors.values(), *([module.kernel.variable] if module.kernel else [])]


def _of_kernels(layer: keras.layers.Layer, kernels: list[Kernel],
                attention: keras.layers.Layer | None) -> Iterator[Module]:
  for kernel in kernels:
    if kernel.kind not in _KINDS or (isinstance(layer, keras.layers.EinsumDense) and not (attention and kernel.split)):
      raise UsageError(f'the layer {kernel.name!r} ({type(layer).__name__}) is not exchanged with PyTorch; '
                       'convolutions, dense layers, attention, batch and layer normalisation are')
    bias = getattr(layer, 'bias', None) if kernel is kernels[-1] else None
    yield Module(kernel.name, layer, kernel, {} if bias is None else {'bias': bias},
                 kernel.fans[1] if kernel.split else kernel.shape[kernel.outputs[-1]], attention=attention)


def _norm(layer: keras.layers.Layer, name: str, before: list[Module]) -> list[Module]:
  roles = _NORMS.get(type(layer))
  if roles is None:
    return []
  vectors = {role: variable for role, attribute in roles
             if (variable := getattr(layer, attribute, None)) is not None}
  shapes = {tuple(variable.shape) for variable in vectors.values()}
  if len(shapes) != 1 or len(next(iter(shapes))) != 1:
    raise UsageError(f'the layer {name!r} ({type(layer).__name__}) normalises over several axes or has no weights, '
                     'which is not exchanged with PyTorch')
  previous = flattening.previous(layer)
  after = next((module.name for module in reversed(before) if module.layer is previous), '')
  return [Module(name, layer, None, vectors, next(iter(shapes))[0], after)]
