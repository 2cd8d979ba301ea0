"""A network of a user's own as what everything else expects: one output of logits, at a known input size."""

from collections.abc import Callable

from absl import logging
import numpy as np
import tensorflow as tf
import tf_keras as keras

from tickets_tf.errors import UsageError
from tickets_tf.models import elementwise
from tickets_tf.models import keras3

_SQUASHING = ('softmax', 'sigmoid')
_SUM_TOLERANCE = 1e-3


def check_kind(model: object, name: str) -> None:
  """Refuses what is no network of this Keras.

  Args:
    model: what came in place of a network.
    name: what to call it.

  Raises:
    UsageError: if it is a Keras 3 model, a PyTorch module, a file or anything else but a `tf_keras` model; the message
      says what came and what to do.
  """
  if isinstance(model, keras.layers.Layer):  # As models are.
    return
  roots = {each.__module__.partition('.')[0] for each in type(model).__mro__}
  if 'keras' in roots:
    raise keras3.refusal(name)
  if 'torch' in roots:
    raise UsageError(f'{name}: a PyTorch module; expected a tf_keras model (masks and weights of PyTorch networks can '
                     'be read with --mask=FILE.safetensors)')
  if isinstance(model, str) or hasattr(model, '__fspath__'):
    raise UsageError(f'{name}: the path {str(model)!r} in place of a model; load it first, as with '
                     'tf_keras.models.load_model')
  raise UsageError(f'{name}: expected a tf_keras model, found {type(model).__name__}')


def classifier(model: keras.Model, name: str, input_shape: tuple[int, ...], num_classes: int) -> keras.Model:
  """Returns a network of a user's own as a classifier that gives logits.

  A network of Keras 3 is rebuilt, see `tickets_tf.models.keras3`. A network that is not built is built. One that ends
  in softmax or sigmoid is given back without: training, scores and exports work on logits, and exports add the softmax
  that makes probabilities of them. A warning says so.

  Args:
    model: what the user's function returned.
    name: its name, for messages.
    input_shape: (height, width, channels) of the images.
    num_classes: number of classes.

  Raises:
    UsageError: if it is no `tf_keras` model and cannot be made one, does not take these images, or does not give one
      output of `num_classes` numbers.
  """
  name = f'--model={name}'
  if keras3.is_keras3(model):
    model = keras3.from_keras3(model, input_shape, name)
  check_kind(model, name)
  if not isinstance(model, keras.Model):
    raise UsageError(f'{name}: expected a tf_keras model, found the layer {model.name!r}')
  outputs = _outputs(model, name, input_shape)
  if isinstance(outputs, dict):
    raise UsageError(f'{name}: its outputs are a dictionary ({", ".join(map(str, outputs))}); expected one output of '
                     f'{num_classes} logits')
  if isinstance(outputs, (list, tuple)):
    if len(outputs) != 1:
      raise UsageError(f'{name}: it has {len(outputs)} outputs; expected one of {num_classes} logits')
    outputs, = outputs
  if len(outputs.shape) != 2 or outputs.shape[1] != num_classes:
    raise UsageError(f'{name}: it gives an output of shape {tuple(outputs.shape[1:])} for an image; the data set has '
                     f'{num_classes} classes, expected ({num_classes},)')
  model = _at_fixed_size(model, name, input_shape)
  if not _ends_in_probabilities(model, outputs):
    return model
  model = _without_last_activation(model, name)
  if _are_probabilities(_outputs(model, name, input_shape)):
    raise UsageError(f'{name}: it gives probabilities; expected logits, or a last layer whose activation is softmax')
  logging.warning('%s: it ends in probabilities; it is trained and scored by its logits, and exports give '
                  'probabilities', name)
  return model


def _outputs(model: keras.Model, name: str, input_shape: tuple[int, ...]) -> tf.Tensor:
  """Builds a model if it is not built, and returns what it gives for two images of noise."""
  images = np.random.default_rng(0).normal(size=(2, *input_shape)).astype(np.float32)
  try:
    if not model.built and isinstance(model, keras.Sequential):
      model.build((None, *input_shape))
    return model(images, training=False)
  except (ValueError, TypeError, tf.errors.OpError) as error:
    raise UsageError(f'{name}: it does not take images of shape {input_shape}: {_first_line(error)}') from error


def _at_fixed_size(model: keras.Model, name: str, input_shape: tuple[int, ...]) -> keras.Model:
  """Returns a model whose input has a size: paths and exports depend on it."""
  if not getattr(model, '_is_graph_network', False) or None not in model.inputs[0].shape[1:]:
    return model
  try:
    fixed = keras.models.clone_model(model, input_tensors=keras.Input(input_shape, dtype=model.inputs[0].dtype))
    fixed.set_weights(model.get_weights())
  except (ValueError, TypeError, NotImplementedError) as error:
    raise UsageError(f'{name}: its input has no fixed size, and it cannot be copied to {input_shape}: '
                     f'{_first_line(error)}; give keras.Input that shape') from error
  return fixed


def _ends_in_probabilities(model: keras.Model, outputs: tf.Tensor) -> bool:
  layer = _last_layer(model)
  return _are_probabilities(outputs) or (layer is not None and _squashes(layer))


def _are_probabilities(outputs: tf.Tensor) -> bool:
  values = np.asarray(tf.nest.flatten(outputs)[0], np.float64)
  return bool(np.all(values >= 0) and np.allclose(values.sum(axis=1), 1, atol=_SUM_TOLERANCE))


def _last_layer(model: keras.Model) -> keras.layers.Layer | None:
  if getattr(model, '_is_graph_network', False):
    layer = model.outputs[0]._keras_history.layer
    return _last_layer(layer) if isinstance(layer, keras.Model) else layer
  # Of a subclassed model the order is that of its attributes: a guess, which the outputs confirm or not.
  return next((layer for layer in reversed(model.layers) if _squashes(layer)), None)


def _squashes(layer: keras.layers.Layer) -> bool:
  activation: Callable[..., object] | None = getattr(layer, 'activation', None)
  if activation is not None and elementwise.is_known(activation):
    return activation.__name__.removesuffix('_v2') in _SQUASHING
  return isinstance(layer, keras.layers.Softmax) or elementwise.operation(layer).removesuffix('_v2') in _SQUASHING


def _without_last_activation(model: keras.Model, name: str) -> keras.Model:
  layer = _last_layer(model)
  if layer is None or not _squashes(layer):
    raise UsageError(f'{name}: it gives probabilities; expected logits, or a last layer whose activation is softmax')
  if hasattr(layer, 'activation'):
    layer.activation = keras.activations.linear  # No graph of it has been made that anybody else knows.
    return model
  if isinstance(model, keras.Sequential):
    return keras.Sequential(model.layers[:-1], name=model.name)
  if getattr(model, '_is_graph_network', False) and model.outputs[0]._keras_history.layer is layer:
    return keras.Model(model.inputs, layer.input, name=model.name)
  raise UsageError(f'{name}: its softmax lies inside another model; expected it to give logits')


def _first_line(error: Exception) -> str:
  lines = [line.strip() for line in str(error).splitlines() if line.strip()]
  return lines[0] if lines else type(error).__name__
