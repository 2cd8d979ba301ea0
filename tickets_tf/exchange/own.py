"""The two forms in which this package writes masks: packed bits in `.npz`, one array per kernel in `.safetensors`."""

import json
import math
import os
import pathlib
import zipfile
from collections.abc import Mapping

import numpy as np
import safetensors
import safetensors.numpy

from tickets_tf.exchange import layouts

# One entry of the metadata holds everything: safetensors writes several in an order that differs between processes.
_KEY = 'tickets_tf.mask'
# Pairs of name and array, and the mask's digest.
Entries = tuple[list[tuple[str, np.ndarray]], str]


def write_own(path: pathlib.Path, entries: Mapping[str, np.ndarray], digest: str, layout: str = 'keras') -> None:
  """Writes a mask.

  Args:
    path: file to write; its suffix is one of `OWN_SUFFIXES`.
    entries: mapping from kernel name to boolean array.
    digest: the mask's digest.
    layout: order of the axes in `.safetensors`, `'keras'` or `'torch'`; `.npz` always has Keras'.
  """
  _FORMATS[path.suffix][0](path, entries, digest, layout)


def read_own(path: str | os.PathLike[str]) -> Entries | None:
  """Reads a mask that `write_own` wrote.

  Args:
    path: file to read; any suffix.

  Returns:
    A list of (name, array) pairs and the digest, or None if another program wrote the file.

  Raises:
    Exception: of many kinds, if the file is damaged.
  """
  suffix = pathlib.Path(path).suffix
  return _FORMATS[suffix][1](path) if suffix in _FORMATS else None


def _write_npz(path: pathlib.Path, entries: Mapping[str, np.ndarray], digest: str, layout: str) -> None:
  del layout
  # Names are stored as values: as keys they could collide with arguments of np.savez_compressed.
  shapes = [array.shape for array in entries.values()]
  rank = max(map(len, shapes))
  np.savez_compressed(
      path, names=np.array(list(entries)), digest=np.array(digest),
      shapes=np.array([shape + (0,) * (rank - len(shape)) for shape in shapes], dtype=np.int64),
      bits=np.packbits(np.concatenate([array.ravel() for array in entries.values()])))


def _read_npz(path: str | os.PathLike[str]) -> Entries | None:
  with zipfile.ZipFile(path) as archive:
    if not {'names.npy', 'digest.npy', 'shapes.npy', 'bits.npy'} <= set(archive.namelist()):
      return None
  with open(path, 'rb') as file, np.load(file, allow_pickle=False) as stored:
    names, padded, packed, digest = (stored[key] for key in ('names', 'shapes', 'bits', 'digest'))
  shapes = [tuple(int(axis) for axis in shape if axis) for shape in padded]
  ends = np.cumsum([math.prod(shape) for shape in shapes])
  if packed.size != -(-ends[-1] // 8):  # np.unpackbits leaves memory uninitialised if bytes are missing.
    raise ValueError(f'{packed.size} bytes for {ends[-1]} weights')
  bits = np.unpackbits(packed, count=ends[-1])
  arrays = [part.reshape(shape) for part, shape in zip(np.split(bits, ends[:-1]), shapes, strict=True)]
  return list(zip(names.tolist(), arrays, strict=True)), str(digest)


def _write_safetensors(path: pathlib.Path, entries: Mapping[str, np.ndarray], digest: str, layout: str) -> None:
  arrays = {name: layouts.to_torch(array) if layout == 'torch' else array for name, array in entries.items()}
  about = {'names': list(entries), 'layout': layout, 'digest': digest}
  path.write_bytes(safetensors.numpy.save(arrays, {_KEY: json.dumps(about)}))


def _read_safetensors(path: str | os.PathLike[str]) -> Entries | None:
  with safetensors.safe_open(path, framework='np') as file:
    text = (file.metadata() or {}).get(_KEY)
    if text is None:
      return None
    about = json.loads(text)
    pairs = [(name, file.get_tensor(name)) for name in about['names']]
  if about['layout'] == 'torch':
    pairs = [(name, layouts.from_torch(array)) for name, array in pairs]
  return pairs, about['digest']


# Suffix -> (write(path, entries, digest, layout), read(path)).
_FORMATS = {'.npz': (_write_npz, _read_npz), '.safetensors': (_write_safetensors, _read_safetensors)}
OWN_SUFFIXES = tuple(_FORMATS)
