"""Drawings for a page, whose text is text and whose colours and type are the page's own, and for paper."""

from collections.abc import Iterable
from collections.abc import Mapping
import contextlib
import io
import re
from types import MappingProxyType
from typing import Any
import warnings
import xml.etree.ElementTree as ElementTree

from matplotlib import axes as mpl_axes
from matplotlib import figure
from matplotlib import rcsetup
from matplotlib import style
import numpy as np
import numpy.typing as npt

from tickets_tf.report import wording

Floats = npt.NDArray[np.float64]

_NAMES = ('ink', 'muted', 'line', 'band', *wording.NAMES, 'series-0', 'series-1', 'series-2', 'series-3')
# A colour by its place in the style that holds while something is drawn, which is Matplotlib's own notation. So a plot
# can be drawn for a page and for paper without knowing which.
COLOURS = {name: f'C{place}' for place, name in enumerate(_NAMES)}
# The page's CSS says what these stand for, in light and in dark; the values here never show.
_OF_PAGE = {name: f'#fe{place:02x}fe' for place, name in enumerate(_NAMES)}
_SETTINGS = {
    'svg.fonttype': 'none', 'text.parse_math': False, 'font.size': 11, 'axes.unicode_minus': False,
    'text.color': COLOURS['ink'], 'axes.labelcolor': COLOURS['ink'], 'axes.labelsize': 11,
    'axes.edgecolor': COLOURS['muted'], 'axes.facecolor': 'none', 'figure.facecolor': 'none',
    'axes.spines.top': False, 'axes.spines.right': False, 'axes.spines.left': False, 'axes.axisbelow': True,
    'xtick.color': COLOURS['muted'], 'xtick.labelcolor': COLOURS['ink'], 'xtick.labelsize': 10,
    'grid.color': COLOURS['line'], 'grid.linewidth': 0.8,
    'legend.frameon': False, 'legend.fontsize': 10,
}
# All in pixels of the page at full width.
_WIDTH, _LEFT, _RIGHT, _TOP, _BOTTOM = 420, 122, 14, 18, 42


def in_style(name: str, colours: Mapping[str, str] = _OF_PAGE, settings: Mapping[str, Any] = MappingProxyType({})
             ) -> contextlib.AbstractContextManager[None]:
  """Returns a context in which plots are drawn the same whatever the user's Matplotlib is set to.

  Args:
    name: unique to the plot within its page. Identifiers hash it: unique in a page, and the same each time.
    colours: a colour for each key of `COLOURS`; those that the page's CSS replaces if nothing else is given.
    settings: those of Matplotlib that differ from a page's.
  """
  cycle = rcsetup.cycler(color=[colours[each] for each in _NAMES])
  return style.context(['default', {**_SETTINGS, 'axes.prop_cycle': cycle, 'svg.hashsalt': name, **settings}])


def axes_of(height: float, left: float = _LEFT, top: float = _TOP) -> mpl_axes.Axes:
  """Returns axes of a new figure with room for text around them.

  Args:
    height: of the axes, in pixels.
    left: room at the left, in pixels.
    top: room above, in pixels.
  """
  total = height + top + _BOTTOM
  # Matplotlib writes 72 units to the inch.
  drawing = figure.Figure(figsize=(_WIDTH / 72, total / 72))
  return drawing.add_axes((left / _WIDTH, _BOTTOM / total, (_WIDTH - left - _RIGHT) / _WIDTH, height / total))


def svg(axes: mpl_axes.Axes) -> str:
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
  names = {value: f'var(--{name})' for name, value in _OF_PAGE.items()}
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


def numbers(values: Iterable[float | None]) -> Floats:
  """Returns values as an array, float64; None becomes NaN, which is not drawn."""
  return np.array(tuple(values), np.float64)


def list_rows(axes: mpl_axes.Axes, rows: int) -> None:
  """Makes room for rows from top to bottom, as a table reads, with a thin line between them."""
  axes.set_ylim(rows - 0.5, -0.5)
  axes.set_yticks([])
  axes.grid(True, axis='x')
  axes.hlines(np.arange(rows - 1) + 0.5, 0, 1, transform=axes.get_yaxis_transform(), color=COLOURS['line'],
              linewidth=0.6)


def label(axes: mpl_axes.Axes, row: int, text: str, below: float = 0, **kwargs: Any) -> None:
  """Writes text to the left of a row, `below` pixels under its middle."""
  axes.annotate(text, (0, row), xycoords=('axes fraction', 'data'), xytext=(-8, -below), textcoords='offset points',
                ha='right', va='center', **kwargs)


def shortened(text: str, letters: int) -> str:
  """Returns text of at most so many letters."""
  text = wording.one_line(text)
  return text if len(text) <= letters else f'{text[:letters - 1]}…'
