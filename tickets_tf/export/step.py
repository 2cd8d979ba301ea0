"""One call of a layer, as compaction sees it: channels in and channels out.

A channel is an entry of a tensor's last axis. What a kind of layer does to them is in `channels`.
"""

import dataclasses

import numpy as np
import tensorflow as tf
import tf_keras as keras


@dataclasses.dataclass(frozen=True)
class Constants:
  """What is known of a tensor's channels.

  Attributes:
    values: float64 [channels]; NaN for a channel that depends on the network's input.
    flat: whether a constant has its value at every position. Otherwise it has been padded with zeros: all constants are
      their values times one picture of zeros and ones.
  """
  values: np.ndarray
  flat: bool = True

  @classmethod
  def none(cls, channels):
    """Returns that nothing is known of so many channels."""
    return cls(np.full(channels, np.nan))

  def steady(self):
    """Returns the values of those that are the same at every position, NaN for the others."""
    return self.values if self.flat else np.where(self.values == 0, 0.0, np.nan)


class Step:
  """The call of a layer that is not known: it reads all channels, and none of its own can go.

  Args:
    node: the Keras node of the call.
    weights: function from layer to its weights, NumPy arrays.

  Attributes:
    inputs: keys of the tensors that it takes.
    outputs: keys of the tensors that it gives.
    fixed: whether all channels of its outputs must stay.
    changed: whether anything has changed since this was last set to False.
  """
  fixed = True

  def __init__(self, node, weights):
    self.layer = node.layer
    self.inputs = [id(tensor) for tensor in node.keras_inputs]
    self.outputs = [id(tensor) for tensor in tf.nest.flatten(node.outputs)]
    self.changed = False
    self._node = node
    self._weights = weights
    self._channels = [channels_of(tensor) for tensor in node.keras_inputs]
    self._own_channels = [channels_of(tensor) for tensor in tf.nest.flatten(node.outputs)]

  def live_inputs(self):
    """Returns the keys of the inputs that still matter."""
    return self.inputs

  def trace(self, numbers):
    """Follows channels through the layer.

    Args:
      numbers: of every input the numbers of its channels, integer arrays.

    Returns:
      (numbers of the output's channels, or None where they are new; list of pairs of arrays of numbers that can only go
      together).
    """
    del numbers
    return None, []

  def constants(self, inputs):
    """Takes in the constants among its inputs; returns the `Constants` of every output.

    Args:
      inputs: `Constants` of every input.
    """
    del inputs
    return [Constants.none(channels) for channels in self._own_channels]

  def reads(self, read):
    """Drops what only makes channels that nobody reads; returns which channels of every input it reads.

    Args:
      read: of every output which channels are read, boolean arrays.

    Returns:
      A list of boolean arrays.
    """
    del read
    return [np.ones(channels, bool) for channels in self._channels]

  def build(self, tensors, kept_in, kept_out, copies):
    """Calls a copy of the layer that has only the channels that are kept.

    Args:
      tensors: key -> new tensor, of every live input.
      kept_in: of every input the indices of the channels that are left.
      kept_out: of every output the same.
      copies: layer -> its copy, for layers that are called more than once; is added to.

    Returns:
      A list of new tensors.
    """
    del kept_in, kept_out
    layer = self._copy(copies)
    outputs = self._call(layer, tensors)
    layer.set_weights(self._weights(self.layer))
    return tf.nest.flatten(outputs)

  def _copy(self, copies):
    if self.layer not in copies:
      if isinstance(self.layer, keras.Model):
        copies[self.layer] = keras.models.clone_model(self.layer)
      else:
        copies[self.layer] = type(self.layer).from_config(self.layer.get_config())
    return copies[self.layer]

  def _call(self, layer, tensors):
    args, kwargs = tf.nest.map_structure(lambda each: tensors.get(id(each), each),
                                         (self._node.call_args, self._node.call_kwargs))
    return layer(*args, **kwargs)


def channels_of(tensor):
  """Returns the length of a Keras tensor's last axis, 0 where it has none that is known."""
  return tensor.shape[-1] or 0 if len(tensor.shape) > 1 else 0
