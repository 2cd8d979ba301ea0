"""Masks out of arrays: what is zero is removed."""

import numpy as np

from tickets_tf.exchange import layouts
from tickets_tf.exchange import matching
from tickets_tf.exchange.containers import Mismatch

# Initialisers draw an exact zero now and then.
_DENSE = 0.999


def read_masks(container, kernels, layout='auto'):
  """Reads the mask of every kernel out of a file, one array at a time.

  Args:
    container: the file's `Container`.
    kernels: sequence of `Kernel`.
    layout: `'keras'`, `'torch'` or `'auto'`.

  Returns:
    One boolean array per kernel, of its shape, true where the file's array is not zero; and a report, a list of lines.

  Raises:
    Mismatch: where arrays and kernels cannot be told to belong together, or an array is not finite.
  """
  found = matching.match(container, kernels, layout)
  arrays, binary = [], []
  for match in found.matches:
    values = match.array.read()
    # Integers and booleans are finite.
    if values.dtype.kind not in 'biu' and not np.isfinite(values).all():
      raise Mismatch(f'{match.array.name} holds NaN or infinite values')
    kept = values != 0
    binary.append(bool((values[kept] == 1).all()))
    arrays.append(layouts.to_keras(kept, match.kernel, found.layout))
  return arrays, _report(found, arrays, binary)


def _report(found, arrays, binary):
  ways = [match.how for match in found.matches]
  counts = ', '.join(f'{ways.count(how)} by {how}' for how in ('name', 'shape', 'order') if how in ways)
  kind = 'masks' if all(binary) else 'weights, whose zeros are removed' if not any(binary) else 'masks and weights'
  kept, size = sum(map(np.count_nonzero, arrays)), sum(array.size for array in arrays)
  rows = [_row(match, array, found.layout) for match, array in zip(found.matches, arrays)]
  widths = [max(map(len, column)) for column in zip(*rows)]
  lines = [f'{len(arrays)} kernels found in {kind}: {counts}']
  lines += [' '.join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
  lines.append(f'kept {kept:,} of {size:,} weights, {kept / size:.2%}')
  if kept > _DENSE * size:
    lines.append(f'{size - kept:,} weights are zero: probably a network that was never pruned')
  empty = [match.kernel.name for match, array in zip(found.matches, arrays) if not array.any()]
  if empty:
    lines.append(f'kernels that keep nothing: {", ".join(empty)}')
  if found.unused:
    lines.append(f'not used: {matching.listed(found.unused)}')
  return lines


def _row(match, array, layout):
  kernel = match.kernel
  how = f'by {match.how}'
  if layout == 'torch' and kernel.flattened:
    how += ', inputs from channels first to channels last'
  return (match.array.name, f'{match.array.shape} {layouts.letters(len(match.array.shape), layout)}', '->', kernel.name,
          f'{"x".join(map(str, kernel.shape))},', f'kept {np.count_nonzero(array) / array.size:.1%},', how)
