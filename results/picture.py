"""Draws the verdicts of a study at one ratio as a table: python results/picture.py sanity_digits 0.98.

The picture is verdicts.svg beside the study's verdicts.json: for each rule and check the points of accuracy that the
check costs, coloured by the verdict.
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

FOLDER = pathlib.Path(__file__).resolve().parent
COLOURS = {'sensitive': '#bfe3c0', 'insensitive': '#f6c4b8', 'undecided': '#eeeeee'}
MEANING = {'sensitive': 'sensitive: the rule uses it', 'insensitive': 'insensitive: it does not',
           'undecided': 'undecided after these seeds'}
# In inches.
ROW, NAME, CELL, TOP, BOTTOM = 0.34, 1.9, 1.08, 0.9, 0.42


def draw(verdicts: Verdicts, ratio: float) -> figure.Figure:
  """Returns the table of the judgements at one ratio; planted controls are left out."""
  asked = [judgement for place, judgement in enumerate(verdicts.judgements)
           if judgement.ratio == ratio and place not in verdicts.planted]
  rules, checks = (list(dict.fromkeys(getattr(judgement, name) for judgement in asked)) for name in ('rule', 'check'))
  width, height = NAME + CELL * len(checks), TOP + ROW * len(rules) + BOTTOM
  drawing = figure.Figure(figsize=(width, height), facecolor='white')
  axes = drawing.add_axes((0, 0, 1, 1))
  axes.set_axis_off()
  axes.set_xlim(0, width)
  axes.set_ylim(height, 0)
  axes.text(0.1, 0.24, _title(verdicts, ratio), fontsize=11, fontweight='bold', va='center')
  axes.text(0.1, TOP - 0.2, 'rule, accuracy in %', fontsize=9, va='center')
  for column, check in enumerate(checks):
    axes.text(NAME + CELL * (column + 0.5), TOP - 0.2, check, fontsize=9, ha='center', va='center')
  for judgement in asked:
    _cell(axes, judgement, rules.index(judgement.rule), checks.index(judgement.check))
  for row, rule in enumerate(rules):
    original = next(judgement.original for judgement in asked if judgement.rule == rule)
    axes.text(0.1, TOP + ROW * (row + 0.5), rule, fontsize=10, va='center')
    axes.text(NAME - 0.15, TOP + ROW * (row + 0.5), f'{original.mean:.1f}', fontsize=10, ha='right', va='center')
  _legend(axes, height)
  return drawing


def _title(verdicts: Verdicts, ratio: float) -> str:
  of = verdicts.settings
  return (f'Points of accuracy that a check costs: {of["model"]} on {of["dataset"]}, {ratio:.0%} of the weights '
          f'removed, {len(verdicts.seeds)} seeds')


def _cell(axes: Axes, judgement: Judgement, row: int, column: int) -> None:
  left, top = NAME + CELL * column, TOP + ROW * row
  axes.add_patch(Rectangle((left + 0.02, top + 0.02), CELL - 0.04, ROW - 0.04, color=COLOURS[judgement.verdict]))
  text = f'{judgement.difference.mean:.1f}'.replace('-', '\N{MINUS SIGN}').replace('\N{MINUS SIGN}0.0', '0.0')
  axes.text(left + CELL / 2, top + ROW / 2, text, fontsize=10, ha='center', va='center',
            fontweight='normal' if judgement.verdict == 'undecided' else 'bold')


def _legend(axes: Axes, height: float) -> None:
  for number, (verdict, text) in enumerate(MEANING.items()):
    left = NAME + 2.4 * number
    axes.add_patch(Rectangle((left, height - 0.3), 0.3, 0.2, color=COLOURS[verdict]))
    axes.text(left + 0.4, height - 0.2, text, fontsize=9, va='center')


def main(study: str, ratio: str) -> None:
  """Writes the picture of a study."""
  verdicts = verdicts_file.read(FOLDER / study / 'verdicts.json')
  # Text stays text, and the same verdicts give the same bytes.
  with rc_context({'svg.fonttype': 'none', 'svg.hashsalt': study, 'font.family': 'sans-serif'}):
    draw(verdicts, float(ratio)).savefig(FOLDER / study / 'verdicts.svg', metadata={'Date': None})


if __name__ == '__main__':
  main(*sys.argv[1:])
