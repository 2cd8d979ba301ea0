"""The verdicts of a sanity check as text for the terminal."""

from collections.abc import Iterator
from collections.abc import Sequence
import itertools

from tickets_tf.judging.verdicts import Judgement
from tickets_tf.judging.verdicts import Ladder
from tickets_tf.judging.verdicts import Verdicts
from tickets_tf.judging.verdicts import finite
from tickets_tf.report import findings
from tickets_tf.report import method
from tickets_tf.report import wording


def sanity_table(verdicts: Verdicts) -> str:
  """Returns verdicts as text for the terminal: luck first, then a table for each rule and ratio with its sentences.

  Args:
    verdicts: what to show.

  Returns:
    Lines of text. Controls that failed are said first and last.
  """
  verdicts = finite(verdicts)
  header = ('check', 'seeds', 'original, %', 'checked, %', f'drop, points [{method.confidence(verdicts)}]', 'statement')
  sections = [(f'{rule.name}, ratio {ratio:g}', [(_cells(each.judgement), each.judgement) for each in numbered])
              for rule in wording.by_rule(verdicts) for ratio, numbered in rule.ratios.items()]
  rows = [header, *(cells for _, judged in sections for cells, _ in judged)]
  widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
  notices = (wording.one_line(f'{name}: {text}') for name, text in findings.notices(verdicts))
  lines = [*_controls(verdicts), *notices, '', *map(wording.one_line, _luck(verdicts)), '']
  if verdicts.narrow:
    lines += [*map(wording.one_line, _narrow(verdicts)), '']
  for ladder in verdicts.ladders:
    lines += [*map(wording.one_line, _ladder(ladder)), '']
  for name, judged in sections:
    lines += [wording.one_line(name), _row(header, widths)]
    for cells, judgement in judged:
      lines += [_row(cells, widths), f'      {wording.one_line(in_words(judgement, verdicts))}']
    lines.append('')
  lines += [findings.dense(verdicts), f'{findings.tally(verdicts.judgements)}.']
  if findings.controls_failed(verdicts):
    lines.append(findings.controls(verdicts))
  return '\n'.join(line for line, _ in itertools.groupby(lines)).strip('\n')


def in_words(judgement: Judgement, verdicts: Verdicts) -> str:
  """Returns a judgement's sentence with all that a reader has to know beside it."""
  return '; '.join([judgement.sentence, *wording.remarks(judgement, verdicts.guessing)])


def cells(judgement: Judgement) -> tuple[str, ...]:
  """Returns (number of seeds, originals, checked tickets, drop with its interval) as text."""
  return (str(len(judgement.seeds)), wording.mean_and_deviation(judgement.original),
          wording.mean_and_deviation(judgement.checked), wording.drop(judgement))


def _cells(judgement: Judgement) -> tuple[str, ...]:
  return wording.one_line(judgement.check), *cells(judgement), wording.words(judgement)


def _controls(verdicts: Verdicts) -> list[str]:
  failed = findings.controls_failed(verdicts)
  line = '!' * 80
  found = verdicts.controls.findings if verdicts.controls else ()
  return [*([line] if failed else ()), findings.controls(verdicts),
          *(f'  {wording.one_line(finding)}' for finding in found), *([line] if failed else ())]


def _luck(verdicts: Verdicts) -> Iterator[str]:
  yield 'Does it beat luck?'
  for each in verdicts.luck:
    yield f'{wording.name(each)} at ratio {each.ratio:g}: {findings.headline(each)}'
  yield findings.luck_missing(verdicts)
  yield from map(findings.gap, verdicts.gaps)
  yield from findings.unknown_gaps(verdicts)


def _narrow(verdicts: Verdicts) -> Iterator[str]:
  yield 'Does it beat a small dense network?'
  for each in verdicts.narrow:
    yield f'{wording.name(each)} at ratio {each.ratio:g}: {findings.against_narrow(each)}'


def _ladder(ladder: Ladder) -> Iterator[str]:
  yield f'What {wording.name(ladder)} at ratio {ladder.ratio:g} is made of'
  for step, judgement in zip(findings.steps(ladder), ladder.steps, strict=True):
    yield f'{step}: {wording.drop(judgement)} points; {judgement.sentence}'
  yield from findings.ladder(ladder)


def _row(row: Sequence[str], widths: Sequence[int]) -> str:
  return '  ' + '  '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
