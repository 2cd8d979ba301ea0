"""What a user's own code is made of, so that changed code is never answered with the results of the old.

A user's code is the file of the module that a function is in, and of every module that it imports, at any depth and in
any form of `import`, as long as the file lies outside the installed packages. Code that has no file (a notebook's, an
interpreter's) counts by its functions and by the plain values that they use, and so does a rule, check or pattern by
the plain values in it. Files are read, never run. What is imported by a computed name, and data files that the code
opens, are not seen.
"""

import ast
from collections.abc import Iterable
from collections.abc import Iterator
import dataclasses
import functools
import hashlib
from importlib import machinery
import inspect
import pathlib
import site
import sys
import sysconfig
import types

_PLAIN = (bool, int, float, complex, str, bytes, tuple, type(None))


def digest(roots: Iterable[object]) -> bytes:
  """Returns a digest of all code that the roots are made of; empty if none of it is a user's own.

  Args:
    roots: module names, `package.module:name` paths, functions, classes, and dataclasses with any of these in them.

  Returns:
    Bytes that depend on the contents of the files alone, not on their names or places.
  """
  modules: set[str] = set()
  contents: set[bytes] = set()
  for root in roots:
    contents.update(_plain_values(root))
    for part in _parts(root):
      if isinstance(part, str):
        modules.add(part.partition(':')[0])
      elif _file_of(part.__module__) is None and isinstance(part, types.FunctionType):
        contents.update(_without_file(part, set()))
      else:
        modules.add(part.__module__)
  contents.update(path.read_bytes() for path in _files(modules).values())
  return b''.join(sorted(hashlib.sha256(content).digest() for content in contents))


def _parts(root: object) -> Iterator[str | type | types.FunctionType]:
  """Yields the module names, classes and functions that an entry of a table is made of."""
  if isinstance(root, str):
    yield root
  elif dataclasses.is_dataclass(root) and not isinstance(root, type):
    for field in dataclasses.fields(root):
      value = getattr(root, field.name)
      if callable(value) or (isinstance(value, str) and ':' in value and ' ' not in value):
        yield from _parts(value)
  elif isinstance(root, functools.partial):
    for each in (root.func, *root.args, *root.keywords.values()):
      if callable(each) or dataclasses.is_dataclass(each):
        yield from _parts(each)
  elif inspect.ismethod(root):
    yield from _parts(root.__func__)
    yield root.__self__ if isinstance(root.__self__, type) else type(root.__self__)
  elif isinstance(root, type):
    yield from inspect.getmro(root)
  elif isinstance(root, types.FunctionType):
    yield root
    if hasattr(root, '__wrapped__'):
      yield from _parts(root.__wrapped__)
  else:
    yield from inspect.getmro(type(root))


def _plain_values(root: object) -> Iterator[bytes]:
  # The choices of a rule, for instance: if it was made in a notebook, no file tells them.
  if dataclasses.is_dataclass(root) and not isinstance(root, type):
    values = [(field.name, getattr(root, field.name)) for field in dataclasses.fields(root)]
    yield repr([(name, value) for name, value in values if isinstance(value, _PLAIN)]).encode()


def _files(modules: Iterable[str]) -> dict[str, pathlib.Path]:
  """Returns module name -> file, of these modules and all that they import, those of installed packages left out."""
  found: dict[str, pathlib.Path] = {}
  waiting = list(modules)
  seen: set[str] = set()
  while waiting:
    name = waiting.pop()
    if name in seen:
      continue
    seen.add(name)
    if '.' in name:
      waiting.append(name.rpartition('.')[0])  # Importing a module runs its packages too.
    path = _file_of(name)
    if path is None or _is_installed(name, path):
      continue
    found[name] = path
    if path.suffix == '.py':
      waiting += _imported(name, path)
  return found


def _file_of(name: str) -> pathlib.Path | None:
  loaded = getattr(sys.modules.get(name), '__file__', None)
  if loaded is None and name not in sys.modules:
    spec = _spec(name)
    loaded = spec.origin if spec and spec.has_location else None
  path = pathlib.Path(loaded) if loaded else None
  return path if path and path.is_file() else None


def _spec(name: str) -> machinery.ModuleSpec | None:
  """Finds a module as an import would, but without running the packages around it."""
  package, _, _ = name.rpartition('.')
  within = None
  if package:
    around = _spec(package)
    if around is None or around.submodule_search_locations is None:
      return None
    within = list(around.submodule_search_locations)
  for finder in sys.meta_path:
    try:
      spec = finder.find_spec(name, within) if hasattr(finder, 'find_spec') else None
    except KeyError:
      # A folder without __init__.py, which asks for the package around it, and that is not imported.
      spec = machinery.ModuleSpec(name, None, is_package=True)
      spec.submodule_search_locations = [str(pathlib.Path(path) / name.rpartition('.')[2]) for path in within or ()]
    if spec is not None:
      return spec
  return None


@functools.cache
def _installed_folders() -> tuple[pathlib.Path, ...]:
  paths = sysconfig.get_paths()
  folders = [paths[name] for name in ('stdlib', 'platstdlib', 'purelib', 'platlib')]
  folders += [*site.getsitepackages(), site.getusersitepackages()]
  return tuple(pathlib.Path(folder).resolve() for folder in folders)


def _is_installed(name: str, path: pathlib.Path) -> bool:
  # This package counts as installed wherever it lies: its commit and version stand in the record.
  top = name.partition('.')[0]
  resolved = path.resolve()
  return (top == 'tickets_tf' or top in sys.stdlib_module_names
          or any(folder in resolved.parents for folder in _installed_folders())
          # Those of another environment, which a path of this one may name.
          or not {'site-packages', 'dist-packages'}.isdisjoint(resolved.parts))


def _imported(name: str, path: pathlib.Path) -> list[str]:
  """Returns the absolute names of all that a module may import; some may be names of functions instead."""
  try:
    tree = ast.parse(path.read_bytes())
  except (SyntaxError, ValueError):
    return []  # Importing it says what is wrong, in words that are better than any of ours.
  package = name if path.name == '__init__.py' else name.rpartition('.')[0]
  names = []
  for node in ast.walk(tree):
    if isinstance(node, ast.Import):
      names += [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
      parts = package.split('.')[:len(package.split('.')) - node.level + 1] if node.level else []
      base = '.'.join([*parts, *([node.module] if node.module else [])])
      names += [base] if base else []
      names += [f'{base}.{alias.name}' if base else alias.name for alias in node.names]
  return names


def _without_file(function: types.FunctionType, seen: set[int]) -> Iterator[bytes]:
  """Yields what a function without a file does: its code, and the functions and plain values that it names."""
  if id(function) in seen:
    return
  seen.add(id(function))
  yield repr((_code(function.__code__), function.__defaults__, function.__kwdefaults__)).encode()
  for name in sorted(_names(function.__code__)):
    value = function.__globals__.get(name)
    if isinstance(value, types.FunctionType) and _file_of(value.__module__) is None:
      yield from _without_file(value, seen)
    elif name in function.__globals__ and isinstance(value, _PLAIN):
      yield repr((name, value)).encode()


def _code(code: types.CodeType) -> tuple[object, ...]:
  constants = [_code(each) if isinstance(each, types.CodeType) else repr(each) for each in code.co_consts]
  return code.co_code, code.co_names, code.co_varnames, tuple(constants)


def _names(code: types.CodeType) -> set[str]:
  inner = [_names(each) for each in code.co_consts if isinstance(each, types.CodeType)]
  return set(code.co_names).union(*inner)
