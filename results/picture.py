"""Draws the verdicts of a study at one ratio as a table: python results/picture.py sanity_digits 0.98.

The picture is verdicts.svg beside the study's verdicts.json: for each rule the bounds of what it has above luck, and of
the points of accuracy that each check costs it, coloured by what they say.
"""

import pathlib
import sys

from matplotlib import figure
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from tickets_tf.judging import verdicts as verdicts_file
from tickets_tf.judging.verdicts import Judgement
from tickets_tf.judging.verdicts import Verdicts
from tickets_tf.report import method
from tickets_tf.report import wording

FOLDER = pathlib.Path(__file__).resolve().parent
LUCK = 'above luck'
COLOURS = {wording.USES: '#bfe3c0', wording.BETTER_WITHOUT: '#f6c4b8', wording.EQUIVALENT: '#d5cdf0',
           wording.WORTH_LESS: '#d5cdf0', wording.OPEN: '#eeeeee', wording.UNAFFECTED: '#ffffff'}
MEANING = {wording.USES: 'above 0: uses it, beats luck', wording.BETTER_WITHOUT: 'below 0: better without it',
           wording.WORTH_LESS: 'below the margin', wording.OPEN: 'open: the seeds do not tell'}
# In inches.
ROW, NAME, CELL, TOP, BOTTOM = 0.34, 1.9, 1.12, 0.9, 0.42


def draw(verdicts: Verdicts, ratio: float) -> figure.Figure:
  """Returns the table of the judgements at one ratio; planted controls are left out."""
  asked = [judgement for judgement in verdicts.judgements if judgement.ratio == ratio]
  cells = [*((LUCK, judgement) for judgement in verdicts.luck if judgement.ratio == ratio),
           *((judgement.check, judgement) for judgement in asked)]
  rules = list(dict.fromkeys(judgement.rule for judgement in asked))
  columns = list(dict.fromkeys(column for column, _ in cells))
  width, height = NAME + CELL * len(columns), TOP + ROW * len(rules) + BOTTOM
  drawing = figure.Figure(figsize=(width, height), facecolor='white')
  axes = drawing.add_axes((0, 0, 1, 1))
  axes.set_axis_off()
  axes.set_xlim(0, width)
  axes.set_ylim(height, 0)
  axes.text(0.1, 0.24, _title(verdicts, ratio), fontsize=11, fontweight='bold', va='center')
  axes.text(0.1, 0.47, f'Bounds, which hold with {method.confidence(verdicts)} for all comparisons of a rule together',
            fontsize=9, va='center')
  axes.text(0.1, TOP - 0.2, 'rule, accuracy in %', fontsize=9, va='center')
  for column, check in enumerate(columns):
    axes.text(NAME + CELL * (column + 0.5), TOP - 0.2, check, fontsize=9, ha='center', va='center')
  for column, judgement in cells:
    _cell(axes, judgement, rules.index(judgement.rule), columns.index(column))
  for row, rule in enumerate(rules):
    original = next(judgement.original for judgement in asked if judgement.rule == rule)
    axes.text(0.1, TOP + ROW * (row + 0.5), rule, fontsize=10, va='center')
    axes.text(NAME - 0.15, TOP + ROW * (row + 0.5), f'{original.mean:.1f}', fontsize=10, ha='right', va='center')
  _legend(axes, height)
  return drawing


def text(judgement: Judgement) -> str:
  """Returns what stands in a cell: the bounds of the drop for all of the rule together, rounded outwards."""
  found = judgement.interval.rule_family
  if judgement.unaffected or found is None:
    return 'the same' if judgement.unaffected else 'no bounds'
  return ' to '.join(wording.ends(*found, digits=1)).replace('-', '\N{MINUS SIGN}')


def _title(verdicts: Verdicts, ratio: float) -> str:
  of = verdicts.settings
  return (f'Points of accuracy that a check costs: {of["model"]} on {of["dataset"]}, {ratio:.0%} of the weights '
          f'removed, {len(verdicts.seeds)} seeds')


def _cell(axes: Axes, judgement: Judgement, row: int, column: int) -> None:
  left, top, kind = NAME + CELL * column, TOP + ROW * row, wording.kind(judgement)
  axes.add_patch(Rectangle((left + 0.02, top + 0.02), CELL - 0.04, ROW - 0.04, color=COLOURS[kind]))
  axes.text(left + CELL / 2, top + ROW / 2, text(judgement), fontsize=9.5, ha='center', va='center',
            fontweight='normal' if kind in (wording.OPEN, wording.UNAFFECTED) else 'bold')


def _legend(axes: Axes, height: float) -> None:
  for number, (kind, meaning) in enumerate(MEANING.items()):
    left = NAME + 2.25 * number
    axes.add_patch(Rectangle((left, height - 0.3), 0.3, 0.2, color=COLOURS[kind]))
    axes.text(left + 0.4, height - 0.2, meaning, fontsize=9, va='center')


def main(study: str, ratio: str) -> None:
  """Writes the picture of a study."""
  verdicts = verdicts_file.read(FOLDER / study / 'verdicts.json')
  # Text stays text, and the same verdicts give the same bytes.
  with rc_context({'svg.fonttype': 'none', 'svg.hashsalt': study, 'font.family': 'sans-serif'}):
    draw(verdicts, float(ratio)).savefig(FOLDER / study / 'verdicts.svg', metadata={'Date': None})


if __name__ == '__main__':
  main(*sys.argv[1:])
