"""Functions of TensorFlow that a `tf_keras` model calls on its tensors, such as `x + y`, in Keras 3."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from tickets_tf.errors import UsageError
from tickets_tf.models import to_keras3_layers

# By TensorFlow's names of the functions: f(keras.ops, *arguments as TensorFlow names them).
_OPERATIONS: dict[str, Callable[..., Any]] = {
    '__operators__.add': lambda ops, x, y: ops.add(x, y),
    '__operators__.getitem': lambda ops, x, key: x[_slices(key)],
    'concat': lambda ops, values, axis: ops.concatenate(values, axis),
    'expand_dims': lambda ops, input, axis: ops.expand_dims(input, axis),
    'linalg.matmul': lambda ops, a, b: ops.matmul(a, b),
    'math.abs': lambda ops, x: ops.abs(x),
    'math.add': lambda ops, x, y: ops.add(x, y),
    'math.exp': lambda ops, x: ops.exp(x),
    'math.maximum': lambda ops, x, y: ops.maximum(x, y),
    'math.minimum': lambda ops, x, y: ops.minimum(x, y),
    'math.multiply': lambda ops, x, y: ops.multiply(x, y),
    'math.negative': lambda ops, x: ops.negative(x),
    'math.pow': lambda ops, x, y: ops.power(x, y),
    'math.reduce_max': lambda ops, input_tensor, axis=None, keepdims=False: ops.max(input_tensor, axis, keepdims),
    'math.reduce_mean': lambda ops, input_tensor, axis=None, keepdims=False: ops.mean(input_tensor, axis, keepdims),
    'math.reduce_min': lambda ops, input_tensor, axis=None, keepdims=False: ops.min(input_tensor, axis, keepdims),
    'math.reduce_sum': lambda ops, input_tensor, axis=None, keepdims=False: ops.sum(input_tensor, axis, keepdims),
    'math.rsqrt': lambda ops, x: ops.rsqrt(x),
    'math.sigmoid': lambda ops, x: ops.sigmoid(x),
    'math.softplus': lambda ops, features: ops.softplus(features),
    'math.sqrt': lambda ops, x: ops.sqrt(x),
    'math.square': lambda ops, x: ops.square(x),
    'math.subtract': lambda ops, x, y: ops.subtract(x, y),
    'math.tanh': lambda ops, x: ops.tanh(x),
    'math.truediv': lambda ops, x, y: ops.divide(x, y),
    'nn.elu': lambda ops, features: ops.elu(features),
    'nn.gelu': lambda ops, features, approximate=False: ops.gelu(features, approximate),
    'nn.leaky_relu': lambda ops, features, alpha=0.2: ops.leaky_relu(features, alpha),
    'nn.log_softmax': lambda ops, logits, axis=-1: ops.log_softmax(logits, axis),
    'nn.relu': lambda ops, features: ops.relu(features),
    'nn.relu6': lambda ops, features: ops.relu6(features),
    'nn.selu': lambda ops, features: ops.selu(features),
    'nn.silu': lambda ops, features: ops.silu(features),
    'nn.softmax': lambda ops, logits, axis=-1: ops.softmax(logits, axis),
    'reshape': lambda ops, tensor, shape: ops.reshape(tensor, shape),
    'squeeze': lambda ops, input, axis: ops.squeeze(input, axis),
    'stack': lambda ops, values, axis=0: ops.stack(values, axis),
    'transpose': lambda ops, a, perm, conjugate=False: ops.transpose(a, perm),
}


def is_operation(layer: tf_keras.layers.Layer) -> bool:
  """Returns whether a layer is what a functional model made of a call of a function of TensorFlow."""
  return type(layer).__name__ in ('TFOpLambda', 'SlicingOpLambda') and to_keras3_layers.is_of_tf_keras(layer)


def apply(layer: tf_keras.layers.Layer, args: tuple[Any, ...], kwargs: dict[str, Any], keras: Any, where: str) -> Any:
  """Applies the twin of a function of TensorFlow.

  Args:
    layer: what a functional model made of the call.
    args: what it was called with: tensors of Keras 3 in place of those of `tf_keras`.
    kwargs: likewise, by name.
    keras: Keras 3.
    where: the network's name, for messages.

  Raises:
    UsageError: if it has no twin.
  """
  refusal = f'{where}: the operation {layer.name!r} (tf.{layer.symbol}) has no twin in Keras 3'
  operation = _OPERATIONS.get(layer.symbol.removeprefix('compat.v1.'))
  if operation is None:
    raise UsageError(refusal)
  values = list(args)
  while values and values[-1] is None:  # As the functions of TensorFlow 1 are called by those of TensorFlow 2.
    values.pop()
  given = {key: tf.nest.map_structure(_constant, value) for key, value in kwargs.items()
           if key != 'name' and value is not None}
  try:
    outputs = operation(keras.ops, *tf.nest.map_structure(_constant, values), **given)
  except (TypeError, ValueError, AttributeError) as error:
    raise UsageError(f'{refusal}: {str(error).partition(chr(10))[0]}') from error
  outputs._keras_history.operation.name = layer.name  # Its own could be that of a layer.
  return outputs


def _constant(value: Any) -> Any:
  if isinstance(value, tf.Tensor | np.generic):
    value = np.asarray(value)
  return value.item() if isinstance(value, np.ndarray) and not value.ndim else value


def _slices(key: Any) -> Any:
  """Returns what stands in the brackets of `x[...]`; a functional model keeps slices as dictionaries."""
  if isinstance(key, dict):
    return slice(key['start'], key['stop'], key['step'])
  return tuple(map(_slices, key)) if isinstance(key, tuple | list) else key
