"""How a live network computes while it is scored. Every mode is a context manager that puts all back at its end."""

import contextlib
import functools

import tensorflow as tf
import tf_keras as keras

from tickets_tf.errors import UsageError
from tickets_tf.scores import batch_norm

_ABSENT = object()


@contextlib.contextmanager
def replaced(attributes):
  """Gives attributes of live objects other values.

  Graphs that a model has of parts of itself do not know the new values, and such as it would make now would keep them:
  every `tf.function` runs eagerly meanwhile.

  Args:
    attributes: list of (object, attribute, value). They are set past Keras' own `__setattr__`, which would start or
      stop tracking them; what hung on the class shows again at the end.
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


def layers_of(model):
  """Returns the model and all layers in it, at any depth, each once."""
  return list({id(layer): layer for layer in model._flatten_layers()}.values())  # pylint: disable=protected-access


def precision(layers, dtype):
  """Lets layers compute in another dtype; variables that are made for one dtype alone stay as they are.

  Args:
    layers: list of layers.
    dtype: name of a floating dtype.
  """
  policy = keras.mixed_precision.Policy(dtype)

  def conform(tensor, ref_input):
    return tf.cast(tensor, dtype) if ref_input.dtype.is_floating else tensor

  # A functional model in another one casts what it is given to the dtype that its inputs were declared with.
  return replaced([(layer, '_dtype_policy', policy) for layer in layers]
                  + [(layer, '_compute_dtype_object', tf.as_dtype(dtype)) for layer in layers]
                  + [(layer, '_conform_to_reference_input', conform) for layer in layers
                     if hasattr(layer, '_conform_to_reference_input')])


@contextlib.contextmanager
def full_precision(model):
  """Lets layers that compute in 16 bits compute in float32, and devices in all bits of it.

  Gradients of a mean loss divided by GraSP's temperature are below what float16 can hold, and TensorFloat-32 leaves
  three digits.
  """
  tensor_float = tf.config.experimental.tensor_float_32_execution_enabled()
  narrow = [layer for layer in layers_of(model) if layer.compute_dtype in ('float16', 'bfloat16')]
  try:
    tf.config.experimental.enable_tensor_float_32_execution(False)
    with precision(narrow, 'float32'):
      yield
  finally:
    tf.config.experimental.enable_tensor_float_32_execution(tensor_float)


def masked(model, kernels, mask, regrow=False):
  """Makes a network compute without the weights that a mask removes, whatever its variables hold.

  Args:
    model: the network.
    kernels: list of `Kernel` of the network.
    mask: the `Mask`.
    regrow: whether gradients by removed weights are those of the masked network (de Jorge et al. 2021, FORCE) rather
      than zero.
  """
  keeps = {id(kernel.variable): mask[kernel.name] for kernel in kernels}

  def calling(layer, own):
    call = layer.call

    @functools.wraps(call)
    def masked_call(*args, **kwargs):
      # Read at the time of the call: a score may have put other values there.
      with replaced([(layer, name, _without(vars(layer)[name], keep, regrow)) for name, keep in own.items()]):
        return call(*args, **kwargs)

    return layer, 'call', masked_call

  owners = [(layer, {name: keeps[id(value)] for name, value in vars(layer).items() if id(value) in keeps})
            for layer in layers_of(model)]
  return replaced([calling(layer, own) for layer, own in owners if own])


def _without(weights, keep, regrow):
  weights = tf.convert_to_tensor(weights)
  kept = tf.where(keep, weights, tf.zeros_like(weights))
  return weights + tf.stop_gradient(kept - weights) if regrow else kept


def batch_statistics(model):
  """Puts batch norm into training mode and leaves everything else in inference mode; the caller passes
  `training=False`.

  So dropout and augmentation layers take no part in a score, and draw nothing from the global random state. As Keras
  has it, layers that are not trainable keep to inference mode. Moving statistics stay.

  Raises:
    UsageError: at the end, where the network has batch norm and none was reached.
  """
  return _batch_norms_call(model, [layer for layer in _batch_norms(model) if layer.trainable], batch_norm.normalise)


def moving_statistics(model):
  """Puts batch norm into inference mode, whose gradient is then deterministic on every device.

  Raises:
    UsageError: as `batch_statistics`.
  """
  return _batch_norms_call(model, _batch_norms(model), batch_norm.rescale)


def no_batch_norm(model):
  """Makes batch norm the identity: exactly, where unit statistics would leave a factor of 1 / sqrt(1 + epsilon).

  Raises:
    UsageError: as `batch_statistics`.
  """
  return _batch_norms_call(model, _batch_norms(model), lambda layer, inputs: tf.identity(inputs))


@contextlib.contextmanager
def _batch_norms_call(model, layers, function):
  reached = []

  def calling(layer):
    @functools.wraps(layer.call)
    def call(inputs, *args, **kwargs):
      del args, kwargs
      reached.append(layer)
      return function(layer, inputs)

    return call

  with replaced([(layer, 'call', calling(layer)) for layer in layers]):
    yield
  if layers and not reached:
    raise UsageError(f'model {model.name!r}: {layers[0].name} was not reached when the model was called; what '
                     'keras.models.load_model made a graph of cannot be scored: build the model from its code')


def _batch_norms(model):
  return [layer for layer in layers_of(model) if isinstance(layer, keras.layers.BatchNormalization)]
