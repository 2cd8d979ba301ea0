"""Every field of `Settings` as a flag of the program that runs, and back."""

import dataclasses
import sys
from collections.abc import Sequence
from typing import Any

from absl import flags

from tickets_tf.errors import UsageError
from tickets_tf.runs.settings import Settings

_DEFINE = {str: flags.DEFINE_string, int: flags.DEFINE_integer, float: flags.DEFINE_float, bool: flags.DEFINE_bool}


def define_flags() -> None:
  """Makes every field of `Settings` a flag of the program that runs, shown by its `--help`."""
  for field in dataclasses.fields(Settings):
    text = field.metadata['help']
    known = field.metadata['choices'] or (field.metadata['names'].names() if field.metadata['names'] else ())
    _DEFINE[type(field.default)](field.name, field.default, f'{text} ({", ".join(known)})' if known else text)
    flags.FLAGS.register_key_flag_for_module(sys.argv[0], flags.FLAGS[field.name])


def from_flags() -> Settings:
  """Returns the settings that the parsed flags ask for.

  Raises:
    UsageError: if they contradict each other or a value is not allowed.
  """
  values = {field.name: getattr(flags.FLAGS, field.name) for field in dataclasses.fields(Settings)}
  if values['mask'] and not flags.FLAGS['pruner'].present:
    values['pruner'] = 'given'
  return Settings(**values)


def parse_list(flag: str, field: str, parts: Sequence[str]) -> list[Any]:
  """Returns the values of one field that a comma-separated flag asks for.

  Args:
    flag: the flag's name, for the message.
    field: name of a field of `Settings`.
    parts: the values as text.

  Raises:
    UsageError: if a part is not of the field's type.
  """
  kind = type(next(each.default for each in dataclasses.fields(Settings) if each.name == field))
  try:
    return [kind(part.strip()) for part in parts]
  except ValueError:
    raise UsageError(f'--{flag}={",".join(parts)}: expected {kind.__name__} values, comma-separated') from None
