"""The wrapper that keeps a layer's removed weights at exactly zero.

tfmot's own wrapper multiplies weight and mask on every forward pass, counts steps, and asks in every layer whether a
new mask is due; between an optimizer's step and the next forward pass its weights are dense. A ticket's mask is fixed,
so it is enough to let no gradient through to a removed weight. The weight starts at zero, its momentum starts at zero,
and weight decay times zero is zero: it stays at zero with any optimizer, on every replica, in every checkpoint.
"""

from collections.abc import Callable, Iterable, Sequence
import inspect
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_model_optimization as tfmot
from tensorflow_model_optimization.python.core.sparsity.keras import pruning_wrapper
import tf_keras as keras

from tickets_tf.errors import UsageError
from tickets_tf.models import prunable_kernels
from tickets_tf.pruning.mask import Mask
from tickets_tf.sparse.schedule import TicketSchedule


@tf.custom_gradient  # type: ignore[untyped-decorator]
def _masked_gradient(weight: tf.Tensor,
                     mask: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tuple[tf.Tensor, None]]]:
  return tf.identity(weight), lambda gradient: (gradient * mask, None)


@keras.utils.register_keras_serializable('tickets_tf')
class TicketWrapper(pruning_wrapper.PruneLowMagnitude):  # type: ignore[misc]
  """Wraps a layer whose prunable weights have a fixed mask.

  tfmot's `strip_pruning`, `UpdatePruningStep` and `PruningSummaries` accept it; it needs none of them. It is saved and
  loaded like any Keras layer, with its mask.

  Args:
    layer: a Keras layer that has `get_prunable_weights`, or whose prunable weights tfmot knows.
    pruning_schedule: a `TicketSchedule`.
    **kwargs: those of tfmot's wrapper.
  """

  def __init__(self, layer: keras.layers.Layer, pruning_schedule: TicketSchedule | None = None, **kwargs: Any) -> None:
    # The layer's own precision; otherwise Keras would cast the wrapper's inputs to the default one.
    kwargs.setdefault('dtype', layer.dtype_policy)
    super().__init__(layer, pruning_schedule=pruning_schedule or TicketSchedule(), **kwargs)

  def build(self, input_shape: Any) -> None:
    """Builds the layer and the variables that hold its masks."""
    super().build(input_shape)
    self._holders: list[tuple[object, str]] = [_holder(self.layer, weight) for weight, _, _ in self.pruning_vars]

  def call(self, inputs: Any, training: Any = None, **kwargs: Any) -> Any:
    """Calls the layer with weights whose gradients are masked."""
    weights = [getattr(*holder) for holder in self._holders]
    try:
      # Keras' own __setattr__ is bypassed, because it would stop tracking the variable.
      for (owner, attribute), weight, (_, mask, _) in zip(self._holders, weights, self.pruning_vars, strict=True):
        # A custom gradient cannot take a variable that casts itself, so the value is read here, already cast.
        value = tf.convert_to_tensor(weight)
        vars(owner)[attribute] = _masked_gradient(value, tf.cast(mask, value.dtype))
      if 'training' in inspect.signature(self.layer.call).parameters:
        kwargs['training'] = training
      return self.layer.call(inputs, **kwargs)
    finally:
      for (owner, attribute), weight in zip(self._holders, weights, strict=True):
        vars(owner)[attribute] = weight

  def set_masks(self, masks: Iterable[np.ndarray]) -> None:
    """Sets the masks of the layer's prunable weights, and sets the removed weights to zero.

    Args:
      masks: one boolean array per prunable weight.
    """
    for (weight, mask, _), value in zip(self.pruning_vars, masks, strict=True):
      mask.assign(tf.cast(value, mask.dtype))
      weight.assign(tf.where(value, weight, tf.zeros_like(weight)))

  def set_weights(self, weights: Sequence[np.ndarray]) -> None:
    """Sets weights and masks, in the order of `get_weights`, and sets the removed weights to zero."""
    super().set_weights(weights)
    self.set_masks([mask.numpy() > 0 for _, mask, _ in self.pruning_vars])


def _holder(layer: keras.layers.Layer, weight: tf.Variable) -> tuple[object, str]:
  # (layer, attribute) that holds the variable: the layer itself or one inside it.
  for owner in layer._flatten_layers():  # pylint: disable=protected-access
    for attribute, value in vars(owner).items():
      if value is weight:
        return owner, attribute
  raise UsageError(f'layer {layer.name!r}: {weight.name} must be an attribute of the layer to be pruned')


def wrap(model: keras.Model, mask: Mask) -> keras.Model:
  """Returns a model that shares the layers of `model` and holds a mask; removed weights are set to exactly zero.

  Args:
    model: a functional or sequential `tf_keras` model, which may contain others.
    mask: a `Mask` of its `prunable_kernels`.

  Returns:
    A model of the same kind, not compiled, that any loop, optimizer and strategy can train; `model` shares its
    variables. Call `wrap` in the scope of the strategy that is to train it.

  Raises:
    UsageError: if the mask does not fit, or the model is subclassed, so that its layers cannot be replaced.
  """
  kernels = prunable_kernels(model)
  mask.check(kernels)
  arrays: dict[int, list[tuple[tf.Variable, np.ndarray]]] = {}
  for kernel in kernels:
    arrays.setdefault(id(kernel.layer), []).append((kernel.variable, mask[kernel.name]))

  def wrap_layer(layer: keras.layers.Layer) -> keras.layers.Layer:
    if isinstance(layer, keras.Model):
      return _clone(layer, wrap_layer)
    if id(layer) not in arrays:
      return layer
    variables, values = zip(*arrays[id(layer)], strict=True)
    # tfmot's wrapper asks for the weights that it is to prune.
    layer.get_prunable_weights = lambda: list(variables)
    removed = 1 - sum(value.sum() for value in values) / sum(value.size for value in values)
    wrapper = TicketWrapper(layer, TicketSchedule(removed))
    wrapper.build(layer.get_input_shape_at(0))
    wrapper.set_masks(values)
    return wrapper

  return _clone(model, wrap_layer)


def _clone(model: keras.Model, clone_function: Callable[[keras.layers.Layer], keras.layers.Layer]) -> keras.Model:
  if not isinstance(model, keras.Sequential) and not model._is_graph_network:  # pylint: disable=protected-access
    raise UsageError(f'model {model.name!r} is subclassed; wrappers need a functional or sequential model')
  return keras.models.clone_model(model, clone_function=clone_function)


def set_mask(model: keras.Model, mask: Mask) -> None:
  """Gives a wrapped model another mask, and sets the weights that it removes to exactly zero.

  Args:
    model: what `wrap` returned.
    mask: a `Mask` of the same kernels.

  Raises:
    UsageError: if the mask does not fit.
  """
  kernels = prunable_kernels(model)
  mask.check(kernels)
  arrays = {id(kernel.variable): mask[kernel.name] for kernel in kernels}
  for layer in _wrappers(model):
    layer.set_masks([arrays[id(weight)] for weight, _, _ in layer.pruning_vars])


def strip(model: keras.Model) -> keras.Model:
  """Returns the model without its wrappers; it shares the variables of `model`."""
  return tfmot.sparsity.keras.strip_pruning(model)


def mask_of(model: keras.Model) -> Mask:
  """Reads the mask that a wrapped model holds.

  Args:
    model: what `wrap` returned.

  Returns:
    A `Mask`.

  Raises:
    UsageError: if the model has no wrapped layer.
  """
  masks: dict[int, np.ndarray] = {}
  for layer in _wrappers(model):
    masks.update({id(weight): mask.numpy() > 0 for weight, mask, _ in layer.pruning_vars})
  if not masks:
    raise UsageError(f'model {model.name!r} holds no mask')
  return Mask((kernel.name, masks[id(kernel.variable)]) for kernel in prunable_kernels(model)
              if id(kernel.variable) in masks)


def _wrappers(model: keras.Model) -> list[Any]:
  return [layer for layer in model._flatten_layers()  # pylint: disable=protected-access
          if isinstance(layer, pruning_wrapper.PruneLowMagnitude)]
