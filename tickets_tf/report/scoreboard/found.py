"""What folders hold that can be reported: records of runs, verdicts, and what had to be left out, each with why."""

from collections.abc import Iterable
from collections.abc import Iterator
import dataclasses
import math
import os
import pathlib

from tickets_tf.errors import UsageError
from tickets_tf.judging import verdicts as verdicts_file
from tickets_tf.judging.verdicts import Verdicts
from tickets_tf.runs import records
from tickets_tf.runs.folder import RunFolder
from tickets_tf.runs.records import Record

_VERDICTS = 'verdicts.json'
_UNFINISHED = 'not finished: holds settings.json, but no record.json yet'
_NOTHING = 'holds no run and no verdicts.json'


@dataclasses.dataclass(frozen=True)
class Run:
  """A finished run: its folder and its record."""
  folder: pathlib.Path
  record: Record


@dataclasses.dataclass(frozen=True)
class Found:
  """What folders hold.

  Attributes:
    runs: every finished run, once, in the order of folders and names.
    verdicts: every verdicts.json with its path, likewise.
    left_out: (folder or file, why it could not be used, in one line).
  """
  runs: tuple[Run, ...]
  verdicts: tuple[tuple[pathlib.Path, Verdicts], ...]
  left_out: tuple[tuple[str, str], ...]


def find(folders: Iterable[str | os.PathLike[str]]) -> Found:
  """Returns what folders, and all folders in them, hold. Hidden folders and what is inside a run's folder do not count.

  A run that is there twice counts once: the first is taken, the other is left out. Nothing is imported that a record
  names, and nothing is written.

  Args:
    folders: folders of runs, of verdicts, or of both at any depth; the folder of a single run, too.

  Raises:
    UsageError: if one of `folders` is none.
  """
  search = _Search()
  for given in folders:
    path = pathlib.Path(given).expanduser()
    if not path.is_dir():
      raise UsageError(f'--runs={given}: {"is no folder" if path.exists() else "no such folder"}; expected a folder of '
                       'runs or of verdicts')
    search.look(path)
  return Found(tuple(search.runs), tuple(search.verdicts), tuple(search.left_out))


def files(folders: Iterable[str | os.PathLike[str]]) -> Iterator[pathlib.Path]:
  """Yields the path of every file that `find` would read or name, without reading any.

  Args:
    folders: as those of `find`; one that is not there has no files.
  """
  search = _Search()
  for given in folders:
    for path in search.folders(pathlib.Path(given).expanduser()):
      run = RunFolder(path)
      yield from (each for each in (run.record, run.settings, path / _VERDICTS) if each.exists())


class _Search:
  """Takes up what folder after folder holds."""

  def __init__(self) -> None:
    self.runs: list[Run] = []
    self.verdicts: list[tuple[pathlib.Path, Verdicts]] = []
    self.left_out: list[tuple[str, str]] = []
    self._known: dict[tuple[str, str], Run] = {}
    self._seen: set[pathlib.Path] = set()

  def look(self, folder: pathlib.Path) -> None:
    """Takes up a folder that was named, and all folders in it."""
    before = len(self.runs), len(self.verdicts), len(self.left_out)
    inside = list(self.folders(folder))
    for path in inside:
      files = RunFolder(path)
      if files.record.exists():
        self._take_run(path)
      elif files.settings.exists():
        self.left_out.append((str(path), _UNFINISHED))
      if (path / _VERDICTS).exists():
        self._take_verdicts(path / _VERDICTS)
    if inside and before == (len(self.runs), len(self.verdicts), len(self.left_out)):
      self.left_out.append((str(folder), _NOTHING))

  def folders(self, folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yields a folder and those in it, each once, however many links lead to it."""
    try:
      real = folder.resolve()
      if real in self._seen:
        return
      self._seen.add(real)
      with os.scandir(folder) as entries:
        inside = sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith('.'))
    except (OSError, RuntimeError) as error:  # Python before 3.13 has a RuntimeError for links in a circle.
      self.left_out.append((str(folder), f'cannot be read: {getattr(error, "strerror", None) or error}'))
      return
    yield folder
    files = RunFolder(folder)
    if not files.record.exists() and not files.settings.exists():
      for name in inside:
        yield from self.folders(folder / name)

  def _take_run(self, folder: pathlib.Path) -> None:
    try:
      run = Run(folder, records.read(folder))
      _check(run.record)
    except UsageError as error:
      self.left_out.append((str(folder), _why(error, RunFolder(folder).record)))
      return
    # The digest alone is of 32 bits, which ten thousand runs may share by accident.
    key = run.record.digest, repr(sorted(run.record.settings.identity().items()))
    first = self._known.setdefault(key, run)
    if first is run:
      self.runs.append(run)
    else:
      other = '' if first.record.settled_accuracy == run.record.settled_accuracy else ', with another accuracy'
      self.left_out.append((str(folder), f'the same run as {first.folder}, which counts{other}'))

  def _take_verdicts(self, path: pathlib.Path) -> None:
    try:
      self.verdicts.append((path, verdicts_file.read(path)))
    except UsageError as error:
      self.left_out.append((str(path), _why(error, path)))


def _check(record: Record) -> None:
  """Raises UsageError if a figure that every table shows is no share."""
  for name in ('final_accuracy', 'settled_accuracy', 'best_accuracy'):
    value = getattr(record, name)
    if not math.isfinite(value) or not 0 <= value <= 1:
      raise UsageError(f'{name} {value}: expected a number from 0 to 1')


def _why(error: UsageError, path: pathlib.Path) -> str:
  return ' '.join(str(error).removeprefix(f'{path}: ').split())
