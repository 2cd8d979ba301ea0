"""bin/report as a user runs it; it imports no TensorFlow."""

import pathlib
import subprocess
import sys

import pytest

from tests.report import html_page
from tests.report.scoreboard import example_runs

ROOT = pathlib.Path(__file__).parents[2]


def call(*arguments, cwd):
  # The program, and what it has imported.
  code = ('import atexit, runpy, sys; sys.argv = sys.argv[1:]; '
          'atexit.register(lambda: print("tensorflow" in sys.modules, file=sys.stderr)); '
          'runpy.run_path(sys.argv[0], run_name="__main__")')
  done = subprocess.run([sys.executable, '-c', code, str(ROOT / 'bin' / 'report'), *map(str, arguments)],
                        capture_output=True, text=True, cwd=cwd, stdin=subprocess.DEVNULL, check=False)
  *lines, imported = done.stderr.splitlines()
  assert imported == 'False', 'it reads records, and needs no TensorFlow'
  return done.returncode, done.stdout, lines


def files(folder):
  return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob('*') if path.is_file()}


@pytest.fixture(scope='module')
def runs(tmp_path_factory):
  """A folder of a small study, with what cannot be used."""
  folder = tmp_path_factory.mktemp('study') / 'runs'
  example_runs.study(folder)
  for number in range(4):
    (folder / f'begun{number}').mkdir()
    (folder / f'begun{number}' / 'settings.json').write_text('{}')
  for name, content in (('theirs', '{"score": 1}'), ('half', '{"format"')):
    (folder / name).mkdir()
    (folder / name / 'record.json').write_text(content)
  (folder / 'empty').mkdir()
  return folder


def test_a_report_is_printed_and_written(runs, tmp_path):
  before = files(runs)
  code, printed, told = call(f'--runs={runs}', '--output_dir=out', '--compare=published', cwd=tmp_path)
  assert code == 0
  lines = printed.splitlines()
  assert lines[0] == 'resnet8 on digits: test accuracy in percent'
  assert lines[4].split() == ['snip', '–', '95.20', '±', '0.10', '*', '80.17', '±', '0.21']  # noqa: RUF001
  assert lines[-1] == f'report: {pathlib.Path("out") / "report.html"}'
  assert len(told) == 6 and told[-1] == '1 more are left out'
  assert told[0] == f'{runs / "begun0"}: left out: not finished: holds settings.json, but no record.json yet'
  made = files(tmp_path / 'out')
  assert {'tables.txt', 'tables.md', 'tables.csv', 'tables.tex', 'report.html'} <= made.keys()
  plots = sorted(name for name in made if name.startswith('figures/'))
  assert len(plots) == len(made) - 5 >= 2
  assert [name[:-4] for name in plots[::2]] == [name[:-4] for name in plots[1::2]], 'each as SVG and as PNG'
  assert made['tables.txt'].decode() == '\n'.join(lines[:-1]) + '\n'
  assert '0 have runs here' in made['tables.md'].decode()
  page = html_page.Page(made['report.html'].decode())
  text = ' '.join(words for _, words in page.find('body'))
  for expected in ('begun3', 'theirs', 'half', '95.20 ± 0.10', 'arXiv 2009.11094', f'--runs={runs}'):
    assert expected in text, expected
  assert files(runs) == before, 'nothing is written beside the runs'


def test_an_empty_folder_is_a_report_without_tables(tmp_path):
  (tmp_path / 'empty').mkdir()
  code, printed, told = call('--runs=empty', cwd=tmp_path)
  assert (code, told) == (0, ['empty: left out: holds no run and no verdicts.json'])
  assert printed.splitlines() == ['No run is done.', f'report: {pathlib.Path("report") / "report.html"}']
  assert (tmp_path / 'report' / 'report.html').stat().st_size


@pytest.mark.parametrize('arguments, expected', [
    ([], '--runs is needed'),
    (['--runs=.', '--runs=nowhere'], '--runs=nowhere: no such folder; expected a folder of runs or of verdicts'),
    (['--runs=nowhere', '--serve'], '--runs=nowhere: no such folder'),
    (['--runs=.', '--output_dir=/dev/null/out'], '--output_dir=/dev/null/out: cannot be written to'),
])
def test_bad_usage_is_one_line_and_leaves_nothing(arguments, expected, tmp_path):
  code, printed, told = call(*arguments, cwd=tmp_path)
  assert (code, printed) == (2, '') and expected in told[-1] and 'Traceback' not in ''.join(told)
  assert not list(tmp_path.iterdir())
