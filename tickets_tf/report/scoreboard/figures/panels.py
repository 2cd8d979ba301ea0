"""Small panels side by side, one for each rule: no line needs a colour of its own, however many rules there are."""

from collections.abc import Iterable
from collections.abc import Sequence
import dataclasses
import textwrap
from typing import Any

from matplotlib import axes as mpl_axes
from matplotlib import axis as mpl_axis
from matplotlib import figure
from matplotlib import lines as mpl_lines
from matplotlib import ticker
from matplotlib import typing
import numpy as np

from tickets_tf.report import drawing
from tickets_tf.report import wording

# Lines that are told apart in grey and by colour-blind readers: by marker and dashes too.
SERIES: tuple[tuple[str, typing.LineStyleType], ...] = (
    ('o', '-'), ('s', (0, (5, 2))), ('^', (0, (1, 1.2))), ('D', (0, (5, 1.5, 1, 1.5))))
MOST = len(SERIES)
# In pixels of the page at full width. A letter is at most so wide at the size of titles.
_WIDTH, _RIGHT, _LINE, _LETTER, _LEGEND = 420, 12, 13, 6.6, 16


@dataclasses.dataclass(frozen=True)
class Layout:
  """Panels of a figure.

  Attributes:
    columns: panels side by side.
    height: of a panel, in pixels.
    left: room at the left, in pixels.
    bottom: room below the lowest panels, in pixels.
    shared: whether all have the same x axis, so that only the lowest of a column has numbers on it.
    gap: room between two columns, in pixels.
  """
  columns: int
  height: float
  left: float = 50
  bottom: float = 42
  shared: bool = True
  gap: float = 14

  def width(self) -> float:
    """Returns the width of a panel in pixels."""
    return (_WIDTH - self.left - _RIGHT - self.gap * (self.columns - 1)) / self.columns


def panels(titles: Sequence[str], layout: Layout, legend: int = 0) -> list[mpl_axes.Axes]:
  """Returns the axes of panels with their titles above them, in the order of reading.

  Args:
    titles: one for each panel; it may take two lines, and is cut in the middle if that is not enough.
    layout: the layout.
    legend: number of lines kept free above all panels, see `key`.
  """
  letters = int((layout.width() + layout.gap - 4) / _LETTER)
  wrapped = [lines_of(title, letters) for title in titles]
  above = [max(len(wrapped[first + column]) for column in range(min(layout.columns, len(titles) - first))) * _LINE + 8
           for first in range(0, len(titles), layout.columns)]
  between = 0 if layout.shared else 18
  top = legend * _LEGEND + 4
  total = top + sum(above) + len(above) * layout.height + (len(above) - 1) * (8 + between) + layout.bottom
  drawn = figure.Figure(figsize=(_WIDTH / 72, total / 72))
  found = []
  for number, lines in enumerate(wrapped):
    row, column = divmod(number, layout.columns)
    down = top + sum(above[:row + 1]) + row * (layout.height + 8 + between) + layout.height
    axes = drawn.add_axes(((layout.left + column * (layout.width() + layout.gap)) / _WIDTH, 1 - down / total,
                           layout.width() / _WIDTH, layout.height / total))
    for place, line in enumerate(reversed(lines)):
      axes.annotate(line, (0, 1), xycoords='axes fraction', xytext=(0, 6 + place * _LINE), textcoords='offset points',
                    ha='left', va='baseline', fontsize=10.5)
    axes.grid(True, axis='y')
    axes.tick_params(axis='y', length=0, labelleft=column == 0, labelsize=10)
    axes.tick_params(axis='x', labelbottom=not layout.shared or number + layout.columns >= len(titles))
    found.append(axes)
  return found


def key(axes: Sequence[mpl_axes.Axes], entries: Iterable[mpl_lines.Line2D], columns: int) -> None:
  """Writes what lines mean above all panels.

  Args:
    axes: all axes of a figure.
    entries: a line for each meaning, with its label.
    columns: entries side by side.
  """
  drawn = axes[0].figure
  assert isinstance(drawn, figure.Figure)
  entries = list(entries)
  rows = -(-len(entries) // columns)
  # Matplotlib fills columns first; people read rows first.
  ordered = [entries[row * columns + column] for column in range(columns) for row in range(rows)
             if row * columns + column < len(entries)]
  drawn.legend(handles=ordered, loc='upper left', bbox_to_anchor=(0, 1), ncols=columns, borderaxespad=0.2,
               handlelength=2.6, columnspacing=1.2, handletextpad=0.6, labelspacing=0.25, borderpad=0.1)


def entry(label: str, colour: str, marker: str = '', line: typing.LineStyleType = '-', **kwargs: Any
          ) -> mpl_lines.Line2D:
  """Returns an entry of `key`.

  Args:
    label: its words.
    colour: a key of `drawing.COLOURS`.
    marker: Matplotlib's name of a marker.
    line: Matplotlib's name of a style of lines.
    **kwargs: more of the line.
  """
  return mpl_lines.Line2D([], [], color=drawing.COLOURS[colour], marker=marker, linestyle=line, label=label,
                          markersize=5, **kwargs)


def name_axes(axes: Sequence[mpl_axes.Axes], x: str, y: str) -> None:
  """Names the axes of all panels at once: below them, and at their left."""
  drawn = axes[0].figure
  assert isinstance(drawn, figure.Figure)
  boxes = [each.get_position() for each in axes]
  middle = (min(box.y0 for box in boxes) + max(box.y1 for box in boxes)) / 2
  drawn.text(0.006, middle, y, rotation=90, va='center', ha='left', fontsize=11)
  axes[0].annotate(x, ((min(box.x0 for box in boxes) + max(box.x1 for box in boxes)) / 2, 0),
                   xycoords='figure fraction', xytext=(0, 4), textcoords='offset points', ha='center', va='bottom',
                   fontsize=11)


def lines_of(title: str, letters: int) -> list[str]:
  """Returns a title as one or two lines of at most so many letters; what does not fit is left out in the middle."""
  title = wording.one_line(title)
  if len(title) <= letters:
    return [title]
  if len(title) > 2 * letters:
    title = f'{title[:letters - 1]}…{title[-letters + 1:]}'
  wrapped = textwrap.wrap(title, letters, break_long_words=False, break_on_hyphens=False)
  # A name without spaces is cut where the line ends.
  return wrapped if len(wrapped) <= 2 and max(map(len, wrapped)) <= letters else [title[:letters], title[letters:]]


def density_axis(axes: mpl_axes.Axes, densities: Sequence[float], width: float) -> None:
  """Makes x a logarithmic axis of densities in percent, with a number at each that has room for it.

  Args:
    axes: the axes.
    densities: kept shares in (0, 1], rising.
    width: of the axes, in pixels.
  """
  axes.set_xscale('log')
  low, high = np.log(densities[0]), np.log(densities[-1])
  reach = max(high - low, 0.7)
  middle = (low + high) / 2
  axes.set_xlim(np.exp(middle - 0.62 * reach), np.exp(middle + 0.62 * reach))
  ticks: list[float] = []
  room = 34 / width * 1.24 * reach
  for density in densities:
    if not ticks or np.log(density) - np.log(ticks[-1]) >= room:
      ticks.append(density)
  axes.xaxis.set_major_locator(ticker.FixedLocator(ticks))
  axes.xaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: percent(value)))
  axes.xaxis.set_minor_locator(ticker.NullLocator())


def accuracy_axis(axis: mpl_axis.Axis, numbers: int = 5) -> None:
  """Writes round accuracies on an axis, at most so many, and none that there cannot be."""
  axis.set_major_locator(ticker.MaxNLocator(numbers))
  axis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f'{value:.6g}' if -0.001 < value < 100.001 else ''))


def percent(share: float) -> str:
  """Returns a share in percent, with three digits at most."""
  return f'{float(f"{100 * share:.3g}"):g}%'


def apart(places: Sequence[float], least: float) -> list[float]:
  """Returns places, in their order, moved as little as it takes to have `least` between neighbours."""
  order = np.argsort(places, kind='stable')
  # Blocks that touch move together: each is (first place, number) around the mean that it would like.
  blocks: list[list[float]] = []
  for wanted in np.asarray(places, float)[order]:
    blocks.append([wanted, 1])
    while len(blocks) > 1 and blocks[-1][0] - blocks[-2][0] < least * (blocks[-1][1] + blocks[-2][1]) / 2:
      (one, many), (other, more) = blocks[-2:]
      blocks[-2:] = [[(one * many + other * more) / (many + more), many + more]]
  moved = [middle + least * (number - (many - 1) / 2) for middle, many in blocks for number in range(int(many))]
  found = np.empty(len(moved))
  found[order] = moved
  return found.tolist()


def label_ends(axes: mpl_axes.Axes, ends: Sequence[tuple[float, float, str]], height: float, room: float) -> None:
  """Writes names of lines to the right of their ends, none on another, each with a thin line to its end.

  Args:
    axes: the axes, with room at the right; its limits are final.
    ends: (x, y, name) of the end of each line.
    height: of the axes, in pixels.
    room: for the names, in pixels.
  """
  low, high = axes.get_ylim()
  names = [lines_of(name, int(room / _LETTER)) for _, _, name in ends]
  most = max(map(len, names), default=1)
  places = apart([(y - low) / (high - low) * height for _, y, _ in ends], _LINE * most + 3)
  for (x, y, _), lines, place in zip(ends, names, places, strict=True):
    axes.annotate('\n'.join(lines), (x, y), xytext=(1.06, place / height), textcoords='axes fraction', va='center',
                  fontsize=10, linespacing=1, annotation_clip=False,
                  arrowprops={'arrowstyle': '-', 'color': drawing.COLOURS['muted'], 'linewidth': 0.6, 'shrinkA': 1,
                              'shrinkB': 4})
