"""A run's record: all that a report needs, as JSON."""

import json
import pathlib

from tickets_tf import files
from tickets_tf.errors import UsageError

NAME = 'record.json'
FORMAT = 1
_REQUIRED = ('format', 'settings', 'digest', 'seed', 'dataset', 'layers', 'final_accuracy', 'best_accuracy', 'seconds')


def write(folder, record):
  """Writes a record into a run's folder, whole or not at all.

  Args:
    folder: the run's folder.
    record: dictionary of JSON values with at least the keys that `read` asks for, but for `format`.

  Returns:
    The record as `read` gives it back.
  """
  record = {'format': FORMAT, **record}
  write_json(pathlib.Path(folder) / NAME, record)
  return record


def read(folder):
  """Reads the record of a finished run.

  Args:
    folder: the run's folder.

  Returns:
    A dictionary.

  Raises:
    UsageError: where the folder holds no record, or one that is damaged or of a newer format.
  """
  path = pathlib.Path(folder) / NAME
  if not path.is_file():
    raise UsageError(f'{folder}: holds no {NAME}: not the folder of a finished run')
  try:
    record = read_json(path)
  except UsageError as error:
    raise UsageError(f'{error}; without this file the run is made again') from error
  missing = [key for key in _REQUIRED if key not in record]
  if missing or record['format'] > FORMAT:
    raise UsageError(f'{path}: ' + (f'lacks {", ".join(missing)}' if missing else
                                    f'format {record["format"]} is newer than this program\'s, {FORMAT}'))
  return record


def write_json(path, value):
  """Writes a JSON file that people can read, whole or not at all."""
  files.write_text(path, json.dumps(value, indent=2, allow_nan=False) + '\n')


def read_json(path):
  """Reads a JSON object; raises UsageError that names the file where it is none."""
  try:
    value = json.loads(pathlib.Path(path).read_text())
  except (OSError, ValueError) as error:
    raise UsageError(f'{path}: cannot be read: {error}') from error
  if not isinstance(value, dict):
    raise UsageError(f'{path}: expected a JSON object')
  return value
