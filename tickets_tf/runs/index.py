"""The records of a folder of runs in one file that is quick to ask: an SQLite database beside the runs.

The records in the runs' folders are the truth. The index is made of them, and every opening compares it with them: what
is new or has changed is read again, what is gone is left out. So it may be old, damaged or deleted at any time. It is
never changed in place: a new one is written under another name and renamed. So processes side by side need no lock: the
last one wins, and what it did not know is read at the next opening.

SQLite, because it is in Python's standard library, filters and groups without holding the table in memory, and can be
asked by any other program: the table is `records`, with one column for every setting and every figure.
"""

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import contextlib
import dataclasses
import math
import os
import pathlib
import sqlite3
from typing import Any
from typing import TypeAlias
import zlib

from tickets_tf import files
from tickets_tf.errors import TicketsError
from tickets_tf.errors import UsageError
from tickets_tf.runs import columns
from tickets_tf.runs import records
from tickets_tf.runs.columns import COLUMNS
from tickets_tf.runs.columns import Condition
from tickets_tf.runs.folder import RunFolder

NAME = '.records.sqlite'
# When a file was read: if one of these differs, it is another file, or has been written since.
_STAMP = ('inode', 'size', 'modified')
_SIGNED = 2**63 - 1  # SQLite has no unsigned numbers of 64 bits.
_ALL = (*COLUMNS, *_STAMP, 'problem')
_MAKE = f'CREATE TABLE records ({", ".join(f"[{name}]" for name in _ALL)}, PRIMARY KEY (folder)) WITHOUT ROWID'
# An index of other columns, or of another format of records, is made anew.
_VERSION = zlib.crc32(f'{_MAKE} {records.FORMAT}'.encode()) & 0x7fffffff

_Stamp: TypeAlias = tuple[int, int, int]


@dataclasses.dataclass(frozen=True)
class Summary:
  """A figure over some records.

  Attributes:
    values: what the records have in common, in the order asked for.
    count: number of records that have the figure.
    mean: its mean; None without any.
    deviation: its sample deviation; None of fewer than two.
    low: the lowest.
    high: the highest.
  """
  values: tuple[Any, ...]
  count: int
  mean: float | None
  deviation: float | None
  low: float | None
  high: float | None


class Index:
  """The records of a folder of runs, brought up to date as it is opened. Close it, or use it in a `with`.

  Args:
    folder: the folder that holds the folders of runs, such as `--output_dir`.

  Attributes:
    unreadable: name of a run's folder -> why its record cannot be read.
    opened: number of records that had to be read for this index: those that are new or have changed.
    unwritten: why the index could not be written for the next opening; empty if it could.

  Raises:
    UsageError: if there is no such folder.
  """

  def __init__(self, folder: str | os.PathLike[str]) -> None:
    self.folder = pathlib.Path(folder).expanduser()
    found = _stamps(self.folder)
    path = self.folder / NAME
    self._connection = _read(path)
    stamps = self._connection.execute(f'SELECT folder, {", ".join(_STAMP)} FROM records')
    known = {name: tuple(stamp) for name, *stamp in stamps}
    changed = [name for name, stamp in found.items() if known.get(name) != stamp]
    gone = known.keys() - found.keys()
    self.opened, self.unwritten = len(changed), ''
    if changed or gone or not path.exists():
      self._update(found, changed, gone)
      self.unwritten = _write(self._connection, path)
    self.unreadable: dict[str, str] = dict(self._connection.execute(
        'SELECT folder, problem FROM records WHERE problem IS NOT NULL'))

  def __enter__(self) -> 'Index':
    return self

  def __exit__(self, *_: object) -> None:
    self.close()

  def close(self) -> None:
    """Gives the file back."""
    self._connection.close()

  def count(self, where: Sequence[Condition] = ()) -> int:
    """Returns the number of records that meet all conditions."""
    test, values = _where(where)
    number: int
    number, = self._connection.execute(f'SELECT COUNT(*) FROM records {test}', values).fetchone()
    return number

  def rows(self, names: Sequence[str], where: Sequence[Condition] = ()) -> Iterator[tuple[Any, ...]]:
    """Yields values of the records that meet all conditions, one record after another, by the names of their folders.

    Args:
      names: of the columns, in `COLUMNS`.
      where: the conditions.

    Raises:
      UsageError: for a column that is not known.
    """
    test, values = _where(where)
    yield from self._connection.execute(f'SELECT {_named(names)} FROM records {test} ORDER BY folder', values)

  def summaries(self, by: Sequence[str], of: str, where: Sequence[Condition] = ()) -> list[Summary]:
    """Returns a figure over the records that meet all conditions, in groups.

    Args:
      by: columns whose values the records of a group have in common; the groups are in their order.
      of: a column of numbers.
      where: the conditions.

    Raises:
      UsageError: for a column that is not known, or holds no numbers.
    """
    columns.check(of, number=True)
    test, values = _where(where)
    group = f'GROUP BY {_named(by)} ORDER BY {_named(by)}' if by else ''
    figures = ', '.join(f'{each}([{of}])' for each in ('COUNT', 'AVG', 'DEVIATION', 'MIN', 'MAX'))
    found = self._connection.execute(f'SELECT {"".join(f"[{name}], " for name in by)}{figures} FROM records {test} '
                                     f'{group}', values)
    return [Summary(row[:len(by)], *row[len(by):]) for row in found]

  def _update(self, found: Mapping[str, _Stamp], changed: Sequence[str], gone: set[str]) -> None:
    kept, self._connection = self._connection, _open('')  # Of this process; on the disk if it grows.
    with contextlib.closing(kept):
      kept.backup(self._connection)
    with self._connection:
      self._connection.executemany('DELETE FROM records WHERE folder = ?', [(name,) for name in (*gone, *changed)])
      self._connection.executemany(f'INSERT INTO records VALUES ({", ".join("?" * len(_ALL))})',
                                   (_row(self.folder / name, found[name]) for name in changed))


class _Deviation:
  """The sample deviation as a function of SQL, by Welford's (1962) sums, which keep no values."""

  def __init__(self) -> None:
    self._count, self._mean, self._squares = 0, 0.0, 0.0

  def step(self, value: float | None) -> None:
    """Takes a value."""
    if value is not None:
      self._count += 1
      before = value - self._mean
      self._mean += before / self._count
      self._squares += before * (value - self._mean)

  def finalize(self) -> float | None:
    """Returns the deviation of the values so far."""
    return math.sqrt(self._squares / (self._count - 1)) if self._count > 1 else None


def _stamps(folder: pathlib.Path) -> dict[str, _Stamp]:
  """Returns the stamp of every record in a folder of runs, by the name of the run's folder."""
  found = {}
  try:
    names = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith('.'))
  except OSError as error:
    raise UsageError(f'--output_dir={folder}: cannot be read: {error.strerror}') from error
  for name in names:
    with contextlib.suppress(OSError):  # Not done, or no run.
      status = os.stat(RunFolder(folder / name).record)
      found[name] = (status.st_ino & _SIGNED, status.st_size, status.st_mtime_ns)
  return found


def _read(path: pathlib.Path) -> sqlite3.Connection:
  """Returns the index in a file, or an empty one if there is none, or it is of another version or damaged."""
  connection = None
  try:
    if path.is_file():
      # Nobody changes it in place, so that no lock is needed, which network folders may not have.
      connection = _open(f'{path.absolute().as_uri()}?mode=ro&immutable=1')
      if (connection.execute('PRAGMA user_version').fetchone() == (_VERSION,)
          and connection.execute('PRAGMA quick_check').fetchone() == ('ok',)):
        return connection
      connection.close()
  except sqlite3.Error:
    if connection:
      connection.close()
  empty = _open('')
  empty.execute(_MAKE)
  empty.execute(f'PRAGMA user_version = {_VERSION}')
  return empty


def _write(connection: sqlite3.Connection, path: pathlib.Path) -> str:
  """Writes an index to a file, whole or not at all; returns why not, if it cannot."""
  try:
    with files.replacing(path) as temporary, contextlib.closing(sqlite3.connect(temporary)) as disk:
      disk.execute('PRAGMA journal_mode = OFF')
      connection.backup(disk)
  except (TicketsError, sqlite3.Error) as error:
    return str(error) if isinstance(error, TicketsError) else f'{path}: cannot be written: {error}'
  return ''


def _open(database: str) -> sqlite3.Connection:
  connection = sqlite3.connect(database, uri=True)
  connection.create_aggregate('DEVIATION', 1, _Deviation)  # type: ignore[arg-type]  # It is given what there is.
  return connection


def _row(folder: pathlib.Path, stamp: _Stamp) -> tuple[Any, ...]:
  try:
    return (folder.name, *columns.values(records.read(folder)), *stamp, None)
  except UsageError as error:
    return (folder.name, *[None] * (len(COLUMNS) - 1), *stamp, str(error))


def _named(names: Sequence[str]) -> str:
  for name in names:
    columns.check(name)
  return ', '.join(f'[{name}]' for name in names)


def _where(conditions: Sequence[Condition]) -> tuple[str, list[Any]]:
  return ('WHERE ' + ' AND '.join(['problem IS NULL', *(each.sql() for each in conditions)]),
          [value for each in conditions for value in each.values])
