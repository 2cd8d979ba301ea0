"""Name maps: JSON files that say what the layers of a network are called in a file of PyTorch.

    {"conv1": "features.0", "fc": {"module": "classifier.1", "flattened": [4, 4, 32]}}

`flattened` says that the inputs of a dense layer are a map of that (height, width, channels), flattened channel by
channel as PyTorch does it; null says that they are in the order of the network. A layer that is null, or not named, is
looked for as if there were no map.
"""

import dataclasses
import json
import os
import pathlib
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from tickets_tf import files
from tickets_tf.errors import UsageError

_ASK = '[height, width, channels] or null'


@dataclasses.dataclass(frozen=True)
class Told:
  """What a name map says of one layer.

  Attributes:
    module: its name in the file; empty if only the order of its inputs is told.
    says_order: whether the order of its inputs is told.
    flattened: shape (height, width, channels) of the map that its inputs are, channel by channel; None if the inputs
      are in the order of the network.
  """
  module: str
  says_order: bool = False
  flattened: tuple[int, int, int] | None = None

  def to_json(self) -> str | dict[str, Any]:
    """Returns it as it stands in the file."""
    return {'module': self.module, 'flattened': self.flattened} if self.says_order else self.module


def read_names(path: str | os.PathLike[str]) -> dict[str, Told]:
  """Reads a name map.

  Returns:
    Name of a layer of the network -> what is told of it.

  Raises:
    UsageError: if the file cannot be read or is no name map; the message names it.
  """
  try:
    found = json.loads(pathlib.Path(path).expanduser().read_text(encoding='utf-8'))
  except (OSError, ValueError) as error:
    raise UsageError(f'--names={path}: cannot be read as JSON: {error}') from error
  if not isinstance(found, dict):
    raise UsageError(f'--names={path}: expected an object, from names in the network to names in the file')
  return {name: _told(value, f'--names={path}: {name}') for name, value in found.items() if value is not None}


def write_names(path: str | os.PathLike[str], names: Mapping[str, Told]) -> None:
  """Writes a name map, whole or not at all."""
  _write(path, {name: told.to_json() for name, told in names.items()})


def write_template(path: str | os.PathLike[str], names: Iterable[str], found: Mapping[str, str],
                   unknown_order: Collection[str]) -> None:
  """Writes a name map for the user to complete, whole or not at all.

  Args:
    path: the file.
    names: the names of all layers.
    found: names in the file of those that are known.
    unknown_order: layers of which the order of the inputs has to be told.
  """
  _write(path, {name: {'module': found.get(name, ''), 'flattened': _ASK} if name in unknown_order else found.get(name)
                for name in names})


def _write(path: str | os.PathLike[str], entries: Mapping[str, Any]) -> None:
  files.write_text(path, json.dumps(entries, indent=2) + '\n')


def _told(value: Any, where: str) -> Told:
  if isinstance(value, str):
    return Told(value)
  if not isinstance(value, dict) or not value.keys() <= {'module', 'flattened'} or not isinstance(
      value.get('module', ''), str):
    raise UsageError(f'{where}: expected a name, null, or an object of "module" and "flattened", found {value!r}')
  flattened = value.get('flattened')
  if flattened is not None and not (isinstance(flattened, list) and len(flattened) == 3
                                    and all(isinstance(each, int) and each > 0 for each in flattened)):
    raise UsageError(f'{where}: flattened={flattened!r}: expected [height, width, channels], or null')
  return Told(value.get('module', ''), 'flattened' in value, tuple(flattened) if flattened else None)
