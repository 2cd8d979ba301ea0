"""A model that holds a mask, from one that does not, and back."""

from collections.abc import Collection
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_model_optimization as tfmot
from tensorflow_model_optimization.python.core.sparsity.keras import pruning_wrapper
import tf_keras as keras
from tf_keras.src.engine import functional

from tickets_tf.errors import TicketsError
from tickets_tf.errors import UsageError
from tickets_tf.models import prunable_kernels
from tickets_tf.pruning.mask import Mask
from tickets_tf.sparse import masked_losses
from tickets_tf.sparse.schedule import TicketSchedule
from tickets_tf.sparse.wrapper import TicketWrapper


def wrap(model: keras.Model, mask: Mask) -> keras.Model:
  """Returns a model that shares the layers of `model` and holds a mask; removed weights are set to exactly zero.

  Every layer with prunable weights, its own or of layers inside it, is wrapped. A model whose layers cannot be replaced
  because its class has a `call` of its own is wrapped as a whole. Regularisers and other loss terms of the layers push
  no removed weight, also if `model` computes them, until `strip`.

  Args:
    model: any built `tf_keras` model, which may contain others.
    mask: a `Mask` of its `prunable_kernels`.

  Returns:
    A functional or sequential model, not compiled, that any loop, optimizer and strategy can train; `model` shares its
    variables. Call `wrap` in the scope of the strategy that is to train it.

  Raises:
    UsageError: if the mask does not fit, or nothing tells the inputs of a model that is wrapped as a whole.
  """
  kernels = prunable_kernels(model)
  mask.check(kernels)
  arrays = {id(kernel.variable): mask[kernel.name] for kernel in kernels}

  def wrapped(layer: keras.layers.Layer, input_shape: Any, **kwargs: Any) -> TicketWrapper:
    values = [arrays[id(variable)] for variable in _inside(layer, arrays)]
    removed = 1 - sum(value.sum() for value in values) / sum(value.size for value in values)
    wrapper = TicketWrapper(layer, TicketSchedule(removed), **kwargs)
    wrapper.build(input_shape)
    if len(wrapper.pruning_vars) != len(values):
      raise TicketsError(f'layer {layer.name!r}: {len(wrapper.pruning_vars)} of its {len(values)} prunable weights can '
                         'be held by a mask')
    wrapper.set_masks(arrays[id(weight)] for weight, _, _ in wrapper.pruning_vars)
    return wrapper

  def wrap_layer(layer: keras.layers.Layer) -> keras.layers.Layer:
    if _can_be_cloned(layer):
      clone = keras.models.clone_model(layer, clone_function=wrap_layer)
      masked_losses.copy_losses(layer, clone, _wrappers(clone))
      return clone
    return wrapped(layer, layer.get_input_shape_at(0)) if _inside(layer, arrays) else layer

  if _can_be_cloned(model):
    return wrap_layer(model)
  inputs, others = _inputs(model)
  wrapper = wrapped(model, tf.nest.map_structure(lambda tensor: tensor.shape, inputs), whole=True)
  return keras.Model(tf.nest.flatten([inputs, *others]), wrapper(inputs, *others), name=model.name)


def _can_be_cloned(layer: keras.layers.Layer) -> bool:
  # Whether the layer is a model that is its layers and nothing more.
  call = keras.Sequential.call if isinstance(layer, keras.Sequential) else functional.Functional.call
  return (isinstance(layer, keras.Model) and bool(layer._is_graph_network)  # pylint: disable=protected-access
          and type(layer).call is call)


def _inside(layer: keras.layers.Layer, variables: Collection[int]) -> list[tf.Variable]:
  # The variables of a layer and of all layers in it, of those whose ids are given.
  return [weight for weight in layer.weights if id(weight) in variables]


def _inputs(model: keras.Model) -> tuple[Any, list[Any]]:
  # The first argument of a model's call, in its structure, and the others that hold tensors.
  # The spec of a model that was built and not called has no shapes.
  spec = model.save_spec()
  if spec is not None and all(each.shape.rank is not None for each in tf.nest.flatten(spec[0])):
    first, *others = tf.nest.map_structure(lambda each: keras.Input(each.shape[1:], dtype=each.dtype), spec[0])
    return first, others
  shape = model._build_input_shape  # pylint: disable=protected-access
  if shape is None:
    raise UsageError(f'model {model.name!r} does not tell its inputs; call it once before it is to hold a mask')
  return _input_of(shape), []


def _input_of(shape: Any) -> Any:
  # Keras inputs in the structure of what was given to `build`.
  if isinstance(shape, dict):
    return {name: _input_of(each) for name, each in shape.items()}
  if isinstance(shape, tf.TensorShape) or all(size is None or isinstance(size, int) for size in shape):
    return keras.Input(tuple(shape)[1:])
  return [_input_of(each) for each in shape]


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


def set_schedule(model: keras.Model, schedule: tfmot.sparsity.keras.PruningSchedule) -> None:
  """Gives the layers of a wrapped model the schedule that its mask follows, for tfmot's tools to see."""
  for layer in _wrappers(model):
    layer.pruning_schedule = schedule


def strip(model: keras.Model) -> keras.Model:
  """Returns the model without its wrappers; it shares the variables of `model`."""
  for wrapper in _wrappers(model):
    masked_losses.unmask_losses(wrapper.layer._flatten_layers())  # pylint: disable=protected-access
  whole = [layer.layer for layer in model.layers if isinstance(layer, TicketWrapper) and layer.whole]
  if whole:
    return whole[0]

  def strip_layer(layer: keras.layers.Layer) -> keras.layers.Layer:
    if isinstance(layer, pruning_wrapper.PruneLowMagnitude):
      if not hasattr(layer.layer, '_batch_input_shape') and hasattr(layer, '_batch_input_shape'):
        layer.layer._batch_input_shape = layer._batch_input_shape  # pylint: disable=protected-access
      return layer.layer
    if not _can_be_cloned(layer):
      return layer
    clone = keras.models.clone_model(layer, clone_function=strip_layer)
    masked_losses.copy_losses(layer, clone, ())
    return clone

  return strip_layer(model)


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


def revived(model: keras.Model, mask: Mask) -> dict[str, int]:
  """Counts removed weights that are not exactly zero.

  Args:
    model: a model, wrapped or not.
    mask: a `Mask` of its `prunable_kernels`.

  Returns:
    Name of a kernel -> its number of such weights, for kernels that have any. A weight that is not a number counts.

  Raises:
    UsageError: if the mask does not fit.
  """
  kernels = prunable_kernels(model)
  mask.check(kernels)
  counts = {kernel.name: int(np.count_nonzero(kernel.variable.numpy()[~mask[kernel.name]])) for kernel in kernels}
  return {name: count for name, count in counts.items() if count}


def check_removed(model: keras.Model, mask: Mask) -> None:
  """Checks that all removed weights are exactly zero, before anything is said of a ticket or made from it.

  Args:
    model: a model, wrapped or not.
    mask: a `Mask` of its `prunable_kernels`.

  Raises:
    TicketsError: if one is not; the message names the layers.
    UsageError: if the mask does not fit.
  """
  found = revived(model, mask)
  if found:
    raise TicketsError(f'{sum(found.values())} weights that the mask removes are not zero: '
                       + ', '.join(f'{count} of layer {name!r}' for name, count in found.items())
                       + '; something in these layers or in the optimizer sets them')
