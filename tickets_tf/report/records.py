"""Tables of many records, from their index."""

from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

import pandas as pd

from tickets_tf.runs.columns import Condition
from tickets_tf.runs.index import Index


def groups_table(index: Index, by: Sequence[str], of: Sequence[str], where: Sequence[Condition] = ()) -> str:
  """Returns a table of figures over groups of records: how many, mean, sample deviation, lowest and highest.

  Args:
    index: the index of the records.
    by: columns that the records of a group have in common.
    of: columns of numbers.
    where: what the records must be.

  Raises:
    UsageError: for a column that is not known, or holds no numbers.
  """
  lines = [{**dict(zip(by, found.values, strict=True)), 'of': name, 'runs': found.count,
            'mean': _text(found.mean), 'deviation': _text(found.deviation), 'lowest': _text(found.low),
            'highest': _text(found.high)}
           for name in of for found in index.summaries(by, name, where)]
  return pd.DataFrame(lines).to_string(index=False) if lines else 'no such run is done'


def lines(index: Index, of: Sequence[str], where: Sequence[Condition] = ()) -> Iterator[str]:
  """Yields a line of names, and then one for each record: its folder and its values, with tabs between.

  Args:
    index: the index of the records.
    of: the columns.
    where: what the records must be.

  Raises:
    UsageError: for a column that is not known.
  """
  names = ('folder', *of)
  rows = index.rows(names, where)
  yield '\t'.join(names)
  for row in rows:
    yield '\t'.join(map(_text, row))


def _text(value: Any) -> str:
  if value is None:
    return '-'
  return f'{value:.6g}' if isinstance(value, float) else str(value)
