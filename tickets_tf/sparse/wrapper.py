"""The wrapper that keeps a layer's removed weights at exactly zero.

tfmot's own wrapper multiplies weight and mask on every forward pass, counts steps, and asks in every layer whether a
new mask is due; between an optimizer's step and the next forward pass its weights are dense. A ticket's mask is fixed,
so it is enough to let no gradient through to a removed weight. The weight starts at zero, its momentum starts at zero,
and weight decay times zero is zero: it stays at zero with any optimizer, on every replica, in every checkpoint.

tfmot's wrapper knows layers of a few classes. This one takes any layer, and any model that is used as one, with the
prunable weights of all layers inside.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
import contextlib
import inspect
import types
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow_model_optimization.python.core.sparsity.keras import pruning_impl
from tensorflow_model_optimization.python.core.sparsity.keras import pruning_wrapper
import tf_keras as keras

from tickets_tf.errors import UsageError
from tickets_tf.models import prunable_kernels
from tickets_tf.sparse import masked_losses
from tickets_tf.sparse import masked_reads
from tickets_tf.sparse.schedule import TicketSchedule

_AS_THE_LAYER = ('_call_spec', '_autocast', '_supports_masking', '_activity_regularizer',
                 '_compute_output_and_mask_jointly')


class _Described(NamedTuple):
  # A prunable weight.
  shape: tuple[int, ...]
  dtype: str


@keras.utils.register_keras_serializable('tickets_tf')
class TicketWrapper(pruning_wrapper.PruneLowMagnitude):  # type: ignore[misc]
  """Wraps a layer whose prunable weights, and those of the layers inside it, have fixed masks.

  tfmot's `strip_pruning`, `UpdatePruningStep` and `PruningSummaries` accept it; it needs none of them. It is saved and
  loaded like any Keras layer, with its masks.

  Args:
    layer: a Keras layer, or a model that is used as one.
    pruning_schedule: a `TicketSchedule`.
    masks: (shape, dtype) of each prunable weight, in the order of `prunable_kernels`; None: those that the layer has
      when it is built. A layer that was loaded may make its weights as late as in its first call.
    whole: whether the layer is a whole network, whose name then is no part of the names of its kernels.
    **kwargs: those of tfmot's wrapper.
  """

  pruning_vars: list[tuple[tf.Variable, tf.Variable, tf.Variable]]

  def __init__(self, layer: keras.layers.Layer, pruning_schedule: TicketSchedule | None = None,
               masks: Sequence[tuple[Sequence[int], str]] | None = None, whole: bool = False, **kwargs: Any) -> None:
    # The layer's own precision; otherwise Keras would cast the wrapper's inputs to the default one.
    kwargs.setdefault('dtype', layer.dtype_policy)
    if not hasattr(type(layer), 'get_prunable_weights'):
      # tfmot's wrapper asks for it.
      layer.get_prunable_weights = lambda: [weight for weight, _, _ in self.pruning_vars]
    super().__init__(layer, pruning_schedule=pruning_schedule or TicketSchedule(), **kwargs)
    self.whole = whole
    self._shapes = None if masks is None else [_Described(tuple(shape), dtype) for shape, dtype in masks]
    self._masks_by_part: Mapping[int, tf.Variable] = types.MappingProxyType({})
    # Keras treats the wrapper as it treats the layer: arguments of its call, casts, masks of time steps, losses.
    for attribute in _AS_THE_LAYER:
      if hasattr(layer, attribute):
        self.__dict__[attribute] = getattr(layer, attribute)
    _inline_functions(layer)

  def build(self, input_shape: Any) -> None:
    """Builds the layer and the variables that hold its masks."""
    if self.layer._trainable_weights:  # pylint: disable=protected-access
      # It was loaded. A `build` of one's own that does not call that of Keras leaves the layer as not built.
      self.layer.built = True
    # Not that of tfmot's wrapper, which calls the masks of all weights `mask`; HDF5 files need different names.
    super(pruning_wrapper.PruneLowMagnitude, self).build(input_shape)
    if self._shapes is None:
      self._shapes = [_described(weight) for weight in self._weights_inside()]
    held = []
    for index, (shape, dtype) in enumerate(self._shapes):
      number = f'_{index}' if index else ''
      held.append((self._add(f'mask{number}', shape, 'ones', dtype),
                   self._add(f'threshold{number}', (), 'zeros', dtype)))
    self._held = held
    self.pruning_step = self._add('pruning_step', (), keras.initializers.Constant(-1), 'int64', None)
    self._bind()

  def _add(self, name: str, shape: Sequence[int], initializer: Any, dtype: str,
           aggregation: Any = tf.VariableAggregation.MEAN) -> tf.Variable:
    with tf.name_scope(self.name):
      return self.add_weight(name, shape, dtype, initializer, trainable=False,
                             aggregation=aggregation or tf.VariableAggregation.NONE)

  def _weights_inside(self) -> list[tf.Variable]:
    # The prunable weights that the layer has by now.
    try:
      return [kernel.variable for kernel in prunable_kernels(self)]
    except (UsageError, AttributeError):
      return []

  @tf.autograph.experimental.do_not_convert  # type: ignore[untyped-decorator]
  def _bind(self) -> bool:
    # Makes the layer's weights be read through the masks; returns whether it has all of them by now. Nothing in it
    # depends on tensors, and AutoGraph would take seconds to convert all that it calls.
    weights = self._weights_inside()
    if [_described(weight) for weight in weights] != self._shapes:
      return False
    self.pruning_vars = [(weight, *held) for weight, held in zip(weights, self._held, strict=True)]
    # Keras would track a plain dictionary.
    self._masks_by_part = types.MappingProxyType(
        {id(part): mask for weight, mask, _ in self.pruning_vars for part in masked_reads.prepare(weight)})
    self.__dict__['_views'] = masked_reads.Views(self.layer, weights)
    # pylint: disable-next=protected-access
    masked_losses.mask_losses(self.layer._flatten_layers(), [self])
    self.pruning_obj = pruning_impl.Pruning(
        training_step_fn=lambda: self.pruning_step, pruning_vars=self.pruning_vars,
        pruning_schedule=self.pruning_schedule, block_size=self.block_size,
        block_pooling_type=self.block_pooling_type)
    return True

  def call(self, *args: Any, **kwargs: Any) -> Any:
    """Calls the layer with weights whose gradients are masked."""
    if len(self.pruning_vars) != len(self._held):
      self.layer.call(*args, **kwargs)
      if not self._bind():
        raise UsageError(f'layer {self.layer.name!r}: expected prunable weights of shapes '
                         f'{[each.shape for each in self._shapes or ()]}, found '
                         f'{[tuple(weight.shape) for weight in self._weights_inside()]}')
    with self.masked():
      return self.layer.call(*args, **kwargs)

  @contextlib.contextmanager
  def masked(self) -> Iterator[None]:
    """Lets this thread read the layer's prunable weights through their masks."""
    with masked_reads.reading(self._masks_by_part), self._views.shown():
      yield

  def shown(self, variable: Any) -> Any:
    """Returns what is to be read in place of a variable within `masked`; everything else as it is."""
    return self._views.of(variable)

  def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
    """Returns the mask of time steps that the layer hands on."""
    if not self.layer.supports_masking and getattr(self.layer.compute_mask, '_is_default', False):
      return None
    return self.layer.compute_mask(inputs, mask)

  def set_masks(self, masks: Iterable[np.ndarray]) -> None:
    """Sets the masks of the layer's prunable weights, and sets the removed weights to zero.

    Args:
      masks: one boolean array per prunable weight.
    """
    for (weight, mask, _), value in zip(self.pruning_vars, masks, strict=True):
      mask.assign(tf.cast(value, mask.dtype))
      weight.assign(tf.where(value, weight, tf.zeros_like(weight)))

  def set_weights(self, weights: Sequence[np.ndarray]) -> None:
    """Sets the layer's weights, in the order of `get_weights`, and sets the removed weights to zero."""
    super().set_weights(weights)
    self.set_masks([mask.numpy() > 0 for _, mask, _ in self.pruning_vars])

  def get_config(self) -> dict[str, Any]:
    """Returns what Keras saves of the wrapper."""
    masks = [[list(shape), dtype] for shape, dtype in self._shapes or ()]
    return {**super().get_config(), 'masks': masks, 'whole': self.whole}

  @classmethod
  def from_config(cls, config: dict[str, Any]) -> 'TicketWrapper':
    """Returns the wrapper, with its layer, of what `get_config` returned."""
    known: dict[str, type] = {}
    layer = _findable(config['layer'], known)
    with keras.utils.custom_object_scope(known):
      made: TicketWrapper = super().from_config({**config, 'layer': layer})
    return made


# In HDF5 files, Keras looks for the layers of a model inside a model by the names of their classes.
keras.utils.get_custom_objects()['TicketWrapper'] = TicketWrapper


def _described(weight: tf.Variable) -> _Described:
  # A variable that casts itself tells the type that it is cast to.
  return _Described(tuple(weight.shape), getattr(weight, 'true_dtype', weight.dtype).name)


def _findable(config: Any, known: dict[str, type]) -> Any:
  # The saved form of a layer, so that Keras finds the classes of the layer and of those inside it. Its loader of HDF5
  # files looks at no registered names, and that of layers does not know all of its own, which are added to `known`.
  if isinstance(config, list):
    return [_findable(each, known) for each in config]
  if not isinstance(config, dict):
    return config
  config = {key: _findable(each, known) for key, each in config.items()}
  name, registered = config.get('class_name'), config.get('registered_name')
  if isinstance(registered, str) and name != 'function':
    config['class_name'] = registered
  elif isinstance(name, str) and isinstance(getattr(keras.layers, name, None), type):
    known[name] = getattr(keras.layers, name)
  return config


def _inline_functions(layer: keras.layers.Layer) -> None:
  # Takes `tf.function` off the methods of a layer and those inside it: graphs that were made without masks, as the bare
  # layer makes them, would be used again.
  for inner in layer._flatten_layers():  # pylint: disable=protected-access
    for name in dir(type(inner)):
      method = inspect.getattr_static(type(inner), name)
      if isinstance(method, tf.types.experimental.GenericFunction):
        vars(inner)[name] = types.MethodType(method.python_function, inner)
