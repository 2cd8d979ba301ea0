"""Training curves, and how the density of a moving mask changes in training."""

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import functools
import json

from matplotlib import axes as mpl_axes
from matplotlib import lines as mpl_lines
from matplotlib import ticker
from matplotlib import typing
import numpy as np

from tickets_tf import files
from tickets_tf.report import drawing
from tickets_tf.report import wording
from tickets_tf.report.scoreboard.cells import Table
from tickets_tf.report.scoreboard.figures import panels
from tickets_tf.report.scoreboard.figures.drawings import Drawing
from tickets_tf.report.scoreboard.figures.drawings import stem
from tickets_tf.report.scoreboard.figures.named import Named
from tickets_tf.report.scoreboard.figures.named import named
from tickets_tf.report.scoreboard.found import Found
from tickets_tf.report.scoreboard.found import Run
from tickets_tf.runs.folder import RunFolder

# (times, values) of each run, by (method, ratio).
_Lines = Mapping[tuple[str, float], Sequence[tuple[drawing.Floats, drawing.Floats]]]


def curves(found: Found, tables: Sequence[Table]) -> Iterator[Drawing | tuple[str, str]]:
  """Yields the accuracy after each epoch of all rules of each table, a panel for each, from `metrics.jsonl`.

  Args:
    found: not used.
    tables: the tables.
  """
  del found
  for each in named(tables):
    lines: dict[tuple[str, float], list[tuple[drawing.Floats, drawing.Floats]]] = {}
    missing = []
    for key, cell in each.table.cells.items():
      for run in cell.runs:
        try:
          lines.setdefault(key, []).append(_evaluations(run))
        except (OSError, ValueError, KeyError, TypeError) as error:
          missing.append((str(RunFolder(run.folder).metrics), f'no training curve: {_why(error)}'))
    methods = [method for checked in (False, True) for method in each.methods(checked)]
    dense = [method for method, _ in each.dense()]
    shown = [method for method in [*dense, *methods] if any((method, ratio) in lines for ratio in each.table.ratios)]
    if shown:
      yield _curves(each, shown, lines)
    yield from missing


def moving(found: Found, tables: Sequence[Table]) -> Iterator[Drawing]:
  """Yields the density over time, and the share that each update replaces, of all rules whose masks move.

  Args:
    found: not used.
    tables: the tables.
  """
  del found
  for each in named(tables):
    methods = [method for checked in (False, True) for method in each.methods(checked)
               if any(run.record.mask_history for cell in each.of(method) for run in cell.runs)]
    if methods:
      yield Drawing(stem('density', each.stem), f'Density of moving masks in training: {each.words}',
                    'Left: the kept share of the weights. Right: the share of the kept weights that came back in an '
                    'update. A line is a run; its steps are those of the training.',
                    '. '.join(_moves_in_words(each, method) for method in methods),
                    functools.partial(_moving, each, methods))


def _curves(each: Named, methods: Sequence[str], lines: _Lines) -> Drawing:
  on = {run.record.best_on for cell in each.table.cells.values() for run in cell.runs}
  ratios = spread([ratio for ratio in each.table.ratios if any((method, ratio) in lines for method in methods)
                   and ratio])
  said = []
  for method in methods:
    ends = []
    for cell in each.of(method):
      last = [values[-1] for _, values in lines.get((method, cell.ratio), ())]
      if last:
        ends.append(f'{panels.percent(1 - cell.ratio)} kept {np.mean(last):.2f}')
    said.append(f'{method}: {"; ".join(ends)}')
  left = [ratio for ratio in each.table.ratios if ratio and ratio not in ratios]
  more = f' Not drawn: ratio {", ".join(f"{ratio:g}" for ratio in left)}.' if left else ''
  return Drawing(stem('training', each.stem), f'Accuracy in training: {each.words}',
                 f'Accuracy on the {" or ".join(sorted(on))} images after each epoch, with running batch-norm '
                 f'statistics: thin lines are runs, thick ones their means.{more}',
                 f'After the last epoch, mean over seeds in percent: {". ".join(said)}',
                 functools.partial(_paint_curves, each, methods, lines, ratios))


def _paint_curves(each: Named, methods: Sequence[str], lines: _Lines, ratios: Sequence[float]) -> mpl_axes.Axes:
  layout = panels.Layout(3 if len(methods) > 2 else len(methods), 92)
  drawn = panels.panels(methods, layout, legend=-(-len(ratios) // 3))
  for axes, method in zip(drawn, methods, strict=True):
    for cell in each.of(method):
      if cell.ratio in ratios:
        number = ratios.index(cell.ratio)
        _of_runs(axes, lines.get((method, cell.ratio), ()), f'series-{number}', *panels.SERIES[number])
      elif not cell.ratio:
        _of_runs(axes, lines.get((method, cell.ratio), ()), 'ink', '', '-')
    axes.xaxis.set_major_locator(ticker.MaxNLocator(4, integer=True))
    panels.accuracy_axis(axes.yaxis)
  for axes in drawn:
    axes.set_xlim(0, max(other.get_xlim()[1] for other in drawn))
    axes.set_ylim(min(other.get_ylim()[0] for other in drawn), max(other.get_ylim()[1] for other in drawn))
  panels.name_axes(drawn, 'epoch', 'accuracy, %')
  panels.key(drawn, _ratios(ratios), 3)
  return drawn[0]


def _of_runs(axes: mpl_axes.Axes, runs: Sequence[tuple[drawing.Floats, drawing.Floats]], name: str, marker: str,
             line: typing.LineStyleType) -> None:
  colour = drawing.COLOURS[name]
  for times, values in runs:
    if len(runs) > 1:
      axes.plot(times, values, color=colour, linewidth=0.6, alpha=0.6)
  if not runs:
    return
  times = functools.reduce(np.intersect1d, [times for times, _ in runs])
  mean = np.mean([values[np.isin(own, times)] for own, values in runs], axis=0)
  axes.plot(times, mean, color=colour, linestyle=line, linewidth=1.6, marker=marker, markersize=4, markeredgewidth=0,
            markevery=max(1, -(-len(times) // 8)))


def _moving(each: Named, methods: Sequence[str]) -> mpl_axes.Axes:
  ratios = spread([ratio for ratio in each.table.ratios if ratio and any(
      (method, ratio) in each.table.cells for method in methods)])
  layout = panels.Layout(2, 84, gap=40)
  drawn = panels.panels([title for method in methods for title in (method, '')], layout, legend=-(-len(ratios) // 3))
  for place, method in enumerate(methods):
    left, right = drawn[2 * place:2 * place + 2]
    for number, ratio in enumerate(ratios):
      cell = each.table.cells.get((method, ratio))
      for run in cell.runs if cell else ():
        _density(left, right, run, number)
  for axes in drawn[::2]:
    axes.set_ylim(0, 105)
  for axes in drawn[1::2]:
    axes.set_ylim(0, max(axis.get_ylim()[1] for axis in drawn[1::2]))
    axes.tick_params(axis='y', labelleft=True)
  for axes in drawn:
    axes.yaxis.set_major_locator(ticker.MaxNLocator(4))
    axes.xaxis.set_major_locator(ticker.MaxNLocator(4, integer=True))
    axes.set_xlim(0, max(axis.get_xlim()[1] for axis in drawn))
  for axes, name in zip(drawn[:2], ('kept, %', 'replaced, %'), strict=True):
    axes.annotate(name, (1, 1), xycoords='axes fraction', xytext=(0, 6), textcoords='offset points', ha='right',
                  va='baseline', fontsize=10, color=drawing.COLOURS['muted'])
  panels.name_axes(drawn, 'step', '')
  panels.key(drawn, _ratios(ratios), 3)
  return drawn[0]


def _density(left: mpl_axes.Axes, right: mpl_axes.Axes, run: Run, number: int) -> None:
  marker, line = panels.SERIES[number]
  style = {'color': drawing.COLOURS[f'series-{number}'], 'linewidth': 1.4, 'linestyle': line, 'marker': marker,
           'markersize': 3.6, 'markeredgewidth': 0}
  history = run.record.mask_history
  steps = [change.step for change in history]
  every = max(1, -(-len(steps) // 10))
  kept = densities(run)
  # The mask that the last update left stays until the end.
  left.plot([*steps, _steps(run)], [*kept, kept[-1]], drawstyle='steps-post', markevery=every, **style)  # type: ignore[arg-type]
  right.plot(steps, [100 * change.replaced for change in history], markevery=every, **style)  # type: ignore[arg-type]


def densities(run: Run) -> list[float]:
  """Returns the kept share of the weights from each mask update on, in percent."""
  return [100 * sum(change.kept) / run.record.weights for change in run.record.mask_history]


def _steps(run: Run) -> int:
  """Returns the steps of a whole training: batches are whole."""
  of = run.record.settings
  return of.epochs * (run.record.dataset.train // of.batch_size)


def _evaluations(run: Run) -> tuple[drawing.Floats, drawing.Floats]:
  """Returns (epochs, accuracies after them in percent) of a run, of the epochs that were evaluated.

  Raises:
    OSError: if its metrics cannot be read.
    ValueError, KeyError, TypeError: if they are something else, or there are none.
  """
  lines = [json.loads(line) for line in files.read_text(RunFolder(run.folder).metrics).splitlines()]
  pairs = [(line['epoch'], 100 * line['evaluation_accuracy']) for line in lines
           if line.get('evaluation_accuracy') is not None]
  if not pairs:
    raise ValueError('it holds no epoch')
  epochs, values = np.array(pairs, np.float64).T
  return epochs, values


def _why(error: Exception) -> str:
  if isinstance(error, FileNotFoundError):
    return 'there is no such file'
  return f'a line lacks {error}' if isinstance(error, KeyError) else wording.one_line(str(error))


def _moves_in_words(each: Named, method: str) -> str:
  said = []
  for cell in each.of(method):
    for run in cell.runs:
      history, kept = run.record.mask_history, densities(run)
      if history:
        said.append(f'seed {run.record.seed} at ratio {cell.ratio:g} {kept[0]:.3g}% kept from step {history[0].step}, '
                    f'{kept[-1]:.3g}% from step {history[-1].step}, {wording.count(len(history), "update")}, '
                    f'{100 * max(change.replaced for change in history):.3g}% replaced at most')
  return f'{method}: {"; ".join(said)}'


def spread(ratios: Sequence[float]) -> list[float]:
  """Returns at most as many ratios as lines can be told apart: the ends, and what is spread between them."""
  if len(ratios) <= panels.MOST:
    return list(ratios)
  return [ratios[round(place)] for place in np.linspace(0, len(ratios) - 1, panels.MOST)]


def _ratios(ratios: Sequence[float]) -> Iterator[mpl_lines.Line2D]:
  for number, ratio in enumerate(ratios):
    marker, line = panels.SERIES[number]
    yield panels.entry(f'{panels.percent(1 - ratio)} kept', f'series-{number}', marker, line, linewidth=1.6)
