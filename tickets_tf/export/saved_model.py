"""SavedModels that take uint8 images and give probabilities, and need TensorFlow alone to run."""

import contextlib
import pathlib

import numpy as np
import tensorflow as tf
import tf_keras as keras

from tickets_tf import files
from tickets_tf import records
from tickets_tf.data import normalise
from tickets_tf.errors import TicketsError
from tickets_tf.errors import UsageError

_EXTRA = 'assets.extra/ticket.json'


def export_saved_model(model, dataset, folder, extra):
  """Writes a network as a SavedModel with its preprocessing inside.

  Signatures: `serving_default`, uint8 images [N, height, width, channels] to probabilities [N, classes], and `logits`,
  the same images to logits.

  Args:
    model: a `tf_keras` model to logits, without wrappers.
    dataset: the `Dataset` that it was trained on: image shape, class names, mean and std.
    folder: the folder to write, whole or not at all.
    extra: dictionary of JSON values to keep inside, beside class names and preprocessing.

  Raises:
    TicketsError: where it cannot be written.
  """
  images = tf.TensorSpec([None, *dataset.image_shape], tf.uint8, name='images')

  def logits(images):
    return model(normalise(images, dataset.mean, dataset.std), training=False)

  archive = keras.export.ExportArchive()
  archive.track(model)
  archive.add_endpoint('serve', lambda images: {'probabilities': tf.nn.softmax(logits(images))}, [images])
  archive.add_endpoint('logits', lambda images: {'logits': logits(images)}, [images])
  with files.replacing(folder) as temporary:
    with _quiet():
      archive.write_out(str(temporary))
    (temporary / _EXTRA).parent.mkdir()
    records.write_json(temporary / _EXTRA, {
        'class_names': list(dataset.class_names),
        'image_shape': list(dataset.image_shape),
        'preprocessing': {'inside': True, 'formula': '(images / 255 - mean) / std',
                          'mean': list(dataset.mean), 'std': list(dataset.std)},
        **extra})


@contextlib.contextmanager
def _quiet():
  # Keras prints every variable of what it writes.
  talked = keras.utils.is_interactive_logging_enabled()
  keras.utils.disable_interactive_logging()
  try:
    yield
  finally:
    if talked:
      keras.utils.enable_interactive_logging()


class LoadedTicket:
  """A trained ticket that predicts.

  Args:
    folder: the SavedModel.

  Attributes:
    class_names: list of strings, in the order of the outputs.
    image_shape: (height, width, channels) of an image.
  """

  def __init__(self, folder):
    folder = pathlib.Path(folder)
    extra = records.read_json(folder / _EXTRA)
    try:
      self._model = tf.saved_model.load(str(folder))
    except (OSError, ValueError, tf.errors.OpError) as error:
      raise TicketsError(f'{folder}: cannot be loaded as a SavedModel: {error}') from error
    self.class_names = extra['class_names']
    self.image_shape = tuple(extra['image_shape'])

  def predict(self, images):
    """Returns the probability of every class.

    Args:
      images: uint8 [N, height, width, channels], or one image [height, width, channels].

    Returns:
      float32 [N, classes], or [classes] for one image.

    Raises:
      UsageError: for images of another type or shape.
    """
    images = np.asarray(images)
    if images.dtype != np.uint8 or images.shape[-3:] != self.image_shape or images.ndim not in (3, 4):
      raise UsageError(f'images of dtype {images.dtype} and shape {images.shape}; expected uint8 [N, '
                       f'{", ".join(map(str, self.image_shape))}]')
    batch = images.reshape(-1, *self.image_shape)
    outputs = self._model.signatures['serving_default'](images=tf.constant(batch))['probabilities'].numpy()
    return outputs.reshape(*images.shape[:-3], -1)

  def classify(self, images):
    """Returns the name of the most probable class of every image, or of the one image; arguments as `predict`."""
    best = np.argmax(self.predict(images), axis=-1)
    return self.class_names[best] if best.ndim == 0 else [self.class_names[index] for index in best]


def load_ticket(folder):
  """Loads a run's trained ticket.

  Args:
    folder: a run's folder, or the SavedModel in it.

  Returns:
    A `LoadedTicket`: `load_ticket('runs/...').predict(images)`.

  Raises:
    UsageError: where there is no ticket.
    TicketsError: where it cannot be loaded.
  """
  folder = pathlib.Path(folder)
  for candidate in (folder, folder / 'ticket'):
    if (candidate / 'saved_model.pb').is_file() and (candidate / _EXTRA).is_file():
      return LoadedTicket(candidate)
  raise UsageError(f'{folder}: holds no ticket; give the folder of a finished run, or the ticket folder in it')
