"""Tables of a scoreboard as text for the terminal, Markdown, CSV, and LaTeX for the package booktabs."""

import collections
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
import csv
import dataclasses
import io
import itertools
import re
import textwrap

from tickets_tf.report import markdown as marked
from tickets_tf.report import wording
from tickets_tf.report.scoreboard.cells import Cell
from tickets_tf.report.scoreboard.cells import Table
from tickets_tf.report.scoreboard.published import Comparison
from tickets_tf.report.scoreboard.published import Pair

NOTHING = 'No run is done.'
AGREES = {True: 'yes', False: 'no', None: wording.NOTHING}
COMPARED_HEADER = ('network', 'data set', 'method', 'ratio', 'published', 'ours', 'best epoch, ours', 'difference',
                   'joint interval', 'published in ours')
_HIGHEST = ('may be the best of its column. With 95% for all columns together, the one that truly is the best is among '
            'these (Hsu 1984)')
_CSV_HEADER = ('network', 'data_set', 'protocol', 'method', 'ratio', 'seeds', 'mean', 'deviation', 'among_best',
               'accuracies', 'commits', 'published_mean', 'published_deviation', 'difference', 'joint_low',
               'joint_high')
_WIDTH = 100  # letters of a line under a table, in the terminal
_COMMIT = 12  # digits, which tell commits of one repository apart
_IN_LATEX = {'\\': r'\textbackslash{}', '~': r'\textasciitilde{}', '^': r'\textasciicircum{}', '<': r'\textless{}',
             '>': r'\textgreater{}', '|': r'\textbar{}', '"': r'\symbol{34}', '\N{PLUS-MINUS SIGN}': r'$\pm$',
             '\N{EN DASH}': '--', '\N{REPLACEMENT CHARACTER}': '?',
             # After the end of a row both would be taken as its option.
             '[': '{[}', '*': '{*}', **{letter: rf'\{letter}' for letter in '&%$#_{}'}}


@dataclasses.dataclass(frozen=True)
class Grid:
  """A table as plain text, for any format.

  Attributes:
    title: what it shows.
    head: names of the columns.
    rows: cells of each row, each with whether it is bold.
    under: what stands under it, one sentence or two each.
  """
  title: str
  head: tuple[str, ...]
  rows: tuple[tuple[tuple[str, bool], ...], ...]
  under: tuple[str, ...]


def text(tables: Sequence[Table], comparison: Comparison | None = None) -> str:
  """Returns tables for the terminal, columns aligned; a star stands for bold.

  Args:
    tables: what `cells.tables` returned.
    comparison: the published cells beside them, if asked for.
  """
  return '\n\n'.join(map(_text, _grids(tables, comparison))) or NOTHING


def markdown(tables: Sequence[Table], comparison: Comparison | None = None, command: str = '') -> str:
  """Returns tables as Markdown.

  Args:
    tables: what `cells.tables` returned.
    comparison: the published cells beside them, if asked for.
    command: what makes them again, shown above them.
  """
  blocks = [marked.fenced(wording.one_line(command))] if command else []
  for grid in _grids(tables, comparison):
    rows = [[f'**{marked.escaped(cell)}**' if bold else marked.escaped(cell) for cell, bold in row]
            for row in grid.rows]
    blocks += [f'## {marked.escaped(grid.title)}',
               *([marked.marked_table([*map(marked.escaped, grid.head)], rows)] if rows else []),
               marked.bullets(_under(grid, 'Bold'))]
  return '\n\n'.join(blocks if tables else [*blocks, NOTHING]) + '\n'


def latex(tables: Sequence[Table], comparison: Comparison | None = None, command: str = '') -> str:
  r"""Returns tables as LaTeX. The document needs `\usepackage{booktabs}`; names beyond Latin letters need LuaLaTeX.

  Args:
    tables: what `cells.tables` returned.
    comparison: the published cells beside them, if asked for.
    command: what makes them again, in a comment.
  """
  comment = [f'% {wording.one_line(command)}'] if command else []
  found = [_latex(grid, number) for number, grid in enumerate(_grids(tables, comparison), start=1)]
  return '\n\n'.join([*comment, *(found or [f'% {NOTHING}'])]) + '\n'


def comma_separated(tables: Sequence[Table], comparison: Comparison | None = None) -> str:
  """Returns all cells as CSV (RFC 4180), one a line, with data set, protocol, seeds and commits.

  Args:
    tables: what `cells.tables` returned.
    comparison: the published cells, which fill the last columns.
  """
  written = io.StringIO()
  writer = csv.writer(written)
  writer.writerow(_CSV_HEADER)
  pairs = {id(pair.cell): pair for pair in (comparison.pairs if comparison else ())}
  for table in tables:
    for cell in in_order(table):
      found, pair = cell.accuracies, pairs.get(id(cell))
      own = (table.network, table.dataset, table.protocol, cell.method, f'{cell.ratio:.12g}',
             ' '.join(str(run.record.seed) for run in cell.runs), found.mean, found.deviation,
             {True: 'yes', False: 'no', None: None}[cell.among_best], ' '.join(map(_plain, found.accuracies)),
             ' '.join(table.commits))
      beside = (pair.published.mean, pair.published.deviation, pair.difference, *(pair.interval or (None, None))
                ) if pair else (None,) * 5
      writer.writerow(map(_plain, (*own, *beside)))
  return written.getvalue()


def _plain(found: str | float | None) -> str:
  """Returns what stands in a field of a CSV file: ten digits of a number, more than any accuracy has."""
  return '' if found is None else wording.one_line(found) if isinstance(found, str) else f'{found:.10g}'


def in_order(table: Table) -> Iterator[Cell]:
  """Yields the cells of a table by rows."""
  places = ((method, ratio) for method in table.methods for ratio in table.ratios)
  yield from (table.cells[place] for place in places if place in table.cells)


def title(table: Table) -> str:
  """Returns what a table shows, such as 'resnet8 on digits: test accuracy in percent'."""
  return f'{table.network} on {table.dataset}: test accuracy in percent'


def column(ratio: float) -> str:
  """Returns the heading of a column: the pruning ratio, or `dense`, of which nothing is pruned."""
  return f'{ratio:.12g}' if ratio else 'dense'


def value(cell: Cell | None, table: Table) -> str:
  """Returns a cell as 'mean ± deviation', with its number of seeds if it is not the table's usual one; None: a dash."""
  if cell is None:
    return wording.NOTHING
  seeds = len(cell.runs)
  return wording.mean_and_deviation(cell.accuracies) + (f' ({seeds})' if seeds != usual_seeds(table) else '')


def usual_seeds(table: Table) -> int:
  """Returns the number of seeds that most cells of a table have; of several the highest."""
  counts = collections.Counter(len(cell.runs) for cell in table.cells.values())
  return max(counts, key=lambda seeds: (counts[seeds], seeds))


def under(table: Table) -> Iterator[str]:
  """Yields what stands under a table: what the numbers are, data set, protocol, seeds, commits, and its notes."""
  size, usual = table.size, usual_seeds(table)
  yield ('Mean ± sample deviation over the seeds of the accuracy of the final weights, with batch-norm statistics '
         'estimated afresh (settled accuracy).'
         + (f' A number in brackets is that of the seeds, where it is not {usual}.'
            if any(len(cell.runs) != usual for cell in table.cells.values()) else ''))
  shape = 'x'.join(map(str, size.image_shape))
  validation = f'{size.validation:,} validation and ' if size.validation else ''
  yield (f'Data set {table.dataset}: {size.train:,} training, {validation}{size.test:,} test images, '
         f'{size.classes:,} classes, {shape}.')
  yield f'Protocol: {table.protocol}; the rest is at its default.'
  yield f'Seeds: {spans(table.seeds)}.'
  yield f'{"Commit" if len(table.commits) == 1 else "Commits"}: {", ".join(each[:_COMMIT] for each in table.commits)}.'
  yield from table.notes


def spans(numbers: Iterable[int]) -> str:
  """Returns rising whole numbers as text, such as '0 to 4, 7'."""
  found = []
  for _, group in itertools.groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0]):
    run = [number for _, number in group]
    found.append(f'{run[0]} to {run[-1]}' if len(run) > 2 else ', '.join(map(str, run)))
  return ', '.join(found)


def compared(pair: Pair) -> tuple[str, ...]:
  """Returns a published cell beside ours as text, in the columns of `COMPARED_HEADER`."""
  published, interval = pair.published, pair.interval
  deviation = '' if published.deviation is None else f' ± {wording.number(published.deviation)}'
  return (published.network, published.dataset, published.method, column(published.ratio),
          f'{wording.number(published.mean)}{deviation}', wording.mean_and_deviation(pair.cell.accuracies),
          wording.number(pair.best), wording.number(pair.difference),
          f'[{", ".join(wording.ends(*interval))}]' if interval else wording.NOTHING, AGREES[pair.agrees])


def _grids(tables: Sequence[Table], comparison: Comparison | None) -> Iterator[Grid]:
  for table in tables:
    yield Grid(title(table), ('method', *map(column, table.ratios)), tuple(
        ((method, False), *((value(cell, table), bool(cell and cell.among_best))
                            for ratio in table.ratios for cell in [table.cells.get((method, ratio))]))
        for method in table.methods), tuple(under(table)))
  if comparison:
    yield Grid('Published accuracies beside ours, in percent', COMPARED_HEADER, tuple(
        tuple((cell, False) for cell in compared(pair)) for pair in comparison.pairs), comparison.notes)


def _under(grid: Grid, mark: str) -> Iterator[str]:
  """Yields what stands under a grid, and what its mark means if it has any."""
  if any(bold for row in grid.rows for _, bold in row):
    yield f'{mark}: {_HIGHEST}.'
  yield from grid.under


def _text(grid: Grid) -> str:
  rows = [grid.head, *(tuple(f'{cell} *' if bold else cell for cell, bold in row) for row in grid.rows)]
  rows = [tuple(map(wording.one_line, row)) for row in rows]
  widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
  lines = ['  '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
  return '\n'.join([wording.one_line(grid.title), *(f'  {line}' for line in lines if grid.rows),
                    *(textwrap.fill(wording.one_line(line), _WIDTH) for line in _under(grid, '*'))])


def _latex(grid: Grid, number: int) -> str:
  def row(cells: Iterable[str]) -> str:
    return f'    {" & ".join(cells)} \\\\'

  rows = [row(rf'\textbf{{{_in_latex(cell)}}}' if bold else _in_latex(cell) for cell, bold in each)
          for each in grid.rows]
  body = [rf'  \begin{{tabular}}{{l{"r" * (len(grid.head) - 1)}}}', r'    \toprule', row(map(_in_latex, grid.head)),
          r'    \midrule', *rows, r'    \bottomrule', r'  \end{tabular}', r'  \par\smallskip']
  return '\n'.join([r'\begin{table}', r'  \centering', rf'  \caption{{{_in_latex(grid.title)}.}}',
                    rf'  \label{{tab:tickets-{number}}}', *(body if rows else []), r'  \footnotesize',
                    *(f'  {_in_latex(line)}' for line in _under(grid, 'Bold')), r'\end{table}'])


def _in_latex(text_: str) -> str:
  """Returns text on one line, every letter of it as itself."""
  return re.sub('.', lambda found: _IN_LATEX.get(found[0], found[0]), wording.one_line(text_))


FORMATS: dict[str, Callable[[Sequence[Table], Comparison | None, str], str]] = {
    'tables.txt': lambda tables, comparison, command: text(tables, comparison) + '\n',
    'tables.md': markdown,
    'tables.csv': lambda tables, comparison, command: comma_separated(tables, comparison),
    'tables.tex': latex,
}
