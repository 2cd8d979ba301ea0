"""Which array of a file belongs to which kernel of a network.

They are matched by name if the names agree, by shape if only one has that shape, and by order if the order is known.
Whatever is not certain is an error: a mask on the wrong layer of the right shape would go unnoticed.
"""

import collections
import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from tickets_tf.exchange import items
from tickets_tf.exchange import layouts
from tickets_tf.exchange import names
from tickets_tf.exchange.containers import NETWORK, WRITER, Container, Mismatch, Stored
from tickets_tf.exchange.items import Item
from tickets_tf.exchange.layouts import KernelLike

_RENAME = 'name the arrays as the kernels are named'


@dataclasses.dataclass(frozen=True)
class Match:
  """One array and its kernel.

  Attributes:
    array: the array.
    kernel: the kernel.
    how: what told that they belong together: `'map'`, `'name'`, `'shape'` or `'order'`.
    weights: the weights that a mask belongs to; `array` itself if that is no mask; None if the file has only the mask.
  """
  array: Stored
  kernel: KernelLike
  how: str
  weights: Stored | None


@dataclasses.dataclass(frozen=True)
class Matching:
  """The array of every kernel.

  Attributes:
    layout: `'keras'` or `'torch'`.
    matches: one per kernel that has an array, in network order.
    unused: arrays of two axes or more that belong to no kernel.
    lacking: kernels of which the file has no array.
  """
  layout: str
  matches: list[Match]
  unused: list[Stored]
  lacking: list[KernelLike]


def match(container: Container, kernels: Sequence[KernelLike], layout: str = 'auto',
          told: Mapping[str, str] = MappingProxyType({}), missing: str = 'fail') -> Matching:
  """Finds the array of every kernel.

  Args:
    container: what is in the file.
    kernels: the network's kernels, in network order.
    layout: `'keras'`, `'torch'`, or `'auto'`: the one in which every kernel finds its array.
    told: name of a kernel -> name in the file of its array, or of the layer that has it.
    missing: `'fail'`, or `'dense'` if the file may lack all arrays of a shape.

  Raises:
    Mismatch: if a kernel finds no array of its own, or every kernel finds one in either layout.
  """
  attempts = [_Attempt(container, kernels, each, told, missing)
              for each in (container.layouts if layout == 'auto' else (layout,))]
  found: list[Matching] = []
  failures: list[tuple[int, Mismatch]] = []
  for attempt in attempts:
    try:
      found.append(attempt.match())
    except Mismatch as error:
      failures.append((attempt.fitting, error))
  if not found:
    worst = max(failures, key=lambda failure: failure[0])[1]
    raise Mismatch(f'{worst}; {_unread(container)}') if container.unread else worst
  most = max(len(each.matches) for each in found)
  found = [each for each in found if len(each.matches) == most]
  if len(found) > 1:
    raise Mismatch('the shapes fit in Keras\' layout as well as in PyTorch\'s; say which it is: layout keras or torch')
  unknown = [each.kernel.name for each in found[0].matches if each.kernel.unknown_order]
  if unknown and found[0].layout == 'torch':
    raise Mismatch(f'the inputs of {", ".join(unknown)} may be a flattened map, which PyTorch flattens channel by '
                   'channel, and the network does not tell in which order it does; say so in the file of bin/exchange '
                   '--names, with "flattened": [height, width, channels], or null if the file has the order of the '
                   'network')
  return found[0]


def _unread(container: Container) -> str:
  more = len(container.unread) - items.SHOWN
  return (f'the file also has arrays of types that are not read: {", ".join(container.unread[:items.SHOWN])}'
          + f' and {more} more' * (more > 0) + '; convert them in PyTorch first, with their scales if they have some')


_Kernel = Item[KernelLike]
_Array = Item[Stored]
_Pair = tuple[_Kernel, _Array, str]  # With how they were matched.
_Group = tuple[list[_Kernel], list[_Array]]  # Of one shape, and of equal number.


class _Attempt:
  """Matching in one layout."""

  def __init__(self, container: Container, kernels: Sequence[KernelLike], layout: str, told: Mapping[str, str],
               missing: str) -> None:
    self._layout = layout
    self._order = container.order
    self._told = told
    self._missing = missing
    self._by_file = False
    self._kernels = [Item(kernel, layouts.kernel_key(kernel, layout), names.parse(items.name_in_keras(kernel)), row)
                     for row, kernel in enumerate(kernels)]
    self._arrays, self._masked = items.without_masked([
        Item(array, layouts.key(layouts.in_keras_order(array.shape, layout), layout), names.parse(array.name), row)
        for row, array in enumerate(items.with_whole_masks(container.arrays, layout))])

  @property
  def fitting(self) -> int:
    """Number of kernels whose shape an array in the file has."""
    shapes = {array.key for array in self._arrays}
    return sum(kernel.key in shapes for kernel in self._kernels)

  def match(self) -> Matching:
    """Returns the `Matching`; raises Mismatch."""
    unknown = [f'{each.value.name} ({each.value.kind})' for each in self._kernels
               if each.value.kind in layouts.NOT_IN_TORCH]
    if self._layout == 'torch' and unknown:
      raise Mismatch(f'what these are in PyTorch\'s layout is not known: {", ".join(unknown)}; save them in Keras\' '
                     'layout')
    named = self._by_name()
    groups = [(kernels, arrays) for each in self._groups(named) for kernels, arrays in items.by_path(*each)]
    self._by_file = self._order == NETWORK or (self._order == WRITER and any(
        items.doubtful(arrays) for kernels, arrays in groups if not all(kernel in named for kernel in kernels)))
    pairs = [pair for group in groups for pair in self._match_group(*group, named)]
    pairs.sort(key=lambda pair: pair[0].row)
    self._check_order([pair for pair in pairs if pair[0] not in named])
    used = {array for _, array, _ in pairs}
    matched = {kernel for kernel, _, _ in pairs}
    if not matched:
      raise Mismatch('the file has no array of any kernel')
    return Matching(self._layout, [Match(array.value, kernel.value, how, self._weights(array))
                                   for kernel, array, how in pairs],
                    [array.value for array in self._arrays if array not in used and len(array.value.shape) > 1],
                    [kernel.value for kernel in self._kernels if kernel not in matched])

  def _weights(self, array: _Array) -> Stored | None:
    if not array.name.mask:
      return array.value
    return self._masked.get((array.name.place, array.value.shape))

  def _by_name(self) -> dict[_Kernel, _Array]:
    """Returns the array that has the name of each kernel, for those that have one."""
    index: dict[str, list[_Array]] = collections.defaultdict(list)
    for array in self._arrays:
      for key in array.name.keys:
        index[key].append(array)
    owners = collections.Counter(key for kernel in self._kernels for key in kernel.name.keys)
    named: dict[_Kernel, _Array] = {}
    for kernel in self._kernels:
      if kernel.value.name in self._told:
        named[kernel] = self._told_array(kernel)
        continue
      if kernel.name.automatic:  # Keras counts layers per session: the same name may be another layer.
        continue
      found = {array for key in kernel.name.keys if owners[key] == 1 for array in index[key]}
      if len(found) > 1:
        raise Mismatch(f'{" and ".join(sorted(map(str, found)))} could both be {kernel}; leave one out')
      for array in found:
        if array.key != kernel.key:
          raise Mismatch(f'{array} has the name of {kernel} but not its shape{self._reading()}')
        named[kernel] = array
    return named

  def _told_array(self, kernel: _Kernel) -> _Array:
    text = self._told[kernel.value.name]
    found = [array for array in self._arrays if text in (array.value.name, names.module(array.value.name))
             or names.key(text) in array.name.keys]
    fitting = [array for array in found if array.key == kernel.key]
    if len(fitting) == 1:
      return fitting[0]
    what = f'has the arrays {items.listed([array.value for array in found])}' if found else 'has nothing of that name'
    raise Mismatch(f'the name map says {text!r} for {kernel}, and the file {what}{self._reading()}')

  def _groups(self, named: Mapping[_Kernel, _Array]) -> list[_Group]:
    """Returns the kernels and arrays of each shape; raises Mismatch if they differ in number."""
    groups: list[_Group] = []
    missing: list[KernelLike] = []
    matched: set[_Array] = set()
    for key in dict.fromkeys(kernel.key for kernel in self._kernels):
      kernels = [kernel for kernel in self._kernels if kernel.key == key]
      arrays = [array for array in self._arrays if array.key == key]
      if self._missing == 'dense' and not set(arrays) - set(named.values()):
        kernels = [kernel for kernel in kernels if kernel in named]
      if all(kernel in named for kernel in kernels):
        arrays = [named[kernel] for kernel in kernels]
      if len(kernels) == len(arrays):
        groups.append((kernels, arrays))
        matched.update(arrays)
      else:
        missing += [kernel.value for kernel in kernels if kernel not in named]
        matched.update(named[kernel] for kernel in kernels if kernel in named)
    if missing:
      left = [array.value for array in self._arrays if array not in matched and len(array.value.shape) > 1]
      raise Mismatch(f'kernels and arrays do not fit one to one{self._reading()}; kernels left: '
                     f'{items.listed(missing)}; arrays left: {items.listed(left)}'
                     + '; bin/exchange --missing=dense keeps what a file lacks whole' * (not left))
    return groups

  def _match_group(self, kernels: list[_Kernel], arrays: list[_Array],
                   named: Mapping[_Kernel, _Array]) -> Iterator[_Pair]:
    """Yields the pairs of kernels and as many arrays of one shape."""
    if all(kernel in named for kernel in kernels):
      yield from ((kernel, named[kernel], 'map' if kernel.value.name in self._told else 'name') for kernel in kernels)
    elif len(kernels) == 1:
      yield kernels[0], arrays[0], 'shape'
    else:
      if self._counted([*kernels, *arrays]):
        kernels = sorted(kernels, key=items.place)
      for kernel, array in zip(kernels, self._in_order(arrays), strict=True):
        if named.get(kernel, array) is not array:
          raise Mismatch(f'{named[kernel]} has the name of {kernel}, but its place in the order is that of another '
                         f'kernel; {_RENAME}')
        yield kernel, array, 'name' if kernel in named else 'order'

  def _in_order(self, arrays: list[_Array]) -> list[_Array]:
    """Returns arrays of one shape in the order of the network; raises Mismatch if that is not known."""
    if self._order == NETWORK:
      return arrays
    doubtful = items.doubtful(arrays)
    if doubtful is None:
      return sorted(arrays, key=items.place)
    # Writers differ in where they list a shortcut among the other layers.
    if self._by_file and len({array.name.shortcut for array in arrays}) == 1:
      return arrays
    raise Mismatch(f'{doubtful[0]} and {doubtful[1]} have the same shape, and their names do not tell which comes '
                   f'first; {_RENAME}')

  def _check_order(self, pairs: Sequence[_Pair]) -> None:
    # Includes shapes that occur once: an order that is wrong there cannot be trusted elsewhere.
    for (kernel, array, _), (later, other, _) in itertools.combinations(pairs, 2):
      expected = names.before(kernel.name, later.name) if self._counted([kernel, later, array, other]) else True
      if self._by_file:
        found = array.row < other.row if array.name.shortcut == other.name.shortcut else None
      else:
        found = names.before(array.name, other.name)
      if None not in (expected, found) and expected != found:
        raise Mismatch(f'the order of {array} and {other} is not that of the kernels that they fit, {kernel} and '
                       f'{later}; {_RENAME}')

  def _counted(self, found: Sequence[Item[Any]]) -> bool:
    # Keras numbers layers in the order in which they are made; it may list them in another order.
    return not self._by_file and all(item.name.automatic for item in found)

  def _reading(self) -> str:
    return f' in {"Keras" if self._layout == "keras" else "PyTorch"}\'s layout'
