"""What each kind of layer does to single channels: which become constant, which it reads, how it looks without some.

`steps` takes a network apart into these kinds, each a `step.Step`; `compact` puts it together again.
"""

import functools
import math

import numpy as np
import tensorflow as tf
import tf_keras as keras

from tickets_tf.export.step import Constants
from tickets_tf.export.step import Step
from tickets_tf.export.step import channels_of
from tickets_tf.models import elementwise

_L = keras.layers
# The exact classes: what derives from one of them may do anything.
_LINEAR = frozenset({_L.Conv1D, _L.Conv2D, _L.Conv3D, _L.Dense})
_DEPTHWISE = frozenset({_L.DepthwiseConv1D, _L.DepthwiseConv2D})
_ACTIVATIONS = frozenset({_L.ReLU, _L.LeakyReLU, _L.ELU, _L.ThresholdedReLU})
_PADDINGS = frozenset({_L.ZeroPadding1D, _L.ZeroPadding2D, _L.ZeroPadding3D})
# A channel that is the same at every position stays so, and stays itself.
_KEEPING = frozenset({
    _L.MaxPooling1D, _L.MaxPooling2D, _L.MaxPooling3D, _L.AveragePooling1D, _L.AveragePooling2D, _L.AveragePooling3D,
    _L.GlobalMaxPooling1D, _L.GlobalMaxPooling2D, _L.GlobalMaxPooling3D, _L.GlobalAveragePooling1D,
    _L.GlobalAveragePooling2D, _L.GlobalAveragePooling3D, _L.Cropping1D, _L.Cropping2D, _L.Cropping3D, _L.UpSampling1D,
    _L.UpSampling2D, _L.UpSampling3D, _L.Dropout, _L.SpatialDropout1D, _L.SpatialDropout2D, _L.SpatialDropout3D,
    _L.AlphaDropout, _L.GaussianDropout, _L.GaussianNoise, _L.ActivityRegularization})


class _Keeping(Step):
  """A layer that gives every channel on by itself."""
  fixed = False

  def trace(self, numbers):
    return numbers[0], []

  def constants(self, inputs):
    return [Constants(inputs[0].steady())]

  def reads(self, read):
    return [read[0]]


class _Activation(_Keeping):
  """An elementwise function."""

  def constants(self, inputs):
    values = inputs[0].steady()
    return [Constants(_apply(lambda x: self._call(self.layer, {self.inputs[0]: x}), values))]


class _Padding(_Keeping):
  """Zeros around the image."""

  def constants(self, inputs):
    return [Constants(inputs[0].values, flat=False)]


class _Flatten(_Keeping):
  """Every channel once for every position, as `Flatten` has them in the order height, width, channels."""

  def __init__(self, node, weights):
    super().__init__(node, weights)
    self._positions = self._own_channels[0] // self._channels[0]

  def trace(self, numbers):
    return np.tile(numbers[0], self._positions), []

  def constants(self, inputs):
    return [Constants(np.tile(inputs[0].steady(), self._positions))]

  def reads(self, read):
    return [read[0].reshape(self._positions, -1).any(axis=0)]


class _Concatenate(_Keeping):
  """Channels side by side."""

  def trace(self, numbers):
    return np.concatenate(numbers), []

  def constants(self, inputs):
    return [Constants(np.concatenate([each.steady() for each in inputs]))]

  def reads(self, read):
    return np.split(read[0], np.cumsum(self._channels)[:-1])


class _Add(_Keeping):
  """A sum of tensors of one shape; terms that are constants are taken out."""

  def __init__(self, node, weights):
    super().__init__(node, weights)
    self._terms = list(range(len(self.inputs)))
    self._offset = np.zeros(self._own_channels[0])
    self._read = np.ones(self._own_channels[0], bool)

  def live_inputs(self):
    return [self.inputs[term] for term in self._terms]

  def trace(self, numbers):
    first, *others = (numbers[term] for term in self._terms)
    return first, [(first, other) for other in others]

  def constants(self, inputs):
    values = [each.steady() for each in inputs]
    for term in list(self._terms):
      if len(self._terms) > 1 and np.isfinite(values[term][self._read]).all():
        self._terms.remove(term)
        self._offset += np.where(self._read, values[term], 0.0)
        self.changed = True
    return [Constants(self._offset + sum(values[term] for term in self._terms))]

  def reads(self, read):
    self._read = read[0]
    self._offset = np.where(read[0], self._offset, 0.0)
    return [read[0] if term in self._terms else np.zeros_like(read[0]) for term in range(len(self.inputs))]

  def build(self, tensors, kept_in, kept_out, copies):
    terms = [tensors[key] for key in self.live_inputs()]
    policy = {'dtype': self.layer.dtype_policy}
    total = _L.Add(name=self.layer.name, **policy)(terms) if len(terms) > 1 else terms[0]
    offset = self._offset[kept_out[0]]
    if offset.any():
      total = _L.Rescaling(1.0, offset.tolist(), name=f'{self.layer.name}_offset', **policy)(total)
    return [total]


class _Norm(_Keeping):
  """Batch norm of the last axis, in inference."""

  def __init__(self, node, weights):
    super().__init__(node, weights)
    layer = self.layer
    values = [each.astype(np.float64) for each in weights(layer)]
    gamma = values.pop(0) if layer.scale else 1.0
    beta = values.pop(0) if layer.center else 0.0
    mean, variance = values
    self._scale = gamma / np.sqrt(variance + layer.epsilon)
    self._shift = beta - mean * self._scale

  def constants(self, inputs):
    values = np.where(self._scale == 0, 0.0, inputs[0].steady())
    return [Constants(values * self._scale + self._shift)]

  def reads(self, read):
    return [read[0] & (self._scale != 0)]

  def build(self, tensors, kept_in, kept_out, copies):
    layer = type(self.layer).from_config(self.layer.get_config())
    output = layer(tensors[self.inputs[0]])
    layer.set_weights([each[kept_out[0]] for each in self._weights(self.layer)])
    return [output]


class _Linear(Step):
  """A convolution or dense layer."""
  fixed = False
  _size = {'filters', 'units'}

  def __init__(self, node, weights):
    super().__init__(node, weights)
    kernel, *bias = (each.astype(np.float64) for each in weights(self.layer))
    self._shape = kernel.shape
    self._kernel = self._as_taps(kernel)
    self._bias = bias[0] if bias else np.zeros(self._kernel.shape[-1])
    self._at_border = _taps_at_border(self.layer, node.keras_inputs[0].shape)
    self._elementwise = elementwise.is_elementwise(self.layer.activation)
    self.fixed = not self._elementwise  # Softmax looks at every one of them.

  def _as_taps(self, kernel):
    return kernel.reshape(-1, *kernel.shape[-2:])

  def constants(self, inputs):
    self._take_in(inputs[0])
    empty = ~self._has_weights()
    if not self._elementwise:
      return [Constants.none(len(empty))]
    return [Constants(_apply(self.layer.activation, np.where(empty, self._bias, np.nan)))]

  def _has_weights(self):
    return self._kernel.any(axis=(0, 1))

  def _take_in(self, constants):
    values, known = np.nan_to_num(constants.values), np.isfinite(constants.values)
    at_border = self._kernel[self._at_border].any(axis=0)
    steady = (known & (values == 0))[:, None] | (known & constants.flat)[:, None] & ~at_border
    taken = steady & self._kernel.any(axis=0)
    if taken.any():
      self._bias += np.where(taken, self._kernel.sum(axis=0) * values[:, None], 0.0).sum(axis=0)
      self._kernel[:, taken] = 0
      self.changed = True
    # The others look alike in front of the padding, so that one of them can stand for all.
    others = np.flatnonzero(known & self._kernel.any(axis=(0, 2)))
    if len(others) > 1:
      chosen = np.argmax(np.where(known, np.abs(values), 0.0))
      others = others[others != chosen]
      self._kernel[:, chosen] += np.einsum('tio,i->to', self._kernel[:, others], values[others] / values[chosen])
      self._kernel[:, others] = 0
      self.changed = True

  def reads(self, read):
    unread = ~read[0] & (self._has_weights() | (self._bias != 0)) if self._elementwise else np.zeros_like(read[0])
    if unread.any():
      self._kernel[..., unread] = 0
      self._bias[unread] = 0
      self.changed = True
    return [self._reads_inputs()]

  def _reads_inputs(self):
    return self._kernel.any(axis=(0, 2))

  def build(self, tensors, kept_in, kept_out, copies):
    kernel, bias = self._without(kept_in[0], kept_out[0]), self._bias[kept_out[0]]
    config = {key: 'zeros' if key.endswith('_initializer') else len(bias) if key in self._size else value
              for key, value in self.layer.get_config().items()}
    config['use_bias'] = self.layer.use_bias or bool(bias.any())
    layer = type(self.layer).from_config(config)
    output = layer(tensors[self.inputs[0]])
    layer.set_weights([kernel, bias] if config['use_bias'] else [kernel])
    return [output]

  def _without(self, kept_in, kept_out):
    return self._kernel.reshape(self._shape)[..., kept_in, :][..., kept_out]


class _Depthwise(_Linear):
  """A convolution of every channel by itself, into one or more."""
  _size = frozenset()

  def _as_taps(self, kernel):
    self._multiplier = kernel.shape[-1]
    return kernel.reshape(math.prod(kernel.shape[:-2]), 1, -1)

  def trace(self, numbers):
    return np.repeat(numbers[0], self._multiplier), []

  def _take_in(self, constants):
    values = np.repeat(constants.values, self._multiplier)
    at_border = self._kernel[self._at_border].any(axis=(0, 1))
    taken = ((values == 0) | np.isfinite(values) & constants.flat & ~at_border) & self._has_weights()
    if taken.any():
      self._bias[taken] += (self._kernel.sum(axis=(0, 1)) * values)[taken]
      self._kernel[..., taken] = 0
      self.changed = True

  def _reads_inputs(self):
    return self._has_weights().reshape(-1, self._multiplier).any(axis=1)

  def _without(self, kept_in, kept_out):
    return self._kernel.reshape(self._shape)[..., kept_in, :]


def steps(nodes, weights):
  """Takes a network apart.

  Args:
    nodes: its Keras nodes in topological order, but for those of inputs.
    weights: function from layer to its weights, NumPy arrays.

  Returns:
    A list of `Step`.
  """
  calls = [node.layer for node in nodes]
  return [_kind(node, calls.count(node.layer))(node, weights) for node in nodes]


def _kind(node, calls):
  layer, inputs, outputs = node.layer, node.keras_inputs, tf.nest.flatten(node.outputs)
  operation = elementwise.operation(layer)
  if not all(map(channels_of, [*inputs, *outputs])) or len(outputs) != 1:
    return Step
  same = all(tuple(each.shape) == tuple(outputs[0].shape) for each in inputs)
  if type(layer) is _L.Add or operation == 'add' and len(inputs) > 1:
    return _Add if same else Step
  if type(layer) is _L.Concatenate:
    return _Concatenate if layer.axis in (-1, len(outputs[0].shape) - 1) else Step
  if len(inputs) != 1 or getattr(layer, 'data_format', 'channels_last') != 'channels_last':
    return Step
  if type(layer) in _ACTIVATIONS or operation in elementwise.ACTIVATIONS:
    return _Activation if same else Step
  if type(layer) is _L.Activation:
    return _Activation if elementwise.is_elementwise(layer.activation) else Step
  if type(layer) in _KEEPING:
    return _Keeping
  if type(layer) in _PADDINGS:
    return _Padding
  if type(layer) is _L.Flatten:
    return _Flatten
  if calls > 1:  # What has weights would have to fit several places at once.
    return Step
  if type(layer) is _L.BatchNormalization:
    return _Norm if list(layer.axis) == [len(inputs[0].shape) - 1] else Step
  if type(layer) in _LINEAR:
    return _Linear if getattr(layer, 'groups', 1) == 1 else Step
  return _Depthwise if type(layer) in _DEPTHWISE else Step


def _apply(function, values):
  """Applies an elementwise function to the values that are known, in the precision of the network."""
  known = np.isfinite(values)
  found = np.array(function(tf.constant(np.where(known, values, 0.0), tf.float32)), np.float64)
  return np.where(known & np.isfinite(found), found, np.nan)


def _taps_at_border(layer, shape):
  """Tells which taps of a kernel can fall into the padding.

  Args:
    layer: a convolution or dense layer.
    shape: of its input, with batch.

  Returns:
    A boolean array, one entry per tap in the order of the kernel.
  """
  if not hasattr(layer, 'kernel_size'):
    return np.zeros(1, bool)
  if layer.padding == 'valid':
    return np.zeros(math.prod(layer.kernel_size), bool)
  axes = [_axis_at_border(*each, layer.padding) for each in
          zip(layer.kernel_size, layer.strides, layer.dilation_rate, shape[1:-1])]
  return functools.reduce(np.logical_or.outer, axes).ravel()


def _axis_at_border(size, stride, dilation, length, padding):
  if size == 1:
    return np.zeros(1, bool)
  if length is None or padding != 'same':
    return np.ones(size, bool)
  last = (-(-length // stride) - 1) * stride
  before = max(last + (size - 1) * dilation + 1 - length, 0) // 2
  offsets = np.arange(size) * dilation - before
  return (offsets < 0) | (last + offsets >= length)
