"""The weights of a live network in files, and the checkpoints that a killed run resumes from."""

import os
import pathlib
import shutil

import tensorflow as tf
import tf_keras as keras
from tf_keras.src.saving import saving_lib

from tickets_tf import files
from tickets_tf import storage
from tickets_tf.errors import TicketsError


def save_weights(model: keras.Model, path: str | os.PathLike[str]) -> None:
  """Writes a network's weights and batch-norm statistics in Keras' format, whole or not at all.

  Args:
    model: a built model without wrappers.
    path: a file whose name ends in `.weights.h5`.

  Raises:
    TicketsError: if the file cannot be written.
  """
  content = _InMemory()
  store = saving_lib.H5IOStore('', archive=content, mode='w')
  saving_lib._save_state(model, weights_store=store, assets_store=None, inner_path='',  # pylint: disable=protected-access
                         visited_trackables=set())
  store.close()
  with files.replacing(path) as temporary:
    temporary.write_bytes(content.written)


def load_weights(model: keras.Model, path: str | os.PathLike[str]) -> None:
  """Reads what `save_weights` wrote into a network of the same structure.

  Raises:
    TicketsError: if the file is missing, damaged or of another network; the message names it.
  """
  try:
    model.load_weights(str(path))
  except (OSError, ValueError, KeyError) as error:
    raise TicketsError(f'{path}: cannot be read as the weights of {model.name}: {error}') from error


class _InMemory:
  """Takes a file that Keras writes into an archive. HDF5 cannot end a file that is on a full disk, and crashes."""
  written = b''

  def writestr(self, name: str, content: bytes) -> None:
    """Takes the file."""
    self.written = content


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
    self._folder = pathlib.Path(folder)
    self._manager = tf.train.CheckpointManager(self._checkpoint, str(folder), max_to_keep=2)

  def save(self, epoch: int) -> None:
    """Writes the state after `epoch` finished epochs.

    Raises:
      StorageError: if it cannot be written; earlier checkpoints are left as they were.
    """
    self._epoch.assign(epoch)
    try:
      with storage.reporting(f'{self._folder}: cannot be written'):
        os.stat(self._folder.parent)  # TensorFlow would make it, under a network folder that has gone away.
        self._manager.save(checkpoint_number=epoch)
    except BaseException:
      for path in self._folder.glob('*_temp'):  # What TensorFlow has begun to write takes room.
        shutil.rmtree(path, ignore_errors=True)
      raise

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
