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
import numpy as np
import pytest

from tests.report import sanity_verdicts
from tests.report.html_page import Page
from tickets_tf import report
from tickets_tf.errors import TicketsError
from tickets_tf.judging import verdicts as verdicts_file
from tickets_tf.judging.verdicts import Controls
from tickets_tf.judging.verdicts import Difference
from tickets_tf.judging.verdicts import KeepRatios
from tickets_tf.judging.verdicts import Sample
from tickets_tf.report import page
from tickets_tf.report import plots
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


def made(case):
  return getattr(sanity_verdicts, case)()


def nasty():
  verdicts = sanity_verdicts.verdicts(('snip',), (0.95,), ('random_labels',), seeds=3, command=NASTY['command'],
                                      stopped='<u>stopped</u>', controls=Controls(False, ('<u>finding</u>',), ()))
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
      verdicts, 0, checked=Sample((93.0, math.nan, 92.0), math.nan, math.inf),
      difference=Difference(math.nan, math.nan, (-math.inf, math.nan)), p_equivalent=math.nan, p_drop=math.nan,
      verdict='undecided', passes=None)
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


def test_the_page_has_every_judgement(full):
  verdicts, folder = full
  found = Page((folder / 'report.html').read_text(encoding='utf-8'))
  assert len(verdicts.judgements) == 147
  links = found.find('a', class_='verdict')
  assert sorted(each['href'] for each, _ in links) == sorted(f'#judgement-{number}' for number in range(147))
  rows = {each['id']: text for each, text in found.find('tbody') if 'id' in each}
  for number, judgement in enumerate(verdicts.judgements):
    text = rows[f'judgement-{number}']
    assert text.startswith(judgement.check) and judgement.sentence in text
    assert f'{wording.MARKS[judgement.verdict]} {judgement.verdict}' in text
    difference = judgement.difference
    for value in (judgement.original.mean, judgement.checked.deviation, *difference.interval):
      assert wording.number(value) in text
  seeds = [text for _, text in found.find('table', class_='seeds')]
  assert sum(text.count('labels_agreeing') for text in seeds) == 147 * 5


def test_the_overview_has_a_cell_for_each_rule_ratio_and_check(full):
  verdicts, folder = full
  found = Page((folder / 'report.html').read_text(encoding='utf-8'))
  cells = [text for _, text in found.find('a', class_='verdict')]
  by_place = {(each.rule, each.ratio, each.check): each.verdict for each in verdicts.judgements}
  expected = [by_place[rule, ratio, check] for rule in sanity_verdicts.RULES for ratio in (0.9, 0.95, 0.98)
              for check in sanity_verdicts.CHECKS]
  assert [cell.split()[1] for cell in cells] == expected


def test_each_rule_has_its_plots_and_says_what_they_show(full):
  _, folder = full
  found = Page((folder / 'report.html').read_text(encoding='utf-8'))
  labels = [each['aria-label'] for each, _ in found.find('svg')]
  assert all(each['role'] == 'img' for each, _ in found.find('svg'))
  assert sum(label.startswith('Plot of test accuracies, ') for label in labels) == 21
  assert sum(label.startswith('Plot of differences ') for label in labels) == 21
  assert sum(label.startswith('Plot of the keep ratio of each layer, ') for label in labels) == 7
  assert len(labels) == 49 and not found.tags() & {'img', 'canvas', 'object', 'embed', 'iframe'}


@pytest.mark.parametrize('source', [*CASES, 'full'])
def test_the_page_needs_nothing_from_elsewhere(source, full):
  text = (full[1] / 'report.html').read_text(encoding='utf-8') if source == 'full' else page.html(made(source))
  found = Page(text)
  assert not found.tags() & {'script', 'link', 'base'}
  assert not [name for _, attributes, _ in found.elements for name in attributes if name.startswith('on')]
  assert all(target.startswith('#') for target in found.references())
  assert not re.search(r'https?:|//', text)


@pytest.mark.parametrize('source', [*CASES, 'full'])
def test_what_is_pointed_at_is_there_once(source, full):
  text = (full[1] / 'report.html').read_text(encoding='utf-8') if source == 'full' else page.html(made(source))
  found = Page(text)
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
  assert command == NASTY['command'] + '\n' and '<' not in before + after
  assert 'mypkg.mod:score&lt;br&gt;\\|\\`\\*' in before


@pytest.mark.parametrize('case', ['verdicts', *CASES])
def test_markdown_tables_are_well_formed(case):
  verdicts = made(case)
  text = sanity.markdown(verdicts)
  for rows in table_rows(text):
    assert len(rows) > 2 and {len(row) for row in rows} == {len(rows[0])}
    assert all(cell.strip() == '---' for cell in rows[1])
  overview, = (rows for rows in table_rows(text) if rows[0][:2] == [' rule ', ' ratio '])
  assert sum(verdict in cell for row in overview[2:] for cell in row[2:] for verdict in wording.MARKS.values()) == len(
      verdicts.judgements)
  in_words = [row[-1] for rows in table_rows(text) if rows[0][-1] == ' in words ' for row in rows[2:]]
  assert len(in_words) == len(verdicts.judgements)
  for judgement in verdicts.judgements:
    assert any(judgement.sentence in cell.replace('\\', '') for cell in in_words)


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
  assert ' \N{EN DASH}  ' in row and '[\N{EN DASH}, \N{EN DASH}]' in row
  assert '| random_labels | 3 |' in texts[1]


def test_one_seed_has_no_interval():
  verdicts = sanity_verdicts.minimal()
  judgement, = verdicts.judgements
  line = next(line for line in report.sanity_table(verdicts).splitlines() if 'random_labels  1' in line)
  assert line.split() == ['random_labels', '1', *(wording.number(part.mean) for part in (
      judgement.original, judgement.checked, judgement.difference)), 'undecided']
  found = Page(page.html(verdicts))
  (_, text), = found.find('tbody', id='judgement-0')
  assert 'fewer than 3 seeds decide nothing' in text and '±' not in text and '[' not in text


def test_nothing_judged_is_a_report_too(tmp_path):
  verdicts = sanity_verdicts.minimal(judgements=(), stopped='the budget was spent')
  report.write_sanity(verdicts, tmp_path)
  found = Page((tmp_path / 'report.html').read_text(encoding='utf-8'))
  assert not found.find('svg') and 'No judgement was made.' in report.sanity_table(verdicts)
  assert 'the budget was spent' in (tmp_path / 'report.md').read_text(encoding='utf-8')


def test_failed_controls_cannot_be_overlooked():
  verdicts = sanity_verdicts.failed()
  finding = verdicts.controls.findings[0]
  lines = report.sanity_table(verdicts).splitlines()
  assert lines[1].startswith(wording.ALARM) and finding in lines[2] and lines[-1].startswith(wording.ALARM)
  found = Page(page.html(verdicts))
  assert found.find('title')[0][1].startswith('CONTROLS FAILED')
  assert found.find('body')[0][1].startswith(wording.ALARM)
  assert found.find('p', role='alert') and finding in found.find('section', class_='failed')[0][1]
  assert all(wording.ALARM in text for _, text in found.find('section', class_='rule'))
  text = sanity.markdown(verdicts)
  assert wording.ALARM in text.splitlines()[2] and finding in text.split('## Overview')[0]


@pytest.mark.parametrize('case', ['minimal', 'verdicts'])
def test_controls_that_did_not_fail_raise_no_alarm(case):
  verdicts = made(case) if case == 'minimal' else sanity_verdicts.verdicts(('snip',), (0.9,))
  for text in (report.sanity_table(verdicts), page.html(verdicts), sanity.markdown(verdicts)):
    assert 'FAILED' not in text and wording.controls(verdicts) in text.replace('\\', '')


def test_controls_are_told_apart_from_what_was_asked():
  verdicts = sanity_verdicts.failed()
  groups = wording.by_rule(verdicts)
  controls = [each for group in groups if group.name.startswith('planted control ')
              for judgements in group.ratios.values() for each in judgements]
  assert [each.number for each in controls] == [3, 10] and all(each.planted for each in controls)
  asked = [each for group in groups if not group.name.startswith('planted control ')
           for judgements in group.ratios.values() for each in judgements]
  assert len(asked) == len(verdicts.judgements) - 2 and not any(each.planted for each in asked)
  assert wording.tally(verdicts).startswith(f'{len(asked)} judgements')


def test_undecided_controls_are_no_alarm_and_no_proof():
  verdicts = sanity_verdicts.failed()
  verdicts = dataclasses.replace(verdicts, controls=dataclasses.replace(verdicts.controls, passed=None))
  for text in (report.sanity_table(verdicts), page.html(verdicts), sanity.markdown(verdicts)):
    assert 'FAILED' not in text and 'The planted controls are undecided' in text


def test_failed_runs_are_named():
  verdicts = sanity_verdicts.verdicts(('snip',), (0.9,), failures=('digits-x: scores of conv1: NaN',))
  for text in (report.sanity_table(verdicts), page.html(verdicts), sanity.markdown(verdicts)):
    assert 'digits-x: scores of conv1: NaN' in text


def test_an_undecided_verdict_has_its_forecast_and_looks_their_levels():
  verdicts = sanity_verdicts.undecided()
  open_ones = [each for each in verdicts.judgements if each.forecast]
  assert open_ones
  for text in (report.sanity_table(verdicts), page.html(verdicts), sanity.markdown(verdicts)):
    assert text.count('seeds would probably decide it: ') == len(open_ones) and verdicts.stopped in text
    for judgement in open_ones:
      assert f'{judgement.forecast.seeds} seeds would probably decide it: {judgement.forecast.outcome}' in text
  assert 'up to 3 looks, at 3, 5, 8 seeds; 1 done' in page.html(verdicts)
  assert 'looks' not in ' '.join(wording.statistics(sanity_verdicts.minimal()))


def test_a_better_checked_ticket_is_told_from_too_few_seeds():
  verdicts = sanity_verdicts.verdicts(('snip',), (0.9,), ('random_labels',), seeds=3)
  verdicts = sanity_verdicts.with_judgement(verdicts, 0, verdict='undecided',
                                            difference=Difference(-1.0, 0.1, (-1.2, -0.8)))
  assert 'seem better by more than the margin' in report.sanity_table(verdicts)
  verdicts = sanity_verdicts.with_judgement(verdicts, 0, difference__mean=-0.4)
  assert 'seem better' not in report.sanity_table(verdicts)


def test_the_terminal_table_is_grouped_and_narrow(full):
  verdicts, _ = full
  lines = report.sanity_table(verdicts).splitlines()
  heads = [line for line in lines if re.fullmatch(r'\S.*, ratio [\d.]+', line)]
  assert len(heads) == 21 and heads[:2] == ['random (smart), ratio 0.9', 'random (smart), ratio 0.95']
  rows = [index for index, line in enumerate(lines) if line.split()[:1] and line.split()[0] in sanity_verdicts.CHECKS]
  assert len(rows) == 147 and max(len(lines[index]) for index in rows) <= 120
  for index, judgement in zip(rows, verdicts.judgements, strict=True):
    assert lines[index].split()[0] == judgement.check and lines[index + 1].strip().startswith(judgement.sentence)
    assert wording.difference(judgement.difference) in lines[index]
  assert any(line.startswith('147 judgements: ') for line in lines[-2:])


def test_text_for_the_terminal_holds_no_control_characters():
  verdicts = sanity_verdicts.with_judgement(sanity_verdicts.minimal(), 0, rule='a\x1b[31m\nb', sentence='c\td\x07')
  text = report.sanity_table(verdicts)
  assert '\x1b' not in text and '\x07' not in text and 'a\ufffd[31m b (global), ratio 0.95' in text
  Page(page.html(verdicts))


def test_rules_are_told_apart_by_their_allocation_and_ratios_rise():
  verdicts = sanity_verdicts.verdicts(('snip',), (0.98, 0.9), ('invert', 'rearrange'))
  verdicts = sanity_verdicts.with_judgement(verdicts, 0, allocation='erk')
  verdicts = sanity_verdicts.with_profile(verdicts, 0, allocation='erk')
  erk, plain = wording.by_rule(verdicts)
  assert (erk.name, plain.name) == ('snip (erk)', 'snip (global)')
  assert list(plain.ratios) == [0.9, 0.98] and list(erk.ratios) == [0.98]
  assert [each.number for each in plain.ratios[0.9]] == [2, 3]
  assert [profile.ratio for profile in erk.profiles] == [0.98]


@pytest.mark.parametrize('value, expected', [(0.125, '0.12'), (-0.001, '0.00'), (-1.5, '-1.50'), (None, '\N{EN DASH}')])
def test_numbers_have_two_decimals(value, expected):
  assert wording.number(value) == expected


@pytest.mark.parametrize('value, expected', [
    (0.0004, '< 0.001'), (0.0449, '0.045'), (1.0, '1.000'), (None, '\N{EN DASH}')])
def test_p_values(value, expected):
  assert wording.p_value(value) == expected


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


def test_differences_are_drawn_where_they_are():
  verdicts = sanity_verdicts.verdicts(('lottery',), (0.9,), ('random_labels', 'rearrange'), seeds=4)
  (rule,) = wording.by_rule(verdicts)
  judgements = [each.judgement for each in rule.ratios[0.9]]
  reach = plots.reach(verdicts)
  found = Page(plots.differences(judgements, 0.5, reach, 'x'))

  def place(value):
    low, value, high = (math.asinh(each / 0.5) for each in (reach[0], value, reach[1]))
    return (value - low) / (high - low)

  band, = (each['d'] for _, each, _ in found.elements if 'var(--band)' in each.get('style', ''))
  ends = [float(x) for x in re.findall(r'[ML] ([\d.]+) ', band)]
  scale, shift = np.polyfit([place(-0.5), place(0.5)], [min(ends), max(ends)], 1)
  for judgement in judgements:
    each = np.subtract(judgement.original.accuracies, judgement.checked.accuracies)
    for values in (each, [judgement.difference.mean]):
      wanted = [scale * place(value) + shift for value in values]
      assert any(len(spots) == len(wanted) and np.allclose(spots, wanted, atol=0.01) for spots in _spots(found))


def test_the_reach_holds_all_values_and_no_gap():
  verdicts = with_holes()
  low, high = plots.reach(verdicts)
  each = [np.subtract(judgement.original.accuracies, judgement.checked.accuracies)
          for judgement in verdicts.judgements]
  assert low < np.nanmin(each) and np.nanmax(each) < high and low <= -1 and high >= 1
  verdicts = sanity_verdicts.with_judgement(verdicts, 1, difference__interval=(-1e6, 1e6))
  assert plots.reach(verdicts) == (-100, 100)


def test_a_layer_left_empty_is_a_cross_on_the_edge():
  profile = KeepRatios('snip', 'global', 0.98, ('a', 'b', 'c'), (0.5, 0.0, 0.01))
  spots = _spots(Page(plots.keep_ratios([profile], 'x')))
  left = min(x for each in spots for x in each)  # The first tick.
  assert spots.count([left]) == 2 and sum(len(each) == 2 and left < min(each) for each in spots) == 1
  spots = _spots(Page(plots.keep_ratios([dataclasses.replace(profile, original=(0.5, 0.1, 0.01))], 'x')))
  assert spots.count([left]) == 1 and sum(len(each) == 3 and left < min(each) for each in spots) == 1


def test_a_long_network_names_some_of_its_layers():
  layers = tuple(f'layer{index}' for index in range(150))
  found = Page(plots.keep_ratios([KeepRatios('snip', 'global', 0.9, layers, (0.1,) * 150)], 'x'))
  named = [text for _, text in found.find('text') if text.startswith('layer')]
  assert named[:2] == ['layer0', 'layer4'] and len(named) == 38


def test_plots_take_their_colours_and_type_from_the_page():
  source = page.html(sanity_verdicts.failed())
  names = set(re.findall(r'--([\w-]+):', source))
  found = Page(source)
  assert len(found.find('style')) == 1
  for text in found.values('style'):
    assert not re.search('#[0-9a-f]{3,}|font-family|DejaVu', text), text
    assert set(re.findall(r'var\(--([\w-]+)\)', text)) <= names


def test_letters_of_any_script_and_signs_of_mathtext_are_text():
  verdicts = sanity_verdicts.verdicts(('snip',), (0.9,), ('ラベル', 'a$b$_c'), seeds=3)
  found = Page(page.html(verdicts))
  assert {'ラベル', 'a$b$_c'} <= {text for _, text in found.find('text')}


def _spots(found):
  """Returns the x of the points of a plot, one list for each thing drawn."""
  spots = []
  for tag, attributes, _ in found.elements:
    if tag == 'g':
      spots.append([])
    elif tag == 'use':
      spots[-1].append(float(attributes['x']))
  return [each for each in spots if each]
