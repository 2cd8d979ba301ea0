"""Masks: which weights of which kernel are kept, as a value that exists without a network."""

import contextlib
import functools
import hashlib
import itertools
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tickets_tf import exchange
from tickets_tf import files
from tickets_tf.errors import UsageError
from tickets_tf.pruning.kernels import Kernel

Bits = npt.NDArray[np.bool_]  # The kept weights of one kernel.


class Mask(Mapping[str, Bits]):
  """The kept weights of every prunable kernel, in network order; an immutable mapping from name to boolean array.

  Equality covers names, their order, shapes and every bit.

  Args:
    entries: mapping from kernel name to array, or an iterable of (name, array) pairs; the arrays hold booleans or
      0 and 1 of any numeric dtype, and are copied.

  Raises:
    UsageError: if there is no entry, a name is empty or appears twice, or an array holds anything else.
  """

  __slots__ = ('_arrays',)

  def __init__(self, entries: Mapping[str, npt.ArrayLike] | Iterable[tuple[str, npt.ArrayLike]]) -> None:
    pairs = entries.items() if isinstance(entries, Mapping) else entries
    arrays: dict[str, Bits] = {}
    for name, values in pairs:
      if not isinstance(name, str) or not name:
        raise UsageError(f'mask: a kernel is named by a string that is not empty, not by {name!r}')
      if name in arrays:
        raise UsageError(f'mask: the name {name!r} appears twice')
      arrays[name] = _bits(name, values)
    if not arrays:
      raise UsageError('mask: no entries; there must be one array per prunable kernel')
    self._arrays = arrays

  @classmethod
  def dense(cls, kernels: Iterable[Kernel]) -> 'Mask':
    """Returns the mask that keeps every weight of `kernels`."""
    return cls((kernel.name, np.ones(kernel.shape, dtype=bool)) for kernel in kernels)

  @classmethod
  def from_arrays(cls, kernels: Sequence[Kernel], arrays: Iterable[npt.ArrayLike]) -> 'Mask':
    """Returns the mask of `kernels` whose entries are `arrays`.

    Args:
      kernels: the network's kernels, in network order.
      arrays: one array per kernel, in the same order and of the same shape, boolean or 0 and 1.

    Raises:
      UsageError: if numbers or shapes do not fit, or an array holds anything but 0 and 1.
    """
    arrays = list(arrays)
    if len(arrays) != len(kernels):
      raise UsageError(f'mask: {len(arrays)} arrays for {len(kernels)} kernels')
    mask = cls((kernel.name, array) for kernel, array in zip(kernels, arrays, strict=True))
    mask.check(kernels)
    return mask

  def __getitem__(self, name: str) -> Bits:
    return self._arrays[name]

  def __iter__(self) -> Iterator[str]:
    return iter(self._arrays)

  def __len__(self) -> int:
    return len(self._arrays)

  def __eq__(self, other: object) -> bool:
    if not isinstance(other, Mask):
      return NotImplemented
    return self.names == other.names and all(map(np.array_equal, self.arrays, other.arrays))

  def __hash__(self) -> int:
    return hash(self.digest())

  def __repr__(self) -> str:
    return f'Mask({len(self)} kernels, {self.kept} of {self.size} weights kept, {self.digest()})'

  def __reduce__(self) -> tuple[Any, ...]:
    # Unpickled arrays are writeable, so copies go through the constructor again.
    return Mask, (list(self.items()),)

  @property
  def names(self) -> list[str]:
    """Names of the kernels, in network order."""
    return list(self._arrays)

  @property
  def arrays(self) -> list[Bits]:
    """Read-only boolean arrays, in network order."""
    return list(self._arrays.values())

  @property
  def shapes(self) -> list[tuple[int, ...]]:
    """Shapes of the kernels."""
    return [array.shape for array in self.arrays]

  @property
  def counts(self) -> list[int]:
    """Kept weights per kernel."""
    return [int(np.count_nonzero(array)) for array in self.arrays]

  @property
  def sizes(self) -> list[int]:
    """All weights per kernel."""
    return [array.size for array in self.arrays]

  @property
  def kept(self) -> int:
    """Kept weights of the network."""
    return sum(self.counts)

  @property
  def size(self) -> int:
    """All prunable weights of the network."""
    return sum(self.sizes)

  @property
  def density(self) -> float:
    """Kept share of the network's weights."""
    return self.kept / self.size

  @property
  def keep_ratios(self) -> list[float]:
    """Kept share per kernel."""
    return [count / size for count, size in zip(self.counts, self.sizes, strict=True)]

  def empty_layers(self) -> list[str]:
    """Returns the names of the kernels that keep nothing; one such kernel in a chain of layers cuts the network."""
    return [name for name, array in self.items() if not array.any()]

  def digest(self) -> str:
    """Returns 16 hexadecimal digits that depend on names, their order, shapes and bits."""
    digest = hashlib.sha256()
    for name, array in self.items():
      digest.update(repr((name, array.shape)).encode())
      digest.update(np.packbits(array).data)
    return digest.hexdigest()[:16]

  def overlap(self, other: 'Mask') -> float:
    """Returns the Jaccard index of two masks: weights that both keep over weights that either keeps.

    Args:
      other: a mask of the same network.

    Returns:
      A float from 0 (nothing in common) to 1 (the same weights, or no weights at all).

    Raises:
      UsageError: if names or shapes differ.
    """
    _check_fit(self._described(), other._described())
    both = sum(int(np.count_nonzero(mine & theirs)) for mine, theirs in zip(self.arrays, other.arrays, strict=True))
    either = self.kept + other.kept - both
    return both / either if either else 1.0

  def check(self, kernels: Iterable[Kernel]) -> None:
    """Checks that this is a mask of `kernels`.

    Raises:
      UsageError: names the first kernel whose name or shape does not fit, and what was expected.
    """
    _check_fit([(kernel.name, tuple(kernel.shape)) for kernel in kernels], self._described())

  def save(self, path: str | os.PathLike[str], layout: str = 'keras') -> None:
    """Writes the mask to a file, whole or not at all; the same mask always makes the same bytes.

    Args:
      path: file to write; the suffix decides the format: `.npz` (packed bits) or `.safetensors` (one boolean array per
        kernel, under the kernel's name).
      layout: `'keras'`: axes as here; `'torch'`: convolutions OIHW and dense layers (outputs, inputs), for
        `.safetensors` only. `load_mask` reads either.

    Raises:
      UsageError: for another suffix or layout.
      TicketsError: if the file cannot be written; an earlier file of that name is left as it was.
    """
    _check_suffix(path, exchange.OWN_SUFFIXES)
    _check_layout(layout, exchange.LAYOUTS if pathlib.Path(path).suffix == '.safetensors' else ('keras',))
    with files.replacing(path) as temporary:
      exchange.write_own(temporary, self, self.digest(), layout)

  def _described(self) -> list[tuple[str, tuple[int, ...]]]:
    return list(zip(self.names, self.shapes, strict=True))


def load_mask(path: str | os.PathLike[str], kernels: Sequence[Kernel] | None = None, layout: str = 'auto',
              report: Callable[[str], object] | None = None) -> Mask:
  """Reads a mask from a file of this package or, if the network's kernels are given, of another program.

  A file of another program holds one array per kernel: a mask of 0 and 1, or weights, of which those that are exactly
  zero are removed. An array belongs to the kernel whose name it has (as `NAME.weight`, `NAME/kernel:0` or
  `NAME.weight_mask`; masks come before weights). Otherwise it belongs to the only kernel of its shape; of several,
  names or file must tell the order. Other arrays, such as biases, are ignored. Arrays in PyTorch's layout are
  transposed; the inputs of a dense layer after a flattened feature map are put in Keras' order too, except in
  subclassed models. No file is ever unpickled.

  Args:
    path: file to read; the suffix decides the format: `.npz`, `.safetensors`, weights of Keras in `.weights.h5`, `.h5`,
      `.hdf5` or `.keras`, or the `.index` of a TensorFlow checkpoint. Masks of tfmot's wrappers are read as such.
    kernels: the network's kernels, or None to read only what `Mask.save` wrote.
    layout: `'keras'` (convolutions HWIO, dense layers (inputs, outputs)), `'torch'` (OIHW, (outputs, inputs)), or
      `'auto'`: whichever the shapes fit.
    report: function that takes lines for the user: which array became the mask of which kernel. Used only with
      `kernels`.

  Returns:
    The mask; with `kernels`, a mask of these kernels.

  Raises:
    UsageError: if the file is missing, damaged or not a mask, or if it is not certain which array belongs to which
      kernel; the message names the file and what is left on both sides.
  """
  exchange.check_kind(path)
  _check_layout(layout, ('auto', *exchange.LAYOUTS))
  with exchange.naming(path):
    os.stat(path)
    stored = exchange.read_own(path)
    own = None if stored is None else _verified(*stored)
  if kernels is None:
    if own is None:
      raise UsageError(f'mask file {str(path)!r}: not a mask that tickets_tf wrote; to read masks or weights of other '
                       'programs, give the kernels of the network')
    return own
  with exchange.naming(path), _opened(path, own) as container:
    arrays, lines = exchange.read_masks(container, kernels, layout if own is None else 'auto')
  if report is not None:
    for line in lines:
      report(line)
  return Mask.from_arrays(kernels, arrays)


def _bits(name: str, values: npt.ArrayLike) -> Bits:
  values = np.asarray(values)
  if values.dtype.kind not in 'biuf':
    raise UsageError(f'mask of {name!r}: expected booleans or 0 and 1, found dtype {values.dtype}')
  if not values.size:
    raise UsageError(f'mask of {name!r}: the shape {values.shape} holds no weights')
  if values.dtype != bool:
    wrong = values[(values != 0) & (values != 1)]
    if wrong.size:
      raise UsageError(f'mask of {name!r}: expected 0 and 1, found {wrong[0]} ({wrong.size} such entries)')
  array = np.array(values, dtype=bool, order='C')
  array.setflags(write=False)
  return array


def _check_fit(expected: Iterable[tuple[str, tuple[int, ...]]], found: Iterable[tuple[str, tuple[int, ...]]]) -> None:
  # Pairs of name and shape.
  for number, pairs in enumerate(itertools.zip_longest(expected, found), start=1):
    if pairs[0] != pairs[1]:
      want, have = (f'{pair[0]!r} of shape {pair[1]}' if pair else 'no more kernels' for pair in pairs)
      raise UsageError(f'the mask does not fit: kernel {number}: expected {want}, found {have}')


def _verified(entries: Iterable[tuple[str, npt.ArrayLike]], digest: str) -> Mask:
  mask = Mask(entries)
  if mask.digest() != digest:
    raise ValueError(f'the digest is {mask.digest()}, the file says {digest}')
  return mask


def _opened(path: str | os.PathLike[str], own: Mask | None) -> contextlib.AbstractContextManager[exchange.Container]:
  if own is None:
    return exchange.opened(path)
  arrays = [exchange.Stored(name, array.shape, functools.partial(np.asarray, array)) for name, array in own.items()]
  return contextlib.nullcontext(exchange.Container(arrays, exchange.NETWORK, ('keras',)))


def _check_suffix(path: str | os.PathLike[str], suffixes: Sequence[str]) -> None:
  if pathlib.Path(path).suffix not in suffixes:
    raise UsageError(f'mask file {str(path)!r}: the name must end in {" or ".join(suffixes)}')


def _check_layout(layout: str, layouts: Sequence[str]) -> None:
  if layout not in layouts:
    raise UsageError(f'mask layout {layout!r}: expected {" or ".join(layouts)}')
