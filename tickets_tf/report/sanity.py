"""Verdicts of sanity checks for people: report.md, and all files of a report."""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
import pathlib
from typing import Any

from tickets_tf import files
from tickets_tf.judging import verdicts as verdicts_file
from tickets_tf.judging.verdicts import Judgement
from tickets_tf.judging.verdicts import KeepRatios
from tickets_tf.judging.verdicts import Ladder
from tickets_tf.judging.verdicts import Verdicts
from tickets_tf.judging.verdicts import finite
from tickets_tf.report import findings
from tickets_tf.report import method
from tickets_tf.report import terminal
from tickets_tf.report import wording
from tickets_tf.report.markdown import bullets
from tickets_tf.report.markdown import escaped
from tickets_tf.report.markdown import fenced
from tickets_tf.report.markdown import table


def write_sanity(verdicts: Verdicts, folder: str | pathlib.Path) -> None:
  """Writes verdicts.json, report.md and report.html, each whole or not at all and the same bytes for the same verdicts.

  The page needs no network and no scripts. Numbers that JSON cannot hold (NaN) are written as null, shown as a dash.

  Args:
    verdicts: what to write.
    folder: an existing folder.

  Raises:
    TicketsError: if a file cannot be written.
  """
  # Matplotlib is slow to import, and looks through all fonts of a machine when it is used there for the first time.
  from tickets_tf.report import page
  folder = pathlib.Path(folder)
  verdicts_file.write(folder / 'verdicts.json', verdicts)
  files.write_text(folder / 'report.md', markdown(verdicts))
  files.write_text(folder / 'report.html', page.html(verdicts))


def markdown(verdicts: Verdicts) -> str:
  """Returns report.md: luck, what tickets are made of, what rules use, the statistics, and what reproduces it.

  Args:
    verdicts: what to show.

  Returns:
    Markdown text.
  """
  verdicts = finite(verdicts)
  rules = wording.by_rule(verdicts)
  blocks = [f'# {escaped(findings.title(verdicts))}', *_warnings(verdicts), escaped(findings.dense(verdicts)),
            *_luck(verdicts), *_narrow(verdicts), *_ladders(verdicts.ladders, verdicts), *_uses(rules, verdicts),
            *_means(verdicts), *_collapses(verdicts),
            '## What the statements rest on', *map(escaped, method.paragraphs(verdicts))]
  for rule in rules:
    blocks.append(f'## {escaped(rule.name)}')
    for ratio, numbered in rule.ratios.items():
      blocks += [f'### {escaped(rule.name)} at ratio {ratio:g}',
                 _judgements([(each.judgement.check, each.judgement) for each in numbered], verdicts)]
    if rule.profiles:
      blocks += [f'### Keep ratio of each layer, {escaped(rule.name)}', 'Means over the seeds.',
                 _keep_ratios(rule.profiles)]
  blocks += ['## To reproduce it', fenced(verdicts.command),
             f'Commit: {escaped(wording.plain(verdicts.commit))}',
             _pairs('setting', verdicts.settings), _pairs('environment', verdicts.environment),
             'report.html beside this file has the plots, and the accuracies and proofs of every seed.']
  return '\n\n'.join(block for block in blocks if block) + '\n'


def _warnings(verdicts: Verdicts) -> Iterator[str]:
  found = verdicts.controls.findings if verdicts.controls else ()
  if findings.controls_failed(verdicts):
    yield '\n>\n'.join(f'> **{escaped(line)}**' for line in (findings.controls(verdicts), *found))
  else:
    yield escaped(findings.controls(verdicts))
    yield bullets(found)
  yield '\n'.join(f'- **{escaped(name)}**: {escaped(text)}' for name, text in findings.notices(verdicts))


def _luck(verdicts: Verdicts) -> Iterator[str]:
  yield '## Does it beat luck?'
  yield escaped(findings.luck_missing(verdicts))
  yield '\n'.join(f'- **{escaped(wording.name(each))}** at ratio {each.ratio:g}: {escaped(findings.headline(each))}'
                  for each in verdicts.luck)
  yield bullets([*map(findings.gap, verdicts.gaps), *findings.unknown_gaps(verdicts)])
  if verdicts.luck:
    yield _judgements([(f'{wording.name(each)} at {each.ratio:g}', each) for each in verdicts.luck], verdicts, 'rule',
                      ('rule, %', 'luck, %'), findings.headline)


def _narrow(verdicts: Verdicts) -> Iterator[str]:
  if verdicts.narrow:
    yield '## Does it beat a small dense network?'
    yield bullets(f'{wording.name(each)} at ratio {each.ratio:g}: {findings.against_narrow(each)}'
                   for each in verdicts.narrow)
    yield _judgements([(f'{wording.name(each)} at {each.ratio:g}', each) for each in verdicts.narrow], verdicts, 'rule',
                      ('rule, %', 'small dense network, %'))


def _ladders(ladders: Sequence[Ladder], verdicts: Verdicts) -> Iterator[str]:
  if ladders:
    yield '## What is it made of?'
  for ladder in ladders:
    yield f'### What {escaped(wording.name(ladder))} at ratio {ladder.ratio:g} is made of'
    yield _judgements(list(zip(findings.steps(ladder), ladder.steps, strict=True)), verdicts, 'worth of',
                      ('before, %', 'after, %'))
    yield ' '.join(map(escaped, findings.ladder(ladder)))


def _uses(rules: Sequence[wording.RuleJudgements], verdicts: Verdicts) -> Iterator[str]:
  yield '## What does it use?'
  yield f'{escaped(findings.tally(verdicts.judgements))}.'
  yield '\n'.join(f'- {escaped(wording.MARKS[kind])} {escaped(text)}' for kind, text in method.key())
  for rule in rules:
    if rule.judgements:
      yield f'**{escaped(rule.name)}**'
      yield bullets(text for _, text in findings.by_kind(rule.judgements))
  yield _overview(rules, verdicts)
  yield bullets(f'{check}: {question}' for check, question in wording.checks(verdicts.judgements).items())


def _means(verdicts: Verdicts) -> Iterator[str]:
  rows = findings.over_ratios(verdicts)
  if rows:
    yield '## Over all ratios'
    yield escaped(findings.OVER_RATIOS)
    yield table(findings.OVER_RATIOS_HEADER, rows)
  rows = findings.worth_a_look(verdicts)
  if rows:
    yield '## For exploring'
    yield escaped(findings.exploring(verdicts))
    yield table(findings.EXPLORING_HEADER, rows)


def _collapses(verdicts: Verdicts) -> Iterator[str]:
  rows = findings.collapses(verdicts)
  if rows:
    yield '## How often tickets collapse'
    yield escaped(findings.COLLAPSES)
    yield table(findings.COLLAPSES_HEADER, rows)


def _overview(rules: Sequence[wording.RuleJudgements], verdicts: Verdicts) -> str:
  checks = list(wording.checks(each for rule in rules for each in rule.judgements))
  rows = []
  for rule in rules:
    for ratio, numbered in rule.ratios.items():
      cells: dict[str, list[str]] = {check: [] for check in checks}
      for each in numbered:
        kind = wording.kind(each.judgement)
        cells[each.judgement.check].append(
            f'{wording.MARKS[kind]} {wording.NAMES[kind]} {wording.interval(each.judgement)}'.rstrip())
      rows.append((rule.name, f'{ratio:g}', *(', '.join(cell) or wording.NOTHING for cell in cells.values())))
  return table(('rule', 'ratio', *checks), rows) if rows else ''


def _judgements(named: Iterable[tuple[str, Judgement]], verdicts: Verdicts, name: str = 'check',
                sides: tuple[str, str] = ('original, %', 'checked, %'),
                said: Callable[[Judgement], str] = wording.words) -> str:
  confidence = method.confidence(verdicts)
  header = (name, 'seeds', *sides, f'drop, points [{confidence}, all of the rule]', 'statement',
            f'[{confidence}, whole call]', 'in words')
  return table(header, (
      (label, *terminal.cells(each), said(each), wording.interval(each, whole_call=True) or wording.NOTHING,
       terminal.in_words(each, verdicts)) for label, each in named))


def _keep_ratios(profiles: Sequence[KeepRatios]) -> str:
  columns = [map(wording.keep_ratio, profile.original) for profile in profiles]
  return table(('layer', *(f'ratio {profile.ratio:g}' for profile in profiles)),
                zip(profiles[0].layers, *columns, strict=True))


def _pairs(name: str, values: dict[str, Any]) -> str:
  return table((name, 'value'), ((key, wording.plain(value)) for key, value in values.items()))
