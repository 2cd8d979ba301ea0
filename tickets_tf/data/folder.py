"""Any tree of image files, one folder per class: train/CLASS/*.jpg and test/CLASS/*.png, in any mixture."""

import os
import pathlib
from collections.abc import Iterable

import numpy as np
import tensorflow_datasets as tfds

from tickets_tf.data import images as image_tools
from tickets_tf.data.sources import Dataset
from tickets_tf.data.sources import Examples
from tickets_tf.errors import UsageError


def load(data_dir: str | None = None, image_size: int = 0) -> Dataset:
  """Loads a tree of images.

  Args:
    data_dir: the folder that holds train/CLASS and test/CLASS.
    image_size: height and width in pixels; 0: those of the first training image. Images of another size
      are resized.

  Returns:
    A `Dataset` with the classes in sorted order and the examples sorted by path. If the first training image is gray,
    all are made gray, else all are made colour.

  Raises:
    UsageError: if the tree is not of that form or the images do not fit into memory.
    TicketsError: if an image cannot be read; it names the file.
  """
  if not data_dir:
    raise UsageError('--dataset=folder needs --data_dir, the folder that holds train/CLASS and test/CLASS')
  root = pathlib.Path(data_dir)
  class_names = _check_tree(root)
  builder = tfds.folder_dataset.ImageFolder(str(root))
  train, test = (_image_files(builder, root, split, class_names) for split in ('train', 'test'))
  paths = train + test
  label_of = {name: label for label, name in enumerate(class_names)}
  labels = np.array([label_of[os.path.basename(os.path.dirname(path))] for path in paths], np.int32)
  shape = image_tools.shape_of(paths[0], image_size)
  examples = Examples(image_tools.decode(paths, shape), labels)
  mean, std = image_tools.pixel_statistics(examples.images[:len(train)])
  return Dataset(
      name='folder',
      train=examples.take(slice(len(train))),
      test=examples.take(slice(len(train), None)),
      class_names=tuple(class_names),
      mean=mean,
      std=std,
      augmentation='crop_flip',
      crop_padding=image_tools.padding_for(shape))


def _check_tree(root: pathlib.Path) -> list[str]:
  """Returns the sorted class names; UsageError if a folder is missing or a class is not in both parts."""
  if not root.is_dir():
    raise UsageError(f'--data_dir={root}: no such folder')
  classes = {}
  for split in ('train', 'test'):
    if not (root / split).is_dir():
      raise UsageError(f'--data_dir={root}: no folder {split!r} in it; --dataset=folder reads train/CLASS and '
                       'test/CLASS')
    classes[split] = {path.name for path in (root / split).iterdir() if path.is_dir()}
  for split, other in (('train', 'test'), ('test', 'train')):
    missing = sorted(classes[other] - classes[split])
    if missing:
      raise UsageError(f'{root / split}: has no folder for class {missing[0]!r}, which {other} has')
  if len(classes['train']) < 2:
    raise UsageError(f'{root / "train"}: needs the folders of at least 2 classes, has {len(classes["train"])}')
  return sorted(classes['train'])


def _image_files(builder: tfds.folder_dataset.ImageFolder, root: pathlib.Path, split: str,
                 class_names: Iterable[str]) -> list[str]:
  """Returns the split's files sorted by path, because ImageFolder shuffles them."""
  files: list[str] = []
  empty = set(class_names)
  if builder.info.splits[split].num_examples:
    dataset = builder.as_dataset(split=split, decoders={'image': tfds.decode.SkipDecoding()})
    names = dataset.map(lambda example: example['image/filename']).batch(1000)
    files = sorted(os.fsdecode(name) for block in names.as_numpy_iterator() for name in block)
    empty -= {os.path.basename(os.path.dirname(path)) for path in files}
  if empty:
    raise UsageError(f'{root / split / min(empty)}: no images there ({", ".join(image_tools.SUFFIXES)})')
  return files
