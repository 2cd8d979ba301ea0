"""Runs of a user's own code are named by all of that code: changed code is never answered with the old result."""

import dataclasses
import functools
import os
import subprocess
import sys

import numpy as np
import pytest

from tests import small_network
import tickets_tf
from tickets_tf import own_code
from tickets_tf import registry
from tickets_tf.pruning import rules
from tickets_tf.runs.run import Run


@pytest.fixture
def folder(tmp_path, monkeypatch):
  """An empty folder that modules are imported from; they are forgotten afterwards."""
  monkeypatch.syspath_prepend(tmp_path)
  before = set(sys.modules)
  yield tmp_path
  for name in set(sys.modules) - before:
    if getattr(sys.modules[name], '__file__', None) and str(tmp_path) in str(sys.modules[name].__file__):
      del sys.modules[name]


@pytest.fixture
def tables():
  """All tables as they are, and again afterwards."""
  every = [rules.RULES, registry.SCORES, registry.ALLOCATIONS, registry.MODELS, registry.CHECKS, registry.DATASETS]
  kept = [(table, dict(table._entries), dict(table._registered_by)) for table in every]
  yield
  for table, entries, registered_by in kept:
    table._entries, table._registered_by = entries, registered_by


def write(path, text):
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_text(text)


@pytest.mark.parametrize('imports', [
    'import helper', 'import helper as other', 'from helper import FILTERS', 'from helper import *',
    'def late():\n  import helper', 'try:\n  import helper\nexcept ImportError:\n  pass', 'import middle',
    'from package import inner', 'from package.inner import deep', 'import package.inner'])
def test_every_form_of_import_counts(imports, folder):
  write(folder / 'mine.py', f'{imports}\ndef score(): pass\n')
  write(folder / 'middle.py', 'import helper\n')
  write(folder / 'helper.py', 'FILTERS = 4\n')
  write(folder / 'package/__init__.py', '')
  write(folder / 'package/inner.py', 'from . import beside\nfrom .deeper import thing as deep\n')
  write(folder / 'package/beside.py', 'from ..package import deeper\n')
  write(folder / 'package/deeper.py', 'import helper\nthing = 3\n')
  before = own_code.digest(['mine:score'])
  write(folder / 'helper.py', 'FILTERS = 8\n')
  assert own_code.digest(['mine:score']) != before
  write(folder / 'helper.py', 'FILTERS = 4\n')
  assert own_code.digest(['mine:score']) == before


def test_installed_packages_and_this_one_do_not_count(folder):
  write(folder / 'mine.py', 'import os\nimport numpy as np\nimport tickets_tf.scores\nfrom absl import flags\n')
  names = set(own_code._files(['mine']))
  assert names == {'mine'}


def test_a_folder_without_an_init_file_counts_before_its_package_is_imported(folder):
  write(folder / 'outer_of_mine' / '__init__.py', '')
  write(folder / 'outer_of_mine' / 'inner' / 'deep.py', 'FILTERS = 4')
  write(folder / 'mine.py', 'import outer_of_mine.inner.deep\n')
  before = own_code.digest(['mine:model'])
  write(folder / 'outer_of_mine' / 'inner' / 'deep.py', 'FILTERS = 8')
  assert own_code.digest(['mine:model']) != before


def test_packages_of_another_environment_do_not_count(folder, monkeypatch):
  write(folder / 'site-packages' / 'theirs.py', '')
  monkeypatch.syspath_prepend(folder / 'site-packages')
  write(folder / 'mine.py', 'import theirs\n')
  before = own_code.digest(['mine:model'])
  write(folder / 'site-packages' / 'theirs.py', 'FILTERS = 8')
  assert own_code.digest(['mine:model']) == before


def test_files_are_read_and_never_run(folder):
  write(folder / 'mine.py', 'import package.other\nraise RuntimeError("this was run")\n')
  write(folder / 'package/__init__.py', 'raise RuntimeError("this was run")\n')
  write(folder / 'package/other.py', '')
  assert set(own_code._files(['mine'])) == {'mine', 'package', 'package.other'}


def test_names_and_places_of_files_do_not_count(folder, tmp_path_factory, monkeypatch):
  write(folder / 'mine.py', 'X = 1\n')
  write(folder / 'yours.py', 'X = 1\n')
  assert own_code.digest(['mine:f']) == own_code.digest(['yours:f']) != b''


def test_code_without_a_file_counts_by_what_it_does():
  def defined(sign, factor=2):
    space = {'__name__': 'nowhere_at_all'}
    exec(f'FACTOR = {factor}\ndef helper(x): return {sign}x\ndef score(model): return FACTOR * helper(model)', space)
    return own_code.digest([space['score']])

  assert defined('') == defined('') != b''
  assert defined('-') != defined('') and defined('', 3) != defined('')


@pytest.mark.parametrize('before, after', [
    ('def score(model, factor=2): return factor', 'def score(model, factor=3): return factor'),
    ('def score(model, *, factor=2): return factor', 'def score(model, *, factor=3): return factor'),
    ('def score(model): return model.weights', 'def score(model): return model.variables'),
    ('def score(model): return 2', 'def score(model): return 3'),
    ('def score(model): return [each for each in (2, 3)]', 'def score(model): return [each for each in (2, 4)]'),
    ('X = 2\ndef score(model): return (lambda: X)()', 'X = 3\ndef score(model): return (lambda: X)()')])
def test_all_of_what_code_without_a_file_does_counts(before, after):
  def digest(source):
    space = {'__name__': 'nowhere_at_all'}
    exec(source, space)
    return own_code.digest([space['score']])

  assert digest(before) == digest(before) != digest(after)


def test_the_digest_is_the_same_in_every_process(folder):
  for name in ('first', 'second', 'third', 'fourth'):
    write(folder / f'{name}.py', f'{name.upper()} = 1\n')
  write(folder / 'mine.py', 'import first, second, third, fourth\n')
  program = 'from tickets_tf import own_code; print(own_code.digest(["mine"]).hex())'
  path = os.pathsep.join([str(folder), *sys.path])
  found = {subprocess.run([sys.executable, '-c', program], capture_output=True, text=True, check=True,
                          env={**os.environ, 'PYTHONPATH': path, 'PYTHONHASHSEED': seed}).stdout for seed in '123'}
  assert found == {own_code.digest(['mine']).hex() + '\n'}


def test_code_counts_inside_of_other_values(folder):
  write(folder / 'mine.py', 'def score(model): pass\nclass Scores:\n  def score(self): pass\n')
  mine = __import__('mine')
  expected = own_code.digest(['mine'])
  for root in (mine.score, functools.partial(map, mine.score), functools.partial(print, end=mine.score), mine.Scores,
               mine.Scores().score, mine.Scores()):
    assert own_code.digest([root]) == expected != b'', root
  for score in (mine.score, 'mine:score', functools.partial(mine.score)):
    assert expected in own_code.digest([rules.Rule(score=score)]), score


@pytest.mark.parametrize('part', ['score', 'allocation'])
def test_a_rule_counts_with_what_it_names(part, folder):
  write(folder / 'mine.py', 'def choose(*args): pass\n')
  write(folder / 'plan.py', f'import tickets_tf\nRULE = tickets_tf.Rule({part}="mine:choose")\n')
  before = Run(tickets_tf.Settings(pruner='plan:RULE')).name
  write(folder / 'mine.py', 'def choose(*args): return 1\n')
  assert Run(tickets_tf.Settings(pruner='plan:RULE')).name != before


def test_a_depth_behind_the_name_of_a_registered_network_does_not_hide_its_code(folder, tables):
  write(folder / 'nets.py', 'import tickets_tf\n@tickets_tf.register_model("mynet")\n'
        'def mynet(input_shape, num_classes, depth): pass\n')
  __import__('nets')
  before = Run(tickets_tf.Settings(model='mynet8')).name
  write(folder / 'nets.py', (folder / 'nets.py').read_text() + 'X = 1\n')
  assert Run(tickets_tf.Settings(model='mynet8')).name != before


def test_built_in_entries_have_no_code_of_their_own():
  for table in (rules.RULES, registry.SCORES, registry.ALLOCATIONS, registry.CHECKS, registry.DATASETS):
    assert all(table.own_code(name) == [] for name in table.names())
  assert registry.MODELS.own_code('resnet20') == []


def test_a_network_that_imports_a_changed_helper_is_another_run(folder):
  write(folder / 'mymodel.py', 'import helper\ndef net(input_shape, num_classes): pass\n')
  write(folder / 'helper.py', 'FILTERS = 4\n')
  settings = tickets_tf.Settings(model='mymodel:net')
  before = Run(settings).name
  write(folder / 'helper.py', 'FILTERS = 8\n')
  assert Run(settings).name != before


REGISTERED = """
import numpy as np
import tickets_tf

@tickets_tf.register_score('planted')
def planted(model, images, labels, rng):
  return [{sign}np.abs(kernel.variable.numpy()) for kernel in tickets_tf.prunable_kernels(model)]

tickets_tf.register_rule('planted_rule')(tickets_tf.Rule(score='planted', allocation='{allocation}'))
"""


def forget(name):
  for table in (rules.RULES, registry.SCORES):
    for each in (name, f'{name}_rule'):
      table._entries.pop(each, None)
      table._registered_by.pop(each, None)
  sys.modules.pop('registering', None)


def test_a_registered_score_that_was_changed_is_trained_again(folder, tables):
  settings = tickets_tf.Settings(model=small_network.NAME, width=4, train_examples=160, batch_size=32, epochs=1,
                                 ratio=0.8, progress=False, tensorboard=False, export=False, samples_per_class=2,
                                 output_dir=str(folder / 'runs'))
  masks = {}
  for sign in ('', '-'):
    forget('planted')
    write(folder / 'registering.py', REGISTERED.format(sign=sign, allocation='erk'))
    __import__('registering')
    for pruner in ('planted', 'planted_rule'):
      record = tickets_tf.train(dataclasses.replace(settings, pruner=pruner), say=lambda line: None)
      masks[sign, pruner] = record.mask
  assert len(set(masks.values())) == 4, 'two signs, two allocations'


@pytest.mark.parametrize('score', ['planted', 'magnitude'])
def test_a_registered_rule_whose_row_was_changed_is_another_run(score, folder, tables):
  names = []
  for allocation in ('erk', 'er'):
    forget('planted')
    write(folder / 'registering.py', REGISTERED.format(sign='', allocation=allocation).replace("score='planted'",
                                                                                              f'score={score!r}'))
    __import__('registering')
    names.append(Run(tickets_tf.Settings(pruner='planted_rule')).name)
  assert len(set(names)) == 2


def test_a_rule_without_a_file_counts_by_its_choices(tables):
  names = []
  for allocation in ('erk', 'er', 'erk'):
    forget('planted')
    tickets_tf.register_rule('planted_rule')(tickets_tf.Rule(score='magnitude', allocation=allocation))
    rules.RULES._registered_by['planted_rule'] = 'a_notebook'
    names.append(Run(tickets_tf.Settings(pruner='planted_rule')).name)
  assert names[0] == names[2] != names[1]


def test_a_registered_score_is_a_rule_wherever_one_is_named(tables, small_model):
  def scored(model, images, labels, rng):
    return [np.arange(kernel.size, dtype=float).reshape(kernel.shape) for kernel in tickets_tf.prunable_kernels(model)]

  tickets_tf.register_score('counted')(scored)
  assert 'counted' in rules.RULES.names()
  assert tickets_tf.Settings(pruner='counted').pruner == 'counted'
  rule = Run(tickets_tf.Settings(pruner='counted')).rule
  assert (rule.score, rule.allocation, rule.scored_at, rule.rewound_to) == ('counted', 'global', 'init', 'init')
  ticket = tickets_tf.find_ticket(small_model, 'counted', 0.5)
  assert ticket.mask.kept == ticket.mask.size - ticket.mask.size // 2 or ticket.mask.density == pytest.approx(0.5, 0.01)


def test_an_entry_of_the_packages_own_table_is_a_rule_too(tables):
  registry.SCORES._entries['one_file_and_one_line'] = 'tickets_tf.scores.magnitude:magnitude'
  assert rules.resolve('one_file_and_one_line').score == 'one_file_and_one_line'
  assert Run(tickets_tf.Settings(pruner='one_file_and_one_line')).rule.allocation == 'global'


def test_a_network_of_ones_own_needs_no_width(folder):
  write(folder / 'plain_net.py', 'def net(input_shape, num_classes): pass\n'
        'def wide(input_shape, num_classes, width=3): pass\n')
  assert Run(tickets_tf.Settings(model='plain_net:net')) == Run(tickets_tf.Settings(model='plain_net:net', width=0))
  assert Run(tickets_tf.Settings(model='plain_net:wide')).settings.width == 16
  with pytest.raises(tickets_tf.UsageError, match=r'--width=32: plain_net:net takes no width; leave the flag out'):
    Run(tickets_tf.Settings(model='plain_net:net', width=32))
