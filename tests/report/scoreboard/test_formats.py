"""Tables as text, Markdown, CSV and LaTeX."""

import csv
import dataclasses
import io
import re

import pytest

from tests.report.scoreboard import example_runs
from tests.report.scoreboard import test_published
from tickets_tf.report import wording
from tickets_tf.report.scoreboard import cells
from tickets_tf.report.scoreboard import formats
from tickets_tf.report.scoreboard import published
from tickets_tf.report.scoreboard.found import find
from tickets_tf.runs.records import DatasetSize

NASTY = '<script>alert("1")</script> a|b, 50% & $x_y$ #1 {z} ~^\\ *c* [d] `e`\nnew\tline\x07'
TEXT = """\
resnet8 on digits: test accuracy in percent
  method            dense         0.95            0.98
  dense             98.03 ± 0.15  ~               ~
  random            ~             95.23 ± 0.25 *  90.13 ± 0.15
  snip              ~             95.20 ± 0.10 *  80.17 ± 0.21
  snip + rearrange  ~             95.23 ± 0.21 *  ~
  lr_rewinding      ~             ~               95.95 ± 0.07 (2)
*: may be the best of its column. With 95% for all columns together, the one that truly is the best
is among these (Hsu 1984).
Mean ± sample deviation over the seeds of the accuracy of the final weights, with batch-norm
statistics estimated afresh (settled accuracy). A number in brackets is that of the seeds, where it
is not 3.
Data set digits: 1,437 training, 360 test images, 10 classes, 8x8x1.
Protocol: width=8, epochs=4; the rest is at its default.
Seeds: 0 to 2.
Commit: ffffffffffff.
Cells with fewer than 3 seeds, and so in no comparison: 1. A column whose highest mean is one of
them has none that is told to be among the best.""".replace('~', wording.NOTHING)
LATEX = r"""% bin/report --runs=runs

\begin{table}
  \centering
  \caption{resnet8 on digits: test accuracy in percent.}
  \label{tab:tickets-1}
  \begin{tabular}{lrrr}
    \toprule
    method & dense & 0.95 & 0.98 \\
    \midrule
    dense & 98.03 $\pm$ 0.15 & -- & -- \\
    random & -- & \textbf{95.23 $\pm$ 0.25} & 90.13 $\pm$ 0.15 \\
    snip & -- & \textbf{95.20 $\pm$ 0.10} & 80.17 $\pm$ 0.21 \\
    snip + rearrange & -- & \textbf{95.23 $\pm$ 0.21} & -- \\
    lr\_rewinding & -- & -- & 95.95 $\pm$ 0.07 (2) \\
    \bottomrule
  \end{tabular}
"""


@pytest.fixture(scope='module')
def tables(tmp_path_factory):
  folder = tmp_path_factory.mktemp('study')
  example_runs.study(folder)
  return cells.tables(find([folder]).runs)


@pytest.fixture(scope='module')
def compared(tmp_path_factory):
  """(tables, comparison) of a network and a data set of the paper's."""
  folder = tmp_path_factory.mktemp('paper')
  example_runs.write(folder, (93.1, 93.4, 93.2), test_published.CIFAR, **test_published.PAPER, pruner='snip')
  found = cells.tables(find([folder]).runs)
  return found, published.compare(found)


@pytest.fixture(scope='module')
def nasty(tmp_path_factory):
  """Tables whose network, data set and method have names that every format could stumble over."""
  folder = tmp_path_factory.mktemp('nasty')
  example_runs.write(folder, (90.0,), {'network': NASTY, 'dataset': DatasetSize(NASTY, 9, 9, 0, 2, (8, 8, 1))},
                     pruner='snip', score_options=f'a="{NASTY.replace(",", ";")}"')
  return cells.tables(find([folder]).runs)


def test_the_terminal_has_aligned_columns_and_all_that_belongs_to_the_numbers(tables):
  assert formats.text(tables) == TEXT


def test_markdown_is_a_table_with_what_belongs_to_it(tables):
  lines = formats.markdown(tables, command='bin/report --runs=runs').replace(wording.NOTHING, '~').splitlines()
  assert lines[:5] == ['```', 'bin/report --runs=runs', '```', '', '## resnet8 on digits: test accuracy in percent']
  assert lines[6:13] == [
      '| method | dense | 0.95 | 0.98 |', '| --- | --- | --- | --- |', '| dense | 98.03 ± 0.15 | ~ | ~ |',
      '| random | ~ | **95.23 ± 0.25** | 90.13 ± 0.15 |', '| snip | ~ | **95.20 ± 0.10** | 80.17 ± 0.21 |',
      r'| snip \+ rearrange | ~ | **95.23 ± 0.21** | ~ |', '| lr_rewinding | ~ | ~ | 95.95 ± 0.07 (2) |']
  under = '\n'.join(lines[13:])
  for part in ('Data set digits', 'Protocol: width=8, epochs=4', 'Seeds: 0 to 2.', 'Commit: ffffffffffff.'):
    assert f'\n- {part}' in under


def test_latex_is_a_table_of_booktabs(tables):
  made = formats.latex(tables, command='bin/report --runs=runs')
  assert made.startswith(LATEX) and made.rstrip().endswith(r'\end{table}')
  assert '  Commit: ffffffffffff.\n' in made and r'With 95\% for all' in made


def test_csv_has_a_line_for_every_cell(tables):
  rows = list(csv.DictReader(io.StringIO(formats.comma_separated(tables), newline='')))
  assert len(rows) == len(tables[0].cells) == 7
  row, = (row for row in rows if (row['method'], row['ratio']) == ('random', '0.95'))
  assert float(row['mean']) == pytest.approx(95.23333333) and row['protocol'] == 'width=8, epochs=4'
  assert (row['seeds'], row['accuracies'], row['among_best'], row['commits'], row['published_mean']) == (
      '0 1 2', '95 95.5 95.2', 'yes', 'f' * 40, '')


def test_published_accuracies_stand_beside_ours_in_every_format(compared):
  tables, comparison = compared
  pair, = comparison.pairs
  low, high = pair.interval
  assert -0.48 < low < -0.47 and 0.15 < high < 0.16
  for made in (formats.text(tables, comparison), formats.markdown(tables, comparison),
               formats.latex(tables, comparison).replace(r'$\pm$', '±').replace(r'{[}', '[')):
    # An interval is rounded outwards.
    assert re.search(r'vgg19\W+cifar10\W+snip\W+0\.95\W+93\.39 ± 0\.08\W+93\.23 ± 0\.15\W+94\.23[ |&]+-0\.16[ |&]+'
                     r'\[-0\.48, 0\.16\]\W+yes', made.replace('\\', '')), made
    assert 'arXiv 2009.11094' in made
  row, = csv.DictReader(io.StringIO(formats.comma_separated(tables, comparison), newline=''))
  assert (row['published_mean'], row['published_deviation']) == ('93.39', '0.08')
  assert [float(row[name]) for name in ('difference', 'joint_low', 'joint_high')] == pytest.approx(
      [pair.difference, low, high])


def test_names_do_no_harm_to_markdown(nasty):
  made = formats.markdown(nasty, command=f'bin/report {NASTY}')
  assert made.startswith('```\nbin/report <script>')
  assert '<script' not in made.partition('\n## ')[2]
  *_, header, rule, row = (line for line in made.splitlines() if line.startswith('|'))
  assert {len(re.findall(r'(?<!\\)\|', line)) for line in (header, rule, row)} == {3}
  assert '&lt;script&gt;' in row and r'\*c\*' in row and r'\`e\`' in row


def test_names_do_no_harm_to_latex(nasty):
  made = formats.latex(nasty, command=f'bin/report {NASTY}')
  first, *lines = made.splitlines()
  assert first.startswith('% ') and not any(line.startswith('%') for line in lines)
  assert len([line for line in lines if line.endswith(r'\\')]) == 2
  # Without what is escaped, and the commands of the table itself, nothing special is left but two marks between cells.
  names = [line.removeprefix(r'  \caption') for line in lines if not re.match(r' *\\(?!caption)', line)]
  escapes = r'\\(?:text\w+\{\}|symbol\{34\}|[&%$#_{}])|\{[*\[]\}|\$\\pm\$|\\\\$'
  left = ' '.join(re.sub(escapes, '', name).removeprefix('{').removesuffix('}') for name in names)
  assert 'script' in left and re.findall(r'[\\~^<>|"#%$_{}\[*&]', left) == ['&', '&']


def test_names_do_no_harm_to_csv_and_to_the_terminal(nasty):
  rows = list(csv.reader(io.StringIO(formats.comma_separated(nasty), newline='')))
  assert len(rows) == 2 and {len(row) for row in rows} == {len(rows[0])}
  assert rows[1][0] == rows[1][1] == ' '.join(NASTY.split()).replace('\x07', '\N{REPLACEMENT CHARACTER}')
  assert '\x07' not in formats.text(nasty) and '\nnew' not in formats.text(nasty)


def test_no_runs_are_no_table():
  assert formats.text([]) == formats.NOTHING
  assert formats.NOTHING in formats.markdown([]) and formats.NOTHING in formats.latex([])
  assert len(formats.comma_separated([]).splitlines()) == 1


@pytest.mark.parametrize('numbers, text', [((), ''), ((3,), '3'), ((0, 1), '0, 1'), ((0, 1, 2, 5, 7, 8, 9),
                                                                                      '0 to 2, 5, 7 to 9')])
def test_spans(numbers, text):
  assert formats.spans(numbers) == text


def test_the_number_of_seeds_is_told_where_it_is_another(tables):
  table, = tables
  cell = table.cells['snip', 0.95]
  assert formats.value(cell, table) == '95.20 ± 0.10'
  assert formats.value(dataclasses.replace(cell, runs=cell.runs * 2), table) == '95.20 ± 0.10 (6)'
  assert formats.value(None, table) == wording.NOTHING
