"""Classes of image files, from the classifier of a ticket."""

import glob
import pathlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypedDict

import numpy as np
import numpy.typing as npt

from tickets_tf import data
from tickets_tf import notes
from tickets_tf.errors import TicketsError, UsageError
from tickets_tf.export.classifier import Classifier

_BATCH = 100  # images per call

# These are dictionaries, because they are printed as JSON.
ClassProbability = TypedDict('ClassProbability', {'class': str, 'probability': float})


class Prediction(TypedDict):
  """The most probable classes of one image file, the most probable first."""
  image: str
  classes: list[ClassProbability]


def find_images(patterns: Iterable[str], skipped: Callable[[str], object] = lambda path: None) -> list[str]:
  """Returns the paths of image files.

  Args:
    patterns: files of any name; folders, whose subfolders are searched too; or globs, `**` included. Of folders and
      globs only images are taken: files with the ending of one, so that a broken one is named, and files whose first
      bytes are those of one. Hidden names are left out.
    skipped: is called with the path of each file that is left out.

  Returns:
    The paths in the order of the patterns, sorted within each.

  Raises:
    UsageError: if a pattern finds nothing.
  """
  found = []
  for pattern in patterns:
    files = _find(pathlib.Path(pattern), pattern, skipped)
    if not files:
      raise UsageError(f'{pattern}: no image there (a file, a folder with {", ".join(data.IMAGE_SUFFIXES)} files, or '
                       'a glob)')
    found += files
  return found


def _find(path: pathlib.Path, pattern: str, skipped: Callable[[str], object]) -> list[str]:
  if path.is_file():
    return [pattern]
  files = map(str, path.rglob('*')) if path.is_dir() else glob.glob(pattern, recursive=True)
  # Hidden below the folder that was asked for; that folder itself may be hidden.
  above = len(path.parts) if path.is_dir() else len(pathlib.Path(pattern).parts) - 1
  found = []
  for file in sorted(file for file in files if pathlib.Path(file).is_file()):
    hidden = any(map(data.is_hidden, pathlib.Path(file).parts[above:]))
    if not hidden and data.is_image(file):
      found.append(file)
    else:
      skipped(file)
  return found


def classify_files(classifier: Classifier, paths: Sequence[str], top: int = 1,
                   broken: Callable[[TicketsError], object] = print) -> Iterator[Prediction]:
  """Classifies image files. Each image is read, turned, scaled and resized as those of the ticket's data set.

  Args:
    classifier: what `load_ticket` returns.
    paths: image files.
    top: how many of the most probable classes to give for each image.
    broken: is called with the error for each file that is not a whole image, or of a kind that is not read; the file
      is left out.

  Yields:
    A prediction for every other file, in order.
  """
  for start in range(0, len(paths), _BATCH):
    images = _read(paths[start:start + _BATCH], classifier, broken)
    if not images:
      continue
    found = classifier.predict(np.stack([image for _, image in images]))
    for (path, _), probabilities in zip(images, found, strict=True):
      order = np.argsort(-probabilities, kind='stable')[:top]
      yield {'image': path, 'classes': [{'class': classifier.class_names[index],
                                         'probability': float(probabilities[index])} for index in order]}


def _read(paths: Sequence[str], classifier: Classifier,
          broken: Callable[[TicketsError], object]) -> list[tuple[str, npt.NDArray[np.uint8]]]:
  images = []
  with notes.dropped():  # The JPEG library prints its own messages about broken images.
    for path in paths:
      try:
        images.append((path, data.load_image(path, classifier.image_shape, classifier.white)))
      except TicketsError as error:
        broken(error)
  return images
