"""The three files of a report and the terminal's table: whole, escaped, the same each time, with all there is."""

import dataclasses
import json
import math
import os
import pathlib
import re
import shutil
import subprocess
import sys

import matplotlib
import pytest

from tests.report import sanity_verdicts
from tests.report.html_page import Page
from tickets_tf import report
from tickets_tf.errors import TicketsError
from tickets_tf.judging import verdicts as verdicts_file
from tickets_tf.judging.verdicts import Controls
from tickets_tf.judging.verdicts import Intervals
from tickets_tf.judging.verdicts import Sample
from tickets_tf.report import findings
from tickets_tf.report import page
from tickets_tf.report import sanity
from tickets_tf.report import wording

ROOT = pathlib.Path(__file__).parents[2]
FILES = ['report.html', 'report.md', 'verdicts.json']
CASES = ('minimal', 'undecided', 'failed')
NASTY = {'rule': 'mypkg.mod:score<br>|`*', 'check': '<script>alert("1")</script>', 'sentence': 'a & b &amp; <i>c</i>',
         'question': '"quoted" \'text\'</dd>', 'layer': '<b>&"layer', 'command': 'x </code>```\n--y=\'<u>\'',
         'setting': '<a href="http://x.y">|z'}


@pytest.fixture(scope='module')
def full(tmp_path_factory):
  """147 judgements, and the folder of their report."""
  verdicts = sanity_verdicts.verdicts()
  folder = tmp_path_factory.mktemp('full')
  report.write_sanity(verdicts, folder)
  return verdicts, folder


@pytest.fixture(scope='module')
def found(full):
  """The page of the 147 judgements."""
  return Page((full[1] / 'report.html').read_text(encoding='utf-8'))


def made(case):
  return getattr(sanity_verdicts, case)()


def nasty():
  verdicts = sanity_verdicts.verdicts(('snip',), (0.95,), ('random_labels',), seeds=3, command=NASTY['command'],
                                      stopped='<u>stopped</u>', controls=Controls(False, ('<u>finding</u>',), ()),
                                      exploratory=('<u>chosen</u>',), failures=('<u>failed</u>',))
  proofs = verdicts.judgements[0].proofs
  verdicts = sanity_verdicts.with_judgement(
      verdicts, 0, proofs=({**proofs[0], 'proof<u>': '</td>'}, *proofs[1:]),
      **{key: NASTY[key] for key in ('rule', 'check', 'sentence', 'question')})
  verdicts = sanity_verdicts.with_profile(verdicts, 0, rule=NASTY['rule'],
                                          layers=(NASTY['layer'], *verdicts.keep_ratios[0].layers[1:]))
  return dataclasses.replace(verdicts, settings={**verdicts.settings, 'data_dir': NASTY['setting']})


def with_holes():
  """Verdicts of which one seed of one judgement has no number."""
  verdicts = sanity_verdicts.verdicts(('snip',), (0.95,), ('random_labels', 'invert'), seeds=3)
  verdicts = sanity_verdicts.with_judgement(
      verdicts, 0, checked=Sample((93.0, math.nan, 92.0), math.nan, math.inf), drop=math.nan, deviation=math.nan,
      interval=Intervals((-math.inf, math.nan), (math.nan, math.inf)), statements=('open',))
  kept = verdicts.keep_ratios[0].original
  return sanity_verdicts.with_profile(verdicts, 0, original=(*kept[:2], math.nan, *kept[3:]))


def table_rows(text):
  """Returns the tables of a Markdown text, each a list of rows, each a list of cells."""
  tables = re.findall(r'(?:^\|.*\n)+', text + '\n', re.MULTILINE)
  return [[re.split(r'(?<!\\)\|', line)[1:-1] for line in table.splitlines()] for table in tables]


def test_a_report_is_three_files(full):
  verdicts, folder = full
  assert sorted(os.listdir(folder)) == FILES
  assert verdicts_file.read(folder / 'verdicts.json') == verdicts
  assert (folder / 'report.html').stat().st_size < 5e6


def test_the_page_answers_in_order(found):
  heads = [each['id'] for each, _ in found.find('h2') if not each['id'].startswith('rule-')]
  assert heads == ['luck', 'uses', 'means', 'exploring', 'collapses', 'statistics', 'against-luck', 'reproduce']
  heads = [each['id'] for each, _ in Page(page.html(sanity_verdicts.failed())).find('h2')]
  assert heads[:3] == ['luck', 'ladders', 'uses']


def test_the_page_has_every_judgement(full, found):
  verdicts, _ = full
  assert len(verdicts.judgements) == 147
  links = found.find('a', class_='verdict')
  assert sorted(each['href'] for each, _ in links) == sorted(f'#judgement-{number}' for number in range(147))
  rows = {each['id']: text for each, text in found.find('tbody') if 'id' in each}
  for number, judgement in enumerate(verdicts.judgements):
    text = rows[f'judgement-{number}']
    assert text.startswith(judgement.check) and judgement.sentence in text and wording.words(judgement) in text
    for value in (judgement.original.mean, judgement.checked.deviation):
      assert wording.number(value) in text
    if not judgement.unaffected:
      assert wording.interval(judgement) in text and wording.interval(judgement, whole_call=True) in text
  seeds = [text for _, text in found.find('table', class_='seeds')]
  assert sum(text.count('labels_agreeing') for text in seeds) == 147 * 5
  for number, judgement in enumerate(verdicts.luck):
    assert findings.headline(judgement) in rows[f'luck-{number}']


def test_the_overview_has_a_cell_for_each_rule_ratio_and_check(full, found):
  verdicts, _ = full
  cells = [text for _, text in found.find('a', class_='verdict')]
  by_place = {(each.rule, each.ratio, each.check): wording.NAMES[wording.kind(each)] for each in verdicts.judgements}
  expected = [by_place[rule, ratio, check] for rule in sanity_verdicts.RULES for ratio in (0.9, 0.95, 0.98)
              for check in sanity_verdicts.CHECKS]
  assert [cell.split(maxsplit=1)[1] for cell in cells] == expected
  sizes = [text for _, text in found.find('span', class_='size')]
  assert sizes == [wording.interval(each) for each in verdicts.judgements]


def test_each_rule_has_its_plots_and_says_what_they_show(found):
  labels = [each['aria-label'] for each, _ in found.find('svg')]
  assert all(each['role'] == 'img' for each, _ in found.find('svg'))
  assert sum(label.startswith('Plot of test accuracies, ') for label in labels) == 21
  assert sum(label.startswith('Plot of drops of ') for label in labels) == 7
  assert sum(label.startswith('Plot of what each rule has above luck') for label in labels) == 1
  assert sum(label.startswith('Plot of the keep ratio of each layer, ') for label in labels) == 7
  assert len(labels) == 36 and not found.tags() & {'img', 'canvas', 'object', 'embed', 'iframe'}


@pytest.mark.parametrize('source', [*CASES, 'full'])
def test_the_page_needs_nothing_from_elsewhere_and_points_only_at_what_is_there(source, full):
  text = (full[1] / 'report.html').read_text(encoding='utf-8') if source == 'full' else page.html(made(source))
  found = Page(text)
  assert not found.tags() & {'script', 'link', 'base'}
  assert not [name for _, attributes, _ in found.elements for name in attributes if name.startswith('on')]
  assert all(target.startswith('#') for target in found.references())
  assert not re.search(r'https?:|//', text)
  names = found.values('id')
  assert len(names) == len(set(names))
  assert {target[1:] for target in found.references()} <= set(names)


def test_everything_is_escaped(tmp_path):
  report.write_sanity(nasty(), tmp_path)
  found = Page((tmp_path / 'report.html').read_text(encoding='utf-8'))
  assert not found.tags() & {'br', 'i', 'u', 'b', 'script'}
  (_, everything), = found.find('body')
  assert NASTY['rule'] in everything and NASTY['check'] in everything and NASTY['sentence'] in everything
  assert NASTY['question'] in everything and NASTY['layer'] in everything and NASTY['setting'] in everything
  assert [text for _, text in found.find('pre')] == [' '.join(NASTY['command'].split())]
  assert any(NASTY['check'] in label for label in found.values('aria-label'))
  text = (tmp_path / 'report.md').read_text(encoding='utf-8')
  fence, = re.findall(r'^`{3,}$', text, re.MULTILINE)[:1]
  before, command, after = text.split(f'{fence}\n')
  key = '- &lt; worth less'
  assert key in before and command == NASTY['command'] + '\n' and '<' not in before + after
  assert 'mypkg.mod:score&lt;br&gt;\\|\\`\\*' in before


@pytest.mark.parametrize('case', ['verdicts', *CASES])
def test_markdown_tables_are_well_formed_and_hold_everything(case):
  verdicts = made(case)
  text = sanity.markdown(verdicts)
  for rows in table_rows(text):
    assert len(rows) > 2 and {len(row) for row in rows} == {len(rows[0])}
    assert all(cell.strip() == '---' for cell in rows[1])
  in_words = [row[-1].replace('\\', '') for rows in table_rows(text) if rows[0][-1] == ' in words ' for row in rows[2:]]
  everything = [*verdicts.luck, *findings.shown(verdicts),
                *(step for ladder in verdicts.ladders for step in ladder.steps)]
  assert len(in_words) == len(everything)
  assert all(any(judgement.sentence in cell for cell in in_words) for judgement in everything)


def test_escaped_cells_stay_in_their_column():
  assert all({len(row) for row in rows} == {len(rows[0])} for rows in table_rows(sanity.markdown(nasty())))


def test_the_same_verdicts_give_the_same_bytes(tmp_path):
  verdicts = sanity_verdicts.failed()
  (tmp_path / 'one').mkdir()
  with matplotlib.rc_context({'axes.xmargin': 0.3, 'font.size': 30, 'svg.fonttype': 'path', 'xtick.direction': 'in'}):
    report.write_sanity(verdicts, tmp_path / 'one')
  (tmp_path / 'two').mkdir()
  code = ('import pathlib, sys; from tickets_tf import report; from tickets_tf.judging.verdicts import read\n'
          'verdicts = read(pathlib.Path(sys.argv[1]))\n'
          'report.write_sanity(verdicts, sys.argv[2]); report.sanity_table(verdicts)\n'
          'print("tensorflow" in sys.modules)')
  done = subprocess.run([sys.executable, '-c', code, tmp_path / 'one' / 'verdicts.json', tmp_path / 'two'],
                        capture_output=True, text=True, cwd=ROOT,
                        env={**os.environ, 'PYTHONPATH': str(ROOT), 'PYTHONHASHSEED': '7', 'TZ': 'Asia/Tokyo'})
  assert done.stdout == 'False\n', done.stderr
  for name in FILES:
    assert (tmp_path / 'one' / name).read_bytes() == (tmp_path / 'two' / name).read_bytes(), name


def test_numbers_that_are_none_are_dashes(tmp_path):
  verdicts = with_holes()
  before = repr(verdicts)
  report.write_sanity(verdicts, tmp_path)
  assert repr(verdicts) == before
  stored = json.loads((tmp_path / 'verdicts.json').read_text(), parse_constant=pytest.fail)
  assert stored['judgements'][0]['checked'] == {'accuracies': [93.0, None, 92.0], 'mean': None, 'deviation': None}
  texts = [(tmp_path / name).read_text(encoding='utf-8') for name in FILES] + [report.sanity_table(verdicts)]
  (_, texts[0]), = Page(texts[0]).find('main')
  for text in texts[:2] + texts[3:]:
    assert not re.search(r'\b(nan|inf|None|null)\b', text)
  row, = (line for line in texts[3].splitlines() if line.split()[:1] == ['random_labels'])
  assert ' \N{EN DASH} ' in row and '[\N{EN DASH}, \N{EN DASH}]' in row
  assert '| random_labels | 3 |' in texts[1]


def test_nothing_judged_is_a_report_too(tmp_path):
  verdicts = sanity_verdicts.minimal(judgements=(), stopped='the budget was spent')
  report.write_sanity(verdicts, tmp_path)
  found = Page((tmp_path / 'report.html').read_text(encoding='utf-8'))
  assert not found.find('svg') and 'No comparison was made.' in report.sanity_table(verdicts)
  assert 'the budget was spent' in (tmp_path / 'report.md').read_text(encoding='utf-8')


def test_the_terminal_table_is_grouped_and_narrow(full):
  verdicts, _ = full
  lines = report.sanity_table(verdicts).splitlines()
  heads = [line for line in lines if re.fullmatch(r'\S.*, ratio [\d.]+', line)]
  assert len(heads) == 21 and heads[:2] == ['random (smart), ratio 0.9', 'random (smart), ratio 0.95']
  rows = [index for index, line in enumerate(lines) if line.split()[:1] and line.split()[0] in sanity_verdicts.CHECKS]
  assert len(rows) == 147 and max(len(lines[index]) for index in rows) <= 130
  for index, judgement in zip(rows, verdicts.judgements, strict=True):
    assert lines[index].split()[0] == judgement.check and lines[index + 1].strip().startswith(judgement.sentence)
    assert wording.drop(judgement) in lines[index]
  assert lines[-1].startswith('147 comparisons: ')


def test_text_for_the_terminal_holds_no_control_characters():
  verdicts = sanity_verdicts.with_judgement(sanity_verdicts.minimal(), 0, rule='a\x1b[31m\nb', sentence='c\td\x07')
  text = report.sanity_table(verdicts)
  assert '\x1b' not in text and '\x07' not in text and 'a\ufffd[31m b (global), ratio 0.95' in text
  Page(page.html(verdicts))


def test_a_failure_leaves_whole_files(tmp_path, monkeypatch):
  report.write_sanity(sanity_verdicts.minimal(), tmp_path)
  before = (tmp_path / 'report.html').read_bytes()
  verdicts = sanity_verdicts.minimal(command='another')
  monkeypatch.setattr(page, 'html', lambda verdicts: 1 / 0)
  with pytest.raises(ZeroDivisionError):
    report.write_sanity(verdicts, tmp_path)
  assert sorted(os.listdir(tmp_path)) == FILES and (tmp_path / 'report.html').read_bytes() == before
  assert json.loads((tmp_path / 'verdicts.json').read_text())['command'] == 'another'


def test_a_folder_that_is_not_there_is_named(tmp_path):
  with pytest.raises(TicketsError, match=r'nowhere/verdicts\.json: cannot be written'):
    report.write_sanity(sanity_verdicts.minimal(), tmp_path / 'nowhere')


def test_an_installed_copy_has_its_templates(tmp_path):
  pytest.importorskip('setuptools', reason='setuptools is not installed: the package cannot be built')
  for name in ('setup.py', 'pyproject.toml', 'README.md', 'LICENSE', 'configs', 'tickets_tf'):
    source = ROOT / name
    (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / name)
  done = subprocess.run([sys.executable, 'setup.py', '--quiet', 'build', '--build-lib', 'built'], cwd=tmp_path,
                        capture_output=True, text=True)
  assert done.returncode == 0, done.stderr
  (tmp_path / 'out').mkdir()
  verdicts_file.write(tmp_path / 'verdicts.json', sanity_verdicts.minimal())
  code = ('import pathlib, tickets_tf; from tickets_tf import report; from tickets_tf.judging.verdicts import read\n'
          'print(tickets_tf.__file__); report.write_sanity(read(pathlib.Path("verdicts.json")), "out")')
  (tmp_path / 'tickets_tf').rename(tmp_path / 'source')  # The built copy has to do.
  done = subprocess.run([sys.executable, '-c', code], cwd=tmp_path, capture_output=True, text=True,
                        env={**os.environ, 'PYTHONPATH': str(tmp_path / 'built')})
  assert done.returncode == 0, done.stderr
  assert done.stdout.startswith(str(tmp_path / 'built')) and sorted(os.listdir(tmp_path / 'out')) == FILES
