"""Plots as SVG that lives inside a page: its text is text, and its colours and type are the page's own."""

from collections.abc import Iterable
from collections.abc import Sequence
import contextlib
import io
import re
from typing import Any
import warnings
import xml.etree.ElementTree as ElementTree

from matplotlib import axes as mpl_axes
from matplotlib import figure
from matplotlib import style
from matplotlib import ticker
import numpy as np
import numpy.typing as npt

from tickets_tf.judging.verdicts import Judgement
from tickets_tf.judging.verdicts import KeepRatios
from tickets_tf.judging.verdicts import Verdicts
from tickets_tf.report import wording

_Floats = npt.NDArray[np.float64]

# The page's CSS says what these stand for, in light and in dark; the values here never show.
_COLOURS = {name: f'#fe{index:02x}fe' for index, name in enumerate((
    'ink', 'muted', 'line', 'band', *wording.VERDICTS, 'series-0', 'series-1', 'series-2', 'series-3'))}
_SETTINGS = {
    'svg.fonttype': 'none', 'text.parse_math': False, 'font.size': 11, 'axes.unicode_minus': False,
    'text.color': _COLOURS['ink'], 'axes.labelcolor': _COLOURS['ink'], 'axes.labelsize': 11,
    'axes.edgecolor': _COLOURS['muted'], 'axes.facecolor': 'none', 'figure.facecolor': 'none',
    'axes.spines.top': False, 'axes.spines.right': False, 'axes.spines.left': False, 'axes.axisbelow': True,
    'xtick.color': _COLOURS['muted'], 'xtick.labelcolor': _COLOURS['ink'], 'xtick.labelsize': 10,
    'grid.color': _COLOURS['line'], 'grid.linewidth': 0.8,
    'legend.frameon': False, 'legend.fontsize': 10,
}
# All in pixels of the page at full width.
_WIDTH, _LEFT, _RIGHT, _TOP, _BOTTOM = 420, 122, 14, 18, 42
_CHECK, _LAYER, _MOST_LAYERS = 44, 15, 48
_SERIES = (('o', '-'), ('s', '--'), ('^', '-.'), ('D', ':'))


def accuracies(judgements: Sequence[Judgement], dense: float | None, name: str) -> str:
  """Draws the test accuracies of a rule at one ratio: original and checked ticket of each seed, joined, and the means.

  Args:
    judgements: those of one rule at one ratio.
    dense: mean accuracy of the dense network in percent, or None.
    name: unique to the plot within its page.

  Returns:
    An `<svg>` element as text.
  """
  with _style(name):
    axes = _axes(_CHECK * len(judgements))
    for row, judgement in enumerate(judgements):
      colour = _COLOURS[judgement.verdict]
      original, checked = (_numbers(sample.accuracies) for sample in (judgement.original, judgement.checked))
      heights = _heights(row, len(original))
      axes.hlines(heights, original, checked, color=_COLOURS['muted'], linewidth=0.8, zorder=2)
      size = _marker_size(len(original))
      axes.plot(original, heights, 'o', markersize=size, markerfacecolor='none', markeredgecolor=_COLOURS['ink'],
                markeredgewidth=1)
      axes.plot(checked, heights, 'o', markersize=size, color=colour, markeredgewidth=0)
      for sample, line_colour in ((judgement.original, _COLOURS['ink']), (judgement.checked, colour)):
        if sample.mean is not None:
          axes.vlines(sample.mean, row - 0.42, row + 0.42, color=line_colour, linewidth=1.8)
      _mark_cut(axes, judgement, np.fmin(original, checked), heights)
    if dense is not None:
      _mark_dense(axes, dense)
    axes.set_xlabel('test accuracy, %')
    axes.xaxis.set_major_locator(ticker.MaxNLocator(6))
    _list_checks(axes, judgements)
    return _svg(axes)


def differences(judgements: Sequence[Judgement], margin: float, reach: tuple[float, float], name: str) -> str:
  """Draws original - checked of each seed, their means with intervals, and the band of the margin.

  The axis is an asinh scale: even within the margin, about logarithmic beyond, so that a drop of a tenth of a point
  and one of fifty can be read off one plot.

  Args:
    judgements: as in `accuracies`.
    margin: in percent points.
    reach: (low, high), what the axis has to show in percent points; see `reach`.
    name: unique to the plot within its page.

  Returns:
    An `<svg>` element as text.
  """
  with _style(name):
    axes = _axes(_CHECK * len(judgements))
    axes.axvspan(-margin, margin, color=_COLOURS['band'], linewidth=0, zorder=0)
    axes.axvline(0, color=_COLOURS['muted'], linewidth=1, zorder=1)
    for row, judgement in enumerate(judgements):
      colour = _COLOURS[judgement.verdict]
      each = _paired(judgement)
      heights = row - 0.12 + 0.8 * (_heights(row, len(each)) - row)
      axes.plot(each, heights, 'o', markersize=_marker_size(len(each)), markerfacecolor='none',
                markeredgecolor=_COLOURS['ink'], markeredgewidth=1)
      found = judgement.difference
      if found.interval is not None:
        axes.hlines(row + 0.32, *_numbers(found.interval), color=colour, linewidth=3)
      if found.mean is not None:
        axes.plot(found.mean, row + 0.32, 'D', markersize=7, color=colour, markeredgewidth=0)
      _mark_cut(axes, judgement, each, heights)
    axes.set_xscale('asinh', linear_width=margin)
    ticks = [margin * times for times in (-100, -20, -4, -1, 0, 1, 4, 20, 100)]
    axes.xaxis.set_major_locator(ticker.FixedLocator(ticks))
    axes.xaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f'{value:g}'))
    axes.xaxis.set_minor_locator(ticker.NullLocator())
    axes.set_xlim(*reach)
    axes.set_xlabel('original - checked, points')
    _list_checks(axes, judgements)
    for row, judgement in enumerate(judgements):
      verdict = judgement.verdict
      _label(axes, row, f'{wording.MARKS[verdict]} {verdict}', 14, color=_COLOURS[verdict], fontsize=10)
    return _svg(axes)


def reach(verdicts: Verdicts) -> tuple[float, float]:
  """Returns (low, high) in percent points that all differences of all plots fit in, so that plots can be compared."""
  found = [np.array([2 * verdicts.margin])]
  for judgement in verdicts.judgements:
    found += [_paired(judgement), _numbers(judgement.difference.interval or ())]
  values = np.concatenate(found)
  values = values[np.isfinite(values)]
  return max(1.3 * min(-values[0], values.min()), -100), min(1.3 * values.max(), 100)


def keep_ratios(profiles: Sequence[KeepRatios], name: str) -> str:
  """Draws the keep ratio of every layer, one line for each pruning ratio, on a logarithmic axis.

  Args:
    profiles: those of one rule, all with the same layers.
    name: unique to the plot within its page.

  Returns:
    An `<svg>` element as text.
  """
  layers = profiles[0].layers
  with _style(name):
    axes = _axes(_LAYER * min(len(layers), _MOST_LAYERS) + 8, left=168, top=14 + 14 * -(-len(profiles) // 3))
    ratios = [_numbers(profile.original) for profile in profiles]
    kept = np.concatenate(ratios)
    kept = kept[kept > 0]
    floor = 10.0**np.floor(np.log10(min(kept.min(initial=1), 0.5)) - 0.1)
    rows = np.arange(len(layers))
    for index, (profile, values) in enumerate(zip(profiles, ratios, strict=True)):
      marker, line = _SERIES[index % len(_SERIES)]
      colour = _COLOURS[f'series-{index % len(_SERIES)}']
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
    _list_rows(axes, len(layers))
    for row in rows[::step]:
      _label(axes, row, _shortened(layers[row], 24), fontsize=10)
    axes.legend(loc='lower center', bbox_to_anchor=(0.3, 1), ncols=3, borderaxespad=0.2, handlelength=2.4)
    return _svg(axes)


def _style(name: str) -> contextlib.AbstractContextManager[None]:
  # Whatever the user's Matplotlib is set to. Identifiers hash the name: unique in a page, and the same each time.
  return style.context(['default', {**_SETTINGS, 'svg.hashsalt': name}])


def _axes(height: float, left: float = _LEFT, top: float = _TOP) -> mpl_axes.Axes:
  """Returns axes of a new figure, `height` pixels high, with room for text around them."""
  total = height + top + _BOTTOM
  # Matplotlib writes 72 units to the inch.
  drawing = figure.Figure(figsize=(_WIDTH / 72, total / 72))
  return drawing.add_axes((left / _WIDTH, _BOTTOM / total, (_WIDTH - left - _RIGHT) / _WIDTH, height / total))


def _svg(axes: mpl_axes.Axes) -> str:
  """Returns the axes' figure as an `<svg>` element that takes size, type and colours from the page."""
  written = io.StringIO()
  with warnings.catch_warnings():
    # The reader's fonts draw the text; that Matplotlib's own has no such letter does not matter.
    warnings.filterwarnings('ignore', 'Glyph .* missing from font')
    drawing = axes.figure
    assert isinstance(drawing, figure.Figure)
    drawing.savefig(written, format='svg')
  return _for_page(written.getvalue())


def _for_page(svg: str) -> str:
  root = ElementTree.fromstring(svg)
  names = {value: f'var(--{name})' for name, value in _COLOURS.items()}
  used = set(re.findall(r'#(\w+)', ' '.join(value for element in root.iter() for value in element.attrib.values())))
  for parent in root.iter():
    for child in list(parent):
      # The metadata hold the date, and a style would be the whole page's.
      if child.tag.endswith(('}metadata', '}style')):
        parent.remove(child)
  for element in root.iter():
    element.tag = element.tag.split('}')[1]
    attributes = {key.split('}')[-1]: value for key, value in element.attrib.items()}
    if attributes.get('id') not in used:
      attributes.pop('id', None)
    if 'style' in attributes:
      # Matplotlib writes the type as one property or as several, by its version.
      text = re.sub(r'font: (?:\d+ )?([\d.]+px) [^;]*', r'font-size: \1', attributes['style'])
      text = re.sub('font-family: [^;]*; ', '', text)
      attributes['style'] = re.sub('#[0-9a-f]{6}', lambda found: names.get(found[0], found[0]), text)
    element.attrib.clear()
    element.attrib.update(attributes)
  for key in ('width', 'height', 'version'):
    root.attrib.pop(key)
  return ElementTree.tostring(root, encoding='unicode', method='html')


def _numbers(values: Iterable[float | None]) -> _Floats:
  # None becomes NaN, which is not drawn.
  return np.array(tuple(values), np.float64)


def _paired(judgement: Judgement) -> _Floats:
  return _numbers(judgement.original.accuracies) - _numbers(judgement.checked.accuracies)


def _heights(row: int, seeds: int) -> _Floats:
  # The first seed on top, as in tables.
  return row + (np.linspace(-0.3, 0.3, seeds) if seeds > 1 else np.zeros(1))


def _marker_size(seeds: int) -> float:
  return float(np.clip(7 - seeds / 5, 3, 6))


def _mark_dense(axes: mpl_axes.Axes, dense: float) -> None:
  # Far from all tickets it is only pointed at, as a line there would draw them together.
  low, high = axes.get_xlim()
  text, place = f'dense {wording.number(dense)}', (dense - low) / (high - low)
  if 0 <= place <= 1:
    axes.axvline(dense, color=_COLOURS['muted'], linestyle=':', linewidth=1.2)
  else:
    text = f'{text} →' if place > 1 else f'← {text}'
  place = min(max(place, 0), 1)
  axes.annotate(text, (place, 1), xycoords='axes fraction', xytext=(0, 5), textcoords='offset points',
                ha='left' if place < 0.2 else 'right' if place > 0.8 else 'center', color=_COLOURS['muted'],
                fontsize=10)
  axes.set_xlim(low, high)


def _mark_cut(axes: mpl_axes.Axes, judgement: Judgement, values: _Floats, heights: _Floats) -> None:
  cut = np.array(judgement.collapsed or [False] * len(values), bool)
  axes.plot(values[cut], heights[cut], 'x', markersize=8, markeredgewidth=1.6, color=_COLOURS['ink'], zorder=5)


def _list_checks(axes: mpl_axes.Axes, judgements: Sequence[Judgement]) -> None:
  _list_rows(axes, len(judgements))
  for row, judgement in enumerate(judgements):
    _label(axes, row, _shortened(judgement.check, 16), fontsize=11)


def _list_rows(axes: mpl_axes.Axes, rows: int) -> None:
  # From top to bottom, as a table reads.
  axes.set_ylim(rows - 0.5, -0.5)
  axes.set_yticks([])
  axes.grid(True, axis='x')
  axes.hlines(np.arange(rows - 1) + 0.5, 0, 1, transform=axes.get_yaxis_transform(), color=_COLOURS['line'],
              linewidth=0.6)


def _label(axes: mpl_axes.Axes, row: int, text: str, below: float = 0, **kwargs: Any) -> None:
  axes.annotate(text, (0, row), xycoords=('axes fraction', 'data'), xytext=(-8, -below), textcoords='offset points',
                ha='right', va='center', **kwargs)


def _shortened(text: str, letters: int) -> str:
  text = wording.one_line(text)
  return text if len(text) <= letters else f'{text[:letters - 1]}…'
