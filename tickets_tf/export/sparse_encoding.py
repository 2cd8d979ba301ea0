"""The smallest way in which a TFLite file can hold a sparse kernel.

TFLite stores a sparse tensor as a tree: a level for each dimension, in any order, and below them a level for each
dimension of a block. A dense level has all its positions. A sparse one lists those below which there is a value, as
segments and indices (`SparsityParameters` in TFLite's schema).
"""

import dataclasses
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

_BLOCKS = (1, 4)  # inputs in a block; 4 are those of the pattern 1x4
_OVERHEAD = 320  # bytes of the operator, tensor and tables that a sparse kernel takes beside its values and positions
# (limit of the values, NumPy's type, schema's type, its number), the smallest first.
_VECTORS = ((2 ** 8, np.uint8, schema.Uint8VectorT, schema.SparseIndexVector.Uint8Vector),
            (2 ** 16, np.uint16, schema.Uint16VectorT, schema.SparseIndexVector.Uint16Vector),
            (2 ** 31, np.int32, schema.Int32VectorT, schema.SparseIndexVector.Int32Vector))

Array = npt.NDArray[Any]


@dataclasses.dataclass(frozen=True)
class Encoding:
  """One way to store a sparse kernel.

  Attributes:
    order: the kernel's dimensions from the root of the tree on.
    sparse: for each level of `order`, whether it is sparse.
    block: values side by side in the last dimension that are stored together.
  """
  order: tuple[int, ...]
  sparse: tuple[bool, ...]
  block: int


def smallest(kernel: Array) -> Encoding | None:
  """Returns the encoding that takes the fewest bytes; None if the dense kernel takes no more.

  Args:
    kernel: of any shape, output channels first, inputs last.
  """
  sizes = {encoding: size for block in _BLOCKS if kernel.shape[-1] % block == 0
           for encoding, size in _sizes(kernel, block)}
  best = min(sizes, key=sizes.__getitem__)
  return best if sizes[best] + _OVERHEAD < kernel.nbytes else None


def _sizes(kernel: Array, block: int) -> Iterator[tuple[Encoding, int]]:
  """Yields every encoding with blocks of one size, and the bytes of its values and positions."""
  filled = _blocks(kernel != 0, block).any(axis=-1)
  rank = filled.ndim
  # How many positions of a subset of the dimensions have a value below them does not depend on their order.
  below = {subset: int(np.count_nonzero(filled.any(axis=tuple({*range(rank)} - {*subset}))))
           for count in range(1, rank + 1) for subset in itertools.combinations(range(rank), count)}
  for order in itertools.permutations(range(rank)):
    for sparse in itertools.product((False, True), repeat=rank):
      nodes, size = 1, 0
      for level, dimension in enumerate(order):
        length = filled.shape[dimension]
        if sparse[level]:
          found = below[tuple(sorted(order[:level + 1]))]
          size += (nodes + 1) * _width(found) + found * _width(length - 1)
          nodes = found
        else:
          nodes *= length
      if any(sparse):
        yield Encoding(order, sparse, block), size + nodes * block * kernel.itemsize


def _blocks(kernel: Array, block: int) -> Array:
  return kernel.reshape(*kernel.shape[:-1], kernel.shape[-1] // block, block)


def _width(highest: int) -> int:
  return np.dtype(next(dtype for limit, dtype, *_ in _VECTORS if highest < limit)).itemsize


def encode(kernel: Array, encoding: Encoding) -> tuple[schema.SparsityParametersT, Array]:
  """Returns how and what a file has to store for a kernel: (the positions, the values)."""
  blocks = _blocks(kernel, encoding.block).transpose(*encoding.order, kernel.ndim)
  filled = (blocks != 0).any(axis=-1)
  sparsity = schema.SparsityParametersT()
  sparsity.traversalOrder, sparsity.blockMap, sparsity.dimMetadata = list(encoding.order), [], []
  nodes = np.zeros(1, np.int64)  # flat indices of the positions that are stored
  for level, sparse in enumerate(encoding.sparse):
    length = filled.shape[level]
    children = nodes[:, None] * length + np.arange(length)
    if sparse:
      here = filled.any(axis=tuple(range(level + 1, filled.ndim))).ravel()[children]
      segments = np.concatenate([[0], np.cumsum(here.sum(axis=1))])
      sparsity.dimMetadata.append(_sparse_level(segments, np.nonzero(here)[1]))
      nodes = children[here]
    else:
      sparsity.dimMetadata.append(_dense_level(length))
      nodes = children.ravel()
  if encoding.block > 1:
    sparsity.traversalOrder.append(kernel.ndim)
    sparsity.blockMap.append(kernel.ndim - 1)
    sparsity.dimMetadata.append(_dense_level(encoding.block))
  return sparsity, blocks.reshape(-1, encoding.block)[nodes].ravel()


def _dense_level(length: int) -> schema.DimensionMetadataT:
  level = schema.DimensionMetadataT()
  level.format, level.denseSize = schema.DimensionType.DENSE, length
  return level


def _sparse_level(segments: Array, indices: Array) -> schema.DimensionMetadataT:
  level = schema.DimensionMetadataT()
  level.format = schema.DimensionType.SPARSE_CSR
  level.arraySegments, level.arraySegmentsType = _vector(segments)
  level.arrayIndices, level.arrayIndicesType = _vector(indices)
  return level


def _vector(values: Array) -> tuple[Any, int]:
  for limit, dtype, vector, number in _VECTORS:
    if values.max(initial=0) < limit:
      found = vector()
      found.values = values.astype(dtype)
      return found, number
  raise ValueError(f'{values.max()} is too large for TFLite')
