"""The arrays in a file of weights, whatever its format: names and shapes at once, values one array at a time."""

import contextlib
import dataclasses
import functools
import os
import pathlib
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from typing import IO

import h5py
import ml_dtypes  # noqa: F401  Gives NumPy the dtype bfloat16, in which safetensors hands out such arrays.
import numpy as np
import safetensors

from tickets_tf.errors import UsageError
from tickets_tf.exchange import checkpoint
from tickets_tf.exchange import keras_files

# Where the order of the arrays in a file comes from.
NETWORK = 'network'  # From the network.
WRITER = 'writer'  # From the order in which the arrays were given to the writer.
NONE = 'none'  # From the alphabet, so that it means nothing.


@dataclasses.dataclass(frozen=True)
class Stored:
  """One array in a file.

  Attributes:
    name: its name in the file.
    shape: its shape in the file.
    read: function without arguments that reads it.
  """
  name: str
  shape: tuple[int, ...]
  read: Callable[[], np.ndarray] = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True)
class Container:
  """The arrays in a file.

  Attributes:
    arrays: the arrays of real numbers or booleans, in the order of the file.
    order: where this order comes from: `NETWORK`, `WRITER` or `NONE`.
    layouts: layouts that the arrays may have; see `layouts`.
    unread: arrays of two axes or more that hold other numbers, with their types, as text.
  """
  arrays: Sequence[Stored]
  order: str
  layouts: tuple[str, ...]
  unread: Sequence[str] = ()


class Mismatch(Exception):
  """The arrays of a file do not belong to the network; the message does not name the file."""


@contextlib.contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
  """Turns every exception inside the block into a `UsageError` that names the file."""
  try:
    yield
  except Mismatch as error:
    raise UsageError(f'mask file {str(path)!r}: {error}') from error
  except FileNotFoundError:
    raise UsageError(f'mask file {str(path)!r}: there is no such file') from None
  except Exception as error:  # Damage can appear at any depth: zip, deflate, array header, contents.
    raise UsageError(f'mask file {str(path)!r}: not a mask, or damaged ({error})') from error


def check_kind(path: str | os.PathLike[str]) -> None:
  """Checks by its name that a file is one that is read.

  Raises:
    UsageError: if it is a Python pickle inside, as PyTorch's own files are, or of an unknown kind.
  """
  suffix = pathlib.Path(path).suffix
  checkpoint.check_no_checkpoint(path)
  if suffix in _PICKLES:
    raise UsageError(f'mask file {str(path)!r}: {suffix} files can hold code and are not read; convert it in PyTorch '
                     'with safetensors.torch.save_file(model.state_dict(), \'model.safetensors\')')
  if suffix not in SUFFIXES:
    raise UsageError(f'mask file {str(path)!r}: the name must end in {" or ".join(SUFFIXES)}')


@contextlib.contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[Container]:
  """Opens a file of arrays.

  Args:
    path: the file; its suffix is one of `SUFFIXES`.

  Yields:
    The file's `Container`; its arrays can be read inside the block.
  """
  with _OPEN[pathlib.Path(path).suffix](path) as container:
    yield container


@contextlib.contextmanager
def _npz(path: str | os.PathLike[str]) -> Iterator[Container]:
  with zipfile.ZipFile(path) as archive:
    arrays = []
    for member in archive.namelist():
      with archive.open(member) as file:
        shape, dtype = _npy_header(file)
      if _is_real(dtype):
        read = functools.partial(_read_npy, archive, member)
        arrays.append(Stored(member.removesuffix('.npy'), shape, read))
    names = [array.name for array in arrays]
    yield Container(arrays, NONE if names == sorted(names) else WRITER, ('keras', 'torch'))


def _npy_header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
  version = np.lib.format.read_magic(file)
  # Later versions concern names of fields, which plain arrays do not have.
  read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
  shape, _, dtype = read(file)
  return shape, dtype


def _read_npy(archive: zipfile.ZipFile, member: str) -> np.ndarray:
  with archive.open(member) as file:
    return np.lib.format.read_array(file, allow_pickle=False)


# Formats with fewer than 16 bits per number are left out: NumPy has no dtypes for them.
_SAFETENSORS_NUMBERS = {'BOOL', 'U8', 'I8', 'U16', 'I16', 'F16', 'BF16', 'U32', 'I32', 'F32', 'U64', 'I64', 'F64'}


@contextlib.contextmanager
def _safetensors(path: str | os.PathLike[str]) -> Iterator[Container]:
  with safetensors.safe_open(path, framework='np') as file:
    arrays: list[Stored] = []
    unread: list[str] = []
    for name in file.keys():  # noqa: SIM118  It can be iterated over in no other way.
      part = file.get_slice(name)
      if part.get_dtype() in _SAFETENSORS_NUMBERS:
        arrays.append(Stored(name, tuple(part.get_shape()), functools.partial(file.get_tensor, name)))
      elif len(part.get_shape()) > 1:
        unread.append(f'{name} ({"float8, " * part.get_dtype().startswith("F8")}{part.get_dtype()})')
    yield Container(arrays, NONE, ('keras', 'torch'), unread)


@contextlib.contextmanager
def _hdf5(source: str | os.PathLike[str] | IO[bytes], config: bytes | None = None) -> Iterator[Container]:
  with h5py.File(source, 'r') as file:
    root = file.get('model_weights', file)
    names = _listed(root, 'layer_names')
    pairs: list[tuple[str, str]] | None = None
    if names:
      # Keras' older format lists layers and weights in the order of the network.
      paths = [f'{layer}/{weight}' for layer in names for weight in _listed(root[layer], 'weight_names')]
      known = pairs = [(path, path) for path in paths if _is_real(root[path].dtype)]
    else:
      shapes = {path: root[path].shape for path in _paths(root) if _is_real(root[path].dtype)}
      known = keras_files.named(shapes)
      pairs = keras_files.in_network_order(config, known, shapes) if config else None
    arrays = [Stored(name, root[path].shape, functools.partial(root[path].__getitem__, ()))
              for name, path in pairs or known]
    yield Container(arrays, NETWORK if pairs else NONE, ('keras',))


def _listed(group: h5py.Group, attribute: str) -> list[str]:
  # Keras splits lists that are too long for one attribute of HDF5.
  parts = [attribute] if attribute in group.attrs else sorted(
      (key for key in group.attrs if key.startswith(attribute)), key=lambda key: int(key.removeprefix(attribute)))
  return [name.decode() if isinstance(name, bytes) else str(name) for part in parts for name in group.attrs[part]]


# An optimizer's momenta have the shapes of the kernels.
_NO_LAYERS = ('optimizer', 'optimizer_weights', 'metrics')


def _paths(root: h5py.Group) -> list[str]:
  found: list[str] = []
  root.visititems(lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) else None)
  return [name for name in found if name.split('/')[0] not in _NO_LAYERS]


@contextlib.contextmanager
def _keras(path: str | os.PathLike[str]) -> Iterator[Container]:
  # Unpacked first: HDF5 seeks back and forth in a file, and inside a zip each step back can inflate it from the start.
  with zipfile.ZipFile(path) as archive, tempfile.TemporaryFile() as unpacked:
    with archive.open('model.weights.h5') as packed:
      shutil.copyfileobj(packed, unpacked)
    with _hdf5(unpacked, archive.read('config.json')) as container:
      yield container


@contextlib.contextmanager
def _checkpoint(path: str | os.PathLike[str]) -> Iterator[Container]:
  found = checkpoint.Checkpoint(path)
  arrays = [Stored(name, entry.shape, functools.partial(found.read, entry)) for name, entry in found.arrays.items()]
  yield Container(arrays, NETWORK if found.in_network_order else NONE, ('keras',))


def _is_real(dtype: np.dtype) -> bool:
  return dtype.kind in 'biuf'


_OPEN: dict[str, Callable[[str | os.PathLike[str]], contextlib.AbstractContextManager[Container]]] = {
    '.npz': _npz, '.safetensors': _safetensors, '.h5': _hdf5, '.hdf5': _hdf5, '.keras': _keras,
    checkpoint.SUFFIX: _checkpoint}
SUFFIXES = tuple(_OPEN)
# Formats of PyTorch and others that are Python pickles inside.
_PICKLES = ('.pt', '.pth', '.pkl', '.pickle', '.bin', '.ckpt', '.tar')
