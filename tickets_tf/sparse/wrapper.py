"""The wrapper that keeps a layer's removed weights at exactly zero.

tfmot's own wrapper multiplies weight and mask on every forward pass, counts steps and asks in every layer whether the
mask is due, and between an optimizer's step and the next forward pass its weights are dense. A ticket's mask stays, so
it is enough to let no gradient through to a removed weight: it starts at zero, its momentum starts at zero, weight
decay times zero is zero, and so it stays at zero with any optimizer, on every replica, in every checkpoint.
"""

import inspect

import tensorflow as tf
import tensorflow_model_optimization as tfmot
from tensorflow_model_optimization.python.core.sparsity.keras import pruning_wrapper
import tf_keras as keras

from tickets_tf.errors import UsageError
from tickets_tf.pruning.mask import Mask
from tickets_tf.models import prunable_kernels
from tickets_tf.sparse.schedule import TicketSchedule


@tf.custom_gradient
def _masked_gradient(weight, mask):
  return tf.identity(weight), lambda gradient: (gradient * mask, None)


@keras.utils.register_keras_serializable('tickets_tf')
class TicketWrapper(pruning_wrapper.PruneLowMagnitude):
  """Wraps a layer whose prunable weights have a fixed mask.

  Accepted by tfmot's `strip_pruning`, `UpdatePruningStep` and `PruningSummaries`, none of which it needs. Saved and
  loaded as any Keras layer, mask included.

  Args:
    layer: a Keras layer with `get_prunable_weights`, or one that tfmot can give it to.
    pruning_schedule: a `TicketSchedule`.
    **kwargs: those of tfmot's wrapper.
  """

  def __init__(self, layer, pruning_schedule=None, **kwargs):
    # The wrapper computes in the layer's own precision; Keras would else cast its inputs to the default.
    kwargs.setdefault('dtype', layer.dtype_policy)
    super().__init__(layer, pruning_schedule=pruning_schedule or TicketSchedule(), **kwargs)

  def build(self, input_shape):
    super().build(input_shape)
    self._holders = [_holder(self.layer, weight) for weight, _, _ in self.pruning_vars]

  def call(self, inputs, training=None, **kwargs):
    weights = [getattr(*holder) for holder in self._holders]
    try:
      # Past Keras' own __setattr__, which would stop tracking the variable.
      for (owner, attribute), weight, (_, mask, _) in zip(self._holders, weights, self.pruning_vars):
        # Read here, in the layer's precision, since a custom gradient takes no variable that casts itself.
        value = tf.convert_to_tensor(weight)
        vars(owner)[attribute] = _masked_gradient(value, tf.cast(mask, value.dtype))
      if 'training' in inspect.signature(self.layer.call).parameters:
        kwargs['training'] = training
      return self.layer.call(inputs, **kwargs)
    finally:
      for (owner, attribute), weight in zip(self._holders, weights):
        vars(owner)[attribute] = weight

  def set_masks(self, masks):
    """Sets the masks of the layer's prunable weights, and the removed weights to zero.

    Args:
      masks: one boolean array per prunable weight.
    """
    for (weight, mask, _), value in zip(self.pruning_vars, masks):
      mask.assign(tf.cast(value, mask.dtype))
      weight.assign(tf.where(value, weight, tf.zeros_like(weight)))

  def set_weights(self, weights):
    super().set_weights(weights)
    self.set_masks([mask.numpy() > 0 for _, mask, _ in self.pruning_vars])


def _holder(layer, weight):
  # Where the variable hangs, which may be a layer inside the layer.
  for owner in layer._flatten_layers():  # pylint: disable=protected-access
    for attribute, value in vars(owner).items():
      if value is weight:
        return owner, attribute
  raise UsageError(f'layer {layer.name!r}: {weight.name} must be an attribute of the layer to be pruned')


def wrap(model, mask):
  """Returns a model that shares the layers of `model` and holds a mask; removed weights are set to exactly zero.

  Args:
    model: a functional or sequential `tf_keras` model, which may contain others.
    mask: a `Mask` of its `prunable_kernels`.

  Returns:
    A model of the same kind, not compiled, that any loop, optimizer and strategy can train; `model` shares its
    variables. Call it in the scope of the strategy it is to be trained with.

  Raises:
    UsageError: where the mask does not fit, or the model is subclassed and its layers cannot be replaced.
  """
  kernels = prunable_kernels(model)
  mask.check(kernels)
  arrays = {}
  for kernel in kernels:
    arrays.setdefault(id(kernel.layer), []).append((kernel.variable, mask[kernel.name]))

  def wrap_layer(layer):
    if isinstance(layer, keras.Model):
      return _clone(layer, wrap_layer)
    if id(layer) not in arrays:
      return layer
    variables, values = zip(*arrays[id(layer)])
    # Tells tfmot's wrapper which weights are meant.
    layer.get_prunable_weights = lambda: list(variables)
    removed = 1 - sum(value.sum() for value in values) / sum(value.size for value in values)
    wrapper = TicketWrapper(layer, TicketSchedule(removed))
    wrapper.build(layer.get_input_shape_at(0))
    wrapper.set_masks(values)
    return wrapper

  return _clone(model, wrap_layer)


def _clone(model, clone_function):
  if not isinstance(model, keras.Sequential) and not model._is_graph_network:  # pylint: disable=protected-access
    raise UsageError(f'model {model.name!r} is subclassed; wrappers need a functional or sequential model')
  return keras.models.clone_model(model, clone_function=clone_function)


def set_mask(model, mask):
  """Gives a wrapped model another mask, and sets the weights that it removes to exactly zero.

  Args:
    model: what `wrap` returned.
    mask: a `Mask` of the same kernels.
  """
  kernels = prunable_kernels(model)
  mask.check(kernels)
  arrays = {id(kernel.variable): mask[kernel.name] for kernel in kernels}
  for layer in _wrappers(model):
    layer.set_masks([arrays[id(weight)] for weight, _, _ in layer.pruning_vars])


def strip(model):
  """Returns the model without its wrappers; it shares the variables of `model`."""
  return tfmot.sparsity.keras.strip_pruning(model)


def mask_of(model):
  """Reads the mask that a wrapped model holds.

  Args:
    model: what `wrap` returned.

  Returns:
    A `Mask`.

  Raises:
    UsageError: where the model has no wrapped layer.
  """
  masks = {}
  for layer in _wrappers(model):
    masks.update({id(weight): mask.numpy() > 0 for weight, mask, _ in layer.pruning_vars})
  if not masks:
    raise UsageError(f'model {model.name!r} holds no mask')
  return Mask((kernel.name, masks[id(kernel.variable)]) for kernel in prunable_kernels(model)
              if id(kernel.variable) in masks)


def _wrappers(model):
  return [layer for layer in model._flatten_layers()  # pylint: disable=protected-access
          if isinstance(layer, pruning_wrapper.PruneLowMagnitude)]
