"""The work of a network: multiply-accumulates per image."""

from collections.abc import Callable, Iterable, Iterator, Sequence
import contextlib
import functools
import math
from typing import Any

import tensorflow as tf
import tf_keras as keras

from tickets_tf.pruning.kernels import Kernel

_L = keras.layers
_TRANSPOSED = (_L.Conv1DTranspose, _L.Conv2DTranspose, _L.Conv3DTranspose)
# (shape of the input, shape of the output) of one call of a layer.
_Call = tuple[tuple[int | None, ...], tuple[int | None, ...]]


def multiply_accumulates(kernels: Sequence[Kernel], counts: Sequence[int],
                         model: keras.Model | None = None) -> list[int | None]:
  """Counts the multiply-accumulates of one image in every prunable layer.

  A weight is used once per output position of a convolution, once per input position of a transposed one, once per
  row of a dense layer's input, once per time step of a recurrent layer, and at one position of a locally connected one.
  An embedding looks its weights up and multiplies none.

  Args:
    kernels: kernels with live layers.
    counts: kept weights per kernel.
    model: the network that the kernels are of. An image of ones is sent through it, so that layers inside other layers,
      in subclassed models and such as are used several times are counted, too; None asks the layers for their shapes.

  Returns:
    One number per kernel; None if it cannot be known.
  """
  calls = {} if model is None else _observed(model, [kernel.layer for kernel in kernels])
  uses = [_uses(kernel, calls.get(id(kernel.layer)) or _static(kernel.layer)) for kernel in kernels]
  return [None if each is None else each * count for each, count in zip(uses, counts, strict=True)]


def _uses(kernel: Kernel, calls: Sequence[_Call]) -> int | None:
  # How often each weight is used.
  found = [None if None in (*before, *after) else _uses_in_call(kernel, before, after) for before, after in calls]
  known = [each for each in found if each is not None]
  return sum(known) if found and len(known) == len(found) else None


def _uses_in_call(kernel: Kernel, before: tuple[Any, ...], after: tuple[Any, ...]) -> int | None:
  layer = kernel.layer
  if kernel.kind == 'embedding':
    return 0
  if kernel.kind == 'local':
    return int(before[0])
  if kernel.kind == 'recurrent':
    # Convolutional ones are used at every position of their state.
    state = math.prod(after[-1 - (len(kernel.shape) - 2):-1]) if len(kernel.shape) > 2 else 1
    return int(before[0] * before[1] * state)
  if isinstance(layer, _L.EinsumDense):
    sizes = math.prod(kernel.shape[axis] for axis in (*kernel.places, *kernel.outputs))
    images, letters = layer.equation.split('->')[0].split(',')
    summed = set(images) - set(layer.equation.split('->')[1]) - set(letters)
    return None if summed else int(math.prod(after) // sizes)
  if isinstance(layer, _TRANSPOSED):
    return int(math.prod(before) // kernel.fans[0])
  if not after or (hasattr(type(layer), 'get_prunable_weights') and kernel.fans[1] != after[-1]):
    return None  # A layer of a user's own that is no dense layer.
  channels = after[1] if getattr(layer, 'data_format', '') == 'channels_first' and len(after) > 2 else after[-1]
  return int(math.prod(after) // channels)


def _static(layer: keras.layers.Layer) -> list[_Call]:
  # The one call that a layer of a functional model knows of, for one image.
  try:
    before, after = layer.input_shape, layer.output_shape
  except (AttributeError, RuntimeError):
    return []
  if not isinstance(before, tuple) or not isinstance(after, tuple):
    return []
  return [((1, *before[1:]), (1, *after[1:]))]


def _observed(model: keras.Model, layers: Iterable[keras.layers.Layer]) -> dict[int, list[_Call]]:
  """Returns the calls of layers, by their ids, as one image goes through a model; empty if none can."""
  shapes = _input_shapes(model)
  if shapes is None:
    return {}
  calls: dict[int, list[_Call]] = {}
  try:
    with contextlib.ExitStack() as stack:
      for layer in {id(layer): layer for layer in layers}.values():
        stack.enter_context(_recorded(layer, calls.setdefault(id(layer), [])))
      model(tf.nest.map_structure(lambda spec: tf.ones(spec.shape, spec.dtype), shapes), training=False)
  except (ValueError, TypeError, RuntimeError, AttributeError, tf.errors.OpError):
    return {}
  return calls


def _input_shapes(model: keras.Model) -> Any:
  # A structure of `TensorSpec`s for one image, or None if a size is open.
  inputs = getattr(model, 'input', None)
  if inputs is None:
    shape = getattr(model, '_build_input_shape', None)
    inputs = None if shape is None else tf.TensorSpec(shape, keras.backend.floatx())
  specs = [] if inputs is None else tf.nest.flatten(inputs)
  if not specs or any(spec.shape.rank is None or None in spec.shape[1:] for spec in specs):
    return None
  return tf.nest.map_structure(lambda spec: tf.TensorSpec([1, *spec.shape[1:]], spec.dtype), inputs)


@contextlib.contextmanager
def _recorded(layer: keras.layers.Layer, calls: list[_Call]) -> Iterator[None]:
  # Keras asks the instance for its `call`.
  own = vars(layer).get('call')
  call: Callable[..., Any] = layer.call

  @functools.wraps(call)
  def recorded(inputs: Any, *args: Any, **kwargs: Any) -> Any:
    returned = call(inputs, *args, **kwargs)
    before, after = tf.nest.flatten(inputs)[0], tf.nest.flatten(returned)[0]
    calls.append((tuple(before.shape), tuple(after.shape)))
    return returned

  vars(layer)['call'] = recorded
  try:
    yield
  finally:
    if own is None:
      del vars(layer)['call']
    else:
      vars(layer)['call'] = own
