"""Runs as tables in the form of the paper's: network x data set, a row for each method, a column for each ratio."""

import collections
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
from typing import Any

from tickets_tf.judging.judge import sample
from tickets_tf.judging.verdicts import Sample
from tickets_tf.pruning import rules
from tickets_tf.report.scoreboard import best
from tickets_tf.report.scoreboard.found import Run
from tickets_tf.runs.records import DatasetSize
from tickets_tf.runs.settings import Settings
from tickets_tf.runs.settings import TicketSettings
from tickets_tf.runs.settings import defaults

# What of a ticket makes no other method: it is a column, or nothing that a result depends on.
_NO_METHOD = ('pruner', 'ratio', 'check')
# What changes how a training is computed and not what it computes: at most the last bits of its sums differ.
ROUNDING = ('threads', 'steps_per_execution', 'jit', 'compact_training', 'deterministic', 'evaluate_every')
# What a table always tells of its protocol.
_ALWAYS = ('width', 'epochs')
_DEFAULTS = defaults(Settings)
_METHOD = tuple(name for name in defaults(TicketSettings) if name not in _NO_METHOD)
_PROTOCOL = tuple(field.name for field in dataclasses.fields(Settings)
                  if field.metadata['identity'] and field.name not in defaults(TicketSettings)
                  and field.name not in (*ROUNDING, 'seed', 'dataset', 'model'))


@dataclasses.dataclass(frozen=True)
class Cell:
  """The runs of a method at a ratio, one a seed.

  Attributes:
    method: its name, a row of the table.
    ratio: pruning ratio, a column of it.
    runs: by rising seed.
    accuracies: their `settled_accuracy` in percent, in the order of `runs`.
    among_best: whether it may be the best of its column, see `best.among_best`; None: not known, since it has fewer
      than 3 seeds or nothing to be compared with.
  """
  method: str
  ratio: float
  runs: tuple[Run, ...]
  accuracies: Sample
  among_best: bool | None


@dataclasses.dataclass(frozen=True)
class Table:
  """All methods under one protocol.

  Attributes:
    network, dataset: their names, as the records have them.
    protocol: the settings that all runs share, as in `epochs=20, width=16`: epochs, width, what is not at its default,
      and what differs from another table of the same network and data set.
    seeds: all seeds, rising; a cell may have fewer.
    commits: the commits that the runs were made by, `'unknown'` if a record has none.
    methods: the rows: the dense network, then rules in their order, each before its checks.
    ratios: the columns, rising; 0 is that of the dense network.
    cells: by (method, ratio); what was not run is not there.
    size: the data set in numbers of images.
    notes: what a reader has to know of the numbers, one sentence each.
  """
  network: str
  dataset: str
  protocol: str
  seeds: tuple[int, ...]
  commits: tuple[str, ...]
  methods: tuple[str, ...]
  ratios: tuple[float, ...]
  cells: dict[tuple[str, float], Cell]
  size: DatasetSize
  notes: tuple[str, ...] = ()


def tables(runs: Iterable[Run]) -> list[Table]:
  """Returns one table for each network, data set and protocol.

  A protocol is all settings but the method, the ratio, the seed and those of `ROUNDING`; what was trained under two of
  them is never averaged. Runs that only lead to others, see `steps`, are in no table.

  Args:
    runs: finished runs, none twice.
  """
  runs = tuple(runs)
  left = {run.folder: run for run in steps(runs)}
  numbers = collections.Counter((run.record.network, run.record.dataset.name) for run in left.values())
  groups: dict[tuple[str, str], dict[tuple[Any, ...], list[Run]]] = {}
  for run in runs:
    if run.folder not in left:
      record = run.record
      protocol = (record.dataset, *(getattr(record.settings, name) for name in _PROTOCOL))
      groups.setdefault((record.network, record.dataset.name), {}).setdefault(protocol, []).append(run)
  return [_table(protocol, _differing(protocols), own, numbers[name]) for name, protocols in sorted(groups.items())
          for protocol, own in sorted(protocols.items(), key=lambda item: repr(item[0]))]


def steps(runs: Iterable[Run]) -> tuple[Run, ...]:
  """Returns the runs that only lead to others: parts of a training, trainings on changed data, rounds before the last.

  Args:
    runs: finished runs.
  """
  runs = tuple(runs)
  earlier = {(name, run.record.settings.pruner, run.record.rule.rounds - 1)
             for run in runs for name in run.record.needed}
  return tuple(run for run in runs if run.record.settings.stop_epoch or run.record.settings.trained_on
               or (run.folder.name, run.record.settings.pruner, run.record.rule.rounds) in earlier)


def method(run: Run) -> str:
  """Returns the name of a run's method: its rule, the settings of the ticket that are not the rule's own, its check.

  For example `snip`, `snip (allocation=smart)`, `snip + rearrange`.
  """
  of = run.record.settings
  own = ', '.join(f'{name}={getattr(of, name)}' for name in _METHOD
                  if getattr(of, name) != _DEFAULTS[name] and Settings.__dataclass_fields__[name].metadata['identity'])
  return of.pruner + (f' ({own})' if own else '') + (f' + {of.check}' if of.check else '')


def ratio(run: Run) -> float:
  """Returns a run's pruning ratio: the one asked for, or, with a mask from a file, the one that the mask has."""
  record = run.record
  return record.settings.ratio or round(1 - record.kept / record.weights, 4)


def _table(protocol: tuple[Any, ...], differing: set[str], runs: Sequence[Run], left: int) -> Table:
  first = runs[0].record
  grouped: dict[tuple[str, float], dict[int, list[Run]]] = {}
  for run in runs:
    grouped.setdefault((method(run), ratio(run)), {}).setdefault(run.record.seed, []).append(run)
  taken = {key: tuple(of_seed[seed][0] for seed in sorted(of_seed)) for key, of_seed in grouped.items()}
  accuracies = {key: {run.record.seed: 100 * run.record.settled_accuracy for run in own} for key, own in taken.items()}
  among = best.among_best(accuracies, 100 / max(first.dataset.test, 1))
  cells = {key: Cell(*key, own, sample(tuple(accuracies[key].values())), among[key]) for key, own in taken.items()}
  place = {key: number for number, key in enumerate(dict.fromkeys(name for name, _ in sorted(
      grouped, key=lambda key: _order(taken[key][0]))))}
  return Table(
      first.network, first.dataset.name, _in_words(dict(zip(_PROTOCOL, protocol[1:], strict=True)), differing),
      tuple(sorted({run.record.seed for run in runs})),
      tuple(sorted({str(run.record.environment.get('commit') or 'unknown') for run in runs})), tuple(place),
      tuple(sorted({key[1] for key in cells})), cells, first.dataset, (*_notes(grouped, cells), *_left(left)))


def _order(run: Run) -> tuple[Any, ...]:
  of = run.record.settings
  names = rules.RULES.names()
  place = names.index(of.pruner) if of.pruner in names else len(names)
  return not _is_dense(run), place, of.pruner, method(run).partition(' + ')[0], of.check


def _is_dense(run: Run) -> bool:
  return not run.record.settings.ratio and run.record.kept == run.record.weights


def _differing(protocols: Iterable[tuple[Any, ...]]) -> set[str]:
  """Returns the names of the settings in which protocols differ."""
  return {name for name, *values in zip(_PROTOCOL, *(protocol[1:] for protocol in protocols), strict=True)
          if len(set(values)) > 1}


def _in_words(protocol: Mapping[str, Any], differing: set[str]) -> str:
  told = {name: value for name, value in protocol.items() if name in _ALWAYS or name in differing
          or value != _DEFAULTS[name]}
  return ', '.join(f'{name}={value}' for name, value in sorted(told.items(), key=lambda item: item[0] not in _ALWAYS))


def _left(number: int) -> Iterator[str]:
  if number:
    yield (f'Runs of this network and data set that only lead to others, and so are in no table: {number} (parts of a '
           'training, trainings on changed data, rounds before the last).')


def _notes(grouped: Mapping[tuple[str, float], Mapping[int, Sequence[Run]]], cells: Mapping[tuple[str, float], Cell]
           ) -> Iterator[str]:
  settings = [run.record.settings for cell in cells.values() for run in cell.runs]
  for name in ROUNDING:
    values = sorted({str(getattr(of, name)) for of in settings})
    if len(values) > 1:
      yield f'Runs with --{name}={" and ".join(values)} stand together: at most their rounding differs.'
  for (name, ratio_), of_seed in grouped.items():
    for seed, runs in of_seed.items():
      if len(runs) > 1:
        yield (f'{name} at {ratio_:g}: seed {seed} is there {len(runs)} times, with other code or files of the same '
               f'name. Only {runs[0].folder.name} counts, not {", ".join(run.folder.name for run in runs[1:])}.')
  if not any(cell.among_best is not None for cell in cells.values()):
    yield ('Nothing is told to be among the best: that takes a column of two methods with at least 3 seeds each, one '
           'of them with the highest mean.')
  elif few := sum(1 for cell in cells.values() if cell.ratio and len(cell.runs) < best.SEEDS):
    yield (f'Cells with fewer than 3 seeds, and so in no comparison: {few}. A column whose highest mean is one of them '
           'has none that is told to be among the best.')
