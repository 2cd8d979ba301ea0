"""A drawing of the scoreboard: inside a page, and as files for print."""

from collections.abc import Callable
import dataclasses
import io
import pathlib
import re
import warnings

from matplotlib import axes as mpl_axes
from matplotlib import figure
import markupsafe

from tickets_tf import files
from tickets_tf.report import drawing
from tickets_tf.report import wording

# Dark enough on white, apart for colour-blind readers and apart in grey: after Okabe and Ito (2008), darkened.
PAPER = {'ink': '#000000', 'muted': '#595959', 'line': '#d0d0d0', 'band': '#e2e2e2', wording.USES: '#0060a0',
         wording.BETTER_WITHOUT: '#b34700', wording.EQUIVALENT: '#5d3a9b', wording.WORTH_LESS: '#5d3a9b',
         wording.OPEN: '#595959', wording.UNAFFECTED: '#595959', 'series-0': '#0060a0', 'series-1': '#b34700',
         'series-2': '#00785a', 'series-3': '#8c3f75'}
_DOTS_PER_INCH = 200

Painter = Callable[[], mpl_axes.Axes]


@dataclasses.dataclass(frozen=True)
class Drawing:
  """One drawing.

  Attributes:
    name: unique among the drawings of a report, and the stem of its files, see `stem`.
    title: what it is of, one line.
    caption: how it is to be read, for everyone; plain text.
    text: what it shows in words and numbers, for those who do not see it; plain text.
    paint: draws it in the style that holds and returns any axes of the figure.
  """
  name: str
  title: str
  caption: str
  text: str
  paint: Painter = dataclasses.field(compare=False, repr=False)

  def svg(self) -> markupsafe.Markup:
    """Returns it as an `<svg>` element for a page whose CSS has the colours of `drawing.COLOURS`, as in `--ink`."""
    with drawing.in_style(self.name):
      painted = drawing.svg(self.paint())
    return markupsafe.Markup('{}{}').format(
        markupsafe.Markup('<svg role="img" aria-label="{}"').format(f'{self.title}. {self.text}'),
        markupsafe.Markup(painted.removeprefix('<svg')))

  def write(self, folder: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
    """Writes it as SVG and PNG, each whole or not at all, with the same bytes for the same drawing.

    Args:
      folder: an existing folder.

    Returns:
      The two files.

    Raises:
      TicketsError: if a file cannot be written.
    """
    paths = folder / f'{self.name}.svg', folder / f'{self.name}.png'
    with drawing.in_style(self.name, PAPER, {'svg.fonttype': 'path', 'figure.facecolor': 'white'}):
      painted = self.paint().figure
      assert isinstance(painted, figure.Figure)
      # Neither a date nor Matplotlib's version: they would change the bytes and tell nothing.
      made = (_saved(painted, 'svg', {'Date': None, 'Creator': None}), _saved(painted, 'png', {'Software': None}))
    for path, content in zip(paths, made, strict=True):
      with files.replacing(path) as temporary:
        temporary.write_bytes(content)
    return paths


def stem(*parts: str) -> str:
  """Returns parts as a name for `Drawing`: lower-case letters, digits, hyphens and points."""
  return '-'.join(filter(None, (re.sub('[^a-z0-9.]+', '-', part.lower()).strip('-.') for part in parts)))


def _saved(painted: figure.Figure, kind: str, metadata: dict[str, None]) -> bytes:
  written = io.BytesIO()
  with warnings.catch_warnings():
    # A letter that Matplotlib's own type lacks is a box on paper; the page has it.
    warnings.filterwarnings('ignore', 'Glyph .* missing from font')
    painted.savefig(written, format=kind, metadata=metadata, dpi=_DOTS_PER_INCH if kind == 'png' else 'figure')
  return written.getvalue()
