"""What README.md and docs/ say, held to the code: lists of names, layers, flags, links and what they quote."""

import ast
import dataclasses
import importlib.util
import os
import pathlib
import re
import subprocess
import sys

import pytest

import tickets_tf
from tests import test_layers
from tickets_tf import registry
from tickets_tf.cli import configs
from tickets_tf.judging import verdicts
from tickets_tf.pruning import rules
from tickets_tf.report import wording
from tickets_tf.runs.folder import RunFolder
from tickets_tf.runs.settings import Settings

ROOT = pathlib.Path(__file__).parents[1]
PAGES = [ROOT / name for name in ('README.md', 'CONTRIBUTING.md')] + sorted((ROOT / 'docs').glob('*.md'))
TABLES = {'scores': registry.SCORES, 'allocations': registry.ALLOCATIONS, 'patterns': registry.PATTERNS,
          'mask updates': registry.MASK_UPDATES, 'sanity checks': registry.CHECKS, 'networks': registry.MODELS,
          'data sets': registry.DATASETS, 'rules': rules.RULES}
pages = pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)


@pytest.fixture(scope='module')
def tables():
  """docs/tables.py, which is in no package."""
  spec = importlib.util.spec_from_file_location('docs_tables', ROOT / 'docs' / 'tables.py')
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module


def names_in(text, column=0):
  """The names in backticks at the start of a column's cells."""
  cells = [line.split(' | ')[column] for line in text.splitlines() if line.startswith('| ')]
  return [name for cell in cells for name in re.findall(r'`([^`]+)`', cell)]


def test_the_lists_are_those_of_the_tables(tables):
  for page in tables.pages():
    assert tables.filled(page.read_text()) == page.read_text(), f'{page.name}: call python docs/tables.py'
  filled = ''.join(page.read_text() for page in tables.pages())
  assert set(re.findall(r'<!-- (\w+) -->', filled)) == set(tables.LISTS)


def test_every_name_stands_in_the_lists_and_no_other(tables):
  readme = (ROOT / 'README.md').read_text()
  lists = dict(re.findall(r'^\| ([\w ]+) \| (`.*`) \|$', readme, re.MULTILINE))
  for kind, table in TABLES.items():
    assert re.findall(r'`([^`]+)`', lists[kind]) == table.names(), kind
  assert names_in(tables.LISTS['rules']())[1:] == rules.RULES.names()
  assert names_in(tables.LISTS['checks']())[1:] == registry.CHECKS.names()
  assert names_in(tables.LISTS['allocations']())[1:] == registry.ALLOCATIONS.names()
  assert names_in(tables.LISTS['patterns']())[1:] == registry.PATTERNS.names()


def test_the_columns_of_the_rules_are_the_rows_of_the_table():
  text = (ROOT / 'docs' / 'rules.md').read_text()
  for name in rules.RULES.names():
    line, = (line for line in text.splitlines() if line.startswith(f'| `{name}` |') and line.count(' | ') == 8)
    _, score, allocation, scored_at, rewound_to, rounds, updates, rates, _ = line.split(' | ')
    rule = rules.RULES.get(name)
    if rule.given or not rule.prunes:
      assert not any((score, allocation, scored_at, rewound_to, rounds, updates, rates))
    else:
      assert (score, allocation, scored_at) == (rule.score, rule.allocation, rule.scored_at)
      assert (updates, rates) == (rule.mask_updates, rule.rates)
      assert rewound_to.partition(' ')[0] == rule.rewound_to and int(rounds) == rule.rounds


def test_every_setting_is_described():
  text = (ROOT / 'docs' / 'settings.md').read_text()
  assert set(re.findall(r'^\| `--(\w+)`', text, re.MULTILINE)) == {field.name for field in dataclasses.fields(Settings)}


def test_every_config_is_described():
  text = (ROOT / 'docs' / 'training.md').read_text().partition('| `--config`')[2].partition('\n\n')[0]
  assert names_in(text) == configs.names()


def test_every_name_of_the_package_is_described():
  described = set(re.findall(r'\w+', (ROOT / 'docs' / 'python.md').read_text()))
  assert set(tickets_tf.__all__) <= described


def test_every_file_of_a_run_is_described():
  text = (ROOT / 'docs' / 'training.md').read_text()
  names = {value.fget(RunFolder(pathlib.Path('run'))).name for value in vars(RunFolder).values()
           if isinstance(value, property)}
  assert {name for name in names if not name.startswith('.')} - {'checkpoints'} <= set(re.findall(r'[\w.]+\w', text))


def test_the_layers_are_those_that_the_tests_enforce():
  text = (ROOT / 'docs' / 'architecture.md').read_text()
  drawn = [tuple(name.rstrip('/') for name in re.findall(r'`([^`]+)`', names))
           for names in re.findall(r'^\| \d+ \| ([^|]+) \|', text, re.MULTILINE)]
  assert list(map(set, drawn)) == list(map(set, test_layers.LAYERS))
  above = re.findall(r'^\| \d+ \|', text.partition('| | TensorFlow | |')[0], re.MULTILINE)
  assert len(above) == len([names for names in test_layers.LAYERS if set(names) <= test_layers.WITHOUT_TENSORFLOW])


@pages
def test_links_lead_somewhere(page):
  for link in re.findall(r'\]\(([^)\s]+)\)', page.read_text()):
    target, _, place = link.partition('#')
    path = (page.parent / target).resolve() if target else page
    assert path.exists(), link
    if place:
      headings = re.findall(r'^#+ (.*)$', path.read_text(), re.MULTILINE)
      assert place in [re.sub(r'[^\w -]', '', heading).lower().replace(' ', '-') for heading in headings], link


@pages
def test_files_that_are_named_exist(page):
  added = re.findall(r'the file is `([^`]+)`', page.read_text())  # A recipe's file is yours to write.
  named = re.findall(r'`((?:tickets_tf|tests|docs|bin|results|examples|configs)/[\w./]*)[` ]', page.read_text())
  assert not [name for name in named if name not in added and not (ROOT / name).exists()]


@pytest.fixture(scope='module')
def program_flags():
  """Program -> the flags that its help lists."""
  found = {}
  for program in ('train', 'sanity_check', 'sweep', 'export', 'exchange', 'predict', 'evaluate', 'instability',
                  'records', 'report', 'benchmark'):
    done = subprocess.run([sys.executable, ROOT / 'bin' / program, '--helpfull'], capture_output=True, text=True,
                          check=True)
    named = re.findall(r'^ +--(\[no\])?(\w+):', done.stdout, re.MULTILINE)
    found[program] = {flag for no, name in named for flag in ((name, f'no{name}') if no else (name,))}
  return found


@pages
def test_commands_use_flags_that_there_are(page, program_flags):
  text = page.read_text().replace('\\\n', ' ')
  for program, arguments in re.findall(r'^(?:    )?(?:.*&& )?bin/(\w+) (.*)$', text, re.MULTILINE):
    if program == 'offline_host':
      program, arguments = 'sweep', arguments.partition(' -- ')[2]
    unknown = set(re.findall(r'(?<=--)\w+', arguments)) - program_flags[program]
    assert not unknown, f'bin/{program} {arguments}'
  every = set().union(*program_flags.values())
  own = {'help', 'strict', 'pieces', 'images', 'out', 'earlier', 'dense'}  # Those of mkdocs, bin/offline_host.
  assert set(re.findall(r'`--(\w+)[`=]', text)) - own <= every


def test_the_readme_shows_the_example():
  code, = re.findall(r'^```python\n(.*?)^```', (ROOT / 'README.md').read_text(), re.MULTILINE | re.DOTALL)
  example = (ROOT / 'examples' / 'mine.py').read_text()
  assert example.endswith(f'"""\n\n{code}')
  # Ten lines, but for imports that Python needs, and blank ones.
  assert len([line for line in code.splitlines() if line]) <= 10


@pytest.mark.parametrize('page', [page for page in PAGES if page.name != 'extending.md'], ids=lambda page: page.name)
def test_python_on_the_pages_is_python(page):
  for code in re.findall(r'^```python\n(.*?)^```', page.read_text(), re.MULTILINE | re.DOTALL):
    used = {node.attr for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name) and node.value.id == 'tickets_tf'}
    assert used <= set(tickets_tf.__all__)


@pytest.mark.parametrize('study', ['sanity_digits', 'sanity_cifar10_jpeg'])
def test_pages_of_studies_have_the_tables_of_their_verdicts(study):
  done = subprocess.run([sys.executable, ROOT / 'results' / 'tables.py', study], capture_output=True, text=True,
                        env={**os.environ, 'PYTHONPATH': str(ROOT)})
  assert done.returncode == 0, done.stderr
  assert len(done.stdout) > 400 and done.stdout.strip() in (ROOT / 'results' / study / 'README.md').read_text()


def test_the_picture_has_the_verdicts():
  folder = ROOT / 'results' / 'sanity_digits'
  picture = (folder / 'verdicts.svg').read_text()
  shown = re.findall(r'<text[^>]*>([^<]+)</text>', picture)
  found = verdicts.read(folder / 'verdicts.json')
  asked = [each for each in (*found.luck, *found.judgements) if each.ratio == 0.98]
  assert len(asked) == 6 + 49
  for each in asked:
    low, high = wording.ends(*each.interval.rule_family, digits=1) if not each.unaffected else ('', '')
    assert (f'{low} to {high}'.replace('-', '\N{MINUS SIGN}') if not each.unaffected else 'the same') in shown
  assert len(picture) < 150_000
