"""The Keras 3 twin of a `tf_keras` layer, made from the layer's configuration."""

import inspect
from typing import Any

import numpy as np
import tf_keras

from tickets_tf.errors import UsageError
from tickets_tf.models import keras3_layers

_RENAMED = {(kind, old): new for (kind, new), old in keras3_layers.RENAMED.items()}
# Without meaning for what is computed: how the layer was built, and how its computation is split.
_IGNORED = keras3_layers.IGNORED | {'batch_input_shape', 'input_length', 'implementation'}


def is_of_tf_keras(thing: object) -> bool:
  """Returns whether a thing's own class belongs to `tf_keras`, rather than to code that derives from it."""
  return type(thing).__module__.startswith('tf_keras.')


def refusal(where: str, layer: tf_keras.layers.Layer, reason: str = '') -> UsageError:
  """Returns the error for a layer that has no twin."""
  return UsageError(f'{where}: the layer {keras3_layers.title(layer)} has no twin in Keras 3{reason and ": "}{reason}')


def twin(layer: tf_keras.layers.Layer, keras: Any, where: str) -> Any:
  """Makes the twin of a `tf_keras` layer; its weights do not exist yet.

  Args:
    layer: the layer; neither a model nor a wrapper.
    keras: Keras 3.
    where: the network's name, for messages.

  Raises:
    UsageError: if there is no such layer in Keras 3, or not with these arguments.
  """
  kind = type(layer).__name__
  if kind not in keras3_layers.LAYERS or not is_of_tf_keras(layer):
    raise refusal(where, layer)
  made = getattr(keras.layers, kind)
  accepted = _accepted(made)
  defaults = keras3_layers.defaults(type(layer))
  arguments: dict[str, Any] = {'dtype': layer._dtype_policy.name}  # pylint: disable=protected-access
  for key, value in layer.get_config().items():
    if key == 'dtype' or key in _IGNORED:
      continue
    renamed = _RENAMED.get((kind, key), key)
    if renamed in accepted:
      known, converted = _value(value, key, keras, layer, where)
      if known:
        arguments[renamed] = converted
    elif not keras3_layers.is_default(value, defaults.get(key)):
      raise refusal(where, layer, f'{key}={value!r}')
  try:
    return made(**arguments)
  except (TypeError, ValueError) as error:
    raise refusal(where, layer, str(error).partition('\n')[0]) from error


def _accepted(kind: type) -> set[str]:
  found: set[str] = set()
  for base in kind.__mro__:
    parameters = inspect.signature(base.__init__).parameters.values()  # type: ignore[misc]
    found.update(each.name for each in parameters)
    if all(each.kind is not each.VAR_KEYWORD for each in parameters):
      break  # It hands nothing on to the class that it derives from.
  return found


def _value(value: Any, key: str, keras: Any, layer: tf_keras.layers.Layer, where: str) -> tuple[bool, Any]:
  """Returns whether an argument can be given to the twin, and as what.

  Initialisers without twin are left out: the weights are copied. Anything else without twin is refused.
  """
  if key in ('activation', 'recurrent_activation'):
    if not isinstance(value, str) or value not in keras3_layers.ACTIVATIONS:
      raise refusal(where, layer, f'{key}={value!r}')
    return True, value
  if isinstance(value, dict) and 'class_name' in value:
    group = next((each for each in ('initializer', 'regularizer', 'constraint') if key.endswith(each)), '')
    kind = getattr(getattr(keras, f'{group}s', None), value['class_name'], None)
    if kind is None and group != 'initializer':
      raise refusal(where, layer, f'{key}={value["class_name"]}')
    config = {name: each for name, each in value['config'].items() if not isinstance(each, dict)}
    return kind is not None, kind and kind(**config)
  if isinstance(value, np.ndarray | np.generic):
    return True, value.tolist()
  if isinstance(value, list | tuple):
    return True, value[0] if key == 'axis' and len(value) == 1 else list(value)
  return True, value
