"""Masks: which weights of which kernel are kept, as a value that exists without a network."""

import collections.abc
import contextlib
import hashlib
import itertools
import os
import pathlib

import numpy as np

from tickets_tf import exchange
from tickets_tf import files
from tickets_tf.errors import UsageError

# Formats of PyTorch and others that are Python pickles inside.
_PICKLES = ('.pt', '.pth', '.pkl', '.pickle', '.bin', '.ckpt', '.tar')


class Mask(collections.abc.Mapping):
  """The kept weights of every prunable kernel, in network order; an immutable mapping from name to boolean array.

  Equality covers names, their order, shapes and every bit.

  Args:
    entries: mapping from kernel name to array, or an iterable of (name, array) pairs; the arrays hold booleans or
      0 and 1 of any numeric dtype, and are copied.

  Raises:
    UsageError: where there is no entry, a name is empty or comes twice, or an array holds anything else.
  """

  __slots__ = ('_arrays',)

  def __init__(self, entries):
    pairs = entries.items() if isinstance(entries, collections.abc.Mapping) else entries
    arrays = {}
    for name, values in pairs:
      if not isinstance(name, str) or not name:
        raise UsageError(f'mask: a kernel is named by a string that is not empty, not by {name!r}')
      if name in arrays:
        raise UsageError(f'mask: the name {name!r} comes twice')
      arrays[name] = _bits(name, values)
    if not arrays:
      raise UsageError('mask: no entries; there must be one array per prunable kernel')
    self._arrays = arrays

  @classmethod
  def dense(cls, kernels):
    """Returns the mask that keeps every weight of `kernels`, a sequence of `Kernel`."""
    return cls((kernel.name, np.ones(kernel.shape, dtype=bool)) for kernel in kernels)

  @classmethod
  def from_arrays(cls, kernels, arrays):
    """Returns the mask of `kernels` whose entries are `arrays`.

    Args:
      kernels: sequence of `Kernel`.
      arrays: one array per kernel, in the same order and of the same shape, boolean or 0 and 1.

    Raises:
      UsageError: where numbers or shapes do not fit, or an array holds anything but 0 and 1.
    """
    arrays = list(arrays)
    if len(arrays) != len(kernels):
      raise UsageError(f'mask: {len(arrays)} arrays for {len(kernels)} kernels')
    mask = cls((kernel.name, array) for kernel, array in zip(kernels, arrays))
    mask.check(kernels)
    return mask

  def __getitem__(self, name):
    return self._arrays[name]

  def __iter__(self):
    return iter(self._arrays)

  def __len__(self):
    return len(self._arrays)

  def __eq__(self, other):
    if not isinstance(other, Mask):
      return NotImplemented
    return self.names == other.names and all(map(np.array_equal, self.arrays, other.arrays))

  def __hash__(self):
    return hash(self.digest())

  def __repr__(self):
    return f'Mask({len(self)} kernels, {self.kept} of {self.size} weights kept, {self.digest()})'

  def __reduce__(self):
    # Arrays come out of a pickle writeable, so that copies go through the constructor again.
    return Mask, (list(self.items()),)

  @property
  def names(self):
    """Names of the kernels, a list in network order."""
    return list(self._arrays)

  @property
  def arrays(self):
    """Boolean arrays that cannot be written to, a list in network order."""
    return list(self._arrays.values())

  @property
  def shapes(self):
    """Shapes of the kernels, a list of tuples."""
    return [array.shape for array in self.arrays]

  @property
  def counts(self):
    """Kept weights per kernel, a list of integers."""
    return [int(np.count_nonzero(array)) for array in self.arrays]

  @property
  def sizes(self):
    """All weights per kernel, a list of integers."""
    return [array.size for array in self.arrays]

  @property
  def kept(self):
    """Kept weights of the network."""
    return sum(self.counts)

  @property
  def size(self):
    """All prunable weights of the network."""
    return sum(self.sizes)

  @property
  def density(self):
    """Kept share of the network's weights."""
    return self.kept / self.size

  @property
  def keep_ratios(self):
    """Kept share per kernel, a list of floats."""
    return [count / size for count, size in zip(self.counts, self.sizes)]

  def empty_layers(self):
    """Returns the names of the kernels that kept nothing; one such kernel in a chain of layers cuts the network."""
    return [name for name, array in self.items() if not array.any()]

  def digest(self):
    """Returns 16 hexadecimal digits that depend on names, their order, shapes and bits."""
    digest = hashlib.sha256()
    for name, array in self.items():
      digest.update(repr((name, array.shape)).encode())
      digest.update(np.packbits(array))
    return digest.hexdigest()[:16]

  def overlap(self, other):
    """Returns the Jaccard index of two masks: weights that both keep over weights that either keeps.

    Args:
      other: a mask of the same network.

    Returns:
      A float from 0 (nothing in common) to 1 (the same weights, or no weights at all).

    Raises:
      UsageError: where names or shapes differ.
    """
    _check_fit(list(zip(self.names, self.shapes)), list(zip(other.names, other.shapes)))
    both = sum(int(np.count_nonzero(mine & theirs)) for mine, theirs in zip(self.arrays, other.arrays))
    either = self.kept + other.kept - both
    return both / either if either else 1.0

  def check(self, kernels):
    """Checks that this is a mask of `kernels`.

    Args:
      kernels: sequence of `Kernel`.

    Raises:
      UsageError: names the first kernel whose name or shape does not fit, and what was expected.
    """
    _check_fit([(kernel.name, tuple(kernel.shape)) for kernel in kernels], list(zip(self.names, self.shapes)))

  def save(self, path, layout='keras'):
    """Writes the mask to a file, whole or not at all; the same mask always makes the same bytes.

    Args:
      path: file to write; the suffix decides the format: `.npz` (packed bits) or `.safetensors` (one boolean array per
        kernel, under the kernel's name).
      layout: `'keras'`: axes as here; `'torch'`: convolutions OIHW and dense layers (outputs, inputs), for
        `.safetensors` alone. `load_mask` reads either.

    Raises:
      UsageError: for another suffix or layout.
      TicketsError: where the file cannot be written; an earlier file of that name is then as it was.
    """
    _check_suffix(path, exchange.OWN_SUFFIXES)
    _check_layout(layout, exchange.LAYOUTS if pathlib.Path(path).suffix == '.safetensors' else ('keras',))
    with files.replacing(path) as temporary:
      exchange.write_own(temporary, self, self.digest(), layout)


def load_mask(path, kernels=None, layout='auto', report=None):
  """Reads a mask from a file of this or, where the network is given, of another program; never unpickles.

  A file of another program holds one array per kernel, each a mask of 0 and 1 or weights whose exact zeros are the
  removed ones. An array belongs to a kernel that has its name (as in `NAME.weight`, `NAME/kernel:0` or
  `NAME.weight_mask`; a mask goes before weights), else to the only kernel of its shape, else to one of that shape by
  the order that names and file tell. Biases and whatever else has no kernel's shape are left aside. Arrays in PyTorch's
  layout are transposed; so are the inputs of dense layers behind a flattened feature map, except in subclassed models.

  Args:
    path: file to read; the suffix decides the format: `.npz`, `.safetensors`, or weights of Keras in `.weights.h5`,
      `.h5`, `.hdf5` or `.keras`.
    kernels: sequence of the network's `Kernel`, or None to read only what `Mask.save` wrote.
    layout: `'keras'` (convolutions HWIO, dense layers (inputs, outputs)), `'torch'` (OIHW, (outputs, inputs)), or
      `'auto'`: whichever the shapes fit.
    report: function that takes lines for the user: which array became the mask of which kernel. Used only with
      `kernels`.

  Returns:
    The `Mask`; with `kernels`, one of these kernels.

  Raises:
    UsageError: where the file is missing, damaged or no mask, or where it cannot be told for certain which array
      belongs to which kernel; the message names the file and what is left on both sides.
  """
  suffix = pathlib.Path(path).suffix
  if suffix in _PICKLES:
    raise UsageError(f'mask file {str(path)!r}: {suffix} files can hold code and are not read; convert it in PyTorch '
                     'with safetensors.torch.save_file(model.state_dict(), \'model.safetensors\')')
  _check_suffix(path, exchange.SUFFIXES)
  _check_layout(layout, ('auto', *exchange.LAYOUTS))
  with exchange.naming(path):
    os.stat(path)
    own = exchange.read_own(path)
    own = own and _verified(*own)
  if kernels is None and own is None:
    raise UsageError(f'mask file {str(path)!r}: not a mask that tickets_tf wrote; for masks and weights of other '
                     'programs, give the kernels of the network')
  if kernels is None:
    return own
  with exchange.naming(path), _opened(path, own) as container:
    arrays, lines = exchange.read_masks(container, kernels, layout if own is None else 'auto')
  for line in lines if report else ():
    report(line)
  return Mask.from_arrays(kernels, arrays)


def _bits(name, values):
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


def _check_fit(expected, found):
  # Both are lists of (name, shape).
  for number, (want, have) in enumerate(itertools.zip_longest(expected, found), start=1):
    if want != have:
      want, have = (f'{pair[0]!r} of shape {pair[1]}' if pair else 'no more kernels' for pair in (want, have))
      raise UsageError(f'the mask does not fit: kernel {number}: expected {want}, found {have}')


def _verified(entries, digest):
  mask = Mask(entries)
  if mask.digest() != digest:
    raise ValueError(f'the digest is {mask.digest()}, the file says {digest}')
  return mask


def _opened(path, own):
  if own is None:
    return exchange.opened(path)
  arrays = [exchange.Stored(name, array.shape, lambda array=array: array) for name, array in own.items()]
  return contextlib.nullcontext(exchange.Container(arrays, exchange.NETWORK, ('keras',)))


def _check_suffix(path, suffixes):
  if pathlib.Path(path).suffix not in suffixes:
    raise UsageError(f'mask file {str(path)!r}: the name must end in {" or ".join(suffixes)}')


def _check_layout(layout, layouts):
  if layout not in layouts:
    raise UsageError(f'mask layout {layout!r}: expected {" or ".join(layouts)}')
