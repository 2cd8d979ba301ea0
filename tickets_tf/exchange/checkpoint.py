"""TensorFlow's checkpoints, read without TensorFlow: a table of entries in `.index`, the arrays in files beside it.

The table is that of LevelDB (its `table_format.md`), without compression. The entries are protocol buffers, described
in TensorFlow's `tensor_bundle.proto` and `trackable_object_graph.proto`. Nothing in them can hold code.
"""

import collections
import dataclasses
import math
import os
import pathlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import ml_dtypes
import numpy as np

from tickets_tf.errors import UsageError

SUFFIX = '.index'
_FOOTER, _MAGIC = 48, 0xdb4775248b80fb57
_TRAILER = 5  # bytes after a block: its compression and its checksum
_GRAPH = '_CHECKPOINTABLE_OBJECT_GRAPH'
_VALUE = '/.ATTRIBUTES/VARIABLE_VALUE'
# By the numbers in `types.proto`. The other types are no real numbers.
_DTYPES: dict[int, Any] = {
    1: np.float32, 2: np.float64, 3: np.int32, 4: np.uint8, 5: np.int16, 6: np.int8, 9: np.int64, 10: np.bool_,
    14: ml_dtypes.bfloat16, 17: np.uint16, 19: np.float16, 22: np.uint32, 23: np.uint64}
# Parts of the keys of what is no layer's: optimizers of any Keras, metrics, counters.
_NO_LAYERS = re.compile(r'(^|/)(_?optimizer|_variables|_?trainable_variables|\.OPTIMIZER_SLOT|keras_api|_?metrics|'
                        r'save_counter)(/|$)')
_LAYER = re.compile(r'layer_with_weights-([0-9]+)/')


@dataclasses.dataclass(frozen=True)
class Entry:
  """One array of a checkpoint.

  Attributes:
    key: what the checkpoint calls it.
    dtype: its type; None if it holds no real numbers.
    shape: its shape.
    shard: the number of the file that holds it.
    offset: where it starts in that file.
    size: its bytes.
  """
  key: str
  dtype: np.dtype | None
  shape: tuple[int, ...]
  shard: int
  offset: int
  size: int


class Checkpoint:
  """The layers' arrays of real numbers in a checkpoint.

  Args:
    path: its `.index` file.

  Attributes:
    arrays: entry of each array by the variable's name, in the order of the numbers in their keys. A mask of tfmot's
      wrapper is called as its weight, with `_mask` behind. A variable without a name of its own has its key.
    in_network_order: whether this is the order of the network: all arrays of two axes or more are of layers with
      numbers, each of one part.

  Raises:
    ValueError: if the file is damaged or none of a checkpoint.
  """

  def __init__(self, path: str | os.PathLike[str]) -> None:
    self._path = pathlib.Path(path)
    table = dict(_table(self._path.read_bytes()))
    header = _Message(table.pop('', b''))
    self._shards = header.number(1)
    if header.number(2):
      raise ValueError('its numbers are big-endian')
    entries = {key: _entry(key, value) for key, value in table.items()}
    names, weights = _names(_string(self._content(entries[_GRAPH]))) if _GRAPH in entries else ({}, {})
    layers = [entry for key, entry in entries.items() if entry.dtype is not None and not _NO_LAYERS.search(key)
              and key.rpartition('/')[0] not in entries]  # Old optimizers have keys as `conv1/kernel/Momentum`.
    layers.sort(key=lambda entry: _places(weights.get(entry.key, entry.key)))
    counts = collections.Counter(names.get(entry.key) for entry in layers)
    self.arrays = {names[entry.key] if counts[names.get(entry.key)] == 1 and entry.key in names
                   else entry.key.removesuffix(_VALUE): entry for entry in layers}
    self.in_network_order = _are_numbered([weights.get(each.key, each.key) for each in layers if len(each.shape) > 1])

  def read(self, entry: Entry) -> np.ndarray:
    """Returns the values of one array."""
    return np.frombuffer(self._content(entry), entry.dtype).reshape(entry.shape)

  def _content(self, entry: Entry) -> bytes:
    path = self._path.with_name(f'{self._path.stem}.data-{entry.shard:05}-of-{self._shards:05}')
    if not path.is_file():
      raise ValueError(f'{path.name} is missing beside it')
    with open(path, 'rb') as file:
      file.seek(entry.offset)
      content = file.read(entry.size)
    if len(content) != entry.size:
      raise ValueError(f'{path.name} ends before {entry.key}')
    return content


def check_no_checkpoint(path: str | os.PathLike[str]) -> None:
  """Refuses the names that TensorFlow itself gives a checkpoint: what its files share, and the file of its arrays.

  Raises:
    UsageError: if it is one; the message names its `.index`.
  """
  index = f'{re.sub("[.]data-[0-9]+-of-[0-9]+$", "", str(path))}{SUFFIX}'
  if os.path.isfile(index):
    raise UsageError(f'mask file {str(path)!r}: a TensorFlow checkpoint; give its index, {index!r}')


class _Message:
  """The fields of a protocol buffer by their numbers."""

  def __init__(self, content: bytes) -> None:
    self._fields: dict[int, list[int | bytes]] = collections.defaultdict(list)
    place = 0
    while place < len(content):
      tag, place = _varint(content, place)
      value: int | bytes
      if tag & 7 == 0:
        value, place = _varint(content, place)
      else:
        fixed = {1: 8, 5: 4}.get(tag & 7)
        size, place = (fixed, place) if fixed else _varint(content, place)
        value, place = content[place:place + size], place + size
      self._fields[tag >> 3].append(value)

  def number(self, field: int) -> int:
    """Returns a number, 0 if the field is missing."""
    value = (self._fields.get(field) or [0])[-1]
    if not isinstance(value, int):
      raise ValueError(f'field {field} is no number')
    return value

  def texts(self, field: int) -> list[bytes]:
    """Returns the texts or messages of a repeated field."""
    return [value for value in self._fields.get(field, ()) if isinstance(value, bytes)]

  def text(self, field: int) -> str:
    """Returns a text, an empty one if the field is missing."""
    return b''.join(self.texts(field)[-1:]).decode()


def _varint(content: bytes, place: int) -> tuple[int, int]:
  """Returns a number that is stored with 7 bits a byte, the lowest first, and the place behind it."""
  number = shift = 0
  while True:
    byte = content[place]
    number |= (byte & 127) << shift
    place, shift = place + 1, shift + 7
    if byte < 128:
      return number, place


def _table(content: bytes) -> Iterator[tuple[str, bytes]]:
  """Yields the entries of a table of LevelDB's format."""
  footer = content[-_FOOTER:]
  if len(footer) < _FOOTER or int.from_bytes(footer[-8:], 'little') != _MAGIC:
    raise ValueError('not the index of a TensorFlow checkpoint')
  _, place = _varint(footer, 0)
  _, place = _varint(footer, place)
  for _, handle in _block(content, footer[place:]):
    for key, value in _block(content, handle):
      yield key.decode(), value


def _block(content: bytes, handle: bytes) -> Iterator[tuple[bytes, bytes]]:
  offset, place = _varint(handle, 0)
  size, _ = _varint(handle, place)
  block, trailer = content[offset:offset + size], content[offset + size:offset + size + _TRAILER]
  if len(trailer) != _TRAILER or trailer[0]:
    raise ValueError('a block of the index is cut off or compressed')
  restarts = int.from_bytes(block[-4:], 'little')
  key, place, end = b'', 0, len(block) - 4 * (restarts + 1)
  while place < end:
    shared, place = _varint(block, place)
    rest, place = _varint(block, place)
    length, place = _varint(block, place)
    key = key[:shared] + block[place:place + rest]
    yield key, block[place + rest:place + rest + length]
    place += rest + length


def _entry(key: str, value: bytes) -> Entry:
  message = _Message(value)
  dtype = _DTYPES.get(message.number(1))
  shape = tuple(_Message(axis).number(1) for each in message.texts(2) for axis in _Message(each).texts(2))
  if dtype is not None and message.number(5) != math.prod(shape) * np.dtype(dtype).itemsize:
    dtype = None  # Its parts are in entries of their own.
  return Entry(key, None if dtype is None else np.dtype(dtype), shape, message.number(3), message.number(4),
               message.number(5))


def _string(content: bytes) -> bytes:
  """Returns the string that a tensor of one string holds: its length, a checksum of 4 bytes, and the string."""
  length, place = _varint(content, 0)
  return content[place + 4:place + 4 + length]


def _names(graph: bytes) -> tuple[Mapping[str, str], Mapping[str, str]]:
  """Returns (the names of variables by their keys; the keys of weights by those of their masks).

  Args:
    graph: the graph of objects in a checkpoint.
  """
  nodes = [_Message(node) for node in _Message(graph).texts(1)]
  children = [{child.text(2): child.number(1) for child in map(_Message, node.texts(1))} for node in nodes]
  keys: dict[int, str] = {}
  names: dict[int, str] = {}
  for index, node in enumerate(nodes):
    for attribute in map(_Message, node.texts(2)):
      if attribute.text(2):
        keys[index], names[index] = attribute.text(3), attribute.text(2)
  weights: dict[str, str] = {}
  for inside in children:  # Of tfmot's wrappers, which list (weight, mask, threshold) of each kernel.
    for row in children[inside['pruning_vars']].values() if 'pruning_vars' in inside else ():
      weight, mask = children[row].get('0'), children[row].get('1')
      if weight in names and mask in names:
        names[mask] = f'{names[weight]}_mask'
        weights[keys[mask]] = keys[weight]
  return {keys[index]: name for index, name in names.items()}, weights


def _places(key: str) -> tuple[Sequence[int], Sequence[str | int]]:
  """Returns what a key is sorted by: the numbers of its layers, then its parts, numbers by their value."""
  parts = [part for part in re.split('([0-9]+)', key) if part]
  return [int(number) for number in _LAYER.findall(key)], [f'{int(part):09}' if part.isdecimal() else part
                                                           for part in parts]


def _are_numbered(keys: Sequence[str]) -> bool:
  parts: dict[tuple[str, ...], str] = {}
  for key in keys:
    numbers = tuple(_LAYER.findall(key))
    part = key.removesuffix(_VALUE).rpartition('/')[0].removesuffix('/layer')
    if not numbers or parts.setdefault(numbers, part) != part:
      return False
  return bool(keys)
