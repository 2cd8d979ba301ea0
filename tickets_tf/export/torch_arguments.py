"""What a layer is called with, as PyTorch's code needs it: its tensors in order, and the constant of an operator."""

import dataclasses
import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tf_keras as keras

from tickets_tf.export import torch_call

# Operators that may be called with a constant, by the last part of their symbol.
_WITH_CONSTANT = ('add', 'multiply', 'gelu')


@dataclasses.dataclass(frozen=True, eq=False)
class Arguments:
  """What a layer is called with.

  Attributes:
    tensors: Keras' tensors in the order of the layer's arguments; those of attention are query, value and key.
    constant: the one argument that is no tensor, or None: the positions in `x + positions`.
  """
  tensors: tuple[Any, ...]
  constant: npt.NDArray[Any] | None = None


def arguments(node: Any) -> Arguments:
  """Returns the arguments of a call; raises UsageError if there are others than those that are known here.

  Args:
    node: a node of a functional network.
  """
  layer = node.layer
  given = {key: value for key, value in node.call_kwargs.items() if key != 'name' and value is not None}
  if type(layer) is keras.layers.MultiHeadAttention:
    return Arguments(_of_attention(layer, node.call_args, given))
  tensors = {id(tensor) for tensor in node.keras_inputs}
  if torch_call.operator(layer) in _WITH_CONSTANT:
    values = [*node.call_args, *given.values()]
    others = [value for value in values if id(value) not in tensors]
    if len(others) == 1 and len(values) == 2:
      return Arguments(tuple(node.keras_inputs), np.asarray(others[0]))
  if any(value is not None and id(value) not in tensors for value in tf.nest.flatten([node.call_args, given])):
    raise torch_call.refused(layer, 'is called with arguments of its own')
  return Arguments(tuple(node.keras_inputs))


def _of_attention(layer: Any, positional: Sequence[Any], named: dict[str, Any]) -> tuple[Any, ...]:
  bound = inspect.signature(layer.call).bind(*positional, **named).arguments
  more = [name for name, value in bound.items() if name not in ('query', 'value', 'key') and value is not None]
  if more:
    raise torch_call.refused(layer, f'is called with {", ".join(more)}')
  key = bound.get('key')
  return bound['query'], bound['value'], bound['value'] if key is None else key


def in_torch_order(layer: Any, constant: npt.NDArray[Any], rank: int) -> npt.NDArray[np.float32]:
  """Returns the constant of a sum or product, float32, with the axes of PyTorch's tensors, whose channels come first.

  Args:
    layer: the operator.
    constant: in Keras' order, of `rank` axes or fewer.
    rank: number of axes of the tensor that it meets.
  """
  if constant.ndim > rank:
    raise torch_call.refused(layer, 'has a constant of more axes than its input')
  if constant.ndim == 0:
    return constant.astype(np.float32)
  spread = constant.reshape((1,) * (rank - constant.ndim) + constant.shape).astype(np.float32)
  return np.ascontiguousarray(np.moveaxis(spread, -1, 1))
