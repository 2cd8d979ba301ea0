"""Records and verdicts of many runs as tables, plots and one page, for a paper or a decision."""

import pathlib
from typing import TYPE_CHECKING

from tickets_tf import files

if TYPE_CHECKING:
  from tickets_tf.report.scoreboard.cells import Table
  from tickets_tf.report.scoreboard.figures import Drawings
  from tickets_tf.report.scoreboard.found import Found
  from tickets_tf.report.scoreboard.published import Comparison


def write(found: 'Found', folder: str | pathlib.Path, command: str, published: bool = False) -> str:
  """Writes tables.txt, .md, .csv and .tex, figures/*.svg and *.png, and report.html, each whole or not at all.

  Files of an earlier report are replaced; a plot that is no longer made stays. The same runs, verdicts and command give
  the same bytes.

  Args:
    found: what `found.find` returned.
    folder: an existing folder.
    command: the command that makes the report.
    published: whether the published accuracies stand beside ours.

  Returns:
    The tables as text for the terminal.

  Raises:
    TicketsError: if a file cannot be written.
  """
  # Matplotlib, scipy and Jinja are slow to import.
  from tickets_tf.report.scoreboard import figures
  from tickets_tf.report.scoreboard import formats
  from tickets_tf.report.scoreboard import page
  folder = pathlib.Path(folder)
  tables, comparison, drawings = _made(found, published)
  for name, form in formats.FORMATS.items():
    files.write_text(folder / name, form(tables, comparison, command))
  figures.write(drawings, folder / 'figures')
  files.write_text(folder / 'report.html', page.html(found, tables, comparison, drawings, command))
  return formats.text(tables, comparison)


def page_of(found: 'Found', command: str, published: bool = False, stamp: str = '') -> str:
  """Returns the page alone, as `page.html` does.

  Args:
    found: what `found.find` returned.
    command: the command that makes the report.
    published: whether the published accuracies stand beside ours.
    stamp: see `page.html`.
  """
  from tickets_tf.report.scoreboard import page
  tables, comparison, drawings = _made(found, published)
  return page.html(found, tables, comparison, drawings, command, stamp)


def _made(found: 'Found', published: bool) -> 'tuple[list[Table], Comparison | None, Drawings]':
  from tickets_tf.report.scoreboard import cells
  from tickets_tf.report.scoreboard import figures
  from tickets_tf.report.scoreboard import published as paper
  tables = cells.tables(found.runs)
  return tables, paper.compare(tables) if published else None, figures.draw(found, tables)
