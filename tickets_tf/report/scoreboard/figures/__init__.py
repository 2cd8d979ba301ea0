"""The plots of the scoreboard. FIGURES is all of them: a row more is a plot more."""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
import dataclasses
import pathlib

from tickets_tf.report.scoreboard.cells import Table
from tickets_tf.report.scoreboard.figures import accuracy
from tickets_tf.report.scoreboard.figures import comparisons
from tickets_tf.report.scoreboard.figures import exported
from tickets_tf.report.scoreboard.figures import layers
from tickets_tf.report.scoreboard.figures import mask_of_layer
from tickets_tf.report.scoreboard.figures import overlap
from tickets_tf.report.scoreboard.figures import training
from tickets_tf.report.scoreboard.figures.drawings import Drawing
from tickets_tf.report.scoreboard.found import Found

# What is drawn, and (what, why not) of what could have been.
Drawn = Iterable[Drawing | tuple[str, str]]


@dataclasses.dataclass(frozen=True)
class Figure:
  """A kind of plot.

  Attributes:
    name: its name.
    title: what it shows, for a heading.
    draw: yields the drawings of all that was found, and (what, why) of what had to be left out.
    needs: why there is nothing, if it yields nothing.
  """
  name: str
  title: str
  draw: Callable[[Found, Sequence[Table]], Drawn]
  needs: str


FIGURES = (
    Figure('accuracy', 'Accuracy against density', accuracy.draw, 'no pruned network was found'),
    Figure('forest', 'Drops and their bounds', comparisons.forests, 'no verdicts.json with comparisons was found'),
    Figure('waterfall', 'What tickets are made of', comparisons.waterfalls,
           'no verdicts.json of bin/sanity_check --ladder was found'),
    Figure('layers', 'Keep ratio of each layer', layers.draw, 'no pruned network was found'),
    Figure('overlap', 'Overlap of masks', overlap.draw, 'no two masks of the same network and ratio were found'),
    Figure('mask', 'Mask of a layer', mask_of_layer.draw, 'no pruned network was found'),
    Figure('training', 'Accuracy in training', training.curves, 'no run has a metrics.jsonl'),
    Figure('density', 'Density of moving masks in training', training.moving, 'no mask moves in training'),
    Figure('export', 'Size and latency against accuracy', exported.draw, 'no run was exported by bin/export'),
)


@dataclasses.dataclass(frozen=True)
class Drawings:
  """All drawings of a report, in order; iterates over `drawings`.

  Attributes:
    drawings: what was drawn.
    left_out: (what, why it was not drawn, in one line).
  """
  drawings: tuple[Drawing, ...]
  left_out: tuple[tuple[str, str], ...]

  def __iter__(self) -> Iterator[Drawing]:
    return iter(self.drawings)

  def __len__(self) -> int:
    return len(self.drawings)


def draw(found: Found, tables: Sequence[Table]) -> Drawings:
  """Returns all plots that there is something for.

  Nothing is painted yet: that is done by `Drawing.svg` and `Drawing.write`.

  Args:
    found: the runs and verdicts.
    tables: what `cells.tables` makes of the runs.
  """
  drawings: list[Drawing] = []
  left_out: list[tuple[str, str]] = []
  for figure in FIGURES:
    made = list(figure.draw(found, tables))
    drawings += [each for each in made if isinstance(each, Drawing)]
    left_out += [each for each in made if not isinstance(each, Drawing)] or [(figure.title, figure.needs)] * (not made)
  return Drawings(tuple(drawings), tuple(left_out))


def write(drawings: Iterable[Drawing], folder: str | pathlib.Path) -> list[pathlib.Path]:
  """Writes every drawing as SVG and as PNG for print, into a folder that is made if need be.

  The files are readable in black and white and by colour-blind readers, and have the same bytes for the same runs.

  Args:
    drawings: what to write.
    folder: the folder.

  Returns:
    The files.

  Raises:
    TicketsError: if a file cannot be written.
  """
  folder = pathlib.Path(folder)
  folder.mkdir(parents=True, exist_ok=True)
  return [path for drawing in drawings for path in drawing.write(folder)]
