"""What a sanity check would take and could show, as a table for the terminal."""

from collections.abc import Sequence

from tickets_tf.judging.design import Design
from tickets_tf.judging.design import Spread

_TITLES = ('seeds', 'runs', 'left', 'hours', 'drop', 'from luck')


def designs_table(designs: Sequence[Design], spread: Spread, asked: Sequence[int]) -> str:
  """Returns a table of designs, with what it rests on.

  Args:
    designs: one row each.
    spread: how much differences vary.
    asked: the numbers of seeds that were asked for; their rows are marked.
  """
  rows = [_TITLES, *(('*' * (each.seeds in asked) + f'{each.seeds}', str(each.runs), str(each.left),
                      _number(each.hours), _number(each.drop), _number(each.luck)) for each in designs)]
  widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
  table = '\n'.join('  '.join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
  found = (f'the median of {spread.comparisons} recorded comparisons' if spread.comparisons
           else 'assumed, as nothing is recorded')
  notes = [
      '*: asked for. hours: by the time that the runs took that are there'
      + (', of which there is none yet' if any(each.hours is None for each in designs) else '') + '.',
      'drop, from luck: percent points, the smallest drop under a check and the smallest difference from luck that '
      'would be shown with a probability of 80%,',
      f'if the differences between two tickets of one seed have a standard deviation of {spread.deviation:.2f} points '
      f'({found}).']
  return '\n'.join([table, *notes])


def _number(value: float | None) -> str:
  return 'unknown' if value is None else f'{value:.2f}'


def chosen(design: Design | None, hours: float) -> str:
  """Returns one line: what would be done within some hours.

  Args:
    design: the design that shows most; None if there is none, or the time of runs is unknown.
    hours: the budget.
  """
  if design is None:
    return f'--hours={hours:g}: not enough for 3 seeds, or the time of runs is unknown'
  return f'--hours={hours:g}: {design.seeds} seeds, which take {_number(design.hours)} hours'
