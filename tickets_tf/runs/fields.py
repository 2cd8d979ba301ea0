"""What one setting is: its default, its help text, and which values it may have."""

from collections.abc import Sequence
import dataclasses
import math
from typing import Any

from tickets_tf.errors import UsageError
from tickets_tf.registry import Registry


def setting(default: Any, text: str, *, choices: Sequence[str] | None = None, names: Registry | None = None,
            low: float | None = None, below: float | None = None, identity: bool = True) -> Any:
  """Returns a dataclass field that is a setting.

  Args:
    default: the default value; its type is the field's.
    text: the flag's help.
    choices: the allowed strings.
    names: the table that knows the allowed names; the default needs none.
    low: smallest allowed number.
    below: number that the value must be under.
    identity: whether the setting can change a run's outcome, and with it the name of its folder.
  """
  metadata = {'help': text, 'choices': choices, 'names': names, 'low': low, 'below': below, 'identity': identity}
  return dataclasses.field(default=default, metadata=metadata)


def validate(field: 'dataclasses.Field[Any]', value: object) -> None:
  """Checks the value of one setting.

  Args:
    field: what `setting` returned, as `dataclasses.fields` gives it back.
    value: what it is to be.

  Raises:
    UsageError: on one line that names the flag, its value and what would be right.
  """
  rule, expected = field.metadata, type(field.default)
  flag = f'--{field.name}={value}'
  if expected is float and isinstance(value, int) and not isinstance(value, bool):
    value = float(value)
  if not isinstance(value, expected) or isinstance(value, bool) != (expected is bool):
    raise UsageError(f'{flag}: expected {expected.__name__}, got {type(value).__name__}')
  if isinstance(value, float) and not math.isfinite(value):
    raise UsageError(f'{flag}: expected a finite number')
  if rule['choices'] and value not in rule['choices']:
    raise UsageError(f'{flag}: expected one of {", ".join(rule["choices"])}')
  if rule['names'] and value != field.default:
    try:
      rule['names'].check(value)
    except UsageError as error:
      raise UsageError(f'--{field.name}: {error}') from None
  if isinstance(value, int | float):
    _check_limits(flag, value, rule['low'], rule['below'])


def _check_limits(flag: str, value: float, low: float | None, below: float | None) -> None:
  if (low is not None and value < low) or (below is not None and value >= below):
    limits = [f'at least {low:g}' if low is not None else '', f'below {below:g}' if below is not None else '']
    raise UsageError(f'{flag}: expected a number {" and ".join(filter(None, limits))}')
