"""Paths through a network, which the network itself follows: ones flow through its layers, see `paths`."""

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf
import tf_keras as keras

from tickets_tf.models import elementwise
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


def is_known(model: keras.Model) -> bool:
  """Returns whether a model is a graph of layers of fixed sizes."""
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


class Flow:
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

  def put(self, mask: Mask) -> None:
    """Gives the network another mask of the same kernels; what was compiled for it stays."""
    self._mask = mask
    for kernel in self._kernels:
      if id(kernel.layer) in self._twins:
        variable = self.weights[kernel.name]
        variable.assign(tf.cast(mask[kernel.name], variable.dtype))

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
    if isinstance(layer, keras.Model) and is_known(layer):
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
        if kernel.name not in self.weights:
          self.weights[kernel.name] = tf.Variable(1.0)
        any_path *= self.weights[kernel.name]
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
