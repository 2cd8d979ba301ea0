"""Folders of images, one per class: which files are in them, and which are not read."""

import dataclasses
import os
import pathlib
from collections.abc import Iterator
from typing import NamedTuple

from tickets_tf.data import image_files
from tickets_tf.errors import UsageError

_VALIDATION = ('val', 'valid', 'validation')
_LEFT_BEHIND = ('thumbs.db', 'desktop.ini', '__macosx', '@eadir', '__pycache__')  # by desktops and tools, lower case


class Parts(NamedTuple):
  """The folders of a data set's parts; `validation` is None if there are no images for it alone."""
  train: pathlib.Path
  test: pathlib.Path
  validation: pathlib.Path | None


@dataclasses.dataclass(frozen=True)
class Tree:
  """The files of one part of a data set.

  Attributes:
    images: the path of every image and the name of its class, sorted by path.
    skipped: what is not read, a folder with a slash at its end, each with its number of files.
    deeper: the folders below those of the classes whose images count for their class.
  """
  images: tuple[tuple[str, str], ...]
  skipped: dict[str, int]
  deeper: tuple[str, ...]


def is_hidden(name: str) -> bool:
  """Returns whether a file or folder of this name is hidden, or one that desktops and tools leave behind."""
  return name.startswith('.') or name.lower() in _LEFT_BEHIND


def parts_of(root: pathlib.Path) -> Parts:
  """Returns the folders of the parts of a data set.

  `val/` (or `valid/`, `validation/`) is the validation set if `test/` stands beside it, and the test set if not.

  Raises:
    UsageError: if there is no folder for training, or none to judge by.
  """
  if not root.is_dir():
    raise UsageError(f'--data_dir={root}: no such folder')
  validation = next((root / name for name in _VALIDATION if (root / name).is_dir()), None)
  train, test = root / 'train', root / 'test'
  for folder in (train, test):
    if not folder.is_dir() and (folder == train or validation is None):
      raise UsageError(f'--data_dir={root}: no folder {folder.name!r} in it; --dataset=folder reads train/CLASS and '
                       'test/CLASS, or train/CLASS and val/CLASS')
  return Parts(train, test, validation) if test.is_dir() else Parts(train, validation or test, None)


def class_names(parts: Parts) -> list[str]:
  """Returns the sorted names of the classes.

  Raises:
    UsageError: if a class has no folder in one of the parts, or there are fewer than two.
  """
  train = _class_folders(parts.train)
  for other in filter(None, (parts.test, parts.validation)):
    names = _class_folders(other)
    for missing, lacking, having in ((names - train, parts.train, other), (train - names, other, parts.train)):
      if missing:
        raise UsageError(f'{lacking}: has no folder for class {min(missing)!r}, which {having.name} has')
  if len(train) < 2:
    raise UsageError(f'{parts.train}: needs the folders of at least 2 classes, has {len(train)}')
  return sorted(train)


def find(folder: pathlib.Path) -> Tree:
  """Returns the images of one part, `folder`/CLASS/..., at any depth, by what their bytes say.

  A file with the ending of an image is taken for one, so that a broken one is named; of the others, those whose first
  bytes are those of an image. Hidden names are not read.

  Raises:
    UsageError: if a class has no image.
    TicketsError: if a file cannot be read; it names the file.
  """
  images: list[tuple[str, str]] = []
  skipped: dict[str, int] = {}
  deeper: set[str] = set()
  for path in sorted(folder.iterdir()):
    if path.is_dir() and not is_hidden(path.name):
      found = list(_images_below(path, skipped))
      if not found:
        raise UsageError(f'{path}: no images there ({", ".join(image_files.FORMATS)})')
      images += [(str(file), path.name) for file in found]
      deeper.update(str(file.parent) for file in found if file.parent != path)
    else:
      _skip(path, skipped)
  return Tree(tuple(sorted(images)), skipped, tuple(sorted(deeper)))


def hidden_in(root: pathlib.Path) -> dict[str, int]:
  """Returns what is hidden in a folder itself, as `Tree.skipped`."""
  skipped: dict[str, int] = {}
  for path in sorted(root.iterdir()):
    if is_hidden(path.name):
      _skip(path, skipped)
  return skipped


def is_image(path: str | os.PathLike[str]) -> bool:
  """Returns whether a file is taken for an image: by its ending, or else by its first bytes."""
  return os.path.splitext(path)[1].lower() in image_files.SUFFIXES or bool(image_files.format_of(path))


def _class_folders(folder: pathlib.Path) -> set[str]:
  return {path.name for path in folder.iterdir() if path.is_dir() and not is_hidden(path.name)}


def _images_below(folder: pathlib.Path, skipped: dict[str, int],
                  above: tuple[pathlib.Path, ...] = ()) -> Iterator[pathlib.Path]:
  """Yields the images below a folder; links to folders are followed, but not in circles."""
  above = (*above, folder.resolve())
  for path in sorted(folder.iterdir()):
    if is_hidden(path.name):
      _skip(path, skipped)
    elif path.is_dir():
      if path.resolve() not in above:
        yield from _images_below(path, skipped, above)
    elif is_image(path):
      yield path
    else:
      _skip(path, skipped)


def _skip(path: pathlib.Path, skipped: dict[str, int]) -> None:
  if path.is_dir():
    skipped[f'{path}/'] = sum(len(files) for _, _, files in os.walk(path))
  else:
    skipped[str(path)] = 1
