"""The weights of a live network in files, and the checkpoints that a killed run goes on from."""

import tensorflow as tf

from tickets_tf import files
from tickets_tf.errors import TicketsError


def save_weights(model, path):
  """Writes a network's weights and batch-norm statistics in Keras' format, whole or not at all.

  Args:
    model: a built `tf_keras` model without wrappers.
    path: a file whose name ends in `.weights.h5`.

  Raises:
    TicketsError: where it cannot be written.
  """
  with files.replacing(path) as temporary:
    model.save_weights(str(temporary))


def load_weights(model, path):
  """Reads what `save_weights` wrote into a network of the same structure.

  Raises:
    TicketsError: where the file is missing, damaged or of another network; the message names it.
  """
  try:
    model.load_weights(str(path))
  except (OSError, ValueError, KeyError) as error:
    raise TicketsError(f'{path}: cannot be read as the weights of {model.name}: {error}') from error


class Checkpoints:
  """A training run's state after each epoch: weights, masks, batch-norm statistics and the optimizer's variables.

  Args:
    folder: where the checkpoints go; the newest two are kept. TensorFlow writes each under another name first.
    model: the model that is trained.
    optimizer: its optimizer, built.
  """

  def __init__(self, folder, model, optimizer):
    self._epoch = tf.Variable(0, dtype=tf.int64, name='epoch')
    self._checkpoint = tf.train.Checkpoint(model=model, optimizer=optimizer, epoch=self._epoch)
    self._manager = tf.train.CheckpointManager(self._checkpoint, str(folder), max_to_keep=2)

  def save(self, epoch):
    """Writes the state after `epoch` finished epochs."""
    self._epoch.assign(epoch)
    self._manager.save(checkpoint_number=epoch)

  def restore(self):
    """Restores the newest checkpoint and returns its number of finished epochs, 0 where there is none.

    Raises:
      TicketsError: where a checkpoint is damaged or of another run; the message names it.
    """
    path = self._manager.latest_checkpoint
    if path is None:
      return 0
    try:
      self._checkpoint.restore(path).assert_existing_objects_matched()
    except (tf.errors.OpError, AssertionError, ValueError, IndexError) as error:
      raise TicketsError(f'{path}: cannot be restored: {str(error).splitlines()[0]}; delete the run\'s checkpoints '
                         'folder to train from its start') from error
    return int(self._epoch.numpy())
