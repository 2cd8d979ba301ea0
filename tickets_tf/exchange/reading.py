"""Masks from arrays: weights that are zero are removed."""

from collections.abc import Sequence

import numpy as np

from tickets_tf.exchange import items
from tickets_tf.exchange import layouts
from tickets_tf.exchange import matching
from tickets_tf.exchange import names
from tickets_tf.exchange.containers import Container, Mismatch, Stored

# Initialisers sometimes draw an exact zero, so a network that keeps more than this was probably never pruned.
_DENSE = 0.999


def read_masks(container: Container, kernels: Sequence[layouts.KernelLike],
               layout: str = 'auto') -> tuple[list[np.ndarray], list[str]]:
  """Reads the mask of every kernel from a file, one array at a time.

  Args:
    container: what is in the file.
    kernels: the network's kernels, in network order.
    layout: `'keras'`, `'torch'` or `'auto'`.

  Returns:
    One boolean array per kernel, of its shape, true for weights that are not zero in the file; and a report, in lines.

  Raises:
    Mismatch: if it is not certain which array belongs to which kernel, an array is not finite, or an array that is
      named as a mask has values between 0 and 1.
  """
  found = matching.match(container, kernels, layout)
  arrays, binary = masks_of(found)
  return arrays, report(found, arrays, binary, container)


def masks_of(found: matching.Matching) -> tuple[list[np.ndarray], list[bool]]:
  """Reads the masks of what was matched.

  Returns:
    (one boolean array per match, of the kernel's shape; whether each array of the file has nothing but 0 and 1).

  Raises:
    Mismatch: if an array is not finite, a soft mask, or weights whose mask was not saved.
  """
  arrays: list[np.ndarray] = []
  binary: list[bool] = []
  for match in found.matches:
    if match.array.name.endswith('parametrizations.weight.original'):
      raise Mismatch(f'{match.array.name} has no mask beside it: torch.ao.pruning saves none; call the sparsifier\'s '
                     'squash_mask() first, or torch.nn.utils.parametrize.remove_parametrizations')
    values = finite(match.array)
    _check_hard(match.array.name, values)
    kept: np.ndarray = values != 0
    binary.append(bool((values[kept] == 1).all()))
    arrays.append(layouts.to_keras(kept, match.kernel, found.layout))
  return arrays, binary


def finite(array: Stored) -> np.ndarray:
  """Reads an array; raises Mismatch if it holds NaN or infinite values."""
  values = array.read()
  # Integers and booleans are finite.
  if values.dtype.kind not in 'biu' and not np.isfinite(values).all():
    raise Mismatch(f'{array.name} holds NaN or infinite values')
  return values


def _check_hard(name: str, values: np.ndarray) -> None:
  if values.dtype.kind in 'biu' or not names.says_mask(name):
    return
  between = int(np.count_nonzero((values > 0) & (values < 1)))
  # A layer may be called mask, too: the weights of one are on both sides of 0.
  if between and (values >= 0).all() and (values <= 1).all():
    raise Mismatch(f'{name} is a soft mask: {between:,} of its {values.size:,} values are between 0 and 1; round it to '
                   'the zeros and ones that you mean first')


def report(found: matching.Matching, arrays: list[np.ndarray], binary: list[bool],
           container: Container) -> list[str]:
  """Returns lines for the user: which array became the mask of which kernel, and what is odd.

  Args:
    found: the arrays and kernels.
    arrays: what `masks_of` read, and the same for the others.
    binary: what `masks_of` says of them.
    container: what is in the file.
  """
  ways = [match.how for match in found.matches]
  counts = ', '.join(f'{ways.count(how)} by {how}' for how in ('map', 'name', 'shape', 'order') if how in ways)
  kind = 'masks' if all(binary) else 'weights, whose zeros are removed' if not any(binary) else 'masks and weights'
  kept, size = sum(int(np.count_nonzero(array)) for array in arrays), sum(array.size for array in arrays)
  rows = [_row(match, array, found.layout) for match, array in zip(found.matches, arrays, strict=True)]
  widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
  lines = [f'{len(arrays)} kernels found in {kind}: {counts}']
  lines += [' '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
  lines.append(f'kept {kept:,} of {size:,} weights, {kept / size:.2%}')
  if kept > _DENSE * size:
    lines.append(f'{size - kept:,} weights are zero: probably a network that was never pruned')
  empty = [match.kernel.name for match, array in zip(found.matches, arrays, strict=True) if not array.any()]
  if empty:
    lines.append(f'kernels that keep nothing: {", ".join(empty)}')
  if found.unused:
    lines.append(f'not used: {items.listed(found.unused)}')
  if found.lacking:
    lines.append(f'kept whole, because the file lacks them: {items.listed(found.lacking)}')
  if container.unread:
    lines.append(f'not read: {", ".join(container.unread)}')
  return lines


def _row(match: matching.Match, array: np.ndarray, layout: str) -> tuple[str, ...]:
  kernel = match.kernel
  how = f'by {match.how}'
  if layout == 'torch' and kernel.flattened:
    how += ', inputs from channels first to channels last'
  return (match.array.name, f'{match.array.shape} {layouts.letters(len(match.array.shape), layout)}', '->', kernel.name,
          f'{"x".join(map(str, kernel.shape))},', f'kept {np.count_nonzero(array) / array.size:.1%},', how)
