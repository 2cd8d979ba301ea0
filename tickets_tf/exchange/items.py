"""Arrays and kernels in the form in which they are compared."""

import dataclasses
import functools
import itertools
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

import numpy as np

from tickets_tf.exchange import names
from tickets_tf.exchange.containers import Stored
from tickets_tf.exchange.layouts import KernelLike, Shaped

SHOWN = 8  # Arrays or kernels that a message lists.

_Value = TypeVar('_Value', bound=Shaped)


@dataclasses.dataclass(frozen=True, eq=False)
class Item(Generic[_Value]):
  """An array or a kernel with its shape and name in the form that is compared, and its row in file or network.

  Attributes:
    value: the array or kernel.
    key: its shape, see `layouts.key` and `layouts.kernel_key`.
    name: its name.
    row: its row.
  """
  value: _Value
  key: tuple[int, ...]
  name: names.Name
  row: int

  def __str__(self) -> str:
    return f'{self.value.name} {tuple(self.value.shape)}'


def place(item: Item[Any]) -> tuple[tuple[str, tuple[int, ...]], ...]:
  """Returns what items are sorted by."""
  return item.name.place


def doubtful(arrays: Sequence[Item[Stored]]) -> tuple[Item[Stored], Item[Stored]] | None:
  """Returns two of the arrays whose names do not tell which comes first, or None."""
  pairs = itertools.pairwise(sorted(arrays, key=place))
  return next((pair for pair in pairs if not names.before(pair[0].name, pair[1].name)), None)


def by_path(kernels: list[Item[KernelLike]],
            arrays: list[Item[Stored]]) -> list[tuple[list[Item[KernelLike]], list[Item[Stored]]]]:
  """Separates the main path from the shortcuts, if the names of both kernels and arrays tell which is which."""
  parts = [([kernel for kernel in kernels if kernel.name.shortcut == shortcut],
            [array for array in arrays if array.name.shortcut == shortcut]) for shortcut in (False, True)]
  if all(len(own_kernels) == len(own_arrays) for own_kernels, own_arrays in parts):
    return [part for part in parts if part[0]]
  return [(kernels, arrays)]


def without_masked(
    arrays: Sequence[Item[Stored]]) -> tuple[list[Item[Stored]], dict[tuple[Any, tuple[int, ...]], Stored]]:
  """Drops the weights for which the file has a mask.

  Returns:
    (what is left, what was dropped by its place and shape).
  """
  masked = {(item.name.place, item.value.shape) for item in arrays if item.name.mask}
  dropped = {(item.name.place, item.value.shape): item.value for item in arrays
             if not item.name.mask and (item.name.place, item.value.shape) in masked}
  return [item for item in arrays if item.name.mask or (item.name.place, item.value.shape) not in masked], dropped


def with_whole_masks(arrays: Sequence[Stored], layout: str) -> list[Stored]:
  """Returns the arrays of a file with masks of whole outputs, as of torch.ao.pruning, spread over the weights.

  Args:
    arrays: the arrays.
    layout: `'keras'` or `'torch'`; other programs than PyTorch have no such masks.
  """
  owners = {names.module(array.name): array for array in arrays
            if array.name.endswith('parametrizations.weight.original') and len(array.shape) > 1}

  def whole(array: Stored) -> Stored:
    owner = owners.get(names.module(array.name))
    outputs = layout == 'torch' and owner is not None and array.shape == owner.shape[:1]
    if owner is None or not outputs or not names.parse(array.name).mask:
      return array
    return Stored(array.name, owner.shape, functools.partial(_spread, array, owner.shape))

  return [whole(array) for array in arrays]


def listed(values: Sequence[Shaped]) -> str:
  """Returns the names and shapes of arrays or kernels as text; of many, the first few."""
  shown = ', '.join(f'{value.name} {tuple(value.shape)}' for value in values[:SHOWN]) or 'none'
  return f'{shown} and {len(values) - SHOWN} more' if len(values) > SHOWN else shown


def name_in_keras(kernel: KernelLike) -> str:
  """Returns a kernel's name as Keras counts its layer: in the order in which layers were made, as files count too.

  The kernel's own name counts in the order of the network, which differs if a shortcut is made first.
  """
  layer = getattr(kernel, 'layer', None)
  around, slash, last = kernel.name.rpartition('/')
  if layer is None or last.isdecimal():
    return kernel.name
  return f'{around}{slash}{layer.name}'


def _spread(array: Stored, shape: tuple[int, ...]) -> np.ndarray:
  return np.broadcast_to(array.read().reshape(-1, *(1,) * (len(shape) - 1)), shape)
