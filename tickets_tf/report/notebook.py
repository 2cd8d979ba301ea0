"""Reports as the value of a notebook's cell."""

import dataclasses
import html

from tickets_tf.judging.verdicts import Verdicts


@dataclasses.dataclass(frozen=True)
class Page:
  """A page that a notebook shows if it is the value of a cell, in a frame of its own: it has its own style.

  Attributes:
    html: a whole HTML document that needs no network.
    height: of the frame, in pixels.
  """
  html: str = dataclasses.field(repr=False)
  height: int

  def _repr_html_(self) -> str:
    return (f'<iframe title="report" srcdoc="{html.escape(self.html)}" '
            f'style="width: 100%; height: {self.height}px; border: 0"></iframe>')


def sanity_page(verdicts: Verdicts, height: int = 900) -> Page:
  """Returns report.html, as the value of a notebook's cell.

  Args:
    verdicts: what it shows.
    height: of the frame that the notebook shows it in, in pixels.
  """
  from tickets_tf.report import page  # Matplotlib is slow to import.
  return Page(page.html(verdicts), height)
