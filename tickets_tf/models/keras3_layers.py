"""The `tf_keras` twin of a Keras 3 layer, made from the layer's configuration."""

from collections.abc import Callable
import inspect
from typing import Any

import tensorflow as tf
import tf_keras as keras

from tickets_tf.errors import UsageError

# Layers that both have and that compute the same, in training too. Wrappers are made by `tickets_tf.models.keras3`.
LAYERS = frozenset({
    'Activation', 'ActivityRegularization', 'Add', 'AlphaDropout', 'Average', 'AveragePooling1D',
    'AveragePooling2D', 'AveragePooling3D', 'BatchNormalization', 'Concatenate', 'Conv1D', 'Conv1DTranspose',
    'Conv2D', 'Conv2DTranspose', 'Conv3D', 'Conv3DTranspose', 'Cropping1D', 'Cropping2D', 'Cropping3D', 'Dense',
    'DepthwiseConv1D', 'DepthwiseConv2D', 'Dot', 'Dropout', 'ELU', 'EinsumDense', 'Embedding', 'Flatten', 'GRU',
    'GaussianDropout', 'GaussianNoise', 'GlobalAveragePooling1D', 'GlobalAveragePooling2D',
    'GlobalAveragePooling3D', 'GlobalMaxPooling1D', 'GlobalMaxPooling2D', 'GlobalMaxPooling3D',
    'GroupNormalization', 'Identity', 'LSTM', 'LayerNormalization', 'LeakyReLU', 'Masking', 'MaxPooling1D',
    'MaxPooling2D', 'MaxPooling3D', 'Maximum', 'Minimum', 'MultiHeadAttention', 'Multiply', 'PReLU', 'Permute',
    'ReLU', 'RepeatVector', 'Rescaling', 'Reshape', 'SeparableConv1D', 'SeparableConv2D', 'SimpleRNN', 'Softmax',
    'SpatialDropout1D', 'SpatialDropout2D', 'SpatialDropout3D', 'Subtract', 'UnitNormalization', 'UpSampling1D',
    'UpSampling2D', 'UpSampling3D', 'ZeroPadding1D', 'ZeroPadding2D', 'ZeroPadding3D'})

# Activations of one name and one meaning. `hard_sigmoid` has another slope in Keras 2.
ACTIVATIONS = frozenset({
    'elu', 'exponential', 'gelu', 'leaky_relu', 'linear', 'log_softmax', 'mish', 'relu', 'relu6', 'selu', 'sigmoid',
    'silu', 'softmax', 'softplus', 'softsign', 'swish', 'tanh'})
# Those that Keras 2 lacks: formulas of the Keras 3 documentation, as operations after the layer.
FORMULAS: dict[str, Callable[[tf.Tensor], tf.Tensor]] = {
    'hard_sigmoid': lambda x: tf.nn.relu6(x + 3.0) * (1 / 6),
    'hard_silu': lambda x: x * (tf.nn.relu6(x + 3.0) * (1 / 6)),
    'hard_swish': lambda x: x * (tf.nn.relu6(x + 3.0) * (1 / 6)),
    'hard_tanh': lambda x: tf.clip_by_value(x, -1.0, 1.0),
    'log_sigmoid': tf.math.log_sigmoid,
    'tanh_shrink': lambda x: x - tf.tanh(x),
}
RENAMED = {('LeakyReLU', 'negative_slope'): 'alpha'}
# What layers of Keras 2 take that do not have it in their signatures; the last are of pooling and recurrent layers.
_OF_ALL = frozenset({'name', 'trainable', 'activity_regularizer', 'keepdims', 'zero_output_for_mask'})
# Without meaning for what is computed: how the layer was built, and memories of what it was built on.
IGNORED = frozenset({'query_shape', 'key_shape', 'value_shape', 'build_config'})


def title(layer: Any) -> str:
  """Names a Keras 3 layer or operation for messages, as in `'norm' (RMSNormalization)`."""
  return f'{layer.name!r} ({type(layer).__name__})'


def is_of_keras(thing: object) -> bool:
  """Returns whether a thing's own class belongs to Keras 3, rather than to code that derives from it."""
  return type(thing).__module__.startswith('keras.src.')


def twin(layer: Any, where: str, follow: bool, prefix: str = '') -> keras.layers.Layer:
  """Makes the twin of a Keras 3 layer; its weights do not exist yet.

  Args:
    layer: the Keras 3 layer; neither a model nor a wrapper.
    where: the model's name, for messages.
    follow: leave out the precision of layers that have Keras 3's default one, so that the twin has that of `tf_keras`.
    prefix: what to take off the front of its name.

  Raises:
    UsageError: if there is no such layer in `tf_keras`, or not with these arguments.
  """
  kind = type(layer).__name__
  if kind not in LAYERS or not is_of_keras(layer):
    raise UsageError(f'{where}: the Keras 3 layer {title(layer)} has no twin in tf_keras')
  made = getattr(keras.layers, kind)
  own = inspect.signature(made.__init__).parameters
  known = defaults(type(layer))
  arguments: dict[str, Any] = {}
  for key, value in layer.get_config().items():
    if key in ('dtype', 'activation') or key in IGNORED:
      continue
    renamed = RENAMED.get((kind, key), key)
    if renamed in own or renamed in _OF_ALL or (key == 'seed' and kind.startswith('SpatialDropout')):
      possible, converted = _value(value, f'{where}: {title(layer)}: {key}')
      if possible:
        arguments[renamed] = converted
    elif not is_default(value, known.get(key)) and (key, value) != ('data_format', 'channels_last'):
      raise UsageError(f'{where}: the Keras 3 layer {title(layer)} has no twin in tf_keras: {key}={value!r}')
  if 'activation' in own and hasattr(layer, 'activation'):
    arguments['activation'] = 'linear' if formula(layer) else layer.get_config()['activation']
  for key in ('activation', 'recurrent_activation'):
    if key in arguments:
      _check_activation(arguments[key], getattr(layer, key), f'{where}: {title(layer)}')
  policy = _policy(layer, where, follow)
  arguments['name'] = arguments['name'].removeprefix(prefix)
  try:
    return made(**arguments, **({'dtype': policy} if policy else {}))
  except (TypeError, ValueError) as error:
    raise UsageError(f'{where}: the Keras 3 layer {title(layer)} has no twin in tf_keras: '
                     f'{str(error).partition(chr(10))[0]}') from error


def formula(layer: Any) -> Callable[[tf.Tensor], tf.Tensor] | None:
  """Returns what to apply after a layer's twin, if Keras 2 lacks its activation."""
  if hasattr(layer, 'recurrent_activation') or not hasattr(layer, 'activation'):
    return None
  activation = layer.get_config().get('activation')
  return FORMULAS.get(activation) if isinstance(activation, str) else None


def _check_activation(activation: object, function: Callable[..., Any], where: str) -> None:
  if not isinstance(activation, str) or activation not in ACTIVATIONS:
    name = activation if isinstance(activation, str) else getattr(function, '__name__', type(function).__name__)
    raise UsageError(f'{where}: the Keras 3 activation {name!r} has no twin in tf_keras')


def _policy(layer: Any, where: str, follow: bool) -> str | None:
  policy = layer.dtype_policy
  if getattr(policy, 'quantization_mode', None) is not None:
    raise UsageError(f'{where}: the Keras 3 layer {title(layer)} is quantized; expected weights of floating point')
  return None if follow and policy.name == 'float32' else str(policy.name)


def defaults(kind: type) -> dict[str, Any]:
  """Returns the defaults of the arguments of a class and of those that it derives from."""
  found: dict[str, Any] = {}
  for base in kind.__mro__:
    for name, parameter in inspect.signature(base.__init__).parameters.items():  # type: ignore[misc]
      found.setdefault(name, parameter.default)
  return found


def is_default(value: object, default: object) -> bool:
  """Returns whether the value of an argument in a layer's configuration means its default."""
  if isinstance(value, dict) and isinstance(default, str):  # 'glorot_uniform' and what it became.
    return str(value.get('class_name', '')).lower() == default.replace('_', '')
  return value is None or bool(value == default) or (value is False and default is None)


def _value(value: Any, where: str) -> tuple[bool, Any]:
  """Returns whether an argument can be given to the twin, and as what.

  Initialisers without twin are left out: the weights are copied. Anything else without twin is refused.
  """
  if not isinstance(value, dict) or 'class_name' not in value:
    return True, value
  group = str(value.get('module') or '').removeprefix('keras.')
  kind = getattr(getattr(keras, group, None), value['class_name'], None)
  if group == 'initializers' or 'initializer' in where.rpartition(': ')[2]:
    if kind is None:
      return False, None
    accepted = inspect.signature(kind.__init__).parameters
    return True, kind(**{key: each for key, each in value['config'].items()
                         if key in accepted and not isinstance(each, dict)})
  if group not in ('regularizers', 'constraints') or kind is None:
    raise UsageError(f'{where}: {value["class_name"]} of Keras 3 has no twin in tf_keras')
  return True, kind(**value['config'])
