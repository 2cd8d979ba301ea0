"""Keep ratios of the layers, beside those of closed forms."""

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import functools

from matplotlib import axes as mpl_axes
from matplotlib import ticker
import numpy as np

from tickets_tf.judging import ladder
from tickets_tf.report import drawing
from tickets_tf.report import wording
from tickets_tf.report.scoreboard.cells import Cell
from tickets_tf.report.scoreboard.cells import Table
from tickets_tf.report.scoreboard.figures import panels
from tickets_tf.report.scoreboard.figures.drawings import Drawing
from tickets_tf.report.scoreboard.figures.drawings import stem
from tickets_tf.report.scoreboard.figures.named import LUCK
from tickets_tf.report.scoreboard.figures.named import Named
from tickets_tf.report.scoreboard.figures.named import named
from tickets_tf.report.scoreboard.found import Found

# The closed forms that are drawn: name in the registry of allocations, and as it is told.
_FORMS = (('smart', 'smart'), ('erk', 'ERK'), ('balanced', 'balanced'))


def draw(found: Found, tables: Sequence[Table]) -> Iterator[Drawing]:
  """Yields the keep ratios of all rules of each table at each ratio, a panel for each rule.

  Args:
    found: not used.
    tables: the tables.
  """
  del found
  for each in named(tables):
    for ratio in filter(None, each.table.ratios):
      if cells := each.pruned(ratio):
        yield _drawing(each, ratio, cells)


def keep_ratios(cell: Cell) -> drawing.Floats:
  """Returns the mean keep ratio of each layer over the seeds, in network order."""
  ratios = [[layer.kept / layer.weights for layer in run.record.layers] for run in cell.runs]
  found: drawing.Floats = np.array(ratios, np.float64).mean(axis=0)
  return found


def _drawing(each: Named, ratio: float, cells: Sequence[Cell]) -> Drawing:
  first = cells[0].runs[0].record
  luck = each.table.cells.get((LUCK, ratio))
  forms = ladder.closed_forms(first.layers, first.kept, luck.runs[0].record if luck else None)
  names = [layer.name for layer in first.layers]
  said = [f'{label} {_in_words(forms[name])}' for name, label in _FORMS if name in forms]
  said += [f'{cell.method} {_in_words(keep_ratios(cell))}' for cell in cells]
  return Drawing(stem('layers', each.stem, f'{ratio:g}'), f'Keep ratio of each layer at ratio {ratio:g}: {each.words}',
                 'Kept share of the weights of each layer, mean over the seeds, on a logarithmic axis; a cross is a '
                 'layer that keeps nothing. Layers in network order: '
                 f'{", ".join(f"{number} {wording.one_line(name)}" for number, name in enumerate(names, 1))}.',
                 f'In percent, layers in network order. {". ".join(said)}',
                 functools.partial(_paint, cells, forms))


def _paint(cells: Sequence[Cell], forms: Mapping[str, Sequence[float]]) -> mpl_axes.Axes:
  layout = panels.Layout(2 if len(cells) > 1 else 1, 110, left=58)
  drawn = panels.panels([cell.method for cell in cells], layout, legend=2)
  ratios = [keep_ratios(cell) for cell in cells]
  shown = [(number, name, label) for number, (name, label) in enumerate(_FORMS, 1) if name in forms]
  positive = np.concatenate([*ratios, *(np.array(forms[name]) for _, name, _ in shown)])
  floor = float(positive[positive > 0].min(initial=1.0)) / 1.6
  for axes, values in zip(drawn, ratios, strict=True):
    places = np.arange(1, len(values) + 1)
    for number, name, _ in shown:
      closed = np.array(forms[name])
      axes.plot(places, np.where(closed > 0, closed, np.nan), color=drawing.COLOURS[f'series-{number}'],
                linestyle=panels.SERIES[number][1], linewidth=1.4)
    axes.plot(places, np.where(values > 0, values, np.nan), color=drawing.COLOURS['series-0'], marker='o',
              markersize=3.8, linewidth=1.6, markeredgewidth=0, zorder=4)
    axes.plot(places[values == 0], np.full(int((values == 0).sum()), floor), 'X', markersize=6.5, clip_on=False,
              color=drawing.COLOURS['series-0'], markeredgewidth=0, zorder=5)
    axes.set_yscale('log')
    axes.set_ylim(floor, 1.3)
    axes.yaxis.set_major_locator(ticker.LogLocator(10, subs=(1.0,) if floor < 0.02 else (1.0, 3.0), numticks=9))
    axes.yaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: panels.percent(value)))
    axes.yaxis.set_minor_locator(ticker.NullLocator())
    axes.xaxis.set_major_locator(ticker.MaxNLocator(6, integer=True, min_n_ticks=2))
  panels.name_axes(drawn, 'layer', 'kept')
  panels.key(drawn, [panels.entry('the rule', 'series-0', 'o'), *(
      panels.entry(label, f'series-{number}', line=panels.SERIES[number][1]) for number, _, label in shown)], 2)
  return drawn[0]


def _in_words(ratios: Sequence[float] | drawing.Floats) -> str:
  return ', '.join(f'{100 * value:.3g}' for value in ratios)
