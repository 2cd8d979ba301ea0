"""report.html of a scoreboard: one file that needs no network, and no scripts to be read."""

import base64
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import hashlib
import pathlib
import shlex
from typing import Any

import markupsafe

from tickets_tf.judging.verdicts import Judgement
from tickets_tf.judging.verdicts import Verdicts
from tickets_tf.judging.verdicts import finite
from tickets_tf.report import findings
from tickets_tf.report import method
from tickets_tf.report import wording
from tickets_tf.report.page import ENVIRONMENT
from tickets_tf.report.scoreboard import answers
from tickets_tf.report.scoreboard.cells import Cell
from tickets_tf.report.scoreboard.cells import Table
from tickets_tf.report.scoreboard.figures import Drawings
from tickets_tf.report.scoreboard.found import Found
from tickets_tf.report.scoreboard.found import Run
from tickets_tf.report.scoreboard.published import Comparison
from tickets_tf.runs.settings import Settings

_MOST_RUNS = 2000  # in the table of runs: a browser shows so many at once without a wait
_MOST_OPEN = 20  # rows of a table that is not folded up
_MOST_VALUES = 3  # of a setting in which runs differ
_IDENTITY = tuple(field.name for field in dataclasses.fields(Settings) if field.metadata['identity'])


@dataclasses.dataclass(frozen=True)
class _Compared:
  """A row of the table of verdicts: what was compared with what, and what is said of it."""
  what: str
  against: str
  judgement: Judgement


@dataclasses.dataclass(frozen=True)
class _Verdicts:
  """What the page shows of one verdicts.json."""
  name: str
  of: Verdicts
  rows: tuple[_Compared, ...]
  is_open: bool


def html(found: Found, tables: Sequence[Table], comparison: Comparison | None, drawings: Drawings, command: str,
         stamp: str = '') -> str:
  """Returns report.html, a whole HTML document, the same for the same runs, verdicts and command.

  Args:
    found: runs, verdicts and what was left out.
    tables: what `cells.tables` makes of the runs.
    comparison: published cells beside ours; None if not asked for.
    drawings: what `figures.draw` makes of them.
    command: the command that makes this report.
    stamp: of what there is now, for a page that is served: it asks for the present one, and loads itself again if that
      is another. Empty: the page is a file.
  """
  verdicts = [_verdicts(path, finite(each)) for path, each in found.verdicts]
  script = ENVIRONMENT.get_template('scoreboard.js').render()
  digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
  return ENVIRONMENT.get_template('scoreboard.html').render(
      title=_title(tables), found=found, tables=tables, verdicts=verdicts, comparison=comparison, drawings=drawings,
      command=command, stamp=stamp, script=markupsafe.Markup(script), script_digest=digest,
      alarms=answers.alarms((each.name, each.of) for each in verdicts), wording=wording, findings=findings,
      answers=answers, method=method, runs=list(_runs(found.runs, tables)), most_runs=_MOST_RUNS,
      seeds_told=_seeds_told, shared=_shared_settings, environment=_shared_environment, commands=_commands)


def _title(tables: Sequence[Table]) -> str:
  names = dict.fromkeys(f'{table.network} on {table.dataset}' for table in tables)
  more = f' and {len(names) - 3} more' if len(names) > 3 else ''
  return f'Scoreboard of pruning: {", ".join(list(names)[:3])}{more}' if names else 'Scoreboard of pruning'


def _verdicts(path: pathlib.Path, verdicts: Verdicts) -> _Verdicts:
  rows = tuple(_compared(verdicts))
  return _Verdicts(str(path.parent), verdicts, rows, len(rows) <= _MOST_OPEN)


def _compared(verdicts: Verdicts) -> Iterator[_Compared]:
  """Yields every comparison of verdicts: luck, small dense networks, dense networks, ladders, checks and controls."""
  for each in verdicts.luck:
    yield _Compared(wording.name(each), 'luck', each)
  for each in verdicts.narrow:
    yield _Compared(wording.name(each), 'a small dense network', each)
  for each in verdicts.gaps:
    yield _Compared('the dense network', 'luck', each)
  for ladder in verdicts.ladders:
    for step, each in zip(findings.steps(ladder), ladder.steps, strict=True):
      yield _Compared(wording.name(ladder), f'ladder, {step}', each)
  for each in findings.shown(verdicts):
    yield _Compared(wording.name(each), each.check if each.control is None else f'{each.check} (planted control)', each)


def _seeds_told(cell: Cell, table: Table) -> str:
  """Returns of which seeds a cell is, if not of all of its table; '' if it is."""
  seeds = [run.record.seed for run in cell.runs]
  return '' if tuple(seeds) == table.seeds else wording.count(len(seeds), 'seed')


def _runs(runs: Sequence[Run], tables: Iterable[Table]) -> Iterator[tuple[Run, str]]:
  """Yields the runs with their method; '' if a run is in no table."""
  methods = {id(run): cell.method for table in tables for cell in table.cells.values() for run in cell.runs}
  for run in runs[:_MOST_RUNS]:
    yield run, methods.get(id(run), '')


def _table_runs(table: Table) -> list[Run]:
  return [run for cell in table.cells.values() for run in cell.runs]


def _shared_settings(table: Table) -> dict[str, Any]:
  """Returns the settings of the runs of a table that their results depend on, but for the seed."""
  settings = [run.record.settings for run in _table_runs(table)]
  return _shared([{name: getattr(of, name) for name in _IDENTITY if name != 'seed'} for of in settings])


def _shared_environment(table: Table) -> dict[str, Any]:
  """Returns the versions and devices that the runs of a table were made with."""
  return _shared([run.record.environment for run in _table_runs(table)])


def _shared(values: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
  """Returns for each name the values of all, in words: one, or the first few that differ."""
  found = {}
  for name in dict.fromkeys(name for each in values for name in each):
    texts = list(dict.fromkeys(wording.plain(each.get(name)) for each in values))
    more = f'; and {len(texts) - _MOST_VALUES} more' if len(texts) > _MOST_VALUES else ''
    found[name] = texts[0] if len(texts) == 1 else f'differs: {"; ".join(texts[:_MOST_VALUES])}{more}'
  return found


def _commands(table: Table) -> list[str]:
  """Returns for each cell of a table the command that makes its runs, with the seeds as a comment."""
  return [_command(table.cells[name, ratio]) for name in table.methods for ratio in table.ratios
          if (name, ratio) in table.cells]


def _command(cell: Cell) -> str:
  flags = {name: value for name, value in cell.runs[0].record.settings.identity().items() if name != 'seed'}
  seeds = ' '.join(str(run.record.seed) for run in cell.runs)
  # A loop of the shell makes all seeds, as a sweep would.
  given = ''.join(f' {_flag(name, value)}' for name, value in flags.items())
  return f'for seed in {seeds}; do bin/train{given} --seed=$seed; done'


def _flag(name: str, value: object) -> str:
  if isinstance(value, bool):
    return f'--{name}' if value else f'--no{name}'
  return f'--{name}={shlex.quote(str(value))}'
