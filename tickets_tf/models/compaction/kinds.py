"""Which kind a layer is of, in the sense of compaction."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tf_keras as keras

from tickets_tf.models import elementwise
from tickets_tf.models.compaction import channelwise
from tickets_tf.models.compaction import linear
from tickets_tf.models.compaction.call import Call, Weights, channels_of

_L = keras.layers
# Exactly these classes: a class derived from one of them may do anything.
_LINEAR = frozenset({_L.Conv1D, _L.Conv2D, _L.Conv3D, _L.Dense})
_DEPTHWISE = frozenset({_L.DepthwiseConv1D, _L.DepthwiseConv2D})
_ACTIVATIONS = frozenset({_L.ReLU, _L.LeakyReLU, _L.ELU, _L.ThresholdedReLU})
_PADDINGS = frozenset({_L.ZeroPadding1D, _L.ZeroPadding2D, _L.ZeroPadding3D})
# A channel that has one value at every position keeps it.
_CHANNELWISE = frozenset({
    _L.MaxPooling1D, _L.MaxPooling2D, _L.MaxPooling3D, _L.AveragePooling1D, _L.AveragePooling2D, _L.AveragePooling3D,
    _L.GlobalMaxPooling1D, _L.GlobalMaxPooling2D, _L.GlobalMaxPooling3D, _L.GlobalAveragePooling1D,
    _L.GlobalAveragePooling2D, _L.GlobalAveragePooling3D, _L.Cropping1D, _L.Cropping2D, _L.Cropping3D, _L.UpSampling1D,
    _L.UpSampling2D, _L.UpSampling3D, _L.Dropout, _L.SpatialDropout1D, _L.SpatialDropout2D, _L.SpatialDropout3D,
    _L.AlphaDropout, _L.GaussianDropout, _L.GaussianNoise, _L.ActivityRegularization})


def calls(nodes: Sequence[Any], weights: Weights) -> list[Call]:
  """Takes a network apart.

  Args:
    nodes: its Keras nodes in topological order, without those of inputs.
    weights: gives the weights of a layer.
  """
  layers = [node.layer for node in nodes]
  return [_kind(node, layers.count(node.layer))(node, weights) for node in nodes]


def _kind(node: Any, uses: int) -> type[Call]:
  layer, inputs, outputs = node.layer, node.keras_inputs, tf.nest.flatten(node.outputs)
  operation = elementwise.operation(layer)
  if not all(map(channels_of, [*inputs, *outputs])) or len(outputs) != 1:
    return Call
  same = all(tuple(each.shape) == tuple(outputs[0].shape) for each in inputs)
  if type(layer) is _L.Add or (operation == 'add' and len(inputs) > 1):
    return channelwise.Add if same else Call
  if type(layer) is _L.Concatenate:
    return channelwise.Concatenate if layer.axis in (-1, len(outputs[0].shape) - 1) else Call
  if len(inputs) != 1 or getattr(layer, 'data_format', 'channels_last') != 'channels_last':
    return Call
  if type(layer) in _ACTIVATIONS or operation in elementwise.ACTIVATIONS:
    return channelwise.Activation if same else Call
  if type(layer) is _L.Activation:
    return channelwise.Activation if elementwise.is_elementwise(layer.activation) else Call
  if type(layer) in _CHANNELWISE:
    return channelwise.Channelwise
  if type(layer) in _PADDINGS:
    return channelwise.Padding
  if type(layer) is _L.Flatten:
    return channelwise.Flatten
  # A layer with weights that is called twice would have to fit both places at once.
  return Call if uses > 1 else _kind_with_weights(layer, inputs[0])


def _kind_with_weights(layer: keras.layers.Layer, tensor: Any) -> type[Call]:
  if type(layer) is _L.BatchNormalization:
    return channelwise.Norm if list(layer.axis) == [len(tensor.shape) - 1] else Call
  if type(layer) in _LINEAR:
    return linear.Linear if getattr(layer, 'groups', 1) == 1 else Call
  return linear.Depthwise if type(layer) in _DEPTHWISE else Call
