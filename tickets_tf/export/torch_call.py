"""A call of a Keras layer, and the PyTorch code that it becomes."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy.typing as npt
import tf_keras as keras

from tickets_tf.errors import UsageError

Shape = tuple[int | None, ...]


@dataclasses.dataclass(frozen=True)
class Call:
  """One call of a layer.

  Attributes:
    layer: the layer.
    names: the attributes that hold its modules, e.g. `['self.conv1']`; it uses as many as it makes.
    inputs: variables that hold its inputs.
    shapes: shapes of the inputs in Keras, with the axis of images; None where they are open.
    channels_first: of a layer that flattens: whether it does as `torch.flatten`, because the weights behind it are in
      that order.
    constant: the one argument that is no tensor, or None.
    constant_name: the attribute that holds it, or the number itself.
  """
  layer: Any
  names: Sequence[str]
  inputs: Sequence[str]
  shapes: Sequence[Shape]
  channels_first: bool = False
  constant: npt.NDArray[Any] | None = None
  constant_name: str = ''

  @property
  def x(self) -> str:
    """The variable of the only input."""
    if len(self.inputs) != 1:
      raise refused(self.layer, f'has {len(self.inputs)} inputs')
    return self.inputs[0]

  @property
  def rank(self) -> int:
    """Number of axes of the first input."""
    return len(self.shapes[0])


@dataclasses.dataclass(frozen=True)
class Code:
  """What becomes of one call.

  Attributes:
    expression: what the call computes.
    modules: the modules that it uses, as code, in the order of `Call.names`; empty for a layer without weights.
  """
  expression: str
  modules: tuple[str, ...] = ()


def refused(layer: Any, why: str) -> UsageError:
  """Returns the error of a layer that cannot be written in PyTorch."""
  return UsageError(f'--to=torch: the layer {layer.name!r} ({type(layer).__name__}) {why}, which is not written in '
                    'PyTorch')


def operator(layer: Any) -> str:
  """Returns the name of an operator on tensors, e.g. `'add'` of `x + y`; empty for other layers."""
  return str(getattr(layer, 'symbol', '')).rpartition('.')[2]


# By Keras' name; {} is the argument.
_ACTIVATIONS = {
    'linear': '{}', 'relu': 'F.relu({})', 'relu6': 'F.relu6({})', 'elu': 'F.elu({})', 'selu': 'F.selu({})',
    'gelu': 'F.gelu({})', 'silu': 'F.silu({})', 'swish': 'F.silu({})', 'mish': 'F.mish({})',
    'sigmoid': 'torch.sigmoid({})', 'tanh': 'torch.tanh({})', 'softplus': 'F.softplus({})',
    'softsign': 'F.softsign({})', 'exponential': 'torch.exp({})', 'leaky_relu': 'F.leaky_relu({}, 0.2)',
    'softmax': 'F.softmax({}, 1)', 'log_softmax': 'F.log_softmax({}, 1)'}


def activated(layer: Any, expression: str) -> str:
  """Returns an expression with the activation of a layer; raises UsageError if that is not known."""
  name = getattr(layer.activation, '__name__', '')
  if name not in _ACTIVATIONS or keras.activations.get(name) is not layer.activation:
    raise refused(layer, f'has the activation {name or layer.activation!r}')
  return _ACTIVATIONS[name].format(expression)


def check_channels_last(layer: Any) -> None:
  """Raises UsageError if a layer has another order of axes than all networks here."""
  if getattr(layer, 'data_format', 'channels_last') != 'channels_last':
    raise refused(layer, f'has data_format={layer.data_format}')


def on_last_axis(x: str, rank: int, inner: str) -> str:
  """Returns what acts on the last axis of Keras, `inner` with {} for its argument, on channels that come first."""
  return inner.format(x) if rank == 2 else inner.format(f'{x}.movedim(1, -1)') + '.movedim(-1, 1)'


def numbers(values: Sequence[int]) -> str:
  """Returns numbers as an argument: one number if all are equal."""
  return repr(values[0]) if len(set(values)) == 1 else repr(tuple(values))
