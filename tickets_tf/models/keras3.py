"""Networks of Keras 3, rebuilt in `tf_keras`, which is what tfmot prunes.

Nothing here imports Keras 3: whoever has a model of it has imported it.
"""

import sys
from typing import Any

from absl import logging
import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tf_keras as keras

from tickets_tf.errors import UsageError
from tickets_tf.models import keras3_layers
from tickets_tf.models import keras3_operations

TOLERANCE = 1e-5
# The size of inputs that have none, for the comparison of outputs.
_ANY_SIZE = 32


def is_keras3(model: object) -> bool:
  """Returns whether something is of a class of Keras 3 or one derived from it."""
  return not isinstance(model, keras.layers.Layer) and \
      'keras' in {each.__module__.partition('.')[0] for each in type(model).__mro__}


def reset_names() -> None:
  """Makes Keras 3, if it is imported, count unnamed layers from the start again."""
  module: Any = sys.modules.get('keras.src.utils.naming')
  if module is not None:
    module.reset_uids()


def refusal(name: str) -> UsageError:
  """Returns the error for a Keras 3 model that cannot be rebuilt."""
  return UsageError(f'{name}: a model of Keras 3, which tfmot cannot prune; expected one of tf_keras: build it with '
                    '`import tf_keras as keras`, or give a functional or sequential one to tickets_tf.from_keras3')


def from_keras3(model: Any, input_shape: tuple[int, ...] | None = None, name: str = 'model') -> keras.Model:
  """Rebuilds a functional or sequential Keras 3 model in `tf_keras`.

  Layers keep their names, arguments, weights and `trainable`; shared layers are shared, models inside it are models.
  Then both compute outputs for random inputs, in inference, once with the model's weights and once with weights moved
  at random, so that zeros and ones in fresh weights hide nothing. The given model is left as it is. Under another
  precision than float32 of `tf_keras`, the model is rebuilt again in that one after the comparison.

  Args:
    model: the Keras 3 model, under any backend.
    input_shape: shape of one input without its batch; only for a model that was not told it.
    name: what to call the model in messages.

  Returns:
    A functional `tf_keras` model of the same inputs and outputs.

  Raises:
    UsageError: if it is subclassed, one of its layers, arguments or operations has no twin in `tf_keras`, or outputs
      differ by more than 1e-5 of the largest one (of 1 if all are smaller).
  """
  if not is_keras3(model):
    raise UsageError(f'{name}: expected a Keras 3 model, found {type(model).__name__} of {type(model).__module__}')
  if _kind(model) is None:
    raise refusal(name)
  if not model.built or not getattr(model, 'inputs', None):
    if input_shape is None:
      raise UsageError(f'{name}: this Keras 3 model is not built; expected one with keras.Input, or an input_shape')
    model.build((None, *input_shape))
  policy = keras.mixed_precision.global_policy()
  keras.mixed_precision.set_global_policy('float32')  # Operations have that of the process.
  try:
    rebuilding = _Rebuilding(name, follow=False)
    rebuilt = rebuilding.finish(model)
    largest = _prove_equal(model, rebuilding, rebuilt, name)
  finally:
    keras.mixed_precision.set_global_policy(policy)
  logging.warning('%s: a Keras 3 model, rebuilt in tf_keras; its outputs differ by at most %.1e', name, largest)
  if policy.name == 'float32':
    return rebuilt
  return _Rebuilding(name, follow=True).finish(model)


def _kind(model: Any) -> str | None:
  """Returns `'Functional'` or `'Sequential'`, or None for anything else, also what overrides its `call`."""
  for base in type(model).__mro__:
    if base.__module__.startswith('keras.src.models.') and base.__name__ in ('Functional', 'Sequential'):
      return str(base.__name__) if type(model).call is base.call else None  # type: ignore[attr-defined]
  return None


class _Rebuilding:
  """Rebuilds one model, and knows which twin belongs to which layer."""

  def __init__(self, name: str, follow: bool) -> None:
    self._name = name
    self._follow = follow
    self._twins: dict[int, keras.layers.Layer] = {}
    self._layers: list[tuple[Any, keras.layers.Layer]] = []
    self._models: list[tuple[Any, keras.Model]] = []

  def finish(self, model: Any) -> keras.Model:
    """Returns the model with weights and flags."""
    made = self._model(model)
    self.set_weights(_values(model))
    for original, twin in reversed(self._models):  # From the outside in: a flag sets those of everything inside.
      if not original.trainable:
        twin.trainable = False
    for original, twin in self._layers:
      if twin.trainable != original.trainable:
        twin.trainable = original.trainable
    return made

  def set_weights(self, values: dict[int, npt.NDArray[Any]]) -> None:
    """Gives all layers values of the weights of their originals, by the ids of these."""
    for original, twin in self._layers:
      _set_weights(original, twin, values, self._name)

  def _model(self, model: Any) -> keras.Model:
    kind = _kind(model)
    if kind is None:
      raise UsageError(f'{self._name}: the Keras 3 layer {keras3_layers.title(model)} has no twin in tf_keras: it is a '
                       'subclassed model')
    tensors = {id(each): keras.Input(batch_shape=tuple(each.shape), dtype=each.dtype, name=_input_name(each))
               for each in model.inputs}
    if kind == 'Sequential':
      inputs = x = tensors[id(model.inputs[0])]
      for layer in model.layers:
        x = self._call(layer, (x,), {})
      made = keras.Model(inputs, x, name=model.name)
    else:
      made = self._functional(model, tensors)
    self._models.append((model, made))
    return made

  def _functional(self, model: Any, tensors: dict[int, tf.Tensor]) -> keras.Model:
    tree = sys.modules['keras'].tree

    def mapped(value: Any) -> Any:
      return tree.map_structure(lambda each: tensors.get(id(each), each), value)

    for depth in sorted(model._nodes_by_depth, reverse=True):
      for node in model._nodes_by_depth[depth]:
        if node.is_input:
          continue
        outputs = self._call(node.operation, mapped(node.arguments.args), mapped(node.arguments.kwargs))
        for original, output in zip(node.outputs, tf.nest.flatten(outputs), strict=True):
          tensors[id(original)] = output
    return keras.Model(mapped(model._inputs_struct), mapped(model._outputs_struct), name=model.name)

  def _call(self, operation: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if not hasattr(operation, 'get_weights') and not hasattr(operation, 'weights'):
      return keras3_operations.apply(operation, args, kwargs, self._name)
    kwargs = {key: value for key, value in kwargs.items() if value is not None}
    twin = self._twin(operation)
    try:
      outputs = twin(*args, **kwargs)
    except (TypeError, ValueError) as error:
      raise UsageError(f'{self._name}: the Keras 3 layer {keras3_layers.title(operation)} has no twin in tf_keras that '
                       f'can be called like it: {str(error).partition(chr(10))[0]}') from error
    after = keras3_layers.formula(operation)
    return after(outputs) if after else outputs

  def _twin(self, layer: Any) -> keras.layers.Layer:
    if id(layer) not in self._twins:
      self._twins[id(layer)] = self._made(layer)
    return self._twins[id(layer)]

  def _made(self, layer: Any) -> keras.layers.Layer:
    if _is_model(layer):
      return self._model(layer)
    kind = type(layer).__name__ if keras3_layers.is_of_keras(layer) else None
    if kind in ('TimeDistributed', 'Bidirectional') and keras3_layers.formula(getattr(layer, 'layer', layer)):
      raise UsageError(f'{self._name}: the Keras 3 layer {keras3_layers.title(layer)} has no twin in tf_keras: the '
                       f'activation of {keras3_layers.title(layer.layer)}')
    if kind == 'TimeDistributed':
      return keras.layers.TimeDistributed(self._twin(layer.layer), name=layer.name)
    if kind == 'Bidirectional':
      forward, backward = (keras3_layers.twin(each, self._name, self._follow, prefix) for each, prefix in
                           ((layer.forward_layer, 'forward_'), (layer.backward_layer, 'backward_')))
      made = keras.layers.Bidirectional(forward, layer.merge_mode, backward_layer=backward, name=layer.name)
      self._layers += [(layer.forward_layer, made.forward_layer), (layer.backward_layer, made.backward_layer)]
      return made
    made = keras3_layers.twin(layer, self._name, self._follow)
    self._layers.append((layer, made))
    return made


def _is_model(layer: Any) -> bool:
  return any(base.__module__.startswith('keras.src.models.') for base in type(layer).__mro__)


def _input_name(tensor: Any) -> str:
  return str(tensor._keras_history.operation.name)


def _set_weights(original: Any, twin: keras.layers.Layer, values: dict[int, npt.NDArray[Any]], where: str) -> None:
  """Gives a layer the values of the weights of another, each checked by name and shape."""
  found = [(each.name, tuple(each.shape)) for each in original.weights]
  expected = [(each.name.rpartition('/')[2].partition(':')[0], tuple(each.shape)) for each in twin.weights]
  if isinstance(twin, keras.layers.DepthwiseConv1D | keras.layers.DepthwiseConv2D):
    expected = [(name.removeprefix('depthwise_'), shape) for name, shape in expected]
  if found != expected:
    raise UsageError(f'{where}: the Keras 3 layer {keras3_layers.title(original)} has no twin in tf_keras: its weights '
                     f'are {found}, those of tf_keras {expected}')
  twin.set_weights([values[id(each)] for each in original.weights])


def _prove_equal(model: Any, rebuilding: _Rebuilding, rebuilt: keras.Model, where: str) -> float:
  """Compares the outputs of a model and its twin for the same random inputs; the twin keeps the model's weights.

  Returns:
    The largest difference under the model's own weights.

  Raises:
    UsageError: if outputs differ by more than `TOLERANCE`.
  """
  rng = np.random.default_rng(0)
  inputs = _random_inputs(model, rng)
  own = _values(model)
  moved = dict(own)
  for each in model.weights:
    moved[id(each)] = _moved(each.name, own[id(each)], rng)
  differences = []
  for values in (moved, own):
    rebuilding.set_weights(values)
    found = tf.nest.flatten(rebuilt(inputs, training=False))
    for one, other in zip(_outputs(model, values, inputs), found, strict=True):
      scale = max(1.0, float(np.max(np.abs(one))))
      differences.append(float(np.max(np.abs(one - other.numpy()))))
      if one.shape != tuple(other.shape) or not differences[-1] <= TOLERANCE * scale:  # Also of what is not finite.
        raise UsageError(f'{where}: rebuilt in tf_keras, its outputs differ by up to {differences[-1]:.1e} from those '
                         f'of the Keras 3 model, which reach {scale:.1e}; expected at most {TOLERANCE * scale:.0e}')
  return max(differences[len(differences) // 2:])


def _values(model: Any) -> dict[int, npt.NDArray[Any]]:
  """Returns the values of a Keras 3 model's variables by the variables' ids."""
  convert = sys.modules['keras'].ops.convert_to_numpy
  return {id(each): np.asarray(convert(each)) for each in (*model.trainable_variables, *model.non_trainable_variables)}


def _moved(name: str, value: npt.NDArray[Any], rng: np.random.Generator) -> npt.NDArray[Any]:
  noise = 0.1 * rng.normal(size=value.shape)
  if 'variance' in name:
    noise = np.abs(noise)
  elif value.ndim > 1:
    noise *= np.std(value) or 1.0
  return np.asarray(value + noise, value.dtype)


def _random_inputs(model: Any, rng: np.random.Generator) -> Any:
  indices = any(type(layer).__name__ == 'Embedding' for layer in model._flatten_layers())

  def drawn(tensor: Any) -> tf.Tensor:
    batch, *rest = tensor.shape
    shape = (batch or 2, *(each or _ANY_SIZE for each in rest))
    if indices or 'float' not in tensor.dtype:
      return tf.constant(rng.integers(0, 2, shape), tensor.dtype)
    return tf.constant(rng.normal(size=shape), tensor.dtype)

  return [drawn(each) for each in model.inputs]


def _outputs(model: Any, values: dict[int, npt.NDArray[Any]], inputs: list[tf.Tensor]) -> list[npt.NDArray[Any]]:
  """Returns what a Keras 3 model gives with other values of its variables, which stay as they are."""
  module = sys.modules['keras']
  trainable, rest = ([module.ops.convert_to_tensor(values[id(each)]) for each in variables]
                     for variables in (model.trainable_variables, model.non_trainable_variables))
  tensors = [module.ops.convert_to_tensor(each.numpy()) for each in inputs]
  given = module.tree.pack_sequence_as(getattr(model, '_inputs_struct', model.inputs[0]), tensors)
  outputs, _ = model.stateless_call(trainable, rest, given, training=False)
  return [np.asarray(module.ops.convert_to_numpy(each)) for each in module.tree.flatten(outputs)]
