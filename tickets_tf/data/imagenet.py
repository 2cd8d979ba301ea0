"""ImageNet, read at random from the records of TensorFlow Datasets: an image is decoded when a batch asks for it."""

import pathlib
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tensorflow_datasets as tfds
from absl import logging

from tickets_tf.data import crops
from tickets_tf.data import images as image_tools
from tickets_tf.data import memory
from tickets_tf.data import remembered
from tickets_tf.data.images import Shape
from tickets_tf.data.memory import Placement
from tickets_tf.data.sources import Dataset
from tickets_tf.data.sources import Examples
from tickets_tf.data.stored import StoredImages
from tickets_tf.errors import TicketsError
from tickets_tf.errors import UsageError

NAME = 'imagenet2012'
_FORMAT = 'array_record'  # of tfds' formats, one in which a record is read by its number
_ARCHIVES = ('ILSVRC2012_img_train.tar', 'ILSVRC2012_img_val.tar')
_IMAGE_SIZE = 224
_BLOCK = 1000  # records


def load(data_dir: str | None = None, image_size: int = 0, placement: Placement = Placement()) -> Dataset:  # noqa: B008
  """Loads ImageNet 2012, 1,281,167 images to train and its 50,000 validation images to judge by.

  In training, parts of images are cut at random (`crops.random_part`) and resized; `--augmentation` names other ways,
  which start from the middle of an image. Judged is the middle: the image is resized until its shorter side is 256/224
  of `image_size`, and the square in the middle is taken.

  Args:
    data_dir: the folder of tfds that holds the prepared data, or downloads/manual/ with the two archives; None: the
      default of tfds, ~/tensorflow_datasets.
    image_size: height and width in pixels; 0: 224.
    placement: anything but `'memory'`.

  Returns:
    A `Dataset` of colour images that stay in their records. The labels take one pass over the records and are then
    remembered.

  Raises:
    UsageError: if the data are not there, with what to do; if they should be in memory; or if a package is missing.
    TicketsError: if the prepared data cannot be read.
  """
  for package in ('array_record', 'grain'):
    if not memory.installed(package):
      raise UsageError(f'--dataset={NAME}: needs the package {package}, pip install "tickets_tf[large]"')
  if placement.images_in == 'memory':
    raise UsageError(f'--images_in=memory: --dataset={NAME} is read from its records; expected auto or files')
  builder = _prepared(data_dir)
  side = image_size or _IMAGE_SIZE
  try:
    train, test = (_examples(builder, split, (side, side, 3)) for split in ('train', 'validation'))
  except (OSError, ValueError, RuntimeError) as error:
    raise TicketsError(f'data set {NAME!r}: the records in {builder.data_dir} cannot be read ({_one_line(error)})'
                       ) from error
  return Dataset(
      name=NAME,
      train=train,
      test=test,
      class_names=tuple(builder.info.features['label'].names),
      mean=(0.485, 0.456, 0.406),
      std=(0.229, 0.224, 0.225),
      augmentation='resized_crop',
      crop_padding=image_tools.padding_for((side, side, 3)))


def _prepared(data_dir: str | None) -> tfds.core.DatasetBuilder:
  root = pathlib.Path(data_dir or tfds.core.constants.DATA_DIR).expanduser()
  try:
    builder = tfds.builder(NAME, data_dir=root, file_format=_FORMAT)
    if builder.is_prepared():
      return builder
    manual = root / 'downloads' / 'manual'
    missing = [name for name in _ARCHIVES if not (manual / name).is_file()]
    if missing:
      raise UsageError(
          f'data set {NAME!r}: not prepared under --data_dir={root}, and nobody may pass it on: register at '
          f'image-net.org, download {" and ".join(_ARCHIVES)} (145 GB), put them into {manual} ({", ".join(missing)} '
          'not there) and give the same command again; it prepares them once, which takes some hours and 300 GB. Data '
          'that tfds has prepared in another format are turned into this one by: tfds convert_format '
          f'--root_data_dir={root} --out_file_format={_FORMAT}')
    logging.warning('data set %r is prepared from its archives under %s: some hours, once', NAME, root)
    builder.download_and_prepare()
  except UsageError:
    raise
  except Exception as error:  # tfds passes on every exception of its archive reader and file system
    raise UsageError(f'data set {NAME!r}: cannot be prepared under --data_dir={root} ({_one_line(error)})') from error
  return builder


def _examples(builder: tfds.core.DatasetBuilder, split: str, shape: Shape) -> Examples:
  source = builder.as_data_source(split=split, decoders={'image': tfds.decode.SkipDecoding()})
  made_of = [builder.info.full_name, split, len(source),
             *((path.name, path.stat().st_size) for path in sorted(pathlib.Path(builder.data_dir).iterdir()))]
  labels = remembered.remembered('labels', made_of, lambda: {'labels': _labels(source)})['labels']
  return Examples(StoredImages(_Records(source, shape)), labels)


def _labels(source: Any) -> npt.NDArray[np.int32]:
  logging.warning('data set %r: reading the labels of %d images, once', NAME, len(source))
  found = [record['label'] for start in range(0, len(source), _BLOCK)
           for record in source.__getitems__(range(start, min(start + _BLOCK, len(source))))]
  return np.array(found, np.int32)


class _Records:
  """The images of records, decoded and cut when they are asked for.

  Args:
    source: tfds' source of records whose images are not decoded.
    shape: (height, width, channels) that every image gets.
  """

  def __init__(self, source: Any, shape: Shape) -> None:
    self._source, self.shape = source, shape

  def __len__(self) -> int:
    return len(self._source)

  def read(self, index: int, crop: int | None = None) -> npt.NDArray[np.uint8]:
    """Returns the middle of an image, or the part of it that a seed decides on, in the shape of all."""
    try:
      image = image_tools.decode_bytes(self._source[index]['image'], self.shape[2])
    except tf.errors.OpError as error:
      raise TicketsError(f'data set {NAME!r}: record {index:,} holds no whole image ({_one_line(error)})') from error
    size = self.shape[0]
    if crop is not None:
      return image_tools.resized(crops.random_part(image, crop), (size, size))
    height, width, _ = image.shape
    return crops.middle(image_tools.resized(image, crops.short_side(height, width, size)), size)


def _one_line(error: Exception) -> str:
  return f'{type(error).__name__}: {" ".join(str(error).split())[:200]}'
