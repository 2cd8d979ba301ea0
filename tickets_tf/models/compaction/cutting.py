"""A smaller network to train in place of one whose mask leaves channels that no output depends on.

The kept weights that lead away from such a channel lead to no output. So the channel gets no gradient, and its own
weights do nothing but decay. All others are trained as before: convolutions only lose terms that are zero, and batch
norm treats every channel by itself. Losses, gradients and updates are those of the whole network, up to the order in
which sums are rounded.

Nothing here may depend on values, as training changes them. A channel without kept inputs is a constant, but one that
is trained by its batch norm: it stays.
"""

from collections.abc import Callable
import math
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tf_keras as keras
from tf_keras.src.engine import base_layer

from tickets_tf.models.compaction.call import Index
from tickets_tf.models.compaction.network import Network
from tickets_tf.models.elementwise import operation
from tickets_tf.models.macs import multiply_accumulates
from tickets_tf.models.prunable import prunable_kernels
from tickets_tf.pruning.mask import Mask

# What says how random a layer is. At zero it draws nothing.
_RANDOMNESS = ('rate', 'dropout', 'recurrent_dropout', 'stddev')


def reason_against(model: keras.Model) -> str:
  """Tells why training a smaller network would not be the same as training the network itself.

  Args:
    model: a built `tf_keras` model without wrappers.

  Returns:
    A clause, as in `"layer 'dropout' draws random numbers"`; empty if it would be the same.
  """
  if not getattr(model, '_is_graph_network', False):
    return f'model {model.name!r} is subclassed'
  for variable in model.weights:
    if getattr(variable, 'constraint', None) is not None:
      return f'weight {variable.name!r} has a constraint'
  for layer in model._flatten_layers(include_self=False):  # pylint: disable=protected-access
    if not type(layer).__module__.startswith('tf_keras.') or isinstance(layer, keras.layers.Lambda):
      return f'layer {layer.name!r} is not one of Keras: {type(layer).__name__}'
    if getattr(layer, 'activity_regularizer', None) is not None:
      return f'layer {layer.name!r} has a loss term of its own'
    if _is_random(layer):
      return f'layer {layer.name!r} draws random numbers, and would draw others'
  return 'the network has loss terms of its own, which may push any weight' if model.losses else ''


def _is_random(layer: keras.layers.Layer) -> bool:
  symbol = getattr(layer, 'symbol', None) or ''
  if 'random' in symbol or 'dropout' in operation(layer):
    return True
  settings = [getattr(layer, name) for name in _RANDOMNESS if hasattr(layer, name)]
  return isinstance(layer, base_layer.BaseRandomLayer) and (not settings or any(settings))


def whole_vectors(channels: int) -> int:
  """Returns how many channels a convolution is to have that needs at least `channels`.

  On CPUs with vectors of 16 numbers a convolution of 63 channels takes longer than one of 64, and one of 12 longer than
  one of 16; see docs/performance.md. Channels that lead to no output fill it up.
  """
  return 8 if channels <= 8 else -(-channels // 16) * 16


class Cut:
  """Which channels of a network are left out, the smaller network without them, and the way back.

  Args:
    model: a built network that `reason_against` has nothing against. It is left as it was until `put_back`.
    mask: a `Mask` of its `prunable_kernels`, which is not to change.
    round_up: from the number of channels that a layer needs to the number that it is to have if it can.

  Attributes:
    channels: output channels of all layers with kernels, (all, those that stay); those of a depthwise convolution are
      those of its input, and not counted again.
    macs: multiply-accumulates of one image in all kernels, zeros included, (all, those that stay); None if they are not
      known.

  Raises:
    UsageError: if the mask does not fit.
  """

  def __init__(self, model: keras.Model, mask: Mask, round_up: Callable[[int], int] = whole_vectors) -> None:
    kernels = prunable_kernels(model)
    mask.check(kernels)
    self._model, self._mask = model, mask
    self._keep = {id(kernel.variable): mask[kernel.name] for kernel in kernels}
    self._network = Network(model, lambda layer: [self._kept(variable) for variable in layer.weights],
                            round_up)
    self._network.settle_reads()
    # (layer, one of its weights, where in it the channels that stay are)
    self._places: list[tuple[keras.layers.Layer, tf.Variable, Index]] = [
        (layer, variable, place) for layer, places in self._network.places()
        for variable, place in zip(layer.weights, places, strict=True)]
    places = {id(variable): place for _, variable, place in self._places}
    stay = [mask[kernel.name][places[id(kernel.variable)]] for kernel in kernels]
    self._small_mask = Mask((kernel.name, each) for kernel, each in zip(kernels, stay, strict=True))
    outputs = [(kernel.shape, each.shape, kernel.outputs) for kernel, each in zip(kernels, stay, strict=True)
               if not kernel.depthwise]
    self.channels = (sum(math.prod(whole[axis] for axis in axes) for whole, _, axes in outputs),
                     sum(math.prod(part[axis] for axis in axes) for _, part, axes in outputs))
    self.macs = (_total(multiply_accumulates(kernels, [kernel.size for kernel in kernels], model)),
                 _total(multiply_accumulates(kernels, [each.size for each in stay], model)))

  def _kept(self, variable: tf.Variable) -> npt.NDArray[np.bool_]:
    kept: npt.NDArray[np.bool_] = self._keep.get(id(variable), np.ones(variable.shape, bool))
    return kept

  def build(self) -> tuple[keras.Model, Mask]:
    """Returns the smaller network with the weights that the network has now, and its mask; they share no variable."""
    small = self._network.build()
    for layer, variable, place in self._places:
      _twin(small, layer, variable).assign(variable.numpy()[place])
    return small, self._small_mask

  def left_out(self) -> npt.NDArray[Any]:
    """Returns the trainable values that the smaller network has not, those of removed weights excepted, flat."""
    values = [variable.numpy()[out] for variable, out in self._outside()]
    return np.concatenate([np.zeros(0, np.float32), *values])

  def put_back(self, small: keras.Model, left_out: npt.NDArray[Any]) -> None:
    """Gives the network the weights of the smaller one; removed weights become zero.

    The batch-norm statistics of channels that were left out stay as they are. No output depends on them.

    Args:
      small: what `build` returned, trained.
      left_out: what has become of the values of `left_out`.
    """
    ends = np.cumsum([np.count_nonzero(out) for _, out in self._outside()])
    outside = {id(variable): (out, values) for (variable, out), values in
               zip(self._outside(), np.split(left_out, ends[:-1]), strict=True)}
    for layer, variable, place in self._places:
      value = np.where(self._kept(variable), variable.numpy(), 0)
      value[place] = _twin(small, layer, variable).numpy()
      if id(variable) in outside:
        out, values = outside[id(variable)]
        value[out] = values
      variable.assign(value)

  def _outside(self) -> list[tuple[tf.Variable, npt.NDArray[np.bool_]]]:
    # For every trainable weight, which of its values are left out and not removed.
    trainable = {id(variable) for variable in self._model.trainable_weights}
    found = []
    for _, variable, place in self._places:
      if id(variable) in trainable:
        out = self._kept(variable).copy()
        out[place] = False
        found.append((variable, out))
    return found


def _twin(small: keras.Model, layer: keras.layers.Layer, variable: tf.Variable) -> tf.Variable:
  number = next(number for number, each in enumerate(layer.weights) if each is variable)
  return small.get_layer(layer.name).weights[number]


def _total(macs: list[int | None]) -> int | None:
  known = [each for each in macs if each is not None]
  return sum(known) if len(known) == len(macs) else None
