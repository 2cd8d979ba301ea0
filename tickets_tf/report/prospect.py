"""What a sweep would do, as a table for the terminal."""

from tickets_tf.runs import durations
from tickets_tf.runs.prospect import Entry
from tickets_tf.runs.prospect import Prospect
from tickets_tf.runs.prospect import State

_TITLES = ('run', 'state', 'asked for', 'needed by', 'hours')
# How a time is marked by what it rests on.
_MARKS = {None: ' ', durations.OTHER_SEEDS: ' ', durations.SAME_NETWORK: '~', durations.ANY_RUN: '?'}


def prospect_table(prospect: Prospect) -> str:
  """Returns a table of the runs of a sweep, with what they share and how long they take."""
  rows = [_TITLES, *(_row(entry) for entry in prospect.entries)]
  widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
  table = '\n'.join('  '.join(cell.rjust(width) if number == 4 else cell.ljust(width)
                              for number, (cell, width) in enumerate(zip(row, widths, strict=True))).rstrip()
                    for row in rows)
  return '\n'.join([table, *_counts(prospect), *_times(prospect)])


def _row(entry: Entry) -> tuple[str, ...]:
  hours = 'unknown' if entry.seconds is None else _hours(entry.seconds)
  return (entry.run.name, entry.state.value, 'yes' if entry.asked else '', str(entry.needed_by or ''),
          hours + _MARKS[entry.basis])


def _counts(prospect: Prospect) -> list[str]:
  asked = sum(entry.asked for entry in prospect.entries)
  total = len(prospect.entries)
  shared = sum(entry.needed_by > 1 for entry in prospect.entries)
  states = ', '.join(f'{prospect.count(state)} {state.value}' for state in State)
  return [f'{total} runs: {asked} asked for, {total - asked} more that they need; {states}',
          f'shared: {shared} runs are needed by several others; with nothing shared there would be '
          f'{prospect.unshared} runs']


def _times(prospect: Prospect) -> list[str]:
  unreadable = [f'{prospect.unreadable} records could not be read and are no part of the model'
                ] if prospect.unreadable else []
  if prospect.seconds is None:
    return ['hours: unknown, as no run is done in these folders', *unreadable]
  left = [entry for entry in prospect.entries if entry.state is not State.DONE]
  one = sum(entry.seconds or 0.0 for entry in left)
  lines = [f'hours left: {_hours(one)} of one run at a time; {_hours(prospect.seconds)} with {prospect.parallel} at a '
           'time, each behind those that it needs']
  bases = {basis: sum(entry.basis == basis for entry in left)
           for basis in (durations.OTHER_SEEDS, durations.SAME_NETWORK, durations.ANY_RUN)}
  told = ', '.join(f'{count} by {basis}' + (f' ({mark})' if (mark := _MARKS[basis].strip()) else '')
                   for basis, count in bases.items() if count)
  if told:
    lines.append(f'times: {told}; the model is fitted to {prospect.records} records'
                 + ('' if prospect.error is None else
                    f' and misses one that is left out by {prospect.error:.0%} in the median'))
  return [*lines, *unreadable]


def _hours(seconds: float) -> str:
  return f'{seconds / 3600:.3g}'
