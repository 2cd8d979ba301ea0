"""Which array of a file belongs to which kernel of a network.

By name where the names agree, by shape where a shape comes once, by order where the order can be told. What cannot be
told is an error, since a mask on the wrong layer of the right shape would not show.
"""

import collections
import dataclasses
import itertools
from typing import Any

from tickets_tf.exchange import layouts
from tickets_tf.exchange import names
from tickets_tf.exchange.containers import NETWORK, WRITER, Mismatch, Stored

_RENAME = 'name the arrays as the kernels are named'
_SHOWN = 8  # Arrays or kernels that a message lists.


@dataclasses.dataclass(frozen=True)
class Match:
  """One array and its kernel.

  Attributes:
    array: the `Stored` array.
    kernel: the `Kernel`.
    how: `'name'`, `'shape'` or `'order'`.
  """
  array: Stored
  kernel: Any
  how: str


@dataclasses.dataclass(frozen=True)
class Matching:
  """What belongs to what.

  Attributes:
    layout: `'keras'` or `'torch'`.
    matches: list of `Match`, one per kernel, in network order.
    unused: list of the `Stored` arrays of two axes or more that belong to no kernel.
  """
  layout: str
  matches: list
  unused: list


def match(container, kernels, layout='auto'):
  """Finds the array of every kernel.

  Args:
    container: the file's `Container`.
    kernels: sequence of `Kernel`.
    layout: `'keras'`, `'torch'`, or `'auto'`: the one in which every kernel finds its array.

  Returns:
    A `Matching`.

  Raises:
    Mismatch: where a kernel finds no array of its own, or finds one in either layout.
  """
  attempts = [_Attempt(container, kernels, each) for each in (container.layouts if layout == 'auto' else (layout,))]
  found, failures = [], []
  for attempt in attempts:
    try:
      found.append(attempt.match())
    except Mismatch as error:
      failures.append((attempt.fitting, error))
  if len(found) > 1:
    raise Mismatch('the shapes fit in Keras\' layout as well as in PyTorch\'s; say which it is: layout keras or torch')
  if not found:
    raise max(failures, key=lambda failure: failure[0])[1]
  return found[0]


@dataclasses.dataclass(frozen=True, eq=False)
class _Item:
  """An array or a kernel as matching sees it: what of its shape and name counts, and its row in file or network."""
  value: Any
  key: tuple
  name: names.Name
  row: int

  def __str__(self):
    return f'{self.value.name} {tuple(self.value.shape)}'


class _Attempt:
  """Matching in one layout."""

  def __init__(self, container, kernels, layout):
    self._layout = layout
    self._order = container.order
    self._by_file = False
    self._kernels = [_Item(kernel, layouts.key(kernel.shape, layout), names.parse(kernel.name), row)
                     for row, kernel in enumerate(kernels)]
    self._arrays = _without_masked([
        _Item(array, layouts.key(layouts.in_keras_order(array.shape, layout), layout), names.parse(array.name), row)
        for row, array in enumerate(container.arrays)])

  @property
  def fitting(self):
    """Number of kernels whose shape comes in the file."""
    shapes = {array.key for array in self._arrays}
    return sum(kernel.key in shapes for kernel in self._kernels)

  def match(self):
    """Returns the `Matching`; raises Mismatch."""
    named = self._by_name()
    groups = [(kernels, arrays) for each in self._groups(named) for kernels, arrays in _by_path(*each)]
    self._by_file = self._order == NETWORK or self._order == WRITER and not all(
        _doubtful(arrays) is None for kernels, arrays in groups if not all(kernel in named for kernel in kernels))
    pairs = [pair for group in groups for pair in self._match_group(*group, named)]
    pairs.sort(key=lambda pair: pair[0].row)
    self._check_order([pair for pair in pairs if pair[0] not in named])
    used = {array for _, array, _ in pairs}
    return Matching(self._layout, [Match(array.value, kernel.value, how) for kernel, array, how in pairs],
                    [array.value for array in self._arrays if array not in used and len(array.value.shape) > 1])

  def _by_name(self):
    # Kernel -> the array that bears its name.
    index = collections.defaultdict(list)
    for array in self._arrays:
      for key in array.name.keys:
        index[key].append(array)
    owners = collections.Counter(key for kernel in self._kernels for key in kernel.name.keys)
    named = {}
    for kernel in self._kernels:
      if kernel.name.automatic:  # Keras counts through a session: the same name may be another layer.
        continue
      found = {array for key in kernel.name.keys if owners[key] == 1 for array in index[key]}
      if len(found) > 1:
        raise Mismatch(f'{" and ".join(sorted(map(str, found)))} could both be {kernel}; leave one out')
      for array in found:
        if array.key != kernel.key:
          raise Mismatch(f'{array} bears the name of {kernel} but does not have its shape{self._reading()}')
        named[kernel] = array
    return named

  def _groups(self, named):
    """Returns (kernels, arrays) of equal number for each shape; raises Mismatch where a shape's numbers differ."""
    groups, missing, matched = [], [], set()
    for key in dict.fromkeys(kernel.key for kernel in self._kernels):
      kernels = [kernel for kernel in self._kernels if kernel.key == key]
      arrays = [array for array in self._arrays if array.key == key]
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
      raise Mismatch(f'kernels and arrays do not fit one to one{self._reading()}; kernels left: {listed(missing)}; '
                     f'arrays left: {listed(left)}')
    return groups

  def _match_group(self, kernels, arrays, named):
    """Yields (kernel, array, how) for kernels and as many arrays of one shape."""
    if all(kernel in named for kernel in kernels):
      yield from ((kernel, named[kernel], 'name') for kernel in kernels)
    elif len(kernels) == 1:
      yield kernels[0], arrays[0], 'shape'
    else:
      if self._counted(kernels + arrays):
        kernels = sorted(kernels, key=_place)
      for kernel, array in zip(kernels, self._in_order(arrays)):
        if named.get(kernel, array) is not array:
          raise Mismatch(f'{named[kernel]} bears the name of {kernel}, but its place in the order is that of another; '
                         f'{_RENAME}')
        yield kernel, array, 'name' if kernel in named else 'order'

  def _in_order(self, arrays):
    """Returns arrays of one shape in the order of the network; raises Mismatch where it cannot be told."""
    if self._order == NETWORK:
      return arrays
    doubtful = _doubtful(arrays)
    if doubtful is None:
      return sorted(arrays, key=_place)
    # Where a writer lists a shortcut among other layers is a matter of habit.
    if self._by_file and len({array.name.shortcut for array in arrays}) == 1:
      return arrays
    raise Mismatch(f'{doubtful[0]} and {doubtful[1]} have one shape, and their names do not tell which comes first; '
                   f'{_RENAME}')

  def _check_order(self, pairs):
    # Also where a shape comes once: an order that fails there is not to be believed elsewhere.
    for (kernel, array, _), (later, other, _) in itertools.combinations(pairs, 2):
      expected = names.before(kernel.name, later.name) if self._counted([kernel, later, array, other]) else True
      if self._by_file:
        found = array.row < other.row if array.name.shortcut == other.name.shortcut else None
      else:
        found = names.before(array.name, other.name)
      if None not in (expected, found) and expected != found:
        raise Mismatch(f'the order of {array} and {other} is not that of the kernels that they fit, {kernel} and '
                       f'{later}; {_RENAME}')

  def _counted(self, items):
    # Keras numbers layers as they are made, which need not be the order in which it lists them.
    return not self._by_file and all(item.name.automatic for item in items)

  def _reading(self):
    return f' in {"Keras" if self._layout == "keras" else "PyTorch"}\'s layout'


def _place(item):
  return item.name.place


def _doubtful(arrays):
  """Returns two of several arrays whose order cannot be told from their names, or None."""
  pairs = itertools.pairwise(sorted(arrays, key=_place))
  return next((pair for pair in pairs if not names.before(pair[0].name, pair[1].name)), None)


def _by_path(kernels, arrays):
  """Splits kernels and arrays of one shape into those on the main path and shortcuts, where both sides name them."""
  parts = [([kernel for kernel in kernels if kernel.name.shortcut == shortcut],
            [array for array in arrays if array.name.shortcut == shortcut]) for shortcut in (False, True)]
  if all(len(own_kernels) == len(own_arrays) for own_kernels, own_arrays in parts):
    return [part for part in parts if part[0]]
  return [(kernels, arrays)]


def _without_masked(items):
  """Drops the weights that the file has a mask for."""
  masked = {(item.name.place, item.value.shape) for item in items if item.name.mask}
  return [item for item in items if item.name.mask or (item.name.place, item.value.shape) not in masked]


def listed(values):
  """Returns the names and shapes of arrays or kernels as text, the first few of many."""
  shown = ', '.join(f'{value.name} {tuple(value.shape)}' for value in values[:_SHOWN]) or 'none'
  return f'{shown} and {len(values) - _SHOWN} more' if len(values) > _SHOWN else shown
