"""What happens around the steps of training, as Keras callbacks."""

import pathlib
import time
from collections.abc import Mapping

import tf_keras as keras
import tqdm

from tickets_tf.runs import lines
from tickets_tf.training.checkpoints import Checkpoints
from tickets_tf.training.epochs import Epoch


class MetricsLog(keras.callbacks.Callback):  # type: ignore[misc]
  """Keeps the metrics of every epoch, in memory and in a file.

  Args:
    path: file to write; it is replaced, whole or not at all, after every epoch.
    first_epoch: number of finished epochs to resume from. Later epochs in the file are dropped: a killed run wrote them
      after its newest checkpoint.

  Attributes:
    epochs: the finished epochs.
  """

  def __init__(self, path: pathlib.Path, first_epoch: int) -> None:
    super().__init__()
    self._path = path
    self.epochs = lines.read(path, Epoch)[:first_epoch]

  def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
    """Starts the clock."""
    self._start = time.monotonic()

  def on_epoch_end(self, epoch: int, logs: Mapping[str, float]) -> None:
    """Adds the epoch and writes the file."""
    rate = keras.backend.get_value(self.model.optimizer.learning_rate)
    self.epochs.append(Epoch(
        epoch=epoch + 1,
        learning_rate=float(f'{float(rate):.6g}'),
        loss=_rounded(logs['loss']),
        accuracy=_rounded(logs['accuracy']),
        evaluation_loss=_rounded(logs['val_loss']) if 'val_loss' in logs else None,
        evaluation_accuracy=_rounded(logs['val_accuracy']) if 'val_accuracy' in logs else None,
        seconds=round(time.monotonic() - self._start, 3)))
    lines.write(self._path, self.epochs)


def _rounded(value: float) -> float:
  return round(float(value), 6)


class SaveCheckpoint(keras.callbacks.Callback):  # type: ignore[misc]
  """Saves a checkpoint at the end of an epoch if the last one is old enough, and always after the last epoch.

  Args:
    checkpoints: the run's checkpoints.
    last_epoch: number of epochs of the whole training.
    seconds: least time between two checkpoints. If epochs are short, saving after each would take much of the time.
  """

  def __init__(self, checkpoints: Checkpoints, last_epoch: int, seconds: float) -> None:
    super().__init__()
    self._checkpoints = checkpoints
    self._last_epoch = last_epoch
    self._seconds = seconds
    self._saved = time.monotonic()

  def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
    """Saves a checkpoint if one is due."""
    if epoch + 1 == self._last_epoch or time.monotonic() - self._saved >= self._seconds:
      self._checkpoints.save(epoch + 1)
      self._saved = time.monotonic()


class Progress(keras.callbacks.Callback):  # type: ignore[misc]
  """Shows the steps done, the time left of the whole training, and the last epoch's metrics.

  Args:
    first_epoch: number of epochs that are finished at the start.
    epochs: number of epochs of the whole training.
    steps_per_epoch: steps in an epoch.
  """

  def __init__(self, first_epoch: int, epochs: int, steps_per_epoch: int) -> None:
    super().__init__()
    # `on_train_batch_end` uses no metrics. Without this, Keras would copy them to the host after every batch.
    self._supports_tf_logs = True
    self._initial = first_epoch * steps_per_epoch
    self._total = epochs * steps_per_epoch
    self._first_step = 0

  def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
    """Shows the bar."""
    self._bar = tqdm.tqdm(desc='training', unit='step', dynamic_ncols=True, initial=self._initial, total=self._total)

  def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
    """Notes the epoch's first step."""
    self._first_step = epoch * self.params['steps']

  def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
    """Moves the bar."""
    # Several steps can pass between calls, see steps_per_execution.
    self._bar.update(self._first_step + batch + 1 - self._bar.n)

  def on_epoch_end(self, epoch: int, logs: Mapping[str, float]) -> None:
    """Shows the epoch's metrics."""
    self._bar.set_postfix(epoch=epoch + 1, loss=logs['loss'], accuracy=logs.get('val_accuracy', logs['accuracy']))

  def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
    """Closes the bar."""
    self._bar.close()
