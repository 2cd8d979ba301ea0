"""What a data set is, and how one is loaded by name."""

import dataclasses
import inspect
import math
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from tickets_tf import registry
from tickets_tf import seeds
from tickets_tf.data import stored
from tickets_tf.data import subsets
from tickets_tf.data.images import WHITE
from tickets_tf.data.memory import Placement
from tickets_tf.data.stored import Images
from tickets_tf.data.stored import StoredImages
from tickets_tf.errors import UsageError

FEW = 10  # test images of a class, below which its accuracy says little
_NAMED = 8  # classes named in a line before the rest is counted
AUGMENTATIONS = ('crop_flip', 'crop', 'none', 'resized_crop')


@dataclasses.dataclass(frozen=True, eq=False)
class Examples:
  """Images and their labels.

  Attributes:
    images: uint8 [N, height, width, channels]: an array, or `StoredImages`, of which some at a time are read.
    labels: int32 [N].
  """
  images: Images
  labels: npt.NDArray[np.int32]

  def __len__(self) -> int:
    return len(self.labels)

  def take(self, indices: npt.NDArray[np.integer[Any]] | slice) -> 'Examples':
    """Returns the examples at `indices` ([M], in that order) or in a slice."""
    images = self.images.take(indices) if isinstance(self.images, StoredImages) else self.images[indices]
    return Examples(images, self.labels[indices])

  def same_images(self, other: 'Examples') -> bool:
    """Returns whether other examples have the same images, in the same order."""
    return stored.equal(self.images, other.images)

  @property
  def in_files(self) -> bool:
    """Whether the images stay in their files and are read for each batch."""
    return isinstance(self.images, StoredImages)


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
  """A data set. It is checked when it is made, so that a user's own loader gets a one-line UsageError.

  Attributes:
    name: for messages and records.
    train: the training examples.
    test: the test examples, with images of the same shape.
    class_names: one string per label, in the order of the labels.
    mean: per channel, of images scaled to [0, 1].
    std: per channel, of images scaled to [0, 1].
    augmentation: the kind that suits these images: `'crop_flip'`, `'crop'`, `'none'`, or `'resized_crop'` if they
      are in files.
    crop_padding: pixels of zeros around an image before the random crop.
    validation: examples held out of the training set; None if there are none.
    white: the value of images of 16 bits that has become 255, for the classifier to read other images alike.
    notes: lines that tell what was left out or changed when the images were read.

  Raises:
    UsageError: if an attribute is not as described here; the message names it.
  """
  name: str
  train: Examples
  test: Examples
  class_names: tuple[str, ...]
  mean: tuple[float, ...]
  std: tuple[float, ...]
  augmentation: str
  crop_padding: int
  validation: Examples | None = None
  white: int = WHITE
  notes: tuple[str, ...] = ()

  def __post_init__(self) -> None:
    problem = self._problem()
    if problem:
      raise UsageError(f'data set {self.name!r}: {problem}')

  @property
  def image_shape(self) -> tuple[int, int, int]:
    """(height, width, channels)."""
    height, width, channels = self.train.images.shape[1:]
    return height, width, channels

  @property
  def num_classes(self) -> int:
    """Number of classes."""
    return len(self.class_names)

  def _problem(self) -> str | None:
    names = self.class_names
    if len(names) < 2 or len(set(names)) < len(names) or not all(isinstance(name, str) for name in names):
      return f'class_names must be at least 2 different strings, got {names!r}'
    for part in ('train', 'test', 'validation'):
      examples = getattr(self, part)
      if part == 'validation' and examples is None:
        continue
      if not isinstance(examples, Examples):
        return f'{part} is {type(examples).__name__}, not tickets_tf.data.Examples'
      problem = self._examples_problem(examples)
      if problem:
        return f'{part} {problem}'
    for name in ('mean', 'std'):
      values = getattr(self, name)
      if len(values) != self.image_shape[-1] or not all(math.isfinite(value) for value in values):
        return f'{name} must be {self.image_shape[-1]} finite numbers, one per channel, got {tuple(values)}'
    if min(self.std) <= 0:
      return f'std must be above 0, got {tuple(self.std)}; are all the training images of one colour?'
    if self.augmentation not in AUGMENTATIONS:
      return f'augmentation {self.augmentation!r} is unknown; known: {", ".join(AUGMENTATIONS)}'
    if self.crop_padding < 0:
      return f'crop_padding must be 0 or more pixels, got {self.crop_padding}'
    return None

  def _examples_problem(self, examples: Examples) -> str | None:
    images, labels = examples.images, examples.labels
    if not isinstance(images, np.ndarray | StoredImages) or images.dtype != np.uint8 or images.ndim != 4:
      return f'images must be a uint8 NumPy array [N, height, width, channels] or StoredImages, got {_kind(images)}'
    if not isinstance(labels, np.ndarray) or labels.dtype != np.int32 or labels.shape != images.shape[:1]:
      return f'labels must be an int32 NumPy array [{len(images)}], got {_kind(labels)}'
    if not labels.size:
      return 'has no examples'
    if images.shape[1:] != self.image_shape:
      return f'images are {images.shape[1:]}, those of train {self.image_shape}'
    if labels.min() < 0 or labels.max() >= self.num_classes:
      return f'labels reach from {labels.min()} to {labels.max()}, class_names has {self.num_classes} names'
    return None


def small_classes(dataset: Dataset) -> str:
  """Returns the names and numbers of test images of the classes with under `FEW` of them, the fewest first."""
  sizes = np.bincount(dataset.test.labels, minlength=dataset.num_classes)
  few = [f'{dataset.class_names[label]} {sizes[label]}' for label in np.argsort(sizes, kind='stable')
         if sizes[label] < FEW]
  return ', '.join(few[:_NAMED]) + (f' and {len(few) - _NAMED} more' if len(few) > _NAMED else '')


# Makes a data set. The arguments are its folder (None: the loader's own default) and the height and width of images in
# pixels (0: the data set's own). A loader that can leave images in their files takes a `Placement` as `placement`.
Loader = Callable[..., Dataset]


def load_dataset(name: str, data_dir: str | os.PathLike[str] | None = None, image_size: int = 0,
                 train_examples: int = 0, validation_split: float = 0.0, images_in: str = 'auto',
                 image_memory: float = 0.0) -> Dataset:
  """Loads a data set and takes the parts of its training set that are asked for.

  The validation examples and the subset are the same in every run, whatever its seed.

  Args:
    name: a name in `tickets_tf.registry.DATASETS`, or `package.module:name` of your own `Loader`.
    data_dir: the folder that holds the data, or that a download goes to; None: the data set's own default.
    image_size: height and width in pixels that images are resized to; 0 keeps the data set's own.
    train_examples: how many training examples to use, the classes as equal as possible; 0 uses all.
    validation_split: share of every class's training examples to hold out, in [0, 1).
    images_in: `'memory'`, `'files'` to read images for each batch, or `'auto'`: in memory if they fit.
    image_memory: GiB that images may take with `'auto'`; 0: half of what is free.

  Raises:
    UsageError: if an argument cannot be used; the message names the flag.
    TicketsError: if an image cannot be read; it names the file.
  """
  if image_size < 0:
    raise UsageError(f'--image_size={image_size}: must be 0 (the data set\'s own) or a number of pixels')
  loader: Loader = registry.DATASETS.get(name)
  placed = _placed(name, loader, Placement(images_in, image_memory))
  dataset = loader(os.path.expanduser(data_dir) if data_dir else None, image_size, **placed)
  if not isinstance(dataset, Dataset):
    raise UsageError(f'data set {name!r}: the loader returned {_kind(dataset)}, not a tickets_tf.data.Dataset')
  if image_size and dataset.image_shape[:2] != (image_size, image_size):
    height, width, _ = dataset.image_shape
    raise UsageError(f'--image_size={image_size}: the loader of data set {name!r} gave images of {height}x{width}')
  return _take_subset(_hold_out(dataset, validation_split), train_examples)


def _placed(name: str, loader: Loader, placement: Placement) -> dict[str, Placement]:
  """Returns the argument for a loader that can leave images in their files; raises UsageError if it must and cannot."""
  if 'placement' in inspect.signature(loader).parameters:
    return {'placement': placement}
  if placement.images_in == 'files':
    raise UsageError(f'--images_in=files: data set {name!r} is always in memory; expected auto or memory')
  return {}


def _hold_out(dataset: Dataset, validation_split: float) -> Dataset:
  if not 0 <= validation_split < 1:
    raise UsageError(f'--validation_split={validation_split}: must be at least 0 and below 1')
  if not validation_split:
    return dataset
  if dataset.validation is not None:
    raise UsageError(f'--validation_split={validation_split}: data set {dataset.name!r} has its own validation set')
  count = round(len(dataset.train) * validation_split)
  if not 0 < count < len(dataset.train):
    raise UsageError(f'--validation_split={validation_split}: of {len(dataset.train)} training examples this would '
                     f'leave {count} for validation and {len(dataset.train) - count} for training')
  held_out = _indices(dataset, subsets.proportional_counts, count, 'validation_split')
  rest = np.setdiff1d(np.arange(len(dataset.train)), held_out)
  return dataclasses.replace(dataset, train=dataset.train.take(rest), validation=dataset.train.take(held_out))


def _take_subset(dataset: Dataset, train_examples: int) -> Dataset:
  available = len(dataset.train)
  if not 0 <= train_examples <= available:
    rest = ' that are not held out' if dataset.validation is not None else ''
    raise UsageError(f'--train_examples={train_examples}: must be 0 (all) to {available}, the training examples of '
                     f'data set {dataset.name!r}{rest}')
  if not train_examples:
    return dataset
  indices = _indices(dataset, subsets.equal_counts, train_examples, 'train_examples')
  return dataclasses.replace(dataset, train=dataset.train.take(indices))


def _indices(dataset: Dataset, share: Callable[[npt.NDArray[np.int64], int], npt.NDArray[np.int64]], total: int,
             purpose: str) -> npt.NDArray[np.int64]:
  labels = dataset.train.labels
  counts = share(np.bincount(labels, minlength=dataset.num_classes), total)
  # Seed 0 instead of the run's: all runs of a comparison must train on the same examples.
  return np.sort(np.concatenate(subsets.draw(labels, counts, seeds.generator(0, purpose))))


def _kind(value: object) -> str:
  shape = f' {value.dtype} {list(value.shape)}' if hasattr(value, 'dtype') and hasattr(value, 'shape') else ''
  return f'{type(value).__name__}{shape}'
