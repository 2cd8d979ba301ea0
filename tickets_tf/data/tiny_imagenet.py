"""Tiny-ImageNet, from the folders that its archive unpacks to."""

import pathlib
from collections.abc import Collection
from collections.abc import Sequence

import numpy as np

from tickets_tf.data import image_files
from tickets_tf.data import images as image_tools
from tickets_tf.data.sources import Dataset
from tickets_tf.data.sources import Examples
from tickets_tf.errors import UsageError


def load(data_dir: str | None = None, image_size: int = 0) -> Dataset:
  """Loads Tiny-ImageNet. Its validation images are the test set here, because its own test images have no labels.

  Args:
    data_dir: the folder that holds train/WNID/images/*.JPEG, val/images/*.JPEG, val/val_annotations.txt and, for
      readable class names, words.txt.
    image_size: height and width in pixels; 0: those of the first image, which are 64x64.

  Returns:
    A `Dataset` of colour images, classes in the order of their WNIDs; gray images are made colour.

  Raises:
    UsageError: if a folder or file of the layout is missing, or the images do not fit into memory.
    TicketsError: if an image cannot be read; it names the file.
  """
  if not data_dir:
    raise UsageError('--dataset=tiny_imagenet needs --data_dir, the folder that holds train/ and val/')
  root = pathlib.Path(data_dir)
  wnids = sorted(path.name for path in root.glob('train/*') if path.is_dir())
  if not wnids:
    raise UsageError(f'--data_dir={root}: no train/WNID/images folders; give the folder that tiny-imagenet-200.zip '
                     'unpacks to')
  train = [(path, wnid) for wnid in wnids for path in _image_files(root / 'train' / wnid / 'images')]
  test = _annotated(root / 'val', set(wnids))
  paths = [str(path) for path, _ in train + test]
  label_of = {wnid: label for label, wnid in enumerate(wnids)}
  labels = np.array([label_of[wnid] for _, wnid in train + test], np.int32)
  height, width, _ = image_tools.shape_of(paths[0], image_size)
  shape = height, width, 3
  examples = Examples(image_tools.decode(paths, shape), labels)
  return Dataset(
      name='tiny_imagenet',
      train=examples.take(slice(len(train))),
      test=examples.take(slice(len(train), None)),
      class_names=_class_names(root / 'words.txt', wnids),
      mean=(0.4802, 0.4481, 0.3975),
      std=(0.2770, 0.2691, 0.2821),
      augmentation='crop_flip',
      crop_padding=image_tools.padding_for(shape))


def _image_files(folder: pathlib.Path) -> list[pathlib.Path]:
  files = sorted(path for path in folder.glob('*') if path.suffix.lower() in image_files.SUFFIXES)
  if not files:
    raise UsageError(f'{folder}: no images there')
  return files


def _annotated(folder: pathlib.Path, wnids: Collection[str]) -> list[tuple[pathlib.Path, str]]:
  """Returns the (path, WNID) pairs of val_annotations.txt, sorted by path."""
  annotations = folder / 'val_annotations.txt'
  if not annotations.is_file():
    raise UsageError(f'{annotations}: no such file; it holds the labels of the test images')
  pairs = []
  for number, line in enumerate(annotations.read_text().splitlines(), start=1):
    name, _, rest = line.partition('\t')
    wnid = rest.partition('\t')[0]
    if wnid not in wnids:
      raise UsageError(f'{annotations}, line {number}: {wnid!r} is not a class of train/')
    pairs.append((folder / 'images' / name, wnid))
  if not pairs:
    raise UsageError(f'{annotations}: holds no labels')
  return sorted(pairs)


def _class_names(words: pathlib.Path, wnids: Sequence[str]) -> tuple[str, ...]:
  """Returns the first word of each WNID's entry, or the WNID if it has no entry or two classes share the word."""
  lines = words.read_text().splitlines() if words.is_file() else []
  entries = dict(line.split('\t', 1) for line in lines if '\t' in line)
  names = [entries.get(wnid, wnid).split(',')[0].strip() for wnid in wnids]
  return tuple(name if names.count(name) == 1 else wnid for name, wnid in zip(names, wnids, strict=True))
