"""The door of the package: what type checkers see, what Python gives, and what it costs."""

import ast
import pathlib
import subprocess
import sys

import pytest

import tickets_tf

TREE = ast.parse(pathlib.Path(tickets_tf.__file__).read_text())


def seen_by_type_checkers():
  """Returns name -> module, or name -> table, of the names that are imported for type checkers alone."""
  block = next(node for node in TREE.body if isinstance(node, ast.If) and ast.unparse(node.test) == 'TYPE_CHECKING')
  imported = {alias.name: node.module.removeprefix('tickets_tf.')
              for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
  tables = {node.targets[0].id: (imported[node.value.value.id], node.value.value.id)
            for node in block.body if isinstance(node, ast.Assign)}
  used = {table for _, table in tables.values()}
  return {name: module for name, module in imported.items() if name not in used}, tables


def test_type_checkers_see_what_python_gives():
  assert seen_by_type_checkers() == (tickets_tf._MODULES, tickets_tf._TABLES)
  assert sorted(tickets_tf.__all__) == sorted([*tickets_tf._MODULES, *tickets_tf._TABLES])


@pytest.mark.parametrize('name', tickets_tf.__all__)
def test_every_name_is_there(name):
  assert getattr(tickets_tf, name) is not None
  assert name in dir(tickets_tf)


def test_a_name_that_is_not_there():
  with pytest.raises(AttributeError, match="module 'tickets_tf' has no attribute 'trian'"):
    _ = tickets_tf.trian


def test_importing_the_package_imports_nothing_else():
  code = ('import sys; before = set(sys.modules); import tickets_tf; '
          'print(*(name for name in set(sys.modules) - before if "." not in name and not name.startswith("_")))')
  done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
  assert set(done.stdout.split()) <= {'tickets_tf', 'importlib', 'typing', 'collections', 'operator', 'keyword',
                                      'reprlib', 'functools', 'contextlib', 'types', 're', 'enum', 'copyreg',
                                      'warnings'}


def test_a_program_starts_without_keras_3():
  # It would take a quarter of the time; who wants it can have it still.
  code = ('import importlib.util, sys; import tickets_tf.experiment.train; '
          'print("keras" in sys.modules, importlib.util.find_spec("keras") is not None)')
  done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
  assert done.stdout.split() == ['False', 'True']
