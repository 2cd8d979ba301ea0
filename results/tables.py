"""Prints the verdicts of a study as the tables of its page: python results/tables.py sanity_digits.

A cell has the bounds of the points of accuracy that a check costs, bold if they are above 0, in italics if they are
below 0, with a < if they are below the margin.
"""

import pathlib
import sys

from picture import LUCK
from picture import text

from tickets_tf.judging import verdicts as verdicts_file
from tickets_tf.judging.verdicts import Judgement
from tickets_tf.judging.verdicts import Verdicts
from tickets_tf.report import wording

FOLDER = pathlib.Path(__file__).resolve().parent
_STYLES = {wording.USES: '**{}**', wording.BETTER_WITHOUT: '*{}*', wording.EQUIVALENT: '< {}',
           wording.WORTH_LESS: '< {}'}


def table(verdicts: Verdicts, ratio: float) -> str:
  """Returns the table of all rules at one ratio, Markdown; planted controls are left out."""
  asked = [judgement for judgement in verdicts.judgements if judgement.ratio == ratio]
  checks = list(dict.fromkeys(judgement.check for judgement in asked))
  luck = {judgement.rule: judgement for judgement in verdicts.luck if judgement.ratio == ratio}
  header = ['rule', 'original, %', *[LUCK] * bool(luck), *checks]
  rows = []
  for rule in dict.fromkeys(judgement.rule for judgement in asked):
    by_check = {judgement.check: judgement for judgement in asked if judgement.rule == rule}
    original = next(iter(by_check.values())).original
    spread = '' if original.deviation is None else f' ± {original.deviation:.1f}'
    above = [_cell(luck[rule]) if rule in luck else wording.NOTHING] * bool(luck)
    rows.append([rule, f'{original.mean:.1f}{spread}', *above, *(_cell(by_check[check]) for check in checks)])
  return '\n'.join(f'| {" | ".join(row)} |' for row in (header, ['---'] * len(header), *rows))


def _cell(judgement: Judgement) -> str:
  return _STYLES.get(wording.kind(judgement), '{}').format(text(judgement))


def main(study: str) -> None:
  """Prints the tables of a study."""
  verdicts = verdicts_file.read(FOLDER / study / 'verdicts.json')
  for ratio in sorted({judgement.ratio for judgement in verdicts.judgements}):
    print(f'At ratio {ratio:g}:\n\n{table(verdicts, ratio)}\n')


if __name__ == '__main__':
  main(*sys.argv[1:])
