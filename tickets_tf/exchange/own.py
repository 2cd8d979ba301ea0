"""The two forms in which this package writes masks: packed bits in `.npz`, one array per kernel in `.safetensors`."""

import json
import math
import pathlib
import zipfile

import numpy as np
import safetensors
import safetensors.numpy

from tickets_tf.exchange import layouts

# One entry holds everything: safetensors writes several in an order that differs from process to process.
_KEY = 'tickets_tf.mask'


def write_own(path, entries, digest, layout='keras'):
  """Writes a mask.

  Args:
    path: file to write; its suffix is one of `OWN_SUFFIXES`.
    entries: mapping from kernel name to boolean array.
    digest: the mask's digest, a string.
    layout: order of the axes in `.safetensors`, `'keras'` or `'torch'`; `.npz` is Keras' alone.
  """
  _FORMATS[pathlib.Path(path).suffix][0](path, entries, digest, layout)


def read_own(path):
  """Reads a mask that `write_own` wrote.

  Args:
    path: file to read; any suffix.

  Returns:
    A list of (name, array) pairs and the digest, or None where another program wrote the file.

  Raises:
    Exception: of many kinds, where the file is damaged.
  """
  suffix = pathlib.Path(path).suffix
  return _FORMATS[suffix][1](path) if suffix in _FORMATS else None


def _write_npz(path, entries, digest, layout):
  del layout
  # Names are stored as values, since as keys they could collide with arguments of np.savez_compressed.
  shapes = [array.shape for array in entries.values()]
  rank = max(map(len, shapes))
  np.savez_compressed(
      path, names=np.array(list(entries)), digest=np.array(digest),
      shapes=np.array([shape + (0,) * (rank - len(shape)) for shape in shapes], dtype=np.int64),
      bits=np.packbits(np.concatenate([array.ravel() for array in entries.values()])))


def _read_npz(path):
  with zipfile.ZipFile(path) as archive:
    if not {'names.npy', 'digest.npy', 'shapes.npy', 'bits.npy'} <= set(archive.namelist()):
      return None
  with open(path, 'rb') as file, np.load(file, allow_pickle=False) as stored:
    names, shapes, packed, digest = (stored[key] for key in ('names', 'shapes', 'bits', 'digest'))
  shapes = [tuple(int(axis) for axis in shape if axis) for shape in shapes]
  ends = np.cumsum([math.prod(shape) for shape in shapes])
  if packed.size != -(-ends[-1] // 8):  # np.unpackbits leaves memory unwritten where bytes are missing.
    raise ValueError(f'{packed.size} bytes for {ends[-1]} weights')
  bits = np.unpackbits(packed, count=ends[-1])
  arrays = [part.reshape(shape) for part, shape in zip(np.split(bits, ends[:-1]), shapes, strict=True)]
  return list(zip(names.tolist(), arrays, strict=True)), str(digest)


def _write_safetensors(path, entries, digest, layout):
  arrays = {name: layouts.to_torch(array) if layout == 'torch' else array for name, array in entries.items()}
  about = {'names': list(entries), 'layout': layout, 'digest': digest}
  path.write_bytes(safetensors.numpy.save(arrays, {_KEY: json.dumps(about)}))


def _read_safetensors(path):
  with safetensors.safe_open(path, framework='np') as file:
    about = (file.metadata() or {}).get(_KEY)
    if about is None:
      return None
    about = json.loads(about)
    pairs = [(name, file.get_tensor(name)) for name in about['names']]
  if about['layout'] == 'torch':
    pairs = [(name, layouts.from_torch(array)) for name, array in pairs]
  return pairs, about['digest']


# Suffix -> (write(path, entries, digest, layout), read(path)).
_FORMATS = {'.npz': (_write_npz, _read_npz), '.safetensors': (_write_safetensors, _read_safetensors)}
OWN_SUFFIXES = tuple(_FORMATS)
