"""Size and latency of exported files against their accuracy."""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
import dataclasses
import functools
from typing import Any

from matplotlib import axes as mpl_axes
from matplotlib import ticker

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


@dataclasses.dataclass(frozen=True)
class File:
  """A file of an export.

  Attributes:
    method, ratio, seed: of the run.
    name: the file's.
    best: whether the export calls it the best.
    kib: its size in KiB.
    milliseconds: the median time of an image with one thread; None if it was not timed.
    accuracy: on the test set, in percent.
    processor: what it was timed on.
  """
  method: str
  ratio: float
  seed: int
  name: str
  best: bool
  kib: float
  milliseconds: float | None
  accuracy: float
  processor: str


def draw(found: Found, tables: Sequence[Table]) -> Iterator[Drawing | tuple[str, str]]:
  """Yields size, and latency, of the files of all exported runs of each table against their accuracy.

  Args:
    found: not used.
    tables: the tables.
  """
  del found
  for each in named(tables):
    files: list[File] = []
    for cell in each.table.cells.values():
      for run in cell.runs:
        try:
          files += files_of(cell.method, cell.ratio, run)
        except (KeyError, TypeError, ValueError, IndexError, AttributeError):
          yield str(run.folder), 'not in size and latency: its record has an export of another form'
    files.sort(key=lambda file: (each.table.methods.index(file.method), file.ratio, file.seed))
    if files:
      yield _drawing(each, files, 'size', 'KiB', _kib)
    timed = [file for file in files if file.milliseconds is not None]
    if timed:
      yield _drawing(each, timed, 'latency', 'ms', _milliseconds)


def files_of(method: str, ratio: float, run: Run) -> list[File]:
  """Returns the TFLite and ONNX files that a run's last export kept; none if it was not exported.

  Raises:
    KeyError, TypeError, ValueError, IndexError, AttributeError: if the record has an export of another form.
  """
  export: dict[str, Any] = run.record.export or {}
  found = []
  for row in (*export.get('tflite', ()), *export.get('onnx', ())):
    if row.get('kept', True):
      times = [float(each['milliseconds']) for each in row['latency'] if each['threads'] == 1]
      found.append(File(method, ratio, run.record.seed, str(row['file']), row['file'] == export['best'],
                        int(row['bytes']) / 1024, times[0] if times else None, 100 * float(row['accuracy']),
                        str(export['environment'].get('processor'))))
  return found


def _kib(file: File) -> float:
  return file.kib


def _milliseconds(file: File) -> float:
  assert file.milliseconds is not None
  return file.milliseconds


def _drawing(each: Named, files: Sequence[File], what: str, unit: str, measure: Callable[[File], float]) -> Drawing:
  methods = list(dict.fromkeys(file.method for file in files))
  said = [f'{method}: ' + '; '.join(
      f'{file.name} at ratio {file.ratio:g}, seed {file.seed}{", the best" if file.best else ""}: '
      f'{measure(file):.3g} {unit}, {wording.number(file.accuracy)}%' for file in files if file.method == method)
          for method in methods]
  processors = {file.processor for file in files}
  times = '' if what == 'size' else (
      ' Times are medians of one image with one thread' + ('.' if len(processors) == 1 else
      f', on {len(processors)} kinds of processors: those of different ones say nothing of each other.'))
  return Drawing(stem(what, each.stem), f'{what.capitalize()} against accuracy: {each.words}',
                 f'Test accuracy of each exported file against its {what}, on a logarithmic axis. Full marks are the '
                 f'files that their export calls the best, hollow ones all others that it kept.{times}',
                 '. '.join(said), functools.partial(_paint, methods, files, f'{what}, {unit} (logarithmic)', measure))


def _paint(methods: Sequence[str], files: Sequence[File], x: str, measure: Callable[[File], float]) -> mpl_axes.Axes:
  ratios = sorted({file.ratio for file in files})
  groups = list(dict.fromkeys((file.method, file.ratio) for file in files))
  alone = len(groups) <= panels.MOST
  # A panel for each method, its ratios apart by their marks; or one for each ratio too if marks do not do.
  by_ratio = not alone and len(ratios) <= panels.MOST
  titles = [''] if alone else list(methods) if by_ratio else [_group(*group) for group in groups]
  layout = panels.Layout(1, 200) if alone else panels.Layout(3, 96)
  drawn = panels.panels(titles, layout, legend=len(groups) if alone else 2)
  for place, axes in enumerate(drawn):
    for file in files:
      group = groups.index((file.method, file.ratio))
      if alone or (by_ratio and file.method == methods[place]) or (group == place and not by_ratio):
        _point(axes, measure(file), file, group if alone else ratios.index(file.ratio) if by_ratio else 0)
      else:
        _point(axes, measure(file), file, None)
    axes.set_xscale('log')
  low, high = _reach([measure(file) for file in files])
  accuracies = [file.accuracy for file in files]
  room = max(0.08 * (max(accuracies) - min(accuracies)), 1)
  for axes in drawn:
    axes.set_xlim(low, high)
    axes.set_ylim(min(accuracies) - room, max(accuracies) + room)
    panels.accuracy_axis(axes.yaxis)
    axes.xaxis.set_major_locator(ticker.FixedLocator(ticks(low, high, layout.width())))
    axes.xaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f'{value:g}'))
    axes.xaxis.set_minor_locator(ticker.NullLocator())
  panels.name_axes(drawn, x, 'test accuracy, %')
  names = ([_group(*group) for group in groups] if alone else [_kept(ratio) for ratio in ratios] if by_ratio else
           ['the rule'])
  marks = [panels.entry(name, f'series-{number}', panels.SERIES[number][0], '') for number, name in enumerate(names)]
  panels.key(drawn, marks if alone else [*marks, panels.entry('all others', 'line', 'o', '')], 1 if alone else 3)
  return drawn[0]


def _group(method: str, ratio: float) -> str:
  return f'{drawing.shortened(method, 46)}, {_kept(ratio)}'


def _kept(ratio: float) -> str:
  return f'{panels.percent(1 - ratio)} kept'


def _point(axes: mpl_axes.Axes, value: float, file: File, series: int | None) -> None:
  colour = drawing.COLOURS['line' if series is None else f'series-{series}']
  axes.plot([value], [file.accuracy], panels.SERIES[series or 0][0], markersize=6 if file.best else 5,
            markerfacecolor=colour if file.best else 'none', markeredgecolor=colour, markeredgewidth=1.1,
            zorder=1 if series is None else 3)


def _reach(values: Sequence[float]) -> tuple[float, float]:
  low, high = min(values), max(values)
  return low / max((high / low)**0.06, 1.1), high * max((high / low)**0.06, 1.1)


def ticks(low: float, high: float, width: float) -> list[float]:
  """Returns round numbers between two positive ones, as many as there is room for on a logarithmic axis.

  Args:
    low: the lower one.
    high: the higher one.
    width: of the axis, in pixels.
  """
  wanted = max(2, int(width / 42))
  for digits in ((1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9), (1, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,)):
    found = [digit * 10.0**power for power in range(-6, 10) for digit in digits if low <= digit * 10.0**power <= high]
    if len(found) <= wanted:
      return found
  return found[::-(-len(found) // wanted)]
