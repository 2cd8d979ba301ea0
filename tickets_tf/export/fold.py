"""Batch norm as part of the layer before it."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import tf_keras as keras

from tickets_tf.models.copying import copied

# Their kernels have the output channels last. The type has to be exactly one of these, because Keras derives transposed
# and separable convolutions from them, whose kernels have not.
_FOLDABLE = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D, keras.layers.Dense)


def fold_batch_norm(model: keras.Model) -> keras.Model:
  """Returns a copy of a network whose batch norm is folded into the layers before it.

  Inference turns y = gamma * (W x + b - mean) / sqrt(variance + epsilon) + beta (Ioffe and Szegedy 2015, algorithm 2)
  into y = (s W) x + (s (b - mean) + beta) with s = gamma / sqrt(variance + epsilon): one bias per output channel, and
  a removed weight stays exactly zero.

  Args:
    model: a `tf_keras` model without wrappers. It is left as it was, and shares no variable with the copy, but for
      layers of a user's own that cannot be made again from their configuration. A subclassed model, whose layers have
      no known order, is given back itself.

  Returns:
    A model with the same layers, names and outputs in inference. A batch norm is folded if the layer before is a
    convolution or dense layer without activation that nothing else reads; a linear activation takes its place and
    name. Any other batch norm stays.
  """
  if not getattr(model, '_is_graph_network', False):
    return model
  norms = dict(_pairs(model))
  folded = set(norms.values())

  def clone(layer: keras.layers.Layer) -> keras.layers.Layer:
    if layer in folded:
      return keras.layers.Activation('linear', name=layer.name)
    return copied(layer, use_bias=True) if layer in norms else copied(layer)

  copy = keras.models.clone_model(model, clone_function=clone)
  for layer in model.layers:
    if layer in norms:
      copy.get_layer(layer.name).set_weights(_folded(layer, norms[layer]))
    elif layer not in folded:
      copy.get_layer(layer.name).set_weights(layer.get_weights())
  return copy


def _pairs(model: keras.Model) -> Iterator[tuple[keras.layers.Layer, keras.layers.BatchNormalization]]:
  """Yields (layer, batch norm) for every batch norm that can be folded."""
  inside = set(model.layers)
  for norm in model.layers:
    if type(norm) is not keras.layers.BatchNormalization or len(norm.inbound_nodes) != 1:
      continue
    layer = norm.inbound_nodes[0].inbound_layers
    if type(layer) not in _FOLDABLE or layer not in inside or layer.activation is not keras.activations.linear:
      continue
    if len(layer.outbound_nodes) == len(layer.inbound_nodes) == 1 and list(norm.axis) == [len(layer.output_shape) - 1]:
      yield layer, norm


def _folded(layer: keras.layers.Layer, norm: keras.layers.BatchNormalization) -> list[npt.NDArray[np.float32]]:
  kernel, bias = layer.kernel.numpy(), layer.bias.numpy() if layer.use_bias else 0.0
  scale = 1 / np.sqrt(norm.moving_variance.numpy() + norm.epsilon)
  scale = scale * norm.gamma.numpy() if norm.scale else scale
  shift = norm.beta.numpy() if norm.center else 0.0
  # A removed weight times a negative scale is -0.0; adding zero makes it 0.0 again.
  return [kernel * scale + 0.0, (bias - norm.moving_mean.numpy()) * scale + shift]
