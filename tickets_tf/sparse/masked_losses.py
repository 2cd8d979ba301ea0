"""Loss terms that a network has by itself, such as regularisers of weights, read through its masks.

Keras computes them outside of every layer's call. Some push weights that are zero, as orthogonal regularisation does.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
import contextlib
import functools
from typing import Any, Protocol

import tensorflow as tf
import tf_keras as keras

_Loss = Callable[[], tf.Tensor]


class Masks(Protocol):
  """What makes weights be read through masks for a while: a wrapper."""

  def masked(self) -> contextlib.AbstractContextManager[Any]:
    """Lets weights be read through masks."""

  def shown(self, variable: Any) -> Any:
    """Returns what to read in place of a variable."""


def mask_losses(layers: Iterable[keras.layers.Layer], wrappers: Sequence[Masks]) -> None:
  """Makes the loss terms of layers be read through the masks of wrappers, and no longer through any others."""
  for layer in layers:
    layer._callable_losses[:] = _masked(layer, wrappers)  # pylint: disable=protected-access


def unmask_losses(layers: Iterable[keras.layers.Layer]) -> None:
  """Undoes `mask_losses`."""
  for layer in layers:
    layer._callable_losses[:] = list(_plain(layer))  # pylint: disable=protected-access


def copy_losses(model: keras.Model, copy: keras.Model, wrappers: Sequence[Masks]) -> None:
  """Gives a copy of a model the loss terms of the model itself, which Keras leaves out, read through masks if any."""
  # Not by `add_loss`, which would wrap them once more.
  copy._callable_losses.extend(_masked(model, wrappers) if wrappers else _plain(model))  # pylint: disable=protected-access


def _plain(layer: keras.layers.Layer) -> Iterator[_Loss]:
  for loss in layer._callable_losses:  # pylint: disable=protected-access
    yield getattr(loss, 'unmasked', loss)


def _masked(layer: keras.layers.Layer, wrappers: Sequence[Masks]) -> list[_Loss]:
  return [_masked_loss(loss, wrappers) for loss in _plain(layer)]


def _masked_loss(loss: _Loss, wrappers: Sequence[Masks]) -> _Loss:
  def masked_loss() -> tf.Tensor:
    with contextlib.ExitStack() as stack:
      for wrapper in wrappers:
        stack.enter_context(wrapper.masked())
      return _with_shown(loss, wrappers)()

  vars(masked_loss)['unmasked'] = loss
  return masked_loss


def _with_shown(loss: _Loss, wrappers: Sequence[Masks]) -> _Loss:
  # Keras hands a regulariser its variable as an argument, in a function that is an argument of another.
  if not isinstance(loss, functools.partial):
    return loss
  args = [_with_shown(each, wrappers) if callable(each) else each for each in loss.args]
  for wrapper in wrappers:
    args = [wrapper.shown(each) for each in args]
  return functools.partial(loss.func, *args, **loss.keywords)
