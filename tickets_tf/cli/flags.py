"""Every field of `Settings` as a flag of the program that runs, and back."""

from collections.abc import Sequence
import dataclasses
from typing import Any

from absl import flags

from tickets_tf.cli import configs
from tickets_tf.errors import UsageError
from tickets_tf.pruning.rules import RULES
from tickets_tf.runs.settings import Settings

_DEFINE = {str: flags.DEFINE_string, int: flags.DEFINE_integer, float: flags.DEFINE_float, bool: flags.DEFINE_bool}


def define_flags() -> None:
  """Makes every field of `Settings` a flag of the program that runs, and `--config`, which sets several."""
  for field in dataclasses.fields(Settings):
    text = field.metadata['help']
    known = field.metadata['choices'] or (field.metadata['names'].names() if field.metadata['names'] else ())
    _DEFINE[type(field.default)](field.name, field.default, f'{text} ({", ".join(known)})' if known else text)
  flags.DEFINE_flag(_ConfigFlag('config', 'reads the flags of a file that comes with the package; flags behind it win '
                                f'({", ".join(configs.names())})'))


def from_flags() -> Settings:
  """Returns the settings that the parsed flags ask for.

  Raises:
    UsageError: if they contradict each other or a value is not allowed.
  """
  values = {field.name: getattr(flags.FLAGS, field.name) for field in dataclasses.fields(Settings)}
  if values['mask'] and not flags.FLAGS['pruner'].present:
    values['pruner'] = RULES.of_a_mask()
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
  kind = type(getattr(Settings, field))
  try:
    return [kind(part.strip()) for part in parts]
  except ValueError:
    raise UsageError(f'--{flag}={",".join(parts)}: expected {kind.__name__} values, comma-separated') from None


class _ConfigFlag(flags.Flag):  # type: ignore[misc]  # absl has no types.
  """Reads a known flag file where it stands, as `--flagfile` would; `--config` inside such a file works too."""

  def __init__(self, name: str, text: str) -> None:
    super().__init__(flags.ArgumentParser(), flags.ArgumentSerializer(), name, '', text)

  def parse(self, argument: str) -> None:
    """Parses the flags of the file; absl calls this when it meets the flag."""
    try:
      path = configs.find(argument)
    except UsageError as error:
      raise flags.IllegalFlagValueError(f'--{self.name}={argument}: {error}') from None
    flags.FLAGS(['', f'--flagfile={path}'])
    super().parse(argument)
