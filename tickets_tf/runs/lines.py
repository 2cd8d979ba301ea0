"""Files that hold one value a line, as JSON: what a training has done so far."""

import dataclasses
import json
import pathlib
from collections.abc import Iterable
from typing import Any
from typing import TypeVar

import msgspec

from tickets_tf import files
from tickets_tf.errors import TicketsError

_Value = TypeVar('_Value')


def write(path: pathlib.Path, values: Iterable[Any]) -> None:
  """Writes dataclasses to a file, one line of JSON each, whole or not at all.

  Raises:
    TicketsError: if the file cannot be written.
  """
  files.write_text(path, ''.join(json.dumps(dataclasses.asdict(value)) + '\n' for value in values))


def read(path: pathlib.Path, kind: type[_Value]) -> list[_Value]:
  """Returns the values that `write` wrote to a file; none if there is no file.

  Args:
    path: the file.
    kind: a dataclass.

  Raises:
    TicketsError: if a line does not hold such a value; the message names file and line.
  """
  if not path.exists():
    return []
  values = []
  for number, line in enumerate(files.read_text(path).splitlines(), start=1):
    try:
      values.append(msgspec.convert(json.loads(line), kind))
    except (ValueError, msgspec.ValidationError) as error:
      names = ', '.join(field.name for field in dataclasses.fields(kind))  # type: ignore[arg-type]
      raise TicketsError(f'{path}, line {number}: expected a JSON object with {names}; delete the run\'s folder to '
                         f'train again ({error})') from error
  return values
