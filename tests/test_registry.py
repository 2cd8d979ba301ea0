import pytest

from tickets_tf import registry
from tickets_tf.pruning import rules
from tickets_tf.errors import UsageError
from tickets_tf.registry import Registry


@pytest.mark.parametrize('table', [registry.SCORES, registry.ALLOCATIONS, registry.MODELS, registry.DATASETS],
                         ids=lambda table: table.kind)
def test_every_built_in_entry_can_be_had(table):
  for name in table.names():
    entry = table.get(name)
    assert callable(entry) and entry.__doc__


def test_every_rule_names_what_exists():
  for name in rules.RULES.names():
    row = rules.resolve(name)
    registry.SCORES.check(row.score)
    registry.ALLOCATIONS.check(row.allocation)


def test_a_rule_takes_another_allocation():
  assert rules.resolve('random').allocation == 'smart'
  assert rules.resolve('random', allocation='erk') == rules.Rule('random', 'erk', source=rules.resolve('random').source)


def test_a_users_score_is_a_rule():
  row = rules.resolve('json:dumps')
  assert (row.score, row.allocation, row.scored_at, row.rewound_to) == ('json:dumps', 'global', 'init', 'init')


def test_users_entries():
  table = Registry('thing', {'mine': 1})
  assert table.register('yours')(2) == 2
  assert table.names() == ['mine', 'yours'] and table.get('yours') == 2
  import json
  assert table.get('json:dumps') is json.dumps
  with pytest.raises(UsageError, match="thing 'yours': the name is taken"):
    table.register('yours')
  with pytest.raises(UsageError, match="thing 'a:b': the name is not allowed"):
    table.register('a:b')


@pytest.mark.parametrize('kept', [False, True])
def test_a_cell_of_a_notebook_replaces_what_it_registered(kept):
  table = Registry('thing', {'built_in': 1}, kept=kept)

  def run_cell(value, name='mine', notebook='a_notebook'):
    exec(f'@table.register({name!r})\ndef thing():\n  return {value}', {'__name__': notebook, 'table': table})
    return table.get(name)()

  assert run_cell(2) == run_cell(2) == 2
  if kept:  # What the network of that name was, for instance, is in memory.
    with pytest.raises(UsageError, match="thing 'mine': the name is taken by other code; expected another name"):
      run_cell(3)
  else:
    assert run_cell(3) == 3
  assert table.get('mine')() == (2 if kept else 3)
  for other in ({'name': 'built_in'}, {'notebook': 'another_notebook'}):
    with pytest.raises(UsageError, match=r'the name is taken$'):
      run_cell(2, **other)


@pytest.mark.parametrize('name, expected', [
    ('mime', r"unknown thing 'mime' \(did you mean 'mine'\?\); known: mine, or package.module:name"),
    ('zzzz', r"unknown thing 'zzzz'; known: mine"),
    ('no_such_module_at_all:x', r"thing 'no_such_module_at_all:x': No module named 'no_such_module_at_all'"),
    ('json:dumpz', r"json has no 'dumpz'; it has .*dumps"),
    ('json:', r"unknown thing 'json:'"),
])
def test_names_that_cannot_be_had(name, expected):
  with pytest.raises(UsageError, match=expected):
    Registry('thing', {'mine': 1}).get(name)


def test_a_module_in_the_current_folder_is_found(tmp_path, monkeypatch):
  (tmp_path / 'a_module_of_my_own.py').write_text('def rule(): return 5\n')
  monkeypatch.chdir(tmp_path)
  monkeypatch.setattr('sys.path', ['/nonexistent', *__import__('sys').path])
  assert Registry('thing').get('a_module_of_my_own:rule')() == 5


def test_a_folder_whose_name_an_installed_one_has_too_is_found(tmp_path, monkeypatch):
  installed, here = tmp_path / 'site' / 'shared_by_two', tmp_path / 'here' / 'shared_by_two'
  for folder, name in ((installed, 'theirs'), (here, 'mine')):
    folder.mkdir(parents=True)
    (folder / f'{name}.py').write_text('def rule(): return 6\n')
  monkeypatch.chdir(here.parent)
  monkeypatch.setattr('sys.path', [*[path for path in __import__('sys').path if path], str(installed.parent)])
  assert Registry('thing').get('shared_by_two.mine:rule')() == 6


def test_models_take_a_depth():
  registry.MODELS.check('resnet32')
  registry.MODELS.check('vgg')
  assert registry.MODELS.split('resnet32') == ('resnet', 32)
  with pytest.raises(UsageError, match="unknown model 'densenet'"):
    registry.MODELS.check('densenet40')


def test_the_name_of_a_model_may_end_with_a_number(monkeypatch):
  monkeypatch.setitem(registry.MODELS._entries, 'net2', len)
  assert registry.MODELS.split('net2') == ('net2', None)
  assert registry.MODELS.get('net2') is len


@pytest.mark.parametrize('kind', ['allocation', 'check', 'dataset', 'model', 'rule', 'score'])
def test_every_table_takes_entries_of_a_users_own(kind):
  import tickets_tf
  from tickets_tf import registry
  from tickets_tf.pruning import rules
  tables = {'allocation': registry.ALLOCATIONS, 'check': registry.CHECKS, 'dataset': registry.DATASETS,
            'model': registry.MODELS, 'rule': rules.RULES, 'score': registry.SCORES}
  name = f'mine_{kind}'
  try:
    own = getattr(tickets_tf, f'register_{kind}')(name)(rules.Rule() if kind == 'rule' else object())
    assert tables[kind].get(name) is own
  finally:
    tables[kind]._entries.pop(name, None)
