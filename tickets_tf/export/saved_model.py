"""SavedModels that have their preprocessing inside and need TensorFlow alone to run."""

import contextlib
import pathlib

import tensorflow as tf
import tf_keras as keras

from tickets_tf import files
from tickets_tf.runs import records
from tickets_tf.data import normalise
from tickets_tf.errors import TicketsError
from tickets_tf.export import ticket

_EXTRA = f'assets.extra/{ticket.DESCRIPTION}'


def export_saved_model(model, dataset, folder, extra):
  """Writes a network as a SavedModel with its preprocessing inside.

  Signatures, all with one input, `images` [N, height, width, channels]:

  - `serving_default`: uint8 images to `probabilities` [N, classes];
  - `float_images`: float32 images with the values of uint8 ones, 0 to 255 and not 0 to 1, to `probabilities`;
  - `logits`: uint8 images to `logits` [N, classes].

  Args:
    model: a `tf_keras` model to logits, without wrappers. What is written is its inference alone, at its values now:
      no optimizer, and nothing that later training of the model could change.
    dataset: the `Dataset` that it was trained on: image shape, class names, mean and std.
    folder: the folder to write, whole or not at all.
    extra: dictionary of JSON values to keep inside, beside class names and preprocessing.

  Raises:
    TicketsError: where it cannot be written.
  """
  raw = tf.TensorSpec([None, *dataset.image_shape], tf.uint8, name='images')
  floats = tf.TensorSpec(raw.shape, tf.float32, name='images')

  def logits(images):
    return model(normalise(images, dataset.mean, dataset.std), training=False)

  def probabilities(images):
    return {'probabilities': tf.nn.softmax(logits(images))}

  archive = keras.export.ExportArchive()
  archive.track(model)
  archive.add_endpoint('serving_default', probabilities, [raw])
  # A function of its own for each endpoint: the archive keeps one signature of a function.
  # pylint: disable-next=unnecessary-lambda
  archive.add_endpoint('float_images', lambda images: probabilities(images), [floats])
  archive.add_endpoint('logits', lambda images: {'logits': logits(images)}, [raw])
  with files.replacing(folder) as temporary:
    try:
      with _quiet():
        archive.write_out(str(temporary))
    except tf.errors.OpError as error:
      # TensorFlow puts the operation and the name of a part of a file before what happened.
      raise TicketsError(f'{folder}: cannot be written: {str(error).splitlines()[0].rpartition("; ")[2]}') from error
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


class LoadedTicket(ticket.Classifier):
  """A trained ticket in a SavedModel.

  Args:
    folder: the SavedModel.

  Attributes:
    trackable: what TensorFlow loaded.
    signatures: name -> function of the keyword `images`, a tensor, to a dictionary of tensors.

  Raises:
    TicketsError: where it cannot be loaded.
  """

  def __init__(self, folder):
    super().__init__(records.read_json(pathlib.Path(folder) / _EXTRA))
    try:
      self.trackable = tf.saved_model.load(str(folder))
    except (OSError, ValueError, KeyError, IndexError, tf.errors.OpError) as error:
      raise TicketsError(f'{folder}: cannot be loaded as a SavedModel: {str(error).splitlines()[0]}') from error
    self.signatures = dict(self.trackable.signatures)

  def logits(self, images):
    """Returns float32 logits [N, classes] of uint8 images [N, height, width, channels]."""
    return self.signatures['logits'](images=tf.constant(images))['logits'].numpy()

  def _probabilities(self, images):
    return self.signatures['serving_default'](images=tf.constant(images))['probabilities'].numpy()


def is_ticket(folder):
  """Returns whether a folder is the SavedModel of a ticket."""
  folder = pathlib.Path(folder)
  return (folder / 'saved_model.pb').is_file() and (folder / _EXTRA).is_file()
