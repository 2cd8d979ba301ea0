"""Filters and sums up the records of a folder of runs; nothing is trained.

    tickets-records --output_dir=runs --where=ratio>=0.9 --where=pruner=snip,random --by=pruner,ratio

prints how many runs there are in each group, and the mean, deviation, lowest and highest value of --of. Without --by it
prints one line for each run. The first call reads every record and leaves an index, .records.sqlite, beside the runs;
later calls read what is new or has changed. The index can be deleted at any time.
"""

from collections.abc import Callable
import functools
from typing import TypeVar

from absl import flags
from absl import logging

from tickets_tf.cli import command
from tickets_tf.errors import UsageError
from tickets_tf.runs import columns
from tickets_tf.runs.columns import Condition
from tickets_tf.runs.settings import Settings

_Value = TypeVar('_Value')
_SHOWN = 3  # Records that cannot be read; the others are counted.


def define_flags() -> None:
  """Defines the program's flags."""
  flags.DEFINE_string('output_dir', Settings.output_dir, 'folder that holds the folders of runs')
  flags.DEFINE_multi_string('where', [], 'what the runs must be: a setting or a figure, one of = != < <= > >=, and a '
                            'value, or several with commas between behind = and !=; again for one more condition')
  flags.DEFINE_list('by', [], 'settings that the runs of a group have in common; empty: a line for each run')
  flags.DEFINE_list('of', ['settled_accuracy'], 'figures to show')


def main() -> None:
  """Prints the table."""
  values = flags.FLAGS
  where = [_told('where', text, Condition.parse) for text in values.where]
  for name in values.by:
    _told('by', name, columns.check)
  for name in values.of:
    _told('of', name, functools.partial(columns.check, number=bool(values.by)))
  from tickets_tf.report import records as report
  from tickets_tf.runs.index import Index
  with Index(values.output_dir) as index:
    for name, problem in list(index.unreadable.items())[:_SHOWN]:
      logging.warning('%s: left out: %s', name, problem)
    if len(index.unreadable) > _SHOWN:
      logging.warning('%d more records cannot be read and are left out', len(index.unreadable) - _SHOWN)
    if index.unwritten:
      logging.warning('the next call reads all records again: %s', index.unwritten)
    if values.by:
      print(report.groups_table(index, values.by, values.of, where))
    else:
      for line in report.lines(index, values.of, where):
        print(line)
    print(f'{index.count(where):,} of {index.count():,} runs')


def _told(flag: str, text: str, read: Callable[[str], _Value]) -> _Value:
  """Returns what a text of a flag means; an error names the flag."""
  try:
    return read(text)
  except UsageError as error:
    raise UsageError(f'--{flag}={text}: {str(error).removeprefix(f"{text}: ")}') from None


def run() -> None:
  """Runs the program: `tickets-records` and `bin/records`."""
  command.run(main, define=define_flags, text=__doc__)
