"""Verdicts of sanity checks for people: the terminal's table, report.md, and all files of a report."""

import itertools
import pathlib
import re

from tickets_tf import files
from tickets_tf.runs import records
from tickets_tf.report import wording

# An underscore inside a word is only that.
_SPECIAL = re.compile(r'([\\`*\[\]#+|~$]|(?<![^\W_])_|_(?![^\W_]))')


def write_sanity(verdicts, folder):
  """Writes verdicts.json, report.md and report.html, each whole or not at all and the same bytes for the same verdicts.

  The page needs no network and no scripts. Numbers that JSON cannot hold (NaN) are written as null, shown as a dash.

  Args:
    verdicts: dictionary of JSON values; accuracies are in percent, differences in percent points. Its keys:
      format: 1.
      command, commit: what reproduces it; the commit may be None.
      settings, environment: dictionaries, settings with at least `model` and `dataset`.
      margin, alpha, resolution: see `tickets_tf.judging.comparison`.
      seeds: list of integers.
      looks: None, or {kind, sizes, levels, done} where seeds were added look by look.
      stopped: None, or why not everything was done.
      failures: list of sentences, one for each run that failed.
      controls: None, or {passed, findings, judgements}: whether they came out as they must (None: undecided),
        sentences, and numbers of the judgements that are controls.
      dense: None, or {accuracies, mean, deviation}.
      judgements: list of {rule, allocation, ratio, check, question, verdict, passes, sentence, seeds, original,
        checked, difference, p_equivalent, p_drop, forecast, proofs, collapsed}; `original` and `checked` are as
        `dense`, `difference` has {mean, deviation, interval}, p-values are corrected, `forecast` is None or
        {seeds, outcome}, `proofs` a dictionary per seed, `collapsed` None or a truth value per seed: whether the
        original or the checked ticket has no path from input to output.
      keep_ratios: list of {rule, allocation, ratio, layers, original}: names of layers, and their mean keep ratios.
    folder: an existing folder.

  Raises:
    TicketsError: where a file cannot be written.
  """
  # Matplotlib is slow to import, and looks through all fonts of a machine when it is used there for the first time.
  from tickets_tf.report import page
  folder = pathlib.Path(folder)
  verdicts = wording.finite(verdicts)
  records.write_json(folder / 'verdicts.json', verdicts)
  files.write_text(folder / 'report.md', markdown(verdicts))
  files.write_text(folder / 'report.html', page.html(verdicts))


def sanity_table(verdicts):
  """Returns verdicts as text for the terminal: a table for each rule and ratio, each judgement with its sentence.

  Args:
    verdicts: see `write_sanity`.

  Returns:
    Lines of text. Controls that failed are said first and last.
  """
  verdicts = wording.finite(verdicts)
  header = ('check', 'seeds', 'original, %', 'checked, %', f'difference, points [{wording.INTERVAL}]',
            'verdict')
  sections = [(f'{rule.name}, ratio {ratio:g}', [(_cells(judgement), judgement) for judgement in judgements])
              for rule in wording.by_rule(verdicts) for ratio, judgements in rule.ratios.items()]
  rows = [header, *(cells for _, judged in sections for cells, _ in judged)]
  widths = [max(map(len, column)) for column in zip(*rows)]
  lines = [*_controls(verdicts), '']
  for name, judged in sections:
    lines += [wording.one_line(name), _row(header, widths)]
    for cells, judgement in judged:
      lines += [_row(cells, widths), f'      {wording.one_line(_in_words(judgement, verdicts))}']
    lines.append('')
  lines += [wording.dense(verdicts), wording.tally(verdicts)]
  if verdicts['stopped']:
    lines.append(wording.one_line(f'Incomplete: {verdicts["stopped"]}'))
  lines += [wording.one_line(f'Failed: {failure}') for failure in verdicts['failures']]
  if wording.controls_failed(verdicts):
    lines.append(wording.controls(verdicts))
  return '\n'.join(line for line, _ in itertools.groupby(lines)).strip('\n')


def markdown(verdicts):
  """Returns report.md: the verdicts, the statistics behind them, keep ratios, and what reproduces them.

  Args:
    verdicts: see `write_sanity`.

  Returns:
    GitHub-flavoured Markdown.
  """
  verdicts = wording.finite(verdicts)
  rules = wording.by_rule(verdicts)
  blocks = [f'# {_escaped(wording.title(verdicts))}', *_headlines(verdicts), '## Overview', _overview(rules, verdicts),
            _bullets(f'{check}: {question}' for check, question in wording.checks(verdicts).items()),
            '## What the verdicts rest on', *map(_escaped, wording.statistics(verdicts))]
  for rule in rules:
    blocks.append(f'## {_escaped(rule.name)}')
    for ratio, judgements in rule.ratios.items():
      blocks += [f'### {_escaped(rule.name)} at ratio {ratio:g}', _judgements(judgements, verdicts)]
    if rule.profiles:
      blocks += [f'### Keep ratio of each layer, {_escaped(rule.name)}', 'Means over the seeds.',
                 _keep_ratios(rule.profiles)]
  blocks += ['## To reproduce it', _fenced(verdicts['command']),
             f'Commit: {_escaped(wording.plain(verdicts["commit"]))}',
             _pairs('setting', verdicts['settings']), _pairs('environment', verdicts['environment']),
             'report.html beside this file has the plots, and the accuracies and proofs of every seed.']
  return '\n\n'.join(block for block in blocks if block) + '\n'


def _controls(verdicts):
  failed = wording.controls_failed(verdicts)
  line = '!' * 80
  findings = (verdicts['controls'] or {'findings': ()})['findings']
  return [*([line] if failed else ()), wording.controls(verdicts),
          *(f'  {wording.one_line(finding)}' for finding in findings), *([line] if failed else ())]


def _cells(judgement):
  return (wording.one_line(judgement['check']), str(len(judgement['seeds'])),
          wording.mean_and_deviation(judgement['original']), wording.mean_and_deviation(judgement['checked']),
          wording.difference(judgement), wording.RESULTS[judgement['verdict']])


def _row(cells, widths):
  return '  ' + '  '.join(cell.ljust(width) for cell, width in zip(cells, widths)).rstrip()


def _in_words(judgement, verdicts):
  return '; '.join([judgement['sentence'], *wording.remarks(judgement, verdicts['margin'])])


def _headlines(verdicts):
  controls = verdicts['controls']
  if wording.controls_failed(verdicts):
    yield '\n>\n'.join(f'> **{_escaped(line)}**' for line in (wording.controls(verdicts), *controls['findings']))
  else:
    yield _escaped(wording.controls(verdicts))
    yield _bullets(controls['findings'] if controls else ())
  yield ' '.join(map(_escaped, filter(None, (wording.tally(verdicts), wording.dense(verdicts)))))
  if verdicts['stopped']:
    yield f'**Incomplete: {_escaped(verdicts["stopped"])}**'
  if verdicts['failures']:
    yield 'Runs that failed:'
    yield _bullets(verdicts['failures'])


def _overview(rules, verdicts):
  checks = list(wording.checks(verdicts))
  rows = []
  for rule in rules:
    for ratio, judgements in rule.ratios.items():
      cells = {check: [] for check in checks}
      for judgement in judgements:
        cells[judgement['check']].append(f'{wording.MARKS[judgement["verdict"]]} {judgement["verdict"]}')
      rows.append((rule.name, f'{ratio:g}', *(', '.join(cell) or wording.NOTHING for cell in cells.values())))
  return _table(('rule', 'ratio', *checks), rows)


def _judgements(judgements, verdicts):
  header = ('check', 'seeds', 'original, %', 'checked, %', f'difference, points [{wording.INTERVAL}]',
            'p equivalent', 'p drop', 'verdict', 'in words')
  return _table(header, ((*_cells(judgement)[:-1], wording.p_value(judgement['p_equivalent']),
                          wording.p_value(judgement['p_drop']), wording.RESULTS[judgement['verdict']],
                          _in_words(judgement, verdicts)) for judgement in judgements))


def _keep_ratios(profiles):
  columns = [map(wording.keep_ratio, profile['original']) for profile in profiles]
  return _table(('layer', *(f'ratio {profile["ratio"]:g}' for profile in profiles)),
                zip(profiles[0]['layers'], *columns))


def _pairs(name, values):
  return _table((name, 'value'), ((key, wording.plain(value)) for key, value in values.items()))


def _table(header, rows):
  header, *rows = ([_escaped(cell) for cell in row] for row in (header, *rows))
  return '\n'.join(f'| {" | ".join(line)} |' for line in (header, ['---'] * len(header), *rows))


def _bullets(lines):
  return '\n'.join(f'- {_escaped(line)}' for line in lines)


def _escaped(text):
  text = wording.one_line(text).replace('&', '&amp;').replace('<', '&lt;').replace('>', '&gt;')
  return _SPECIAL.sub(r'\\\1', text)


def _fenced(text):
  # A fence has to be longer than any run of backticks inside.
  fence = '`' * max(3, 1 + max(map(len, re.findall('`+', text)), default=0))
  return f'{fence}\n{text}\n{fence}'
