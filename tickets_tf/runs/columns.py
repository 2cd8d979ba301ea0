"""What of a record is a column of the index, and the conditions that records can be asked for."""

from collections.abc import Iterator
import dataclasses
import re
from typing import Any

from tickets_tf.errors import UsageError
from tickets_tf.runs import records
from tickets_tf.runs.records import Record
from tickets_tf.runs.settings import Settings
from tickets_tf.runs.settings import defaults

_SETTINGS = {name: type(default) for name, default in defaults(Settings).items()}
_FIGURES: dict[str, type] = {
    'digest': str, 'network': str, 'prunable_weights': int, 'kept': int, 'all_weights': int, 'effective_weights': int,
    'final_accuracy': float, 'settled_accuracy': float, 'balanced_accuracy': float, 'best_accuracy': float,
    'best_epoch': int, 'test_loss': float, 'settled_loss': float}
_OTHER_NAMES = {'prunable_weights': 'weights'}
_SECONDS = tuple(field.name for field in dataclasses.fields(records.Seconds))
# Name -> kind of its values: the name of the run's folder, its settings, and what came of it.
COLUMNS: dict[str, type] = {'folder': str, **_SETTINGS, **_FIGURES, **{f'seconds_{name}': float for name in _SECONDS}}

_TRUTHS = {'true': True, 'false': False}
_RELATIONS = ('<=', '>=', '!=', '=', '<', '>')
_CONDITION = re.compile(rf'\s*(\w+)\s*({"|".join(_RELATIONS)})(.*)')


@dataclasses.dataclass(frozen=True)
class Condition:
  """What a column must be.

  Attributes:
    column: a name in `COLUMNS`.
    relation: one of `= != < <= > >=`.
    values: what it is compared with: any of them for `=`, none of them for `!=`, a single one for the others.

  Raises:
    UsageError: for a column or a relation that is not known, or another number of values.
  """
  column: str
  relation: str
  values: tuple[Any, ...]

  def __post_init__(self) -> None:
    check(self.column)
    if self.relation not in _RELATIONS or not self.values or (len(self.values) > 1 and '=' != self.relation != '!='):
      raise UsageError(f'{self.column}{self.relation}{",".join(map(str, self.values))}: expected one value behind a '
                       'relation, or several behind = or !=')

  @classmethod
  def parse(cls, text: str) -> 'Condition':
    """Returns the condition in a text such as `ratio>=0.9` or `pruner=snip,grasp`; raises UsageError without one."""
    found = _CONDITION.fullmatch(text)
    if not found:
      raise UsageError(f'{text}: expected a column, a relation and a value, as in ratio>=0.9 or pruner=snip,grasp')
    column, relation, values = found.groups()
    check(column)
    return cls(column, relation, tuple(_value(column, part.strip()) for part in values.split(',')))

  def sql(self) -> str:
    """Returns the condition with a question mark for each value; a column is one of `COLUMNS`, so it can be no code."""
    if len(self.values) == 1:
      return f'[{self.column}] {self.relation} ?'
    return f'[{self.column}] {"IN" if self.relation == "=" else "NOT IN"} ({", ".join("?" * len(self.values))})'


def values(record: Record) -> Iterator[Any]:
  """Yields the values of a record in the order of `COLUMNS`, but for the folder, which no record knows."""
  for name in _SETTINGS:
    value = getattr(record.settings, name)
    # SQLite has no whole numbers of more than 64 bits; a seed may have.
    yield str(value) if isinstance(value, int) and abs(value) >= 2**63 else value
  # `weights` is a setting: the file of another program's.
  yield from (getattr(record, _OTHER_NAMES.get(name, name)) for name in _FIGURES)
  yield from (getattr(record.seconds, name) for name in _SECONDS)


def check(name: str, *, number: bool = False) -> None:
  """Raises UsageError if there is no column of that name, or, with `number`, if it holds no numbers."""
  if name not in COLUMNS or (number and COLUMNS[name] is str):
    known = [name for name, kind in COLUMNS.items() if name not in _SETTINGS and not (number and kind is str)]
    raise UsageError(f'{name}: expected a {"number among the settings" if number else "setting"}, or one of '
                     f'{", ".join(known)}')


def _value(column: str, text: str) -> Any:
  kind = COLUMNS[column]
  try:
    return _TRUTHS[text.lower()] if kind is bool else kind(text)
  except (KeyError, ValueError):
    expected = 'true or false' if kind is bool else f'{kind.__name__} values'
    raise UsageError(f'{column}: expected {expected}, found {text or "nothing"}') from None
