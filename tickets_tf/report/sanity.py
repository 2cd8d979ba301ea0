"""Verdicts of sanity checks for people: the terminal's table, report.md, and all files of a report."""

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
import itertools
import pathlib
import re
from typing import Any

from tickets_tf import files
from tickets_tf.judging import verdicts as verdicts_file
from tickets_tf.judging.verdicts import Judgement
from tickets_tf.judging.verdicts import KeepRatios
from tickets_tf.judging.verdicts import Verdicts
from tickets_tf.judging.verdicts import finite
from tickets_tf.report import wording

# An underscore inside a word is only that.
_SPECIAL = re.compile(r'([\\`*\[\]#+|~$]|(?<![^\W_])_|_(?![^\W_]))')


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


def sanity_table(verdicts: Verdicts) -> str:
  """Returns verdicts as text for the terminal: a table for each rule and ratio, each judgement with its sentence.

  Args:
    verdicts: what to show.

  Returns:
    Lines of text. Controls that failed are said first and last.
  """
  verdicts = finite(verdicts)
  header = ('check', 'seeds', 'original, %', 'checked, %', f'difference, points [{wording.INTERVAL}]',
            'verdict')
  sections = [(f'{rule.name}, ratio {ratio:g}', [(_cells(each.judgement), each) for each in numbered])
              for rule in wording.by_rule(verdicts) for ratio, numbered in rule.ratios.items()]
  rows = [header, *(cells for _, judged in sections for cells, _ in judged)]
  widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
  lines = [*_controls(verdicts), '']
  for name, judged in sections:
    lines += [wording.one_line(name), _row(header, widths)]
    for cells, numbered in judged:
      lines += [_row(cells, widths), f'      {wording.one_line(_in_words(numbered, verdicts))}']
    lines.append('')
  lines += [wording.dense(verdicts), wording.tally(verdicts)]
  if verdicts.stopped:
    lines.append(wording.one_line(f'Incomplete: {verdicts.stopped}'))
  lines += [wording.one_line(f'Failed: {failure}') for failure in verdicts.failures]
  if wording.controls_failed(verdicts):
    lines.append(wording.controls(verdicts))
  return '\n'.join(line for line, _ in itertools.groupby(lines)).strip('\n')


def markdown(verdicts: Verdicts) -> str:
  """Returns report.md: the verdicts, the statistics behind them, keep ratios, and what reproduces them.

  Args:
    verdicts: what to show.

  Returns:
    GitHub-flavoured Markdown.
  """
  verdicts = finite(verdicts)
  rules = wording.by_rule(verdicts)
  blocks = [f'# {_escaped(wording.title(verdicts))}', *_headlines(verdicts), '## Overview', _overview(rules, verdicts),
            _bullets(f'{check}: {question}' for check, question in wording.checks(verdicts).items()),
            '## What the verdicts rest on', *map(_escaped, wording.statistics(verdicts))]
  for rule in rules:
    blocks.append(f'## {_escaped(rule.name)}')
    for ratio, numbered in rule.ratios.items():
      blocks += [f'### {_escaped(rule.name)} at ratio {ratio:g}', _judgements(numbered, verdicts)]
    if rule.profiles:
      blocks += [f'### Keep ratio of each layer, {_escaped(rule.name)}', 'Means over the seeds.',
                 _keep_ratios(rule.profiles)]
  blocks += ['## To reproduce it', _fenced(verdicts.command),
             f'Commit: {_escaped(wording.plain(verdicts.commit))}',
             _pairs('setting', verdicts.settings), _pairs('environment', verdicts.environment),
             'report.html beside this file has the plots, and the accuracies and proofs of every seed.']
  return '\n\n'.join(block for block in blocks if block) + '\n'


def _controls(verdicts: Verdicts) -> list[str]:
  failed = wording.controls_failed(verdicts)
  line = '!' * 80
  findings = verdicts.controls.findings if verdicts.controls else ()
  return [*([line] if failed else ()), wording.controls(verdicts),
          *(f'  {wording.one_line(finding)}' for finding in findings), *([line] if failed else ())]


def _cells(judgement: Judgement) -> tuple[str, ...]:
  return (wording.one_line(judgement.check), str(len(judgement.seeds)),
          wording.mean_and_deviation(judgement.original), wording.mean_and_deviation(judgement.checked),
          wording.difference(judgement.difference), wording.RESULTS[judgement.verdict])


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
  return '  ' + '  '.join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def _in_words(numbered: wording.Numbered, verdicts: Verdicts) -> str:
  return '; '.join([numbered.judgement.sentence, *wording.remarks(numbered, verdicts.margin)])


def _headlines(verdicts: Verdicts) -> Iterator[str]:
  findings = verdicts.controls.findings if verdicts.controls else ()
  if wording.controls_failed(verdicts):
    yield '\n>\n'.join(f'> **{_escaped(line)}**' for line in (wording.controls(verdicts), *findings))
  else:
    yield _escaped(wording.controls(verdicts))
    yield _bullets(findings)
  yield ' '.join(map(_escaped, filter(None, (wording.tally(verdicts), wording.dense(verdicts)))))
  if verdicts.stopped:
    yield f'**Incomplete: {_escaped(verdicts.stopped)}**'
  if verdicts.failures:
    yield 'Runs that failed:'
    yield _bullets(verdicts.failures)


def _overview(rules: Sequence[wording.RuleJudgements], verdicts: Verdicts) -> str:
  checks = list(wording.checks(verdicts))
  rows = []
  for rule in rules:
    for ratio, numbered in rule.ratios.items():
      cells: dict[str, list[str]] = {check: [] for check in checks}
      for judgement in (each.judgement for each in numbered):
        cells[judgement.check].append(f'{wording.MARKS[judgement.verdict]} {judgement.verdict}')
      rows.append((rule.name, f'{ratio:g}', *(', '.join(cell) or wording.NOTHING for cell in cells.values())))
  return _table(('rule', 'ratio', *checks), rows)


def _judgements(numbered: Sequence[wording.Numbered], verdicts: Verdicts) -> str:
  header = ('check', 'seeds', 'original, %', 'checked, %', f'difference, points [{wording.INTERVAL}]',
            'p equivalent', 'p drop', 'verdict', 'in words')
  rows = []
  for each in numbered:
    *numbers, result = _cells(each.judgement)
    rows.append((*numbers, wording.p_value(each.judgement.p_equivalent), wording.p_value(each.judgement.p_drop), result,
                 _in_words(each, verdicts)))
  return _table(header, rows)


def _keep_ratios(profiles: Sequence[KeepRatios]) -> str:
  columns = [map(wording.keep_ratio, profile.original) for profile in profiles]
  return _table(('layer', *(f'ratio {profile.ratio:g}' for profile in profiles)),
                zip(profiles[0].layers, *columns, strict=True))


def _pairs(name: str, values: dict[str, Any]) -> str:
  return _table((name, 'value'), ((key, wording.plain(value)) for key, value in values.items()))


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
  first, *others = ([_escaped(cell) for cell in row] for row in (header, *rows))
  return '\n'.join(f'| {" | ".join(line)} |' for line in (first, ['---'] * len(first), *others))


def _bullets(lines: Iterable[str]) -> str:
  return '\n'.join(f'- {_escaped(line)}' for line in lines)


def _escaped(text: str) -> str:
  text = wording.one_line(text).replace('&', '&amp;').replace('<', '&lt;').replace('>', '&gt;')
  return _SPECIAL.sub(r'\\\1', text)


def _fenced(text: str) -> str:
  # A fence has to be longer than any run of backticks inside.
  fence = '`' * max(3, 1 + max(map(len, re.findall('`+', text)), default=0))
  return f'{fence}\n{text}\n{fence}'
