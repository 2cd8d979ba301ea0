"""SynFlow: a weight matters as much as flows through it."""

import numpy as np
import tensorflow as tf

from tickets_tf.errors import UsageError
from tickets_tf.models import prunable_kernels
from tickets_tf.scores import modes


def synflow(model, images, labels, rng):
  """Scores by synaptic flow, theta * dR/dtheta (Tanaka et al. 2020, equation 2); one round of it.

  R is the sum of the outputs of the network with the absolute values of all its parameters, biases included as in the
  authors' code, on one input of ones, with batch norm as the identity. R grows with the product of the layers'
  fan-ins: a ResNet32 of width 32 is beyond float32. All layers therefore compute in float64, which reaches past
  ResNet110, and the scores are float64, too. All terms are positive, so that nothing cancels.

  Args:
    model: a built `tf_keras` model.
    images: not looked at, but for the shape of the input where the model does not know it.
    labels: not used.
    rng: not used.

  Returns:
    A list of float64 arrays, one per kernel, none below zero.

  Raises:
    UsageError: where the input's shape is not known, or a layer cannot compute in float64.
  """
  del labels, rng
  kernels = prunable_kernels(model)
  ones = tf.ones([1, *_input_shape(model, images)])
  layers = modes.layers_of(model)
  weights = [tf.constant(np.abs(kernel.variable.numpy().astype(np.float64))) for kernel in kernels]
  values = {**_absolute(layers), **{id(kernel.variable): each for kernel, each in zip(kernels, weights)}}
  attributes = [(layer, name, values[id(variable)]) for layer in layers for name, variable in vars(layer).items()
                if id(variable) in values]
  _check_held(model, layers, [kernel.variable for kernel in kernels])
  with modes.precision(layers, 'float64'), modes.replaced(attributes), modes.no_batch_norm(model):
    with tf.GradientTape(watch_accessed_variables=False) as tape:
      tape.watch(weights)
      flow = tf.reduce_sum(_outputs(model, ones))
  gradients = tape.gradient(flow, weights, unconnected_gradients=tf.UnconnectedGradients.ZERO)
  return [(weight * each).numpy() for weight, each in zip(weights, gradients)]


def _outputs(model, ones):
  try:
    return model(ones, training=False)
  except (TypeError, ValueError, tf.errors.InvalidArgumentError) as error:
    raise UsageError(f'model {model.name!r} cannot compute in float64, which SynFlow needs; a layer of its insists on '
                     'another dtype') from error


def _input_shape(model, images):
  if images is not None:
    return np.shape(images)[1:]
  try:
    shape = tf.TensorShape(model.input_shape)[1:]
  except (AttributeError, RuntimeError, TypeError, ValueError):
    shape = tf.TensorShape(None)
  if not shape.is_fully_defined():
    raise UsageError(f'model {model.name!r} does not know the shape of its input: pass images')
  return shape.as_list()


def _absolute(layers):
  # Of every variable that a layer owns, whether it is trainable or not.
  variables = [variable for layer in layers for variable in vars(layer).values() if isinstance(variable, tf.Variable)]
  return {id(variable): tf.abs(tf.cast(variable, tf.float64)) for variable in variables if variable.dtype.is_floating}


def _check_held(model, layers, variables):
  held = {id(value) for layer in layers for value in vars(layer).values()}
  for variable in [*variables, *model.trainable_variables]:
    if id(variable) not in held:
      raise UsageError(f'model {model.name!r}: {variable.name} must be an attribute of its layer for SynFlow')
