"""What takes a pass over a whole stored data set to find out, kept in the user's cache."""

import hashlib
import os
import pathlib
from collections.abc import Callable
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
from absl import logging

from tickets_tf import files

Arrays = dict[str, npt.NDArray[Any]]


def folder() -> pathlib.Path:
  """Returns the folder of the cache: tickets_tf in $XDG_CACHE_HOME, or in ~/.cache."""
  return pathlib.Path(os.environ.get('XDG_CACHE_HOME') or pathlib.Path.home() / '.cache') / 'tickets_tf'


def remembered(what: str, made_of: Iterable[object], compute: Callable[[], Arrays]) -> Arrays:
  """Returns what was computed before of the same things, or computes and keeps it.

  Args:
    what: what it is, in the file's name and in messages.
    made_of: all that it depends on, told by its text.
    compute: computes arrays by name.
  """
  digest = hashlib.sha256()
  for part in made_of:
    digest.update(f'{part}\n'.encode('utf-8', 'surrogateescape'))
  path = folder() / f'{what}-{digest.hexdigest()[:32]}.npz'
  try:
    with np.load(path, allow_pickle=False) as kept:
      return {name: kept[name] for name in kept.files}
  except FileNotFoundError:
    pass
  except Exception as error:  # Readers of damaged files raise whatever these lead them to.
    logging.warning('%s: cannot be read and is computed again (%s)', path, error)
  found = compute()
  try:
    path.parent.mkdir(parents=True, exist_ok=True)
    with files.replacing(path) as temporary, open(temporary, 'wb') as file:
      np.savez(file, **found)  # type: ignore[arg-type]
  except OSError as error:
    logging.warning('%s: the %s cannot be kept, and each run computes it again (%s)', path, what, error.strerror)
  return found
