"""The weights of a live network in files, and the checkpoints that a killed run resumes from."""

import os

import tensorflow as tf
import tf_keras as keras

from tickets_tf import files
from tickets_tf.errors import TicketsError


def save_weights(model: keras.Model, path: str | os.PathLike[str]) -> None:
  """Writes a network's weights and batch-norm statistics in Keras' format, whole or not at all.

  Args:
    model: a built model without wrappers.
    path: a file whose name ends in `.weights.h5`.

  Raises:
    TicketsError: if the file cannot be written.
  """
  with files.replacing(path) as temporary:
    model.save_weights(str(temporary))


def load_weights(model: keras.Model, path: str | os.PathLike[str]) -> None:
  """Reads what `save_weights` wrote into a network of the same structure.

  Raises:
    TicketsError: if the file is missing, damaged or of another network; the message names it.
  """
  try:
    model.load_weights(str(path))
  except (OSError, ValueError, KeyError) as error:
    raise TicketsError(f'{path}: cannot be read as the weights of {model.name}: {error}') from error


class Checkpoints:
  """A training's state after some of its epochs: weights, masks, batch-norm statistics and the optimizer's variables.

  `SaveCheckpoint` decides after which epochs.

  Args:
    folder: where the checkpoints go; the newest two are kept. TensorFlow writes each under another name first.
    model: the model that is trained.
    optimizer: its optimizer, built.
  """

  def __init__(self, folder: str | os.PathLike[str], model: keras.Model,
               optimizer: keras.optimizers.Optimizer) -> None:
    self._epoch = tf.Variable(0, dtype=tf.int64, name='epoch')
    self._checkpoint = tf.train.Checkpoint(model=model, optimizer=optimizer, epoch=self._epoch)
    self._manager = tf.train.CheckpointManager(self._checkpoint, str(folder), max_to_keep=2)

  def save(self, epoch: int) -> None:
    """Writes the state after `epoch` finished epochs."""
    self._epoch.assign(epoch)
    self._manager.save(checkpoint_number=epoch)

  def restore(self) -> int:
    """Restores the newest checkpoint and returns its number of finished epochs, 0 if there is none.

    Raises:
      TicketsError: if a checkpoint is damaged or of another run; the message names it.
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
