"""Classes of image files, from a ticket in any file."""

import glob
import pathlib

import numpy as np

from tickets_tf import data
from tickets_tf import notes
from tickets_tf.errors import TicketsError
from tickets_tf.errors import UsageError

_BATCH = 100  # images per call


def find_images(patterns):
  """Returns image files by name.

  Args:
    patterns: strings, each a file of any name, or a folder, which is searched through all its folders, or a glob, `**`
      included, of which files are taken that are named as images.

  Returns:
    A list of paths, strings, in the order of the patterns, and sorted within each.

  Raises:
    UsageError: where one of them finds nothing.
  """
  found = []
  for pattern in patterns:
    files = _find(pathlib.Path(pattern), pattern)
    if not files:
      raise UsageError(f'{pattern}: no image there (a file, a folder with {", ".join(data.IMAGE_SUFFIXES)} files, or '
                       'a glob)')
    found += files
  return found


def _find(path, pattern):
  if path.is_file():
    return [pattern]
  files = map(str, path.rglob('*')) if path.is_dir() else glob.glob(pattern, recursive=True)
  return sorted(file for file in files if pathlib.Path(file).suffix.lower() in data.IMAGE_SUFFIXES)


def predict(ticket, paths, top=1, broken=print):
  """Classifies image files, each resized as the ticket's data set was.

  Args:
    ticket: what `load_ticket` returns.
    paths: image files.
    top: how many of the most probable classes to give of each image.
    broken: takes the `TicketsError` that names a file that is no whole image; the file is left out.

  Yields:
    For every other file, in order, {'image': its path, 'classes': [{'class': name, 'probability': float}, ...]}, the
    most probable class first.
  """
  for start in range(0, len(paths), _BATCH):
    images = _read(paths[start:start + _BATCH], ticket.image_shape, broken)
    for path, probabilities in zip([path for path, _ in images],
                                   ticket.predict(np.stack([image for _, image in images])) if images else ()):
      order = np.argsort(-probabilities, kind='stable')[:top]
      yield {'image': path, 'classes': [{'class': ticket.class_names[index], 'probability': float(probabilities[index])}
                                        for index in order]}


def _read(paths, shape, broken):
  images = []
  with notes.dropped():  # The JPEG library talks about broken images in words of its own.
    for path in paths:
      try:
        images.append((path, data.load_image(path, shape)))
      except TicketsError as error:
        broken(error)
  return images
