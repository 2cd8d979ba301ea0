"""Which kept weights lie on a path from an input to an output of a network.

One image of ones flows through the network with the mask in place of the kernels, without biases, every activation and
normalisation being the identity. After every layer a value is cut to whether it is above zero, in the gradient too, so
that depth neither over- nor underflows: forwards a value says whether a path from an input arrives, backwards whether
one leaves for an output. Terms cannot cancel, since none is below zero; so a weight is on a path exactly where its
gradient is above zero. Paths are those of the network at its input size: a weight that only ever meets padding is on
none. A unit without inputs is a constant, whatever its bias, and nothing on a path leads through it.
"""

import dataclasses

import numpy as np
import tensorflow as tf
import tf_keras as keras

from tickets_tf.pruning.mask import Mask
from tickets_tf.models import elementwise
from tickets_tf.models.prunable import prunable_kernels

_L = keras.layers
# The exact classes: what derives from one of them may do anything.
_WITH_KERNELS = frozenset({
    _L.Conv1D, _L.Conv2D, _L.Conv3D, _L.Conv1DTranspose, _L.Conv2DTranspose, _L.Conv3DTranspose, _L.DepthwiseConv1D,
    _L.DepthwiseConv2D, _L.SeparableConv1D, _L.SeparableConv2D, _L.Dense, _L.EinsumDense})
# Each output depends on the inputs at its own place alone.
_ELEMENTWISE = frozenset({
    _L.ReLU, _L.LeakyReLU, _L.ELU, _L.PReLU, _L.ThresholdedReLU, _L.BatchNormalization, _L.Rescaling, _L.Normalization,
    _L.Dropout, _L.SpatialDropout1D, _L.SpatialDropout2D, _L.SpatialDropout3D, _L.AlphaDropout, _L.GaussianDropout,
    _L.GaussianNoise, _L.ActivityRegularization, _L.Add, _L.Subtract, _L.Multiply, _L.Average, _L.Maximum, _L.Minimum})
# Linear, without a weight below zero: they compute on paths what they compute on images.
_NONNEGATIVE = frozenset({
    _L.ZeroPadding1D, _L.ZeroPadding2D, _L.ZeroPadding3D, _L.Cropping1D, _L.Cropping2D, _L.Cropping3D, _L.UpSampling1D,
    _L.UpSampling3D, _L.Flatten, _L.Reshape, _L.Permute, _L.RepeatVector, _L.Concatenate, _L.AveragePooling1D,
    _L.AveragePooling2D, _L.AveragePooling3D, _L.GlobalAveragePooling1D, _L.GlobalAveragePooling2D,
    _L.GlobalAveragePooling3D})
# A maximum depends on all that it is taken over; its gradient knows only one of them.
_MAXIMA = {_L.MaxPooling1D: _L.AveragePooling1D, _L.MaxPooling2D: _L.AveragePooling2D,
           _L.MaxPooling3D: _L.AveragePooling3D, _L.GlobalMaxPooling1D: _L.GlobalAveragePooling1D,
           _L.GlobalMaxPooling2D: _L.GlobalAveragePooling2D, _L.GlobalMaxPooling3D: _L.GlobalAveragePooling3D}
_MIXING_AN_AXIS = frozenset({_L.Softmax, _L.LayerNormalization, _L.UnitNormalization})
_ARITHMETIC = frozenset({'add', 'subtract', 'multiply', 'maximum', 'minimum'})
_NONNEGATIVE_OPERATIONS = frozenset({'reshape', 'transpose', 'concat', 'reduce_mean', 'reduce_sum', 'getitem'})


def effective_mask(model, mask):
  """Drops the kept weights that lie on no path from an input to an output of the network.

  Batch norm, activations and pooling keep channels apart, a sum is reached where one of its terms is, convolutions
  count with their stride, padding and groups, and dense layers after `Flatten` unit by unit. Of a layer that is not
  known every output is taken to depend on every input, so that too many weights may be kept there, never too few.

  Args:
    model: a built functional or sequential `tf_keras` model, which may contain others.
    mask: a `Mask` of its `prunable_kernels`.

  Returns:
    A `Mask`, or None where the paths cannot be known: in a subclassed model, or one without a fixed input size.

  Raises:
    UsageError: where the mask does not fit.
  """
  paths = _find_paths(model, mask)
  return paths and paths.mask


def collapse(model, mask):
  """Tells how much of a ticket is connected to its inputs and outputs.

  Args:
    model: a built `tf_keras` model.
    mask: a `Mask` of its `prunable_kernels`.

  Returns:
    A dictionary of JSON values, all but the first None where `effective_mask` is None:
      empty_layers: names of the kernels that kept nothing.
      connected: whether there is any path from an input to an output.
      unreachable_units: for every kernel, how many of its outputs (channels of a convolution, units of a dense layer)
        no path from an input to an output leads through.
      effective_kept: kept weights on such a path.
      effective_sparsity: share of all prunable weights that are not.
      opaque_layers: names of the layers whose outputs were taken to depend on all inputs, for want of knowledge.

  Raises:
    UsageError: where the mask does not fit.
  """
  paths = _find_paths(model, mask)
  if paths is None:
    return {'empty_layers': mask.empty_layers(), 'connected': None, 'unreachable_units': None, 'effective_kept': None,
            'effective_sparsity': None, 'opaque_layers': None}
  return {'empty_layers': mask.empty_layers(),
          'connected': paths.connected,
          'unreachable_units': {kernel.name: _units_without_weights(kernel, paths.mask[kernel.name])
                                for kernel in prunable_kernels(model)},
          'effective_kept': paths.mask.kept,
          'effective_sparsity': 1 - paths.mask.density,
          'opaque_layers': paths.opaque}


@dataclasses.dataclass(frozen=True)
class _Paths:
  mask: Mask
  connected: bool
  opaque: list


def _find_paths(model, mask):
  kernels = prunable_kernels(model)
  mask.check(kernels)
  if not _is_known(model):
    return None
  flow = _Flow(kernels, mask)
  with tf.GradientTape() as tape:
    outputs = flow.through(model, [tf.ones([1, *each.shape[1:]]) for each in model.inputs])
    total = tf.add_n([tf.reduce_sum(each) for each in outputs])
  names, weights = zip(*flow.weights.items())
  counts = dict(zip(names, tape.gradient(total, weights, unconnected_gradients=tf.UnconnectedGradients.ZERO)))
  effective = Mask((name, kept & (counts[name].numpy() > 0.5) if name in counts else np.zeros_like(kept))
                   for name, kept in mask.items())
  return _Paths(effective, bool(total > 0), flow.opaque)


def _is_known(model):
  # Whether it is a graph of layers whose sizes are fixed.
  return getattr(model, '_is_graph_network', False) and all(
      None not in each.shape[1:] for node in _nodes(model) for each in tf.nest.flatten(node.outputs))


def _nodes(model):
  by_depth = model._nodes_by_depth  # pylint: disable=protected-access
  return [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]


def _clip(x, forward=0.0, backward=0.0):
  """Cuts x to whether it is above `forward`, and the gradient by x to whether it is above `backward`."""
  @tf.custom_gradient
  def cut(x):
    return tf.cast(x > forward, tf.float32), lambda gradient: tf.cast(gradient > backward, x.dtype)

  return cut(x)


class _Flow:
  """What arrives at every tensor of a network.

  Args:
    kernels: the `prunable_kernels` of the network.
    mask: its `Mask`.

  Attributes:
    weights: kernel name -> the tensor whose gradient counts the paths through it: of the kernel's shape, or a scalar
      for all of a layer that is not known.
    opaque: names of the layers that are not known.
  """

  def __init__(self, kernels, mask):
    self.weights = {}
    self.opaque = []
    self._kernels = kernels
    self._mask = mask
    self._twins = {}

  def through(self, model, inputs):
    """Returns what arrives at the outputs of `model`, a list of float32 tensors of zeros and ones, batch size 1."""
    values = {id(tensor): value for tensor, value in zip(model.inputs, inputs)}
    for node in _nodes(model):
      if not node.is_input:
        arrived = tf.nest.flatten(self._after(node, values))
        values.update((id(tensor), _clip(value)) for tensor, value in zip(tf.nest.flatten(node.outputs), arrived))
    return [values[id(tensor)] for tensor in model.outputs]

  def _after(self, node, values):
    layer, inputs = node.layer, [values[id(tensor)] for tensor in node.keras_inputs]
    if isinstance(layer, keras.Model) and _is_known(layer):
      return self.through(layer, inputs)
    if type(layer) in _WITH_KERNELS:
      # Paths are counted here in whole numbers, which convolutions by way of a transform miss by a rounding error.
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

  def _twin(self, layer, x):
    # The layer with its mask for a kernel, and nothing else.
    if id(layer) not in self._twins:
      # In float64, since oneDNN's float32 gradient by a strided 1x1 kernel writes outside its memory where the input
      # has few channels (oneDNN issue 6035).
      plain = {'use_bias': False, 'bias_axes': None, 'activation': 'linear', 'dtype': 'float64', 'trainable': True}
      config = {key: 'zeros' if key.endswith('_initializer') else plain.get(key, value)
                for key, value in layer.get_config().items()}
      twin = type(layer).from_config(config)
      twin.build(x.shape)
      kernels = [kernel for kernel in self._kernels if kernel.layer is layer]
      twin.set_weights([self._mask[kernel.name] for kernel in kernels])
      self.weights.update((kernel.name, weight) for kernel, weight in zip(kernels, twin.trainable_weights))
      self._twins[id(layer)] = twin
    return self._twins[id(layer)]

  def _activated(self, node, x):
    activation = node.layer.activation
    if elementwise.is_elementwise(activation):
      return x
    if elementwise.is_known(activation) and activation.__name__.removesuffix('_v2') in ('softmax', 'log_softmax'):
      return _mixed(x, -1)
    return self._unknown(node, [x])

  def _elementwise(self, node, inputs):
    total = inputs[0]
    if all(len(each.shape) == len(total.shape) for each in inputs):
      total = sum(inputs)
      if total.shape[1:] == node.outputs.shape[1:]:
        return total
    return self._unknown(node, inputs)

  def _unknown(self, node, inputs):
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


def _interpolates(layer):
  # Bicubic and Lanczos weights can be below zero.
  return type(layer) is _L.UpSampling2D and layer.interpolation in ('nearest', 'bilinear')


def _mixed(x, axis):
  return tf.broadcast_to(tf.reduce_sum(x, axis, keepdims=True), x.shape)


def _units_without_weights(kernel, effective):
  return int(np.count_nonzero(~effective.any(axis=_summed_axes(kernel))))


def _summed_axes(kernel):
  """Returns the axes of a kernel that its layer sums over: all but those that count the layer's outputs."""
  layer, axes = kernel.layer, tuple(range(len(kernel.shape)))
  if isinstance(layer, _L.EinsumDense):
    operands, outputs = layer.equation.split('->')
    return tuple(axis for axis, letter in enumerate(operands.split(',')[1]) if letter not in outputs)
  if isinstance(layer, (_L.Conv1DTranspose, _L.Conv2DTranspose, _L.Conv3DTranspose)):
    return axes[:-2] + axes[-1:]
  if kernel.variable is getattr(layer, 'depthwise_kernel', None):
    return axes[:-2]
  return axes[:-1]
