"""SavedModels that have their preprocessing inside and need only TensorFlow to run."""

import contextlib
import os
import pathlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tf_keras as keras

from tickets_tf import files
from tickets_tf import storage
from tickets_tf.data import WHITE, Dataset, normalise
from tickets_tf.errors import TicketsError
from tickets_tf.export.classifier import DESCRIPTION, Classifier
from tickets_tf.runs import records

_EXTRA = f'assets.extra/{DESCRIPTION}'


def write_saved_model(model: keras.Model, dataset: Dataset, folder: str | os.PathLike[str],
                      extra: Mapping[str, Any]) -> None:
  """Writes a network as a SavedModel with its preprocessing inside.

  Signatures, all with one input, `images` [N, height, width, channels]:

  - `serving_default`: uint8 images to `probabilities` [N, classes];
  - `float_images`: float32 images with the values of uint8 ones, 0 to 255 and not 0 to 1, to `probabilities`;
  - `logits`: uint8 images to `logits` [N, classes].

  Args:
    model: a `tf_keras` model to logits, without wrappers. Only its inference with its present values is written: no
      optimizer, and nothing that later training of the model could change.
    dataset: what it was trained on; gives image shape, class names, mean and std.
    folder: the folder to write, whole or not at all.
    extra: JSON values to keep inside, beside class names and preprocessing.

  Raises:
    TicketsError: if it cannot be written.
  """
  archive = _archive(model, dataset)
  white = {} if dataset.white == WHITE else {'white': dataset.white}  # of images of 16 bits
  with files.replacing(folder) as temporary:
    try:
      with _quiet():
        archive.write_out(str(temporary))
    except tf.errors.OpError as error:
      # TensorFlow's message begins with the operation and the name of a part of a file.
      raise (storage.told(error, f'{folder}: cannot be written') or
             TicketsError(f'{folder}: cannot be written: {str(error).splitlines()[0].rpartition("; ")[2]}')) from error
    (temporary / _EXTRA).parent.mkdir()
    records.write_json(temporary / _EXTRA, {
        'class_names': list(dataset.class_names),
        'image_shape': list(dataset.image_shape),
        'preprocessing': {'inside': True, 'formula': '(images / 255 - mean) / std',
                          'mean': list(dataset.mean), 'std': list(dataset.std), **white},
        **extra})


def _archive(model: keras.Model, dataset: Dataset) -> keras.export.ExportArchive:
  raw = tf.TensorSpec([None, *dataset.image_shape], tf.uint8, name='images')
  floats = tf.TensorSpec(raw.shape, tf.float32, name='images')

  def logits(images: tf.Tensor) -> tf.Tensor:
    return model(normalise(images, dataset.mean, dataset.std), training=False)

  def probabilities(images: tf.Tensor) -> dict[str, tf.Tensor]:
    return {'probabilities': tf.nn.softmax(logits(images))}

  archive = keras.export.ExportArchive()
  archive.track(model)
  archive.add_endpoint('serving_default', probabilities, [raw])
  # A function of its own for each endpoint, because the archive keeps only one signature of a function.
  # pylint: disable-next=unnecessary-lambda
  archive.add_endpoint('float_images', lambda images: probabilities(images), [floats])
  archive.add_endpoint('logits', lambda images: {'logits': logits(images)}, [raw])
  return archive


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
  # Keras prints every variable that it writes.
  talked = keras.utils.is_interactive_logging_enabled()
  keras.utils.disable_interactive_logging()
  try:
    yield
  finally:
    if talked:
      keras.utils.enable_interactive_logging()


class SavedModelClassifier(Classifier):
  """A trained ticket in a SavedModel that this package wrote.

  Args:
    folder: the SavedModel.

  Attributes:
    trackable: what TensorFlow loaded.
    signatures: functions by name, from the keyword `images`, a tensor, to a dictionary of tensors.

  Raises:
    UsageError: if the description inside is missing or damaged.
    TicketsError: if it cannot be loaded.
  """

  def __init__(self, folder: str | os.PathLike[str]) -> None:
    super().__init__(describe(folder))
    try:
      self.trackable: Any = tf.saved_model.load(str(folder))
    except (OSError, ValueError, KeyError, IndexError, tf.errors.OpError) as error:
      raise TicketsError(f'{folder}: cannot be loaded as a SavedModel: {str(error).splitlines()[0]}') from error
    self.signatures: dict[str, Callable[..., dict[str, tf.Tensor]]] = dict(self.trackable.signatures)

  def logits(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Returns float32 logits [N, classes] of uint8 images [N, height, width, channels]."""
    return self._outputs('logits', 'logits', images)

  def _probabilities(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    return self._outputs('serving_default', 'probabilities', images)

  def _outputs(self, signature: str, output: str, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    outputs: npt.NDArray[np.float32] = self.signatures[signature](images=tf.constant(images))[output].numpy()
    return outputs


def describe(folder: str | os.PathLike[str]) -> dict[str, Any]:
  """Returns the description in a SavedModel that `write_saved_model` wrote.

  Raises:
    UsageError: if it is missing or damaged.
  """
  return records.read_json(pathlib.Path(folder) / _EXTRA)


def is_saved_model(folder: str | os.PathLike[str]) -> bool:
  """Returns whether a folder is a SavedModel that `write_saved_model` wrote."""
  folder = pathlib.Path(folder)
  return (folder / 'saved_model.pb').is_file() and (folder / _EXTRA).is_file()
