"""Accuracy against density."""

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
import functools
from typing import Any

from matplotlib import axes as mpl_axes
from matplotlib import lines as mpl_lines
from matplotlib import typing
import numpy as np

from tickets_tf.report import drawing
from tickets_tf.report import wording
from tickets_tf.report.scoreboard.cells import Cell
from tickets_tf.report.scoreboard.cells import Table
from tickets_tf.report.scoreboard.figures import bands
from tickets_tf.report.scoreboard.figures import panels
from tickets_tf.report.scoreboard.figures.drawings import Drawing
from tickets_tf.report.scoreboard.figures.drawings import Painter
from tickets_tf.report.scoreboard.figures.drawings import stem
from tickets_tf.report.scoreboard.figures.named import LUCK
from tickets_tf.report.scoreboard.figures.named import Named
from tickets_tf.report.scoreboard.figures.named import named
from tickets_tf.report.scoreboard.found import Found

_Bands = dict[tuple[str, float], tuple[float, float]]
_ALONE = panels.Layout(1, 240)
_ROW, _LABELS = 30, 158  # in pixels
_NAMES = 130  # pixels at the right of lines that have their names there


def draw(found: Found, tables: Sequence[Table]) -> Iterator[Drawing]:
  """Yields accuracy against density of all rules of each table, and of the tickets that a check was applied to.

  Args:
    found: not used.
    tables: the tables.
  """
  del found
  for each in named(tables):
    intervals = bands.bands(each.table)
    for checked, of in ((False, ''), (True, ' of checked tickets')):
      methods = each.methods(checked)
      if methods:
        yield Drawing(stem('accuracy', each.stem, 'checked' if checked else ''),
                      f'Test accuracy{of} against density: {each.words}', _caption(each, methods, intervals),
                      _in_words(each, methods, intervals), _painter(each, methods, intervals))


def _painter(each: Named, methods: Sequence[str], intervals: _Bands) -> Painter:
  if len({cell.ratio for method in methods for cell in each.of(method)}) == 1:
    paint = _in_rows
  else:
    paint = _together if len(methods) <= panels.MOST else _side_by_side
  return functools.partial(paint, each, methods, intervals)


def _in_rows(each: Named, methods: Sequence[str], intervals: _Bands) -> mpl_axes.Axes:
  """Draws a row for each method, where there is but one density."""
  axes = drawing.axes_of(_ROW * len(methods), left=_LABELS)
  drawing.list_rows(axes, len(methods))
  cells = [each.of(method)[0] for method in methods]
  for row, cell in enumerate(cells):
    if (cell.method, cell.ratio) in intervals:
      axes.hlines(row, *intervals[cell.method, cell.ratio], color=drawing.COLOURS['series-0'], linewidth=4, alpha=0.35)
    axes.plot(drawing.numbers([cell.accuracies.mean]), [row], 'o', markersize=6, color=drawing.COLOURS['series-0'],
              markeredgewidth=0)
    lines = panels.lines_of(cell.method, 22)
    drawing.label(axes, row, '\n'.join(lines), fontsize=10, linespacing=1)
  low, high = _limits(cells, intervals)
  axes.set_xlim(low, high)
  panels.accuracy_axis(axes.xaxis)
  for _, mean in each.dense():
    if low <= mean <= high:
      axes.axvline(mean, color=drawing.COLOURS['muted'], linestyle=':', linewidth=1.4, zorder=1)
  told = ', '.join(f'{name} {_mark(mean, low, high, "←→")}' for name, mean in each.dense())
  axes.annotate(told, (1, 1), xycoords='axes fraction', xytext=(0, 4), textcoords='offset points', ha='right',
                va='bottom', fontsize=10, color=drawing.COLOURS['muted'])
  axes.set_xlabel(f'test accuracy at {panels.percent(_density(cells[0]))} kept, %')
  return axes


def _together(each: Named, methods: Sequence[str], intervals: _Bands) -> mpl_axes.Axes:
  """Draws a few methods in one panel, with their names at the ends of their lines."""
  axes, = panels.panels([''], _ALONE)
  box = axes.get_position()
  width = _ALONE.width() - _NAMES
  axes.set_position((box.x0, box.y0, box.width * width / _ALONE.width(), box.height))
  for number, method in enumerate(methods):
    marker, line = panels.SERIES[number]
    _draw(axes, each.of(method), intervals, drawing.COLOURS[f'series-{number}'], marker, line, 5)
  _axes([axes], each, methods, intervals, width)
  ends = [(_density(cell), float(cell.accuracies.mean), method) for method in methods for cell in each.of(method)[:1]
          if cell.accuracies.mean is not None]
  panels.label_ends(axes, ends, _ALONE.height, _NAMES - 14)
  far = [(name, mean) for name, mean in each.dense() if not axes.get_ylim()[0] <= mean <= axes.get_ylim()[1]]
  axes.annotate(_told(far, axes), (1, 1), xycoords='axes fraction', xytext=(0, 5), textcoords='offset points',
                ha='right', va='baseline', fontsize=10, color=drawing.COLOURS['muted'])
  return axes


def _side_by_side(each: Named, methods: Sequence[str], intervals: _Bands) -> mpl_axes.Axes:
  """Draws a panel for each method, in front of all others."""
  layout = panels.Layout(min(3, len(methods)), 92)
  drawn = panels.panels(methods, layout, legend=2)
  for axes, method in zip(drawn, methods, strict=True):
    for other in methods:
      if other not in (method, LUCK):
        _line(axes, each.of(other), color=drawing.COLOURS['line'], linewidth=1, zorder=1)
    if method != LUCK and LUCK in methods:
      _line(axes, each.of(LUCK), color=drawing.COLOURS['ink'], linewidth=1.2, linestyle=panels.SERIES[1][1], zorder=2)
    _draw(axes, each.of(method), intervals, drawing.COLOURS['series-0'], 'o', '-', 4.5)
  _axes(drawn, each, methods, intervals, layout.width())
  panels.key(drawn, _entries(each, methods, intervals, drawn[0]), 2)
  return drawn[0]


def _entries(each: Named, methods: Sequence[str], intervals: _Bands, axes: mpl_axes.Axes
             ) -> Iterable[mpl_lines.Line2D]:
  banded = any((method, cell.ratio) in intervals for method in methods for cell in each.of(method))
  yield panels.entry('mean and 95% band' if banded else 'mean', 'series-0', 'o')
  if LUCK in methods:
    yield panels.entry(f'luck ({LUCK})', 'ink', line=panels.SERIES[1][1], linewidth=1.2)
  if len(methods) > 1:
    yield panels.entry('all other rules', 'line', linewidth=1.5)
  if each.dense():
    yield panels.entry(_told(each.dense(), axes), 'muted', line=':', linewidth=1.4)


def _axes(drawn: Sequence[mpl_axes.Axes], each: Named, methods: Sequence[str], intervals: _Bands, width: float) -> None:
  """Gives all panels the same axes."""
  cells = [cell for method in methods for cell in each.of(method)]
  low, high = _limits(cells, intervals)
  densities = sorted({_density(cell) for cell in cells})
  for axes in drawn:
    axes.set_ylim(low, high)
    panels.accuracy_axis(axes.yaxis)
    panels.density_axis(axes, densities, width)
    for _, mean in each.dense():
      if low <= mean <= high:
        axes.axhline(mean, color=drawing.COLOURS['muted'], linestyle=':', linewidth=1.4, zorder=1)
  panels.name_axes(drawn, 'kept weights (logarithmic)', 'test accuracy, %')


def _limits(cells: Sequence[Cell], intervals: _Bands) -> tuple[float, float]:
  """Returns limits of an axis of accuracies that holds all means and bands."""
  bands_ = [end for cell in cells for end in intervals.get((cell.method, cell.ratio), ())]
  values = drawing.numbers([*(cell.accuracies.mean for cell in cells), *bands_])
  low, high = float(np.nanmin(values)), float(np.nanmax(values))
  room = max(0.07 * (high - low), 1 - (high - low) / 2)  # Never less than two points: what is nearly equal looks so.
  return low - room, high + room


def _told(dense: Iterable[tuple[str, float]], axes: mpl_axes.Axes) -> str:
  """Returns the names and means of dense networks. One that is far from all tickets has no line, but an arrow."""
  return ', '.join(f'{name} {_mark(mean, *axes.get_ylim(), "↓↑")}' for name, mean in dense)


def _mark(mean: float, low: float, high: float, arrows: str) -> str:
  """Returns a mean, with an arrow to where it is if that is outside the limits."""
  return wording.number(mean) + ('' if low <= mean <= high else f' {arrows[int(mean > high)]}')


def _draw(axes: mpl_axes.Axes, cells: Sequence[Cell], intervals: _Bands, colour: str, marker: str,
          line: typing.LineStyleType, size: float) -> None:
  _line(axes, cells, color=colour, marker=marker, linestyle=line, markersize=size, linewidth=1.8, zorder=4,
        markeredgewidth=0)
  banded = [(_density(cell), *intervals[cell.method, cell.ratio]) for cell in cells
            if (cell.method, cell.ratio) in intervals]
  if banded:
    x, low, high = np.array(banded).T
    axes.fill_between(x, low, high, color=colour, alpha=0.16, linewidth=0, zorder=2)
    # At a single density there is nothing to fill, and the ends of a band are told by bars in any case.
    axes.vlines(x, low, high, color=colour, linewidth=1.2, zorder=3)


def _line(axes: mpl_axes.Axes, cells: Sequence[Cell], **kwargs: Any) -> None:
  axes.plot([_density(cell) for cell in cells], drawing.numbers(cell.accuracies.mean for cell in cells),
            **kwargs)


def _density(cell: Cell) -> float:
  return 1 - cell.ratio


def _caption(each: Named, methods: Sequence[str], intervals: _Bands) -> str:
  cells = [cell for method in methods for cell in each.of(method)]
  without = [cell for cell in cells if (cell.method, cell.ratio) not in intervals]
  said = ['Mean settled accuracy over the seeds against the kept share of the weights, on a logarithmic axis.']
  if len(without) < len(cells):
    said.append(f'The bands hold all {len(intervals)} means of the table together with {1 - bands.ALPHA:.0%} (Šidák).')
  if without:
    said.append(f'{wording.count(len(without), "mean")} of fewer than 3 seeds '
                f'{"has" if len(without) == 1 else "have"} no band.')
  return ' '.join(said)


def _in_words(each: Named, methods: Sequence[str], intervals: _Bands) -> str:
  said = []
  for method in methods:
    points = [f'{panels.percent(_density(cell))} kept {wording.mean_and_deviation(cell.accuracies)}'
              + (f' [{", ".join(wording.ends(*intervals[key]))}]' if key in intervals else '')
              for cell in each.of(method) for key in [(cell.method, cell.ratio)]]
    said.append(f'{method}: {"; ".join(points)}')
  return '. '.join([*said, *(f'{name} {wording.number(mean)}' for name, mean in each.dense())])
