"""What the numbers in Keras' newer files stand for: the variables of tfmot's wrappers, and the order of the layers.

Those files keep the variables of a layer as `layers/dense_1/vars/0`: the second of the layers of a class, the first of
its variables.
"""

import collections
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

_WRAPPER = re.compile(r'(?:^|/)(?:prune_low_magnitude|ticket_wrapper)(?:_[0-9]+)?/vars/[0-9]+$')
_LAYER = re.compile(r'(?:^|/)layers/[^/]+')


def named(shapes: Mapping[str, Sequence[int]]) -> list[tuple[str, str]]:
  """Names the variables of tfmot's wrappers by what they are.

  A wrapper of n kernels has 3 n + 1 variables: the n kernels, which the wrapped layer has as well, n pairs of mask and
  threshold, and the number of steps.

  Args:
    shapes: shape of each array by its path in the file.

  Returns:
    (name, path) of each array, without what a wrapper has beside kernels and masks. In `layers/prune_low_magnitude_1`
    a kernel is called `kernel` and its mask `kernel_mask`, with a number before it if there are several.
  """
  groups: dict[str, list[str]] = collections.defaultdict(list)
  for path in filter(_WRAPPER.search, shapes):
    groups[path.rpartition('/vars/')[0]].append(path)
  known: dict[str, str | None] = {}
  for group, paths in groups.items():
    known.update(_of_wrapper(group, sorted(paths, key=_number), shapes))
  inside = {group: {shapes[path] for path, name in known.items() if name and path.startswith(f'{group}/vars/')}
            for group in groups}
  for path, shape in shapes.items():
    group = path.partition('/layer/')[0]
    if '/layer/' in path and shape in inside.get(group, ()):
      known.setdefault(path, None)  # The wrapper has it, too.
  names = {path: known.get(path, path) for path in shapes}
  return [(name, path) for path, name in names.items() if name]


def _of_wrapper(group: str, paths: list[str], shapes: Mapping[str, Sequence[int]]) -> Iterator[tuple[str, str | None]]:
  count = (len(paths) - 1) // 3
  kernels, masks, thresholds = paths[:count], paths[count:-1:2], paths[count + 1:-1:2]
  if 3 * count + 1 != len(paths) or any(len(shapes[path]) for path in (*thresholds, paths[-1])) \
      or [shapes[path] for path in kernels] != [shapes[path] for path in masks]:
    return  # Of another version; nothing is known of its variables.
  for index, (kernel, mask) in enumerate(zip(kernels, masks, strict=True)):
    prefix = f'{group}/{index}' if count > 1 else group
    yield kernel, f'{prefix}/kernel'
    yield mask, f'{prefix}/kernel_mask'
  for path in (*thresholds, paths[-1]):
    yield path, None


def _number(path: str) -> int:
  return int(path.rpartition('/')[2])


def in_network_order(config: str | bytes, pairs: Iterable[tuple[str, str]],
                     shapes: Mapping[str, Sequence[int]]) -> list[tuple[str, str]] | None:
  """Puts arrays in the order of the layers of a network.

  Args:
    config: the network's configuration, JSON; only read, nothing in it is made.
    pairs: (name, path) of each array.
    shapes: shape of each array by its path.

  Returns:
    The pairs in that order; None if it does not tell that of all arrays of two axes or more: of a network that is
    neither functional nor sequential, or one with a layer that has them in several parts, such as attention.
  """
  rows = {group: row for row, group in enumerate(_groups(json.loads(config), ''))}
  found: list[tuple[int, int, tuple[str, str]]] = []
  parts: dict[int, str] = {}
  for number, (name, path) in enumerate(pairs):
    ends = [match.end() for match in _LAYER.finditer(path)]
    row = rows.get(path[:ends[-1]], len(rows)) if ends else len(rows)
    part = path.rpartition('/vars/')[0].removesuffix('/layer')  # A wrapper and what it wraps are one.
    if len(shapes[path]) > 1 and (row == len(rows) or parts.setdefault(row, part) != part):
      return None
    found.append((row, number, (name, path)))
  return [pair for _, _, pair in sorted(found)]


def _groups(config: Mapping[str, Any], prefix: str) -> Iterator[str]:
  """Yields the paths of a network's layers in its order, those of inner networks in their place."""
  counts: dict[str, int] = {}
  for layer in config['config'].get('layers', ()):
    kind = _snake_case(str(layer['class_name']).rpartition('>')[2])
    number = counts[kind] = counts.get(kind, -1) + 1
    group = f'{prefix}layers/{kind}' + (f'_{number}' if number else '')
    yield group
    if isinstance(layer.get('config'), dict) and isinstance(layer['config'].get('layers'), list):
      yield from _groups(layer, f'{group}/')


def _snake_case(name: str) -> str:
  # As Keras names groups; it exports no function for it.
  name = re.sub(r'\W+', '', name)
  name = re.sub('(.)([A-Z][a-z]+)', r'\1_\2', name)
  return re.sub('([a-z])([A-Z])', r'\1_\2', name).lower()
