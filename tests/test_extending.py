"""The recipes of docs/extending.md as they stand there: outside the package, and inside a copy of it."""

import json
import os
import pathlib
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import types

import pytest

from tests import small_network
import tickets_tf
from tickets_tf import registry
from tickets_tf.runs import records

ROOT = pathlib.Path(__file__).parents[1]
TEXT = (ROOT / 'docs' / 'extending.md').read_text()
SMALL = {'model': small_network.NAME, 'width': 8, 'train_examples': 160, 'epochs': 1, 'progress': False,
         'tensorboard': False, 'export': False, 'samples_per_class': 2}
# Runs commands one after the other in one process, as their programs would.
DRIVER = '''
import json, sys
from absl import flags
from absl.testing import flagsaver
from tickets_tf.cli import sanity_check, train
sanity_check.define_flags()
for program, *arguments in json.loads(sys.argv[1]):
  with flagsaver.flagsaver():
    flags.FLAGS([program, *arguments])
    assert {'bin/train': train.main, 'bin/sanity_check': sanity_check.main}[program]() is not False
'''


def blocks(language):
  return re.findall(rf'^```{language}\n(.*?)^```', TEXT, re.MULTILINE | re.DOTALL)


def files():
  """Name -> content of the files that the recipes write."""
  named = [(re.match(r'# (\w+\.py)\n', block), block) for block in blocks('python')]
  return {match[1]: block.removeprefix(match[0]) for match, block in named if match}


def rows():
  """(file, table, line) of the lines that go into the package's tables."""
  return re.findall(r'^```python\n# (\S+), in (\w+)\n(.*)\n```', TEXT, re.MULTILINE)


def inside(row):
  """The place in the package of a recipe's file, as its line in a table says."""
  module = re.search(r"'(tickets_tf[\w.]+):", row)
  return module and module[1].replace('.', '/') + '.py'


def flags(values):
  return [f'--{"" if value is not False else "no"}{name}' + (f'={value}' if not isinstance(value, bool) else '')
          for name, value in values.items()]


def call(*command, cwd, checkout=ROOT):
  done = subprocess.run([sys.executable, *map(str, command)], capture_output=True, text=True, cwd=cwd, check=False,
                        env={**os.environ, 'PYTHONPATH': str(checkout)}, stdin=subprocess.DEVNULL)
  assert done.returncode == 0, done.stdout + done.stderr
  return done.stdout


@pytest.fixture(scope='module')
def outside(tmp_path_factory):
  """The folder in which all recipes were written and their commands called, but that of the export."""
  folder = tmp_path_factory.mktemp('outside')
  for name, content in files().items():
    (folder / name).write_text(content)
  commands = [shlex.split(line) for block in blocks('bash') for line in block.splitlines()]
  # What the recipe asks for comes behind, and wins.
  last = {'bin/sanity_check': ['--seeds=1', '--nonarrow']}
  commands = [[program, *flags(SMALL), *arguments, *last.get(program, [])]
              for program, *arguments in commands if program != 'bin/export']
  call('-c', DRIVER, json.dumps(commands), cwd=folder)
  return folder


@pytest.fixture(scope='module')
def made(outside):
  """The records of the runs, those that others needed included."""
  return [records.read(path.parent) for path in (outside / 'runs').glob('*/record.json')]


def test_there_is_a_recipe_for_every_kind():
  # in_python.py is no recipe, and a rule needs no file in the package.
  assert len(files()) == 10 and len(rows()) == 9 and len(blocks('bash')) == 9
  tables = {match for _, match, _ in rows()}
  assert tables == {'SCORES', 'ALLOCATIONS', 'MASK_UPDATES', 'RULES', 'CHECKS', 'PATTERNS', 'MODELS', 'DATASETS',
                    'VARIANTS'}
  assert all(f'`{inside(line)}`' in TEXT for _, _, line in rows() if inside(line)), 'the text names the file'
  assert all(name in files() for name in (pathlib.Path(inside(line)).name for _, _, line in rows() if inside(line)))


@pytest.mark.parametrize('flag, value, proves', [
    ('pruner', 'gradient_size:gradient_size', lambda record: record.kept < record.weights / 10),
    ('allocation', 'square_root:square_root', lambda record: record.rule.allocation == 'square_root:square_root'),
    ('mask_updates', 'shaken:SHAKEN', lambda record: all(each.grown == each.removed > 0
                                                         for each in record.mask_history)),
    ('pruner', 'my_rules:ERK_LOTTERY', lambda record: record.rule.allocation == 'erk' and len(record.needed) == 1),
    ('check', 'constant:CONSTANT', lambda record: record.proof['magnitudes'] == len(record.layers)),
    ('pattern', 'fan_in:FAN_IN', lambda record: record.pattern == records.PatternKept('fan_in:FAN_IN', ())),
    ('model', 'plain:plain', lambda record: record.network == 'plain' and record.layers[0].shape == (3, 3, 1, 8)),
    ('dataset', 'stripes:load', lambda record: record.dataset.image_shape == (16, 16, 1)),
])
def test_outside_the_package(flag, value, proves, made):
  found = [record for record in made if getattr(record.settings, flag) == value]
  assert found and all(map(proves, found))


def test_the_verdict_of_a_check(outside):
  report, = (outside / 'runs').glob('sanity-*/verdicts.json')
  judgement, = json.loads(report.read_text())['judgements']
  assert judgement['question'] == 'do the magnitudes within a layer matter?'


def test_a_form_outside_the_package(outside):
  (_, *arguments), = (shlex.split(line) for block in blocks('bash') for line in block.splitlines()
                      if line.startswith('bin/export'))
  run = next(path.parent for path in (outside / 'runs').glob('*gradient_size*/record.json'))
  printed = call(ROOT / 'bin' / 'export', *arguments, f'--run={run}', '--rounds=5', cwd=outside)
  assert re.search(r'^ *dense_summed\.tflite .* (best|yes|no)$', printed, re.MULTILINE)


def test_in_python(tmp_path, monkeypatch, capsys, small_model):
  """The script is run as it is, but its ticket is found in a small network and not trained."""
  def train(settings):
    assert tickets_tf.Run(settings).rule.score == 'noisy_magnitude'
    ticket = tickets_tf.find_ticket(small_model, settings.pruner, settings.ratio)
    return types.SimpleNamespace(final_accuracy=ticket.mask.kept / ticket.mask.size)

  (tmp_path / 'in_python.py').write_text(files()['in_python.py'])
  monkeypatch.setattr(tickets_tf, 'train', train)
  try:
    runpy.run_path(str(tmp_path / 'in_python.py'), run_name='__main__')
  finally:
    registry.SCORES._entries.pop('noisy_magnitude', None)
    registry.SCORES._registered_by.pop('noisy_magnitude', None)
  assert re.fullmatch(r'(4\.9\d|5\.00)%\n', capsys.readouterr().out)


@pytest.fixture(scope='module')
def package(tmp_path_factory):
  """A copy of the repository with every recipe inside."""
  copy = tmp_path_factory.mktemp('inside')
  for path in ROOT.iterdir():
    if path.name in ('benchmarks', 'bin', 'configs', 'docs', 'examples', 'results', 'tests', 'tickets_tf'):
      shutil.copytree(path, copy / path.name, ignore=shutil.ignore_patterns('__pycache__'))
    elif path.suffix in ('.md', '.toml'):
      shutil.copy(path, copy)
  for file, table, line in rows():
    if inside(line):
      (copy / inside(line)).write_text(files()[pathlib.Path(inside(line)).name])
    add_row(copy / file, table, line)
  form = copy / 'tickets_tf' / 'export' / 'tflite.py'
  function = re.search(r'^def summed.*?(?=^DENSE_SUMMED)', files()['summed.py'], re.MULTILINE | re.DOTALL)[0]
  form.write_text(form.read_text().replace('VARIANTS = {', f'{function}VARIANTS = {{', 1))
  add_row(copy / 'tests' / 'pruning' / 'test_rules.py', 'ROWS',
          "    'erk_lottery': ('magnitude', 'erk', 'trained', 'init', 1),")
  call('docs/tables.py', cwd=copy, checkout=copy)
  return copy


def add_row(path, table, line):
  """Puts a line at the end of a table that begins at the left margin."""
  before, start, rest = re.split(rf'(^{table}\b[^\n]*\n)', path.read_text(), maxsplit=1, flags=re.MULTILINE)
  body, end, rest = re.split(r'(^[)}].*\n)', rest, maxsplit=1, flags=re.MULTILINE)
  assert not re.search(r'^\S', body, re.MULTILINE), f'{table} has a line for each entry'
  path.write_text(f'{before}{start}{body}{line}\n{end}{rest}')


def test_inside_the_package_the_shared_tests_pass(package):
  added = ['gradient_size', 'square_root', 'constant', 'fan_in', 'plain', 'stripes', 'erk_lottery', 'tflite']
  chosen = [*added, 'test_docs', 'test_layers', 'test_registry', 'test_rules']
  tests = ['scores/test_conformance.py', 'pruning/test_allocation.py', 'pruning/test_patterns.py',
           'pruning/test_rules.py', 'checks/test_checks.py', 'experiment/test_tickets.py', 'test_docs.py',
           'test_layers.py', 'test_registry.py']
  # Flags and studies are as they were.
  asked = f'({" or ".join(chosen)}) and not commands_use_flags and not pages_of_studies'
  printed = call('-m', 'pytest', '-v', '-n', '0', '-p', 'no:cacheprovider', '-k', asked,
                 *(f'tests/{test}' for test in tests), cwd=package, checkout=package)
  for name, at_least in (('gradient_size', 15), ('square_root', 2), ('constant', 1), ('fan_in', 37)):
    assert len(re.findall(rf'\[.*{name}.*\] PASSED', printed)) >= at_least, name


def test_inside_the_package_there_is_nothing_to_lint(package):
  added = [inside(line) for _, _, line in rows() if inside(line)]
  call('-m', 'ruff', 'check', '--no-cache', *added, *{file for file, _, _ in rows()}, cwd=package, checkout=package)


def test_inside_the_package_the_names_work(package, tmp_path):
  names = {'pruner': 'gradient_size', 'allocation': 'square_root', 'check': 'constant', 'pattern': 'fan_in',
           'model': 'plain', 'dataset': 'stripes'}
  call('-c', DRIVER, json.dumps([['bin/train', *flags({**SMALL, **names})]]), cwd=tmp_path, checkout=package)
  made, = map(json.loads, (path.read_text() for path in (tmp_path / 'runs').glob('*/record.json')))
  assert made['network'] == 'plain' and made['dataset']['name'] == 'stripes' and made['proof']['magnitudes'] > 1
  assert made['rule']['score'] == 'gradient_size' and made['rule']['allocation'] == 'square_root'
  assert made['pattern'] == {'name': 'fan_in', 'broken_by': []}
  readme = (package / 'README.md').read_text()
  assert all(f'`{name}`' in readme for name in [*names.values(), 'erk_lottery', 'dense_summed'])
