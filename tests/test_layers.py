"""The order in which modules may import each other, as docs/architecture.md draws it."""

import ast
import pathlib

import pytest

import tickets_tf

PACKAGE = pathlib.Path(tickets_tf.__file__).parent
# A module imports only from the rows above its own, or from its own package.
LAYERS = (
    ('errors', 'seeds', 'own_code'),
    ('storage',),
    ('files', 'registry', 'notes', 'environment', 'collecting', 'machine'),
    ('exchange',),
    ('pruning',),
    ('runs',),
    ('judging',),
    ('report',),
    ('data', 'models'),
    ('scores', 'sparse', 'checks'),
    ('training',),
    ('export',),
    ('experiment',),
    ('cli',),
)
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
WITHOUT_TENSORFLOW = {name for names in LAYERS[:8] for name in names}


def modules():
  return sorted(path for path in PACKAGE.rglob('*.py') if path != PACKAGE / '__init__.py')


def top(path):
  return path.relative_to(PACKAGE).parts[0].removesuffix('.py')


def imports(path):
  """Yields (own module or None, outside package) of every import statement, at any depth of the file."""
  for node in ast.walk(ast.parse(path.read_text())):
    names = []
    if isinstance(node, ast.Import):
      names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
      names = [f'{node.module}.{alias.name}' for alias in node.names]
    for name in names:
      package, _, rest = name.partition('.')
      yield (rest.partition('.')[0] or None, None) if package == 'tickets_tf' else (None, package)


@pytest.mark.parametrize('path', modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_look_down(path):
  assert top(path) in LEVEL, 'a new module needs its place in LAYERS and in docs/architecture.md'
  for own, outside in imports(path):
    if own and own != top(path):
      assert LEVEL[own] < LEVEL[top(path)], f'{top(path)} imports {own}'
    if top(path) in WITHOUT_TENSORFLOW:
      assert outside not in ('tensorflow', 'tf_keras', 'tensorflow_model_optimization', 'tensorflow_datasets')
    if outside == 'tensorflow_model_optimization':
      assert top(path) == 'sparse', 'only sparse/ knows tfmot'
    assert outside != 'keras' or path.name == 'to_keras3.py', 'tfmot needs tf_keras'


def test_every_module_in_the_order_exists():
  assert set(LEVEL) == {top(path) for path in modules()}
