"""CIFAR-10 and CIFAR-100 through TensorFlow Datasets: prepared data if there are any, else a download."""

import pathlib

import numpy as np
import requests
import tensorflow as tf
import tensorflow_datasets as tfds

from tickets_tf.data import images as image_tools
from tickets_tf.data.sources import Dataset
from tickets_tf.data.sources import Examples
from tickets_tf.errors import TicketsError
from tickets_tf.errors import UsageError

_SOURCES = ('https://www.cs.toronto.edu', 'https://storage.googleapis.com')  # the authors' server, tfds' copy
_CONNECTION_TIMEOUT = 5  # seconds


def load_cifar10(data_dir: str | None = None, image_size: int = 0) -> Dataset:
  """Loads CIFAR-10.

  Args:
    data_dir: the folder of tfds that holds the prepared data, or that a download goes to; None: the default of tfds,
      ~/tensorflow_datasets.
    image_size: height and width in pixels; 0 keeps the 32x32.

  Returns:
    A `Dataset` of 50,000 colour images to train and 10,000 to test.

  Raises:
    UsageError: if there are no prepared data and they cannot be downloaded.
    TicketsError: if the prepared data cannot be read.
  """
  return _load('cifar10', 'label', data_dir, image_size,
               mean=(0.4914, 0.4822, 0.4465), std=(0.2023, 0.1994, 0.2010))


def load_cifar100(data_dir: str | None = None, image_size: int = 0) -> Dataset:
  """Loads CIFAR-100 with its 100 fine labels; arguments, result and errors as for `load_cifar10`."""
  return _load('cifar100', 'label', data_dir, image_size,
               mean=(0.5071, 0.4867, 0.4408), std=(0.2675, 0.2565, 0.2761))


def _load(name: str, label_key: str, data_dir: str | None, image_size: int, mean: tuple[float, ...],
          std: tuple[float, ...]) -> Dataset:
  builder = _prepare(name, data_dir)
  try:
    train, test = (_read(builder, split, label_key, image_size) for split in ('train', 'test'))
  except tf.errors.OpError as error:
    raise TicketsError(f'data set {name!r}: the prepared data cannot be read ({_one_line(error)}); delete '
                       f'{builder.data_dir} to prepare them again') from error
  return Dataset(
      name=name,
      train=train,
      test=test,
      class_names=tuple(builder.info.features[label_key].names),
      mean=mean,
      std=std,
      augmentation='crop_flip',
      crop_padding=image_tools.padding_for(train.images.shape[1:]))


def _prepare(name: str, data_dir: str | None) -> tfds.core.DatasetBuilder:
  try:
    builder = tfds.builder(name, data_dir=data_dir)
    if not builder.is_prepared():
      _check_connection(builder)
    builder.download_and_prepare()
  except Exception as error:  # tfds passes on every exception of its downloader, archive reader and file system
    raise UsageError(
        f'data set {name!r}: not prepared under --data_dir={data_dir or tfds.core.constants.DATA_DIR}, and it cannot '
        f'be downloaded ({_one_line(error)}). On a machine with a network, run python -c "import tensorflow_datasets; '
        f'tensorflow_datasets.load({name!r}, data_dir=\'DIR\')", copy DIR here and pass --data_dir=DIR; or use '
        'image files with --dataset=folder') from error
  return builder


def _check_connection(builder: tfds.core.DatasetBuilder) -> None:
  # Without a network, the downloader of tfds tries for minutes, with pages of warnings, before it gives up.
  downloads = pathlib.Path(builder.data_dir).parents[1] / 'downloads'
  if any(downloads.rglob('*cifar*.tar.gz')):
    return
  for source in _SOURCES:
    try:
      requests.head(source, timeout=_CONNECTION_TIMEOUT)
      return
    except requests.RequestException:
      continue
  raise ConnectionError(f'no connection to {" or ".join(_SOURCES)}')


def _read(builder: tfds.core.DatasetBuilder, split: str, label_key: str, image_size: int) -> Examples:
  # In blocks, because batch_size=-1 needs the number of examples, which a test's replacement for tfds may not know.
  blocks = list(tfds.as_numpy(builder.as_dataset(split=split, batch_size=1000)))
  images = np.concatenate([block['image'] for block in blocks])
  labels = np.concatenate([block[label_key] for block in blocks])
  return Examples(image_tools.resize(images, image_size), labels.astype(np.int32))


def _one_line(error: Exception) -> str:
  return f'{type(error).__name__}: {" ".join(str(error).split())[:200]}'
