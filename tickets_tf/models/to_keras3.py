"""Networks of `tf_keras`, rebuilt in Keras 3: the way back from `tickets_tf.models.keras3`."""

import dataclasses
import importlib.util
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tf_keras
from tf_keras.src.engine import functional

from tickets_tf.errors import UsageError
from tickets_tf.models import to_keras3_layers
from tickets_tf.models import to_keras3_operations

TOLERANCE = 1e-5
# What a model does that is nothing but its graph.
_CALLS = (functional.Functional.call, tf_keras.Sequential.call)


@dataclasses.dataclass(frozen=True)
class Rebuilt:
  """A network in Keras 3.

  Attributes:
    model: the Keras 3 model.
    variables: the Keras 3 variable of each weight of the network, by the weight's `id`.
  """
  model: Any
  variables: dict[int, Any]


def keras3() -> Any:
  """Returns the package Keras 3.

  Raises:
    UsageError: if it is not installed, or cannot be imported.
  """
  if importlib.util.find_spec('keras') is None:
    raise UsageError('--keras: Keras 3 is not installed: pip install "keras>=3"')
  try:
    import keras
  except ImportError as error:  # As of the backend that KERAS_BACKEND names.
    raise UsageError(f'--keras: Keras 3 cannot be imported: {str(error).partition(chr(10))[0]}') from error
  if keras.__version__.split('.')[0] < '3':
    raise UsageError(f'--keras: Keras {keras.__version__} is installed; it takes Keras 3: pip install "keras>=3"')
  return keras


def rebuild(network: tf_keras.Model, name: str = 'model', first: Callable[[Any], Any] | None = None) -> Rebuilt:
  """Rebuilds a functional or sequential `tf_keras` model in Keras 3.

  Layers keep their names, arguments, weights and `trainable`. Shared layers are shared, models inside it are models.

  Args:
    network: the model, without wrappers; it is left as it is.
    name: what to call it in messages.
    first: function of a Keras 3 tensor, the input, that is called before the network.

  Raises:
    UsageError: if it is subclassed, or one of its layers, arguments or operations has no twin in Keras 3.
  """
  rebuilding = _Rebuilding(keras3(), name)
  model = rebuilding.model(network, first)
  for original, twin in rebuilding.layers:
    rebuilding.set_weights(original, twin)
  return Rebuilt(model, rebuilding.variables)


def check_equal(network: Callable[[Any], Any], model: Any, inputs: npt.NDArray[Any], name: str) -> float:
  """Compares the outputs of a network and its twin in inference.

  Args:
    network: function of a batch of inputs that gives the network's outputs.
    model: the Keras 3 model.
    inputs: float32, a batch.
    name: what to call it in messages.

  Returns:
    The largest difference.

  Raises:
    UsageError: if it is more than 1e-5 of the largest output (of 1 if all are smaller).
  """
  expected = np.asarray(network(tf.constant(inputs)))
  found = np.asarray(keras3().ops.convert_to_numpy(model(inputs, training=False)))
  limit = TOLERANCE * max(1.0, float(np.max(np.abs(expected))))
  difference = float(np.max(np.abs(expected - found)))
  if not difference <= limit:  # Also of what is not finite.
    raise UsageError(f'{name}: rebuilt in Keras 3, its outputs differ by up to {difference:.1e}; expected at most '
                     f'{limit:.0e}')
  return difference


class _Rebuilding:
  """Rebuilds one model, and knows which twin belongs to which layer."""

  def __init__(self, keras: Any, name: str) -> None:
    self._keras = keras
    self._name = name
    self._twins: dict[int, Any] = {}
    self.layers: list[tuple[tf_keras.layers.Layer, Any]] = []
    self.variables: dict[int, Any] = {}

  def model(self, network: tf_keras.Model, first: Callable[[Any], Any] | None = None) -> Any:
    """Returns the twin of a model; its weights are not set yet."""
    if not getattr(network, '_is_graph_network', False) or type(network).call not in _CALLS:
      raise to_keras3_layers.refusal(self._name, network, 'it is a subclassed model')
    inputs = [self._keras.Input(batch_shape=tuple(each.shape), dtype=each.dtype.name, name=each.node.layer.name)
              for each in network.inputs]
    tensors = {id(each): first(twin) if first else twin for each, twin in zip(network.inputs, inputs, strict=True)}

    def mapped(value: Any) -> Any:
      return tf.nest.map_structure(lambda each: tensors.get(id(each), each), value)

    for depth in sorted(network._nodes_by_depth, reverse=True):  # pylint: disable=protected-access
      for node in network._nodes_by_depth[depth]:  # pylint: disable=protected-access
        if not node.is_input:
          outputs = self._call(node.layer, mapped(node.call_args), mapped(node.call_kwargs))
          originals = tf.nest.flatten(node.outputs)
          twins = outputs if len(originals) > 1 else [outputs]
          tensors.update(zip(map(id, originals), twins, strict=True))
    outputs = [tensors[id(each)] for each in network.outputs]
    return self._keras.Model(inputs if len(inputs) > 1 else inputs[0], outputs if len(outputs) > 1 else outputs[0],
                             name=network.name)

  def set_weights(self, original: tf_keras.layers.Layer, twin: Any) -> None:
    """Gives a layer the weights of another, each checked by name and shape."""
    depthwise = isinstance(original, tf_keras.layers.DepthwiseConv1D | tf_keras.layers.DepthwiseConv2D)
    expected = [(each.name.rpartition('/')[2].partition(':')[0].removeprefix('depthwise_' if depthwise else ''),
                 tuple(each.shape)) for each in original.weights]
    found = [(each.name, tuple(each.shape)) for each in twin.weights]
    if found != expected:
      raise to_keras3_layers.refusal(self._name, original, f'its weights are {expected}, those of Keras 3 {found}')
    for weight, variable in zip(original.weights, twin.weights, strict=True):
      variable.assign(weight.numpy())
      self.variables[id(weight)] = variable

  def _call(self, layer: tf_keras.layers.Layer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if to_keras3_operations.is_operation(layer):
      return to_keras3_operations.apply(layer, args, kwargs, self._keras, self._name)
    twin = self._twin(layer)
    try:
      return twin(*args, **{key: value for key, value in kwargs.items() if value is not None})
    except (TypeError, ValueError) as error:
      raise to_keras3_layers.refusal(self._name, layer, str(error).partition('\n')[0]) from error

  def _twin(self, layer: tf_keras.layers.Layer) -> Any:
    if id(layer) not in self._twins:
      self._twins[id(layer)] = self._made(layer)
    return self._twins[id(layer)]

  def _made(self, layer: tf_keras.layers.Layer) -> Any:
    if isinstance(layer, tf_keras.Model):
      return self.model(layer)
    kind = type(layer).__name__ if to_keras3_layers.is_of_tf_keras(layer) else None
    if kind == 'TimeDistributed':
      return self._keras.layers.TimeDistributed(self._twin(layer.layer), name=layer.name)
    if kind == 'Bidirectional':
      forward, backward = (to_keras3_layers.twin(each, self._keras, self._name)
                           for each in (layer.forward_layer, layer.backward_layer))
      made = self._keras.layers.Bidirectional(forward, layer.merge_mode, backward_layer=backward, name=layer.name)
      self.layers += [(layer.forward_layer, made.forward_layer), (layer.backward_layer, made.backward_layer)]
      return made
    made = to_keras3_layers.twin(layer, self._keras, self._name)
    self.layers.append((layer, made))
    return made
