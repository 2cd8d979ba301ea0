"""Any tree of image files, one folder per class: train/CLASS/*.jpg and test/CLASS/*.png, in any mixture."""

import pathlib
from collections.abc import Sequence

import numpy as np

from tickets_tf.data import image_files
from tickets_tf.data import image_tree
from tickets_tf.data import images as image_tools
from tickets_tf.data import inventory
from tickets_tf.data import stored_files
from tickets_tf.data.image_files import ImageFile
from tickets_tf.data.image_tree import Parts
from tickets_tf.data.image_tree import Tree
from tickets_tf.data.memory import Placement
from tickets_tf.data.sources import Dataset
from tickets_tf.data.sources import Examples
from tickets_tf.data.stored import StoredImages
from tickets_tf.errors import TicketsError
from tickets_tf.errors import UsageError


def load(data_dir: str | None = None, image_size: int = 0, placement: Placement = Placement()) -> Dataset:  # noqa: B008
  """Loads a tree of images.

  JPEG, PNG, WebP, BMP, TIFF and the first image of a GIF are read, each by what its bytes say. Images are turned as
  their EXIF orientation says. Values of 16 bits are scaled so that the largest of the training images becomes 255; 256
  levels are kept. What is skipped or changed is told in the data set's `notes`.

  Args:
    data_dir: the folder that holds train/CLASS and test/CLASS. val/CLASS is the validation set if there is a test/, and
      what is judged by if not. Images in deeper folders count for their class.
    image_size: height and width in pixels; 0: those of the first training image. Images of another size
      are resized.
    placement: whether the images are held in memory or read for each batch. If they stay in their files, mean and
      deviation take one pass over the training images and are then remembered.

  Returns:
    A `Dataset` with the classes in sorted order and the examples sorted by path. If an image is in colour, all are made
    colour.

  Raises:
    UsageError: if the tree is not of that form, an image is of a kind that is not read, or the images do not fit into
      memory.
    TicketsError: if an image cannot be read; it names the file.
  """
  if not data_dir:
    raise UsageError('--dataset=folder needs --data_dir, the folder that holds train/CLASS and test/CLASS')
  root = pathlib.Path(data_dir)
  parts = image_tree.parts_of(root)
  class_names = image_tree.class_names(parts)
  trees = [image_tree.find(folder) for folder in parts if folder]
  found = [_inspect([path for path, _ in tree.images]) for tree in trees]
  every = [file for files in found for file in files]
  shape = (image_size or found[0][0].height, image_size or found[0][0].width, max(file.channels for file in every))
  deep = [file for file in found[0] if file.bits == 16] or [file for file in every if file.bits == 16]
  white = image_tools.largest_value(deep) if deep else image_tools.WHITE
  in_files = placement.in_files(len(every), shape)
  pixels = (StoredImages(stored_files.StoredFiles(every, shape, white)) if in_files else
            image_tools.decode_files(every, shape, white))
  label_of = {name: label for label, name in enumerate(class_names)}
  examples = Examples(pixels, np.array([label_of[name] for tree in trees for _, name in tree.images], np.int32))
  train, test, *validation = _by_part(examples, [len(files) for files in found])
  mean, std = (stored_files.statistics(train.images, found[0], white) if isinstance(train.images, StoredImages) else
               image_tools.pixel_statistics(train.images))
  skipped = {**image_tree.hidden_in(root), **{path: count for tree in trees for path, count in tree.skipped.items()}}
  return Dataset(
      name='folder',
      train=train,
      test=test,
      class_names=tuple(class_names),
      mean=mean,
      std=std,
      augmentation='crop_flip',
      crop_padding=image_tools.padding_for(shape),
      validation=validation[0] if validation else None,
      white=white,
      notes=(*inventory.lines(root, every, skipped, shape, white, image_size), *_layout(root, parts, trees),
             *([placement.note(len(every), shape)] if in_files else [])))


def _by_part(examples: Examples, sizes: Sequence[int]) -> list[Examples]:
  return [examples.take(slice(end - size, end)) for end, size in zip(np.cumsum(sizes), sizes, strict=True)]


def _inspect(paths: Sequence[str]) -> list[ImageFile]:
  """Returns what image files are; of those that are not read, the first is named and the others are counted."""
  found, errors = [], []
  for path in paths:
    try:
      found.append(image_files.inspect(path))
    except TicketsError as error:
      errors.append(error)
  if len(errors) > 1:
    raise type(errors[0])(f'{errors[0]} (and {len(errors) - 1} more files that are not read)')
  if errors:
    raise errors[0]
  return found


def _layout(root: pathlib.Path, parts: Parts, trees: Sequence[Tree]) -> list[str]:
  """Returns lines that tell how the folders are taken."""
  lines = []
  deeper = [pathlib.Path(path).relative_to(root).as_posix() for tree in trees for path in tree.deeper]
  if deeper:
    count = sum(str(pathlib.Path(path).parent) in tree.deeper for tree in trees for path, _ in tree.images)
    lines.append(f'{count:,} images in deeper folders count for the class above them: {inventory.names(deeper)}')
  if parts.validation:
    lines.append(f'{parts.validation.name}/ is the validation set: the best epoch is chosen on it')
  elif parts.test.name != 'test':
    lines.append(f'no test/: {parts.test.name}/ is what is judged by')
  beside = sorted(path.name for path in root.iterdir() if path not in parts and not image_tree.is_hidden(path.name))
  if beside:
    lines.append(f'beside {", ".join(part.name for part in parts if part)} and not read: {inventory.names(beside)}')
  return lines
