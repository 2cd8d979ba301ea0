"""Operations that a Keras 3 model made from function calls, such as `x + y`, in TensorFlow."""

from collections.abc import Callable
import inspect
import sys
from typing import Any

import tensorflow as tf
import tf_keras as keras

from tickets_tf.errors import UsageError
from tickets_tf.models.keras3_layers import FORMULAS
from tickets_tf.models.keras3_layers import is_of_keras
from tickets_tf.models.keras3_layers import title

# Of two tensors of equal rank these are layers, which keep the name.
_MERGING = {'Add': keras.layers.Add, 'Subtract': keras.layers.Subtract, 'Multiply': keras.layers.Multiply,
            'Maximum': keras.layers.Maximum, 'Minimum': keras.layers.Minimum}

# By the names of the classes in `keras.ops`: f(operation, *arguments).
_OPERATIONS: dict[str, Callable[..., tf.Tensor]] = {
    'Abs': lambda op, x: tf.abs(x),
    'Absolute': lambda op, x: tf.abs(x),
    'Add': lambda op, x, y: x + y,
    'Concatenate': lambda op, xs: keras.layers.Concatenate(op.axis, name=op.name)(xs),
    'Divide': lambda op, x, y: x / y,
    'Elu': lambda op, x: tf.nn.elu(x) if op.alpha == 1 else keras.layers.ELU(op.alpha, name=op.name)(x),
    'Exp': lambda op, x: tf.exp(x),
    'ExpandDims': lambda op, x: tf.expand_dims(x, op.axis),
    'Gelu': lambda op, x: tf.nn.gelu(x, op.approximate),
    'GetItem': lambda op, x, key: x[key],
    'HardSigmoid': lambda op, x: FORMULAS['hard_sigmoid'](x),
    'HardSilu': lambda op, x: FORMULAS['hard_silu'](x),
    'LeakyRelu': lambda op, x: tf.nn.leaky_relu(x, op.negative_slope),
    'LogSoftmax': lambda op, x: tf.nn.log_softmax(x, op.axis),
    'Matmul': lambda op, x, y: tf.matmul(x, y),
    'Max': lambda op, x: tf.reduce_max(x, op.axis, op.keepdims),
    'Maximum': lambda op, x, y: tf.maximum(x, y),
    'Mean': lambda op, x: tf.reduce_mean(x, op.axis, op.keepdims),
    'Min': lambda op, x: tf.reduce_min(x, op.axis, op.keepdims),
    'Minimum': lambda op, x, y: tf.minimum(x, y),
    'Multiply': lambda op, x, y: x * y,
    'Negative': lambda op, x: -x,
    'NotEqual': lambda op, x, y: tf.not_equal(x, y),
    'Power': lambda op, x, y: tf.pow(x, y),
    'Relu': lambda op, x: tf.nn.relu(x),
    'Relu6': lambda op, x: tf.nn.relu6(x),
    'Reshape': lambda op, x: tf.reshape(x, [-1 if size is None else size for size in op.newshape]),
    'Rsqrt': lambda op, x: tf.math.rsqrt(x),
    'Selu': lambda op, x: tf.nn.selu(x),
    'Sigmoid': lambda op, x: tf.sigmoid(x),
    'Silu': lambda op, x: tf.nn.silu(x),
    'Softmax': lambda op, x: tf.nn.softmax(x, op.axis),
    'Softplus': lambda op, x: tf.math.softplus(x),
    'Sqrt': lambda op, x: tf.sqrt(x),
    'Square': lambda op, x: tf.square(x),
    'Squeeze': lambda op, x: tf.squeeze(x, op.axis),
    'Stack': lambda op, xs: tf.stack(xs, op.axis),
    'Subtract': lambda op, x, y: x - y,
    'Sum': lambda op, x: tf.reduce_sum(x, op.axis, op.keepdims),
    'Tanh': lambda op, x: tf.tanh(x),
    'Transpose': lambda op, x: tf.transpose(x, op.axes),
    'TrueDivide': lambda op, x, y: x / y,
}


def apply(operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any], where: str) -> Any:
  """Applies the twin of a Keras 3 operation.

  Args:
    operation: the `keras.Operation`.
    args: what it was called with: symbolic tensors of `tf_keras` in place of those of Keras 3.
    kwargs: likewise, by name.
    where: the model's name, for messages.

  Raises:
    UsageError: if it has no twin.
  """
  kind = type(operation).__name__
  refusal = f'{where}: the Keras 3 operation {title(operation)} has no twin in tf_keras'
  if kind not in _OPERATIONS or not is_of_keras(operation):
    raise UsageError(refusal)
  bound = inspect.signature(operation.call).bind(*args, **kwargs)
  values = [_constant(value) for value in (*bound.args, *bound.kwargs.values())]
  if kind in _MERGING and all(hasattr(x, '_keras_history') for x in values) \
      and len({len(x.shape) for x in values}) == 1:
    return _MERGING[kind](name=operation.name)(values)
  try:
    return _OPERATIONS[kind](operation, *values)
  except (TypeError, ValueError, AttributeError) as error:
    raise UsageError(f'{refusal}: {str(error).partition(chr(10))[0]}') from error


def _constant(value: Any) -> Any:
  ops = sys.modules['keras'].ops
  return ops.convert_to_numpy(value) if ops.is_tensor(value) and not tf.is_tensor(value) else value
