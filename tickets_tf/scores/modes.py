"""How a live network computes while it is scored. Every mode is a context manager that undoes its changes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
import contextlib
import functools
from typing import Any

import numpy.typing as npt
import tensorflow as tf
import tf_keras as keras

from tickets_tf.errors import UsageError
from tickets_tf.pruning.kernels import Kernel
from tickets_tf.scores import batch_norm

# (object, attribute, value that it has for a while).
Replacement = tuple[object, str, Any]
_ABSENT = object()
_NORMALISATIONS = (keras.layers.BatchNormalization, keras.layers.GroupNormalization, keras.layers.LayerNormalization,
                   keras.layers.UnitNormalization)


@contextlib.contextmanager
def replaced(attributes: Sequence[Replacement]) -> Iterator[None]:
  """Gives attributes of live objects other values.

  Existing `tf.function` graphs would ignore the new values, and new ones would keep them, so everything runs eagerly
  here.

  Args:
    attributes: the objects, attributes and values. Keras' own `__setattr__` is bypassed, because it would start or stop
      tracking the values. At the end, an attribute that only the class had is removed from the object.
  """
  if not attributes:
    yield
    return
  before = [(owner, name, vars(owner).get(name, _ABSENT)) for owner, name, _ in attributes]
  eager = tf.config.functions_run_eagerly()
  try:
    tf.config.run_functions_eagerly(True)
    for owner, name, value in attributes:
      vars(owner)[name] = value
    yield
  finally:
    tf.config.run_functions_eagerly(eager)
    for owner, name, value in reversed(before):
      if value is _ABSENT:
        vars(owner).pop(name, None)
      else:
        vars(owner)[name] = value


def layers_of(model: keras.Model) -> list[keras.layers.Layer]:
  """Returns the model and all layers in it, at any depth, each once."""
  return list({id(layer): layer for layer in model._flatten_layers()}.values())  # pylint: disable=protected-access


def precision(layers: Sequence[keras.layers.Layer], dtype: str) -> contextlib.AbstractContextManager[None]:
  """Lets layers compute in another floating dtype; variables that do not cast themselves keep their dtype."""
  policy = keras.mixed_precision.Policy(dtype)

  # A functional model casts its arguments to the dtype that its inputs were declared with, also within another model.
  def conform(tensor: tf.Tensor, ref_input: tf.Tensor) -> tf.Tensor:
    return tf.cast(tensor, dtype) if ref_input.dtype.is_floating else tensor

  return replaced([(layer, '_dtype_policy', policy) for layer in layers]
                  + [(layer, '_compute_dtype_object', tf.as_dtype(dtype)) for layer in layers]
                  + [(layer, '_conform_to_reference_input', conform) for layer in layers
                     if hasattr(layer, '_conform_to_reference_input')])


@contextlib.contextmanager
def full_precision(model: keras.Model) -> Iterator[None]:
  """Lets layers that compute in 16 bits compute in float32, and turns TensorFloat-32 off.

  Gradients of a mean loss divided by GraSP's temperature are too small for float16, and TensorFloat-32 keeps only three
  digits.
  """
  narrow = [layer for layer in layers_of(model) if layer.compute_dtype in ('float16', 'bfloat16')]
  with no_tensor_float(), precision(narrow, 'float32'):
    yield


@contextlib.contextmanager
def no_tensor_float() -> Iterator[None]:
  """Turns TensorFloat-32 off."""
  tensor_float = tf.config.experimental.tensor_float_32_execution_enabled()
  try:
    tf.config.experimental.enable_tensor_float_32_execution(False)
    yield
  finally:
    tf.config.experimental.enable_tensor_float_32_execution(tensor_float)


def masked(model: keras.Model, kernels: Sequence[Kernel], mask: Mapping[str, npt.ArrayLike],
           regrow: bool = False) -> contextlib.AbstractContextManager[None]:
  """Makes a network compute without the weights that a mask removes, whatever its variables hold.

  Args:
    model: the network.
    kernels: the kernels of the network.
    mask: their `Mask`, or any mapping from their names to booleans of their shapes; tensors, too.
    regrow: whether gradients by removed weights are those of the masked network (de Jorge et al. 2021, FORCE) rather
      than zero.
  """
  keeps = {id(kernel.variable): mask[kernel.name] for kernel in kernels}

  def calling(layer: keras.layers.Layer, own: Mapping[str, npt.ArrayLike]) -> Replacement:
    call = layer.call

    @functools.wraps(call)
    def masked_call(*args: Any, **kwargs: Any) -> Any:
      # The values are read at the time of the call: a score may have replaced them.
      with replaced([(layer, name, _without(vars(layer)[name], keep, regrow)) for name, keep in own.items()]):
        return call(*args, **kwargs)

    return layer, 'call', masked_call

  owners = [(layer, {name: keeps[id(value)] for name, value in vars(layer).items() if id(value) in keeps})
            for layer in layers_of(model)]
  return replaced([calling(layer, own) for layer, own in owners if own])


def _without(weights: Any, keep: npt.ArrayLike, regrow: bool) -> tf.Tensor:
  weights = tf.convert_to_tensor(weights)
  kept = tf.where(keep, weights, tf.zeros([], weights.dtype))
  return weights + tf.stop_gradient(kept - weights) if regrow else kept


def batch_statistics(model: keras.Model, derivatives: int = 2) -> contextlib.AbstractContextManager[None]:
  """Puts batch norm into training mode and leaves everything else in inference mode.

  The caller passes `training=False`, so that dropout and augmentation layers take no part in a score and draw nothing
  from the global random state. As in Keras, a layer that is not trainable stays in inference mode. Moving statistics do
  not change.

  Args:
    model: the network.
    derivatives: how often it will be differentiated; a second derivative takes more memory and time.

  Raises:
    UsageError: at the end, if the network has batch norm but none of it was reached.
  """
  return _batch_norms_call(model, [layer for layer in _batch_norms(model) if layer.trainable],
                           functools.partial(batch_norm.normalise, derivatives=derivatives))


def moving_statistics(model: keras.Model) -> contextlib.AbstractContextManager[None]:
  """Puts batch norm into inference mode, whose gradient is then deterministic on every device.

  Raises:
    UsageError: as `batch_statistics`.
  """
  return _batch_norms_call(model, _batch_norms(model), batch_norm.rescale)


def no_normalisation(model: keras.Model) -> contextlib.AbstractContextManager[None]:
  """Makes every normalisation exactly the identity: batch, group, layer, instance and unit normalisation.

  Unit statistics would leave a factor of 1 / sqrt(1 + epsilon), and normalisation by an image's own statistics takes
  away what SynFlow measures.

  Raises:
    UsageError: as `batch_statistics`.
  """
  layers = [layer for layer in layers_of(model) if isinstance(layer, _NORMALISATIONS) or _is_instance_norm(layer)]
  return _batch_norms_call(model, layers, lambda layer, inputs: tf.identity(inputs))


def _is_instance_norm(layer: keras.layers.Layer) -> bool:
  # Keras has none of that name; those of others are called so.
  return any(each.__name__ == 'InstanceNormalization' for each in type(layer).__mro__)


@contextlib.contextmanager
def _batch_norms_call(model: keras.Model, layers: Sequence[keras.layers.BatchNormalization],
                      function: Callable[[keras.layers.BatchNormalization, tf.Tensor], tf.Tensor]) -> Iterator[None]:
  reached = []

  def calling(layer: keras.layers.BatchNormalization) -> Callable[..., tf.Tensor]:
    @functools.wraps(layer.call)
    def call(inputs: tf.Tensor, *args: Any, **kwargs: Any) -> tf.Tensor:
      del args, kwargs
      reached.append(layer)
      return function(layer, inputs)

    return call

  with replaced([(layer, 'call', calling(layer)) for layer in layers]):
    yield
  if layers and not reached:
    raise UsageError(f'model {model.name!r}: {layers[0].name} was not reached when the model was called. A model '
                     'that keras.models.load_model read as a graph cannot be scored: build it from its code')


def _batch_norms(model: keras.Model) -> list[keras.layers.BatchNormalization]:
  return [layer for layer in layers_of(model) if isinstance(layer, keras.layers.BatchNormalization)]
