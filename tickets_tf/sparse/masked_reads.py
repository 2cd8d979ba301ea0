"""Variables that are read through a mask, wherever in a layer and however they are read.

Within `reading`, the value of a variable is as it is, and its gradient is multiplied by the mask. It makes no
difference whether the layer that reads it is the one that owns it, lies deep inside another, holds it in a list,
reads it in a loop or looks up rows of it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
import contextlib
import threading
from typing import Any

import tensorflow as tf
from tf_keras.src.mixed_precision import autocast_variable

# Where Keras and TensorFlow keep account of variables.
_LISTS_OF_KERAS = ('_trainable_weights', '_non_trainable_weights', '_self_unconditional_checkpoint_dependencies',
                   '_self_unconditional_dependency_names', '_obj_reference_counts_dict')
# What TensorFlow's variables are read by as a whole, and those of Keras that cast themselves. Other ways to read them
# end in one of these, or in `sparse_read` and `gather_nd`.
_READS: tuple[str, ...] = ('_read_variable_op',)
_READS_WITH_CAST: tuple[str, ...] = ('value', 'read_value', '_dense_var_to_tensor')


class _Active(threading.local):
  # Of each thread, because `MirroredStrategy` has a thread for every replica.
  masks: tuple[Mapping[int, tf.Variable], ...] = ()


_active = _Active()


@tf.custom_gradient  # type: ignore[untyped-decorator]
def _masked_gradient(weight: tf.Tensor,
                     mask: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tuple[tf.Tensor, None]]]:
  # A lookup in the value has a gradient of rows.
  return tf.identity(weight), lambda gradient: (tf.convert_to_tensor(gradient) * mask, None)


def prepare(variable: tf.Variable) -> list[tf.Variable]:
  """Makes a variable ready to be read through masks, which alters nothing outside `reading`.

  Args:
    variable: of any strategy and precision.

  Returns:
    The objects that are read: the variable if it casts itself, as the mask comes after the cast; otherwise its parts,
    one per replica.
  """
  if isinstance(variable, autocast_variable.AutoCastVariable):
    parts, reads = [variable], _READS_WITH_CAST
  else:
    parts, reads = list(getattr(variable, 'values', (variable,))), _READS
  for part in parts:
    if reads[0] not in vars(part):
      _prepare(part, reads)
  return parts


def _prepare(part: tf.Variable, reads: Iterable[str]) -> None:
  def masked(value: tf.Tensor, pick: Callable[[tf.Tensor], tf.Tensor]) -> tf.Tensor:
    for masks in reversed(_active.masks):
      if id(part) in masks:
        return _masked_gradient(value, pick(tf.cast(masks[id(part)], value.dtype)))
    return value

  def whole(read: Callable[..., tf.Tensor]) -> Callable[..., tf.Tensor]:
    return lambda *args, **kwargs: masked(read(*args, **kwargs), lambda mask: mask)

  def some(read: Callable[..., tf.Tensor], gather: Callable[..., tf.Tensor]) -> Callable[..., tf.Tensor]:
    return lambda indices, name=None: masked(read(indices, name=name), lambda mask: gather(mask, indices))

  made = {name: whole(getattr(part, name)) for name in reads}
  vars(part).update(made, sparse_read=some(part.sparse_read, tf.gather), gather_nd=some(part.gather_nd, tf.gather_nd))


@contextlib.contextmanager
def reading(masks: Mapping[int, tf.Variable]) -> Iterator[None]:
  """Lets this thread read variables through masks.

  Args:
    masks: id of a part that `prepare` returned -> its mask, of 0 and 1.
  """
  before = _active.masks
  _active.masks = (*before, masks)
  try:
    yield
  finally:
    _active.masks = before


class Views:
  """Lets layers read variables in Python also if they run eagerly.

  TensorFlow's eager operations read a plain variable past its own methods, but not one that casts itself, as those of
  layers in mixed precision do. Such views stand in the layers' attributes for the time of a call.

  Args:
    layer: a layer or model, with all that is inside.
    variables: the variables to read, as they are in the layers.
  """

  def __init__(self, layer: tf.Module, variables: Iterable[tf.Variable]) -> None:
    self._views = {id(variable): autocast_variable.AutoCastVariable(variable) for variable in variables
                   if not isinstance(variable, autocast_variable.AutoCastVariable)}
    # (attributes of an object, name of one, what stands there, what is to stand there)
    self._places: list[tuple[dict[str, Any], str, Any, Any]] = []
    for owner in (layer, *layer.submodules):
      for name, value in vars(owner).items():
        shown = self._shown(value)
        if shown is not value and name not in _LISTS_OF_KERAS:
          self._places.append((vars(owner), name, value, shown))

  def _shown(self, value: Any) -> Any:
    if isinstance(value, tf.Variable):
      return self._views.get(id(value), value)
    if isinstance(value, dict):
      shown = {key: self._shown(each) for key, each in value.items()}
      return shown if any(shown[key] is not each for key, each in value.items()) else value
    if isinstance(value, list | tuple):
      items = [self._shown(each) for each in value]
      return items if any(item is not each for item, each in zip(items, value, strict=True)) else value
    return value

  def of(self, value: Any) -> Any:
    """Returns the view of a variable if operations are run eagerly; everything else as it is."""
    return self._shown(value) if tf.executing_eagerly() else value

  @contextlib.contextmanager
  def shown(self) -> Iterator[None]:
    """Puts the views in place, if operations are run eagerly; where a score has put another value, it stays."""
    places = [place for place in self._places if place[0][place[1]] is place[2]] if tf.executing_eagerly() else []
    try:
      # Past `__setattr__` of Keras, which would track the views.
      for attributes, name, _, view in places:
        attributes[name] = view
      yield
    finally:
      for attributes, name, value, _ in places:
        attributes[name] = value
