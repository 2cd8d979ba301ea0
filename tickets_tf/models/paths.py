"""Which kept weights lie on a path from an input to an output of a network.

The network itself computes this. One image of ones flows through it, with the mask in place of the kernels, without
biases, and with the identity for every activation and normalisation. After every layer each value becomes 1 if it is
above zero, else 0. The gradient is treated in the same way, so no depth can overflow or underflow. A value then says
whether a path from an input arrives, its gradient whether a path leads on to an output. No term is below zero, so terms
cannot cancel, and a weight is on a path if and only if its gradient is above zero.

Paths are those of the network at its input size: a weight that only ever meets padding is on none. A unit without
inputs is a constant, whatever its bias, and no path leads through it.
"""

from collections.abc import Callable, Sequence
import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from tickets_tf.models import elementwise
from tickets_tf.models.prunable import prunable_kernels
from tickets_tf.pruning.collapse import Collapse
from tickets_tf.pruning.kernels import Kernel
from tickets_tf.pruning.mask import Mask

_L = keras.layers
# Exact classes: one that derives from them may compute anything.
_WITH_KERNELS = frozenset({
    _L.Conv1D, _L.Conv2D, _L.Conv3D, _L.Conv1DTranspose, _L.Conv2DTranspose, _L.Conv3DTranspose, _L.DepthwiseConv1D,
    _L.DepthwiseConv2D, _L.SeparableConv1D, _L.SeparableConv2D, _L.Dense, _L.EinsumDense})
# Each output depends only on the inputs at its own position.
_ELEMENTWISE = frozenset({
    _L.ReLU, _L.LeakyReLU, _L.ELU, _L.PReLU, _L.ThresholdedReLU, _L.BatchNormalization, _L.Rescaling, _L.Normalization,
    _L.Dropout, _L.SpatialDropout1D, _L.SpatialDropout2D, _L.SpatialDropout3D, _L.AlphaDropout, _L.GaussianDropout,
    _L.GaussianNoise, _L.ActivityRegularization, _L.Add, _L.Subtract, _L.Multiply, _L.Average, _L.Maximum, _L.Minimum})
# Linear with no weight below zero: they carry paths just as they carry images.
_NONNEGATIVE = frozenset({
    _L.ZeroPadding1D, _L.ZeroPadding2D, _L.ZeroPadding3D, _L.Cropping1D, _L.Cropping2D, _L.Cropping3D, _L.UpSampling1D,
    _L.UpSampling3D, _L.Flatten, _L.Reshape, _L.Permute, _L.RepeatVector, _L.Concatenate, _L.AveragePooling1D,
    _L.AveragePooling2D, _L.AveragePooling3D, _L.GlobalAveragePooling1D, _L.GlobalAveragePooling2D,
    _L.GlobalAveragePooling3D})
# A maximum depends on every value that it is taken over, but its gradient reaches only one: an average replaces it.
_MAXIMA = {_L.MaxPooling1D: _L.AveragePooling1D, _L.MaxPooling2D: _L.AveragePooling2D,
           _L.MaxPooling3D: _L.AveragePooling3D, _L.GlobalMaxPooling1D: _L.GlobalAveragePooling1D,
           _L.GlobalMaxPooling2D: _L.GlobalAveragePooling2D, _L.GlobalMaxPooling3D: _L.GlobalAveragePooling3D}
_MIXING_AN_AXIS = frozenset({_L.Softmax, _L.LayerNormalization, _L.UnitNormalization})
_ARITHMETIC = frozenset({'add', 'subtract', 'multiply', 'maximum', 'minimum'})
_NONNEGATIVE_OPERATIONS = frozenset({'reshape', 'transpose', 'concat', 'reduce_mean', 'reduce_sum', 'getitem'})


def effective_mask(model: keras.Model, mask: Mask) -> Mask | None:
  """Drops the kept weights that lie on no path from an input to an output of the network.

  Batch norm, activations and pooling keep channels apart. A sum is reached if one of its terms is. Convolutions count
  with their stride, padding and groups, dense layers after `Flatten` unit by unit. In a layer of an unknown kind every
  output is taken to depend on every input: too many weights may be kept there, never too few.

  Args:
    model: a built functional or sequential `tf_keras` model, which may contain others.
    mask: a `Mask` of its `prunable_kernels`.

  Returns:
    A `Mask`, or None if the paths cannot be known: in a subclassed model, or one without a fixed input size.

  Raises:
    UsageError: if the mask does not fit.
  """
  paths = _find_paths(model, mask)
  return paths.mask if paths else None


def live_positions(model: keras.Model, mask: Mask) -> Mask | None:
  """Returns the positions at which a weight is on a path, or would be if it were kept too.

  These are the positions from a unit that an input reaches to one that leads on to an output. Those of them that
  `mask` keeps are its `effective_mask`.

  Args:
    model: a built functional or sequential `tf_keras` model, which may contain others.
    mask: a `Mask` of its `prunable_kernels`.

  Returns:
    A `Mask`, or None as for `effective_mask`.

  Raises:
    UsageError: if the mask does not fit.
  """
  paths = _find_paths(model, mask)
  return paths.live if paths else None


def collapse(model: keras.Model, mask: Mask) -> Collapse:
  """Tells how much of a ticket is connected to its inputs and outputs.

  Args:
    model: a built `tf_keras` model.
    mask: a `Mask` of its `prunable_kernels`.

  Returns:
    A `Collapse`; if the paths cannot be known, see `effective_mask`, all of it but `empty_layers` is None.

  Raises:
    UsageError: if the mask does not fit.
  """
  paths = _find_paths(model, mask)
  if paths is None:
    return Collapse(mask.empty_layers(), connected=None, unreachable_units=None, effective_kept=None,
                    effective_sparsity=None, opaque_layers=None)
  unreachable = {kernel.name: _units_without_weights(kernel, paths.mask[kernel.name])
                 for kernel in prunable_kernels(model)}
  return Collapse(mask.empty_layers(), paths.connected, unreachable, paths.mask.kept, 1 - paths.mask.density,
                  paths.opaque)


def effective_weights(model: keras.Model) -> int | None:
  """Returns how many weights that are not zero lie on a path of such weights; None as for `effective_mask`."""
  present = Mask((kernel.name, np.array(kernel.variable) != 0) for kernel in prunable_kernels(model))
  mask = effective_mask(model, present)
  return mask.kept if mask else None


@dataclasses.dataclass(frozen=True)
class _Paths:
  mask: Mask
  live: Mask
  connected: bool
  opaque: list[str]


def _find_paths(model: keras.Model, mask: Mask) -> _Paths | None:
  kernels = prunable_kernels(model)
  mask.check(kernels)
  if not _is_known(model):
    return None
  flow = _Flow(kernels, mask)
  with tf.GradientTape() as tape:
    outputs = flow.through(model, [tf.ones([1, *each.shape[1:]]) for each in model.inputs])
    total = tf.add_n([tf.reduce_sum(each) for each in outputs])
  # Kernel name -> gradient.
  counts = tape.gradient(total, flow.weights, unconnected_gradients=tf.UnconnectedGradients.ZERO)
  # The count of a whole kernel is a scalar.
  live = Mask((name, np.full_like(kept, counts[name].numpy() > 0.5 if name in counts else False))
              for name, kept in mask.items())
  effective = Mask((name, kept & live[name]) for name, kept in mask.items())
  return _Paths(effective, live, bool(total > 0), flow.opaque)


def _is_known(model: keras.Model) -> bool:
  # Whether the model is a graph of layers of fixed sizes.
  return getattr(model, '_is_graph_network', False) and all(
      None not in each.shape[1:] for node in _nodes(model) for each in tf.nest.flatten(node.outputs))


def _nodes(model: keras.Model) -> list[Any]:
  by_depth = model._nodes_by_depth  # pylint: disable=protected-access
  return [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]


def _clip(x: tf.Tensor, forward: float = 0.0, backward: float = 0.0) -> tf.Tensor:
  """Returns 1 where x is above `forward`, else 0; its gradient is 1 where the incoming one is above `backward`."""
  @tf.custom_gradient  # type: ignore[untyped-decorator]
  def cut(x: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
    return tf.cast(x > forward, tf.float32), lambda gradient: tf.cast(gradient > backward, x.dtype)

  return cut(x)


class _Flow:
  """Lets paths flow through a network.

  Args:
    kernels: the `prunable_kernels` of the network.
    mask: its `Mask`.

  Attributes:
    weights: kernel name -> the variable whose gradient counts the paths through the kernel: of the kernel's shape, or a
      scalar for a whole kernel in a layer of an unknown kind.
    opaque: names of the layers of an unknown kind.
  """

  def __init__(self, kernels: Sequence[Kernel], mask: Mask) -> None:
    self.weights: dict[str, tf.Variable] = {}
    self.opaque: list[str] = []
    self._kernels = kernels
    self._mask = mask
    self._twins: dict[int, keras.layers.Layer] = {}

  def through(self, model: keras.Model, inputs: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """Returns what arrives at the outputs of `model`, float32 tensors of zeros and ones, batch size 1."""
    values = {id(tensor): value for tensor, value in zip(model.inputs, inputs, strict=False)}
    for node in _nodes(model):
      if not node.is_input:
        arrived = tf.nest.flatten(self._after(node, values))
        outputs = tf.nest.flatten(node.outputs)
        values.update((id(tensor), _clip(value)) for tensor, value in zip(outputs, arrived, strict=True))
    return [values[id(tensor)] for tensor in model.outputs]

  def _after(self, node: Any, values: dict[int, tf.Tensor]) -> Any:
    # What arrives after a node's layer, a tensor or a structure of tensors; `values` has what arrives before it.
    layer, inputs = node.layer, [values[id(tensor)] for tensor in node.keras_inputs]
    if isinstance(layer, keras.Model) and _is_known(layer):
      return self.through(layer, _in_order(node, inputs))
    if type(layer) in _WITH_KERNELS:
      # Counts of paths are whole numbers; convolutions that use a transform add rounding errors to them.
      x = _clip(inputs[0], backward=0.5)
      return self._activated(node, _clip(self._twin(layer, x)(x), forward=0.5))
    if type(layer) is _L.Activation:
      return self._activated(node, inputs[0])
    if type(layer) in _ELEMENTWISE or elementwise.operation(layer) in elementwise.ACTIVATIONS | _ARITHMETIC:
      return self._elementwise(node, inputs)
    if type(layer) in _MAXIMA:
      return _MAXIMA[type(layer)].from_config(layer.get_config())(inputs[0])
    if type(layer) in _MIXING_AN_AXIS:
      return _mixed(inputs[0], layer.axis)
    if (type(layer) in _NONNEGATIVE or elementwise.operation(layer) in _NONNEGATIVE_OPERATIONS
        or _interpolates(layer)):
      args, kwargs = tf.nest.map_structure(lambda each: values.get(id(each), each), (node.call_args, node.call_kwargs))
      return layer(*args, **kwargs)
    return self._unknown(node, inputs)

  def _twin(self, layer: keras.layers.Layer, x: tf.Tensor) -> keras.layers.Layer:
    # A copy of the layer with the mask for its kernel. A user's own constraint may not be registered with Keras.
    if id(layer) not in self._twins:
      # In float64, because oneDNN's float32 gradient of a strided 1x1 kernel writes outside its memory if the input has
      # few channels (oneDNN issue 6035).
      plain = {'use_bias': False, 'bias_axes': None, 'activation': 'linear', 'dtype': 'float64', 'trainable': True}
      twin = type(layer).from_config({key: 'zeros' if key.endswith('_initializer') else plain.get(key, value)
                                      for key, value in layer.get_config().items()
                                      if not key.endswith(('_constraint', '_regularizer'))})
      twin.build(x.shape)
      kernels = [kernel for kernel in self._kernels if kernel.layer is layer]
      twin.set_weights([self._mask[kernel.name] for kernel in kernels])
      weights = zip(kernels, twin.trainable_weights, strict=True)
      self.weights.update((kernel.name, weight) for kernel, weight in weights)
      self._twins[id(layer)] = twin
    return self._twins[id(layer)]

  def _activated(self, node: Any, x: tf.Tensor) -> Any:
    activation = node.layer.activation
    if elementwise.is_elementwise(activation):
      return x
    if elementwise.is_known(activation) and activation.__name__.removesuffix('_v2') in ('softmax', 'log_softmax'):
      return _mixed(x, -1)
    return self._unknown(node, [x])

  def _elementwise(self, node: Any, inputs: Sequence[tf.Tensor]) -> Any:
    total = inputs[0]
    if all(len(each.shape) == len(total.shape) for each in inputs):
      total = sum(inputs)
      if total.shape[1:] == node.outputs.shape[1:]:
        return total
    return self._unknown(node, inputs)

  def _unknown(self, node: Any, inputs: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    layer = node.layer
    if layer.name not in self.opaque:
      self.opaque.append(layer.name)
    inside = {id(each) for each in layer._flatten_layers()}  # pylint: disable=protected-access
    any_path = _clip(tf.add_n([tf.reduce_sum(each) for each in inputs]))
    for kernel in self._kernels:
      if id(kernel.layer) in inside and id(layer) not in self._twins:
        any_path *= self.weights.setdefault(kernel.name, tf.Variable(1.0))
    any_path = _clip(any_path)
    return [tf.broadcast_to(any_path, [1, *each.shape[1:]]) for each in tf.nest.flatten(node.outputs)]


def _in_order(node: Any, inputs: Sequence[tf.Tensor]) -> Sequence[tf.Tensor]:
  # The inputs of a call of a model in the order of its own. In a dictionary it finds them by name, and more than it
  # takes.
  arrived = {id(tensor): value for tensor, value in zip(node.keras_inputs, inputs, strict=True)}
  given = node.call_args[0] if node.call_args else node.call_kwargs.get('inputs')
  ordered = node.layer._flatten_to_reference_inputs(given)  # pylint: disable=protected-access
  return [arrived[id(tensor)] for tensor in ordered] if all(id(each) in arrived for each in ordered) else inputs


def _interpolates(layer: keras.layers.Layer) -> bool:
  # Bicubic and Lanczos weights can be below zero.
  return type(layer) is _L.UpSampling2D and layer.interpolation in ('nearest', 'bilinear')


def _mixed(x: tf.Tensor, axis: int | Sequence[int]) -> tf.Tensor:
  return tf.broadcast_to(tf.reduce_sum(x, axis, keepdims=True), x.shape)


def _units_without_weights(kernel: Kernel, effective: np.ndarray) -> int:
  return int(np.count_nonzero(~effective.any(axis=_summed_axes(kernel))))


def _summed_axes(kernel: Kernel) -> tuple[int, ...]:
  """Returns the axes of a kernel that its layer sums over: all but those of the layer's outputs."""
  layer, axes = kernel.layer, tuple(range(len(kernel.shape)))
  if isinstance(layer, _L.EinsumDense):
    operands, outputs = layer.equation.split('->')
    return tuple(axis for axis, letter in enumerate(operands.split(',')[1]) if letter not in outputs)
  if isinstance(layer, (_L.Conv1DTranspose, _L.Conv2DTranspose, _L.Conv3DTranspose)):
    return axes[:-2] + axes[-1:]
  if kernel.variable is getattr(layer, 'depthwise_kernel', None):
    return axes[:-2]
  return axes[:-1]
