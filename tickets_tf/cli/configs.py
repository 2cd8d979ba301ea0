"""The files of flags that come with the package, found by name: `--config=cifar10_resnet32`."""

import difflib
import pathlib

import tickets_tf
from tickets_tf.errors import UsageError


def folder() -> pathlib.Path:
  """Returns the folder of the flag files: in an installed package beside its modules, else in the checkout."""
  package = pathlib.Path(tickets_tf.__file__).resolve().parent
  installed = package / 'configs'
  return installed if installed.is_dir() else package.parent / 'configs'


def names() -> list[str]:
  """Returns the known names, those of sweeps last: `cifar10_resnet32`, `sweeps/cifar10`."""
  found = [path.relative_to(folder()).with_suffix('').as_posix() for path in folder().rglob('*.flags')]
  return sorted(found, key=lambda name: ('/' in name, name))


def find(name: str) -> pathlib.Path:
  """Returns the flag file called `name`.

  Raises:
    UsageError: if there is none; the message has the nearest known name.
  """
  known = names()
  if name in known:
    return folder() / f'{name}.flags'
  near = difflib.get_close_matches(name, known, n=1, cutoff=0.3)
  hint = f' (did you mean {near[0]!r}?)' if near else ''
  raise UsageError(f'unknown config {name!r}{hint}; known: {", ".join(known)}; a file of your own goes with --flagfile')
