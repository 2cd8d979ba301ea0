"""Plots of a sanity check's report."""

from collections.abc import Iterable
from collections.abc import Sequence
import dataclasses

from matplotlib import axes as mpl_axes
from matplotlib import ticker
import numpy as np

from tickets_tf.judging.verdicts import Judgement
from tickets_tf.judging.verdicts import KeepRatios
from tickets_tf.judging.verdicts import Ladder
from tickets_tf.report import drawing
from tickets_tf.report import wording

# In pixels of the page at full width.
_CHECK, _ROW, _FOREST_LEFT, _LADDER_LEFT, _LAYER, _MOST_LAYERS = 44, 34, 158, 158, 15, 48
_SERIES = (('o', '-'), ('s', '--'), ('^', '-.'), ('D', ':'))


@dataclasses.dataclass(frozen=True)
class Scale:
  """The axis of forest plots, the same in all of a page: even within `margin`, about logarithmic beyond (asinh).

  So a drop of a tenth of a point and one of fifty can be read off one plot. All in percent points.
  """
  margin: float
  low: float
  high: float


def scale(judgements: Iterable[Judgement]) -> Scale:
  """Returns the scale that holds the intervals of all judgements, at most from -100 to 100 points."""
  judgements = list(judgements)
  margin = min((each.margin for each in judgements if each.margin), default=1.0)
  values = np.concatenate([[-2 * margin, 2 * margin], *(_ends(each) for each in judgements)])
  values = values[np.isfinite(values)]
  return Scale(margin, max(1.3 * values.min(), -100), min(1.3 * values.max(), 100))


def forest(rows: Sequence[tuple[str, Judgement]], axis: Scale, name: str, zero: str = 'original - checked, points'
           ) -> str:
  """Draws a row for each comparison: the drop, its interval in the rule's family, that of the whole call thinner.

  The grey band is the margin. A comparison without an interval has its estimate alone.

  Args:
    rows: (name of the row, what is drawn in it).
    axis: see `scale`.
    name: unique to the plot within its page.
    zero: name of the axis.

  Returns:
    An `<svg>` element as text.
  """
  with drawing.in_style(name):
    return drawing.svg(draw_forest(rows, axis, zero))


def draw_forest(rows: Sequence[tuple[str, Judgement]], axis: Scale, zero: str = 'original - checked, points'
                ) -> mpl_axes.Axes:
  """Draws a forest plot in the style that holds; arguments as for `forest`."""
  axes = drawing.axes_of(_ROW * len(rows), left=_FOREST_LEFT)
  axes.axvline(0, color=drawing.COLOURS['ink'], linewidth=1, zorder=1)
  for row, (_, judgement) in enumerate(rows):
    colour = drawing.COLOURS[wording.kind(judgement)]
    if judgement.margin:
      axes.barh(row, 2 * judgement.margin, 1, -judgement.margin, color=drawing.COLOURS['band'], linewidth=0, zorder=0)
    for found, width in ((judgement.interval.whole_call, 1.2), (judgement.interval.rule_family, 4)):
      if found is not None:
        axes.hlines(row, *drawing.numbers(found), color=colour, linewidth=width)
    if judgement.drop is not None:
      axes.plot(judgement.drop, row, 'D', markersize=7, color=colour, markeredgewidth=0)
  axes.set_xscale('asinh', linear_width=axis.margin)
  ticks = [axis.margin * times for times in (-100, -20, -4, -1, 0, 1, 4, 20, 100)]
  axes.xaxis.set_major_locator(ticker.FixedLocator(ticks))
  axes.xaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f'{value:.3g}'))
  axes.xaxis.set_minor_locator(ticker.NullLocator())
  axes.set_xlim(axis.low, axis.high)
  axes.set_xlabel(zero)
  drawing.list_rows(axes, len(rows))
  for row, (label, judgement) in enumerate(rows):
    kind = wording.kind(judgement)
    drawing.label(axes, row, drawing.shortened(label, 22), -7, fontsize=11)
    text = f'{wording.MARKS[kind]} {wording.interval(judgement) or "no interval"}'
    drawing.label(axes, row, text, 7, color=drawing.COLOURS[kind], fontsize=10)
  return axes


def waterfall(ladder: Ladder, names: Sequence[str], name: str) -> str:
  """Draws what takes a ticket apart: mean accuracies at both ends, and the step between each two as a bar.

  The line at the end of a bar is the interval of the step's drop.

  Args:
    ladder: what is drawn.
    names: what each step is the worth of.
    name: unique to the plot within its page.

  Returns:
    An `<svg>` element as text.
  """
  with drawing.in_style(name):
    return drawing.svg(draw_waterfall(ladder, names))


def draw_waterfall(ladder: Ladder, names: Sequence[str]) -> mpl_axes.Axes:
  """Draws a waterfall in the style that holds; arguments as for `waterfall`."""
  rungs, steps = ladder.rungs, ladder.steps
  axes = drawing.axes_of(_ROW * (len(steps) + 2), left=_LADDER_LEFT)
  drawing.list_rows(axes, len(steps) + 2)
  for row, label, rung in ((0, ladder.names[0], rungs[0]), (len(steps) + 1, ladder.names[-1], rungs[-1])):
    axes.plot(drawing.numbers([rung.mean]), [row], 'o', markersize=8, color=drawing.COLOURS['ink'], markeredgewidth=0)
    drawing.label(axes, row, drawing.shortened(label, 22), -7, fontsize=11)
    drawing.label(axes, row, f'{wording.mean_and_deviation(rung)}%', 7, fontsize=10)
  for row, (before, after, step, label) in enumerate(zip(rungs, rungs[1:], steps, names, strict=False), 1):
    kind = wording.kind(step)
    above, below = drawing.numbers((before.mean, after.mean))
    axes.barh(row, below - above, 0.44, above, color=drawing.COLOURS[kind], linewidth=0, zorder=2)
    # The thin upright lines carry a level on to the next row.
    axes.vlines(above, row - 1, row, color=drawing.COLOURS['muted'], linewidth=0.8, linestyle=':')
    axes.vlines(below, row, row + 1, color=drawing.COLOURS['muted'], linewidth=0.8, linestyle=':')
    if step.interval.rule_family is not None:
      low, high = drawing.numbers(step.interval.rule_family)
      axes.hlines(row + 0.34, above - high, above - low, color=drawing.COLOURS['ink'], linewidth=2.5, zorder=3)
    drawing.label(axes, row, drawing.shortened(label, 22), -7, fontsize=11)
    drawing.label(axes, row, f'{wording.MARKS[kind]} {wording.interval(step) or "no interval"}', 7,
                  color=drawing.COLOURS[kind], fontsize=10)
  axes.margins(x=0.06)
  axes.set_xlabel('test accuracy, %')
  axes.xaxis.set_major_locator(ticker.MaxNLocator(6))
  return axes


def accuracies(judgements: Sequence[Judgement], dense: float | None, name: str) -> str:
  """Draws the test accuracies of a rule at one ratio: original and checked ticket of each seed, joined, and the means.

  Args:
    judgements: those of one rule at one ratio.
    dense: mean accuracy of the dense network in percent, or None.
    name: unique to the plot within its page.

  Returns:
    An `<svg>` element as text.
  """
  with drawing.in_style(name):
    axes = drawing.axes_of(_CHECK * len(judgements))
    for row, judgement in enumerate(judgements):
      colour = drawing.COLOURS[wording.kind(judgement)]
      original, checked = (drawing.numbers(sample.accuracies) for sample in (judgement.original, judgement.checked))
      heights = _heights(row, len(original))
      axes.hlines(heights, original, checked, color=drawing.COLOURS['muted'], linewidth=0.8, zorder=2)
      size = float(np.clip(7 - len(original) / 5, 3, 6))
      axes.plot(original, heights, 'o', markersize=size, markerfacecolor='none',
                markeredgecolor=drawing.COLOURS['ink'], markeredgewidth=1)
      axes.plot(checked, heights, 'o', markersize=size, color=colour, markeredgewidth=0)
      for sample, line_colour in ((judgement.original, drawing.COLOURS['ink']), (judgement.checked, colour)):
        if sample.mean is not None:
          axes.vlines(sample.mean, row - 0.42, row + 0.42, color=line_colour, linewidth=1.8)
      cut = np.array([any(pair) for pair in judgement.cut or ()] or [False] * len(original), bool)
      axes.plot(np.fmin(original, checked)[cut], heights[cut], 'x', markersize=8, markeredgewidth=1.6,
                color=drawing.COLOURS['ink'], zorder=5)
    if dense is not None:
      _mark_dense(axes, dense)
    axes.set_xlabel('test accuracy, %')
    axes.xaxis.set_major_locator(ticker.MaxNLocator(6))
    drawing.list_rows(axes, len(judgements))
    for row, judgement in enumerate(judgements):
      drawing.label(axes, row, drawing.shortened(judgement.check, 16), fontsize=11)
    return drawing.svg(axes)


def keep_ratios(profiles: Sequence[KeepRatios], name: str) -> str:
  """Draws the keep ratio of every layer, one line for each pruning ratio, on a logarithmic axis.

  Args:
    profiles: those of one rule, all with the same layers.
    name: unique to the plot within its page.

  Returns:
    An `<svg>` element as text.
  """
  layers = profiles[0].layers
  with drawing.in_style(name):
    axes = drawing.axes_of(_LAYER * min(len(layers), _MOST_LAYERS) + 8, left=168, top=14 + 14 * -(-len(profiles) // 3))
    ratios = [drawing.numbers(profile.original) for profile in profiles]
    kept = np.concatenate(ratios)
    kept = kept[kept > 0]
    floor = 10.0**np.floor(np.log10(min(kept.min(initial=1), 0.5)) - 0.1)
    rows = np.arange(len(layers))
    for index, (profile, values) in enumerate(zip(profiles, ratios, strict=True)):
      marker, line = _SERIES[index % len(_SERIES)]
      colour = drawing.COLOURS[f'series-{index % len(_SERIES)}']
      axes.plot(np.where(values > 0, values, np.nan), rows, marker=marker, linestyle=line, color=colour, markersize=4.5,
                linewidth=1.4, label=f'ratio {profile.ratio:g}')
      empty = rows[values == 0]
      axes.plot(np.full(len(empty), floor), empty, 'X', markersize=7, color=colour, markeredgewidth=0, clip_on=False)
    axes.set_xscale('log')
    axes.set_xlim(floor, 1.15)
    axes.xaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f'{value:g}'))
    axes.xaxis.set_minor_formatter(ticker.NullFormatter())
    axes.set_xlabel('keep ratio')
    step = -(-len(layers) // _MOST_LAYERS)
    drawing.list_rows(axes, len(layers))
    for row in rows[::step]:
      drawing.label(axes, row, drawing.shortened(layers[row], 24), fontsize=10)
    axes.legend(loc='lower center', bbox_to_anchor=(0.3, 1), ncols=3, borderaxespad=0.2, handlelength=2.4)
    return drawing.svg(axes)


def _ends(judgement: Judgement) -> drawing.Floats:
  found = judgement.interval
  return drawing.numbers((judgement.drop, *(found.rule_family or ()), *(found.whole_call or ())))


def _heights(row: int, seeds: int) -> drawing.Floats:
  # The first seed on top, as in tables.
  return row + (np.linspace(-0.3, 0.3, seeds) if seeds > 1 else np.zeros(1))


def _mark_dense(axes: mpl_axes.Axes, dense: float) -> None:
  # Far from all tickets it is only pointed at, as a line there would draw them together.
  low, high = axes.get_xlim()
  text, place = f'dense {wording.number(dense)}', (dense - low) / (high - low)
  if 0 <= place <= 1:
    axes.axvline(dense, color=drawing.COLOURS['muted'], linestyle=':', linewidth=1.2)
  else:
    text = f'{text} →' if place > 1 else f'← {text}'
  place = min(max(place, 0), 1)
  axes.annotate(text, (place, 1), xycoords='axes fraction', xytext=(0, 5), textcoords='offset points',
                ha='left' if place < 0.2 else 'right' if place > 0.8 else 'center', color=drawing.COLOURS['muted'],
                fontsize=10)
  axes.set_xlim(low, high)
