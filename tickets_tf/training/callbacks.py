"""What happens around the steps of training, as Keras callbacks."""

import json
import pathlib
import time

import tf_keras as keras
import tqdm

from tickets_tf import files


class MetricsLog(keras.callbacks.Callback):
  """Keeps the metrics of every epoch as JSON lines.

  Args:
    path: file to write, whole after every epoch.
    first_epoch: finished epochs to go on from; later lines, of epochs that a killed run did not finish, are dropped.
    names: Keras' name of a metric -> the name to write.

  Attributes:
    lines: one dictionary per finished epoch.
  """

  def __init__(self, path, first_epoch, names):
    super().__init__()
    self._path = pathlib.Path(path)
    self._names = names
    self.lines = read_lines(path)[:first_epoch]

  def on_epoch_begin(self, epoch, logs=None):
    self._start = time.monotonic()

  def on_epoch_end(self, epoch, logs=None):
    rate = keras.backend.get_value(self.model.optimizer.learning_rate)
    line = {'epoch': epoch + 1, 'learning_rate': float(f'{float(rate):.6g}')}
    line.update((self._names[name], round(float(value), 6)) for name, value in logs.items() if name in self._names)
    self.lines.append({**line, 'seconds': round(time.monotonic() - self._start, 3)})
    files.write_text(self._path, ''.join(json.dumps(each) + '\n' for each in self.lines))


def read_lines(path):
  """Returns the dictionaries of a file of JSON lines, none where there is no file."""
  path = pathlib.Path(path)
  return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


class SaveCheckpoint(keras.callbacks.Callback):
  """Saves a checkpoint at the end of an epoch, where the last one is old enough, and after the last epoch.

  Args:
    checkpoints: the run's `Checkpoints`.
    last_epoch: epochs in all.
    seconds: least time between two checkpoints; where epochs are short, saving would be much of the work.
  """

  def __init__(self, checkpoints, last_epoch, seconds):
    super().__init__()
    self._checkpoints = checkpoints
    self._last_epoch = last_epoch
    self._seconds = seconds
    self._saved = time.monotonic()

  def on_epoch_end(self, epoch, logs=None):
    if epoch + 1 == self._last_epoch or time.monotonic() - self._saved >= self._seconds:
      self._checkpoints.save(epoch + 1)
      self._saved = time.monotonic()


class Progress(keras.callbacks.Callback):
  """Shows the steps done, the time left of the whole training, and the last epoch's metrics.

  Args:
    first_epoch: finished epochs at the start.
    epochs: epochs in all.
    steps_per_epoch: steps in an epoch.
  """

  def __init__(self, first_epoch, epochs, steps_per_epoch):
    super().__init__()
    # What happens after a batch needs no metrics, which Keras would else bring to the host each time.
    self._supports_tf_logs = True
    self._sizes = dict(initial=first_epoch * steps_per_epoch, total=epochs * steps_per_epoch)
    self._first_step = 0

  def on_train_begin(self, logs=None):
    self._bar = tqdm.tqdm(desc='training', unit='step', dynamic_ncols=True, **self._sizes)

  def on_epoch_begin(self, epoch, logs=None):
    self._first_step = epoch * self.params['steps']

  def on_train_batch_end(self, batch, logs=None):
    # Several steps can pass between calls, see steps_per_execution.
    self._bar.update(self._first_step + batch + 1 - self._bar.n)

  def on_epoch_end(self, epoch, logs=None):
    self._bar.set_postfix(epoch=epoch + 1, loss=logs['loss'], accuracy=logs.get('val_accuracy', logs['accuracy']))

  def on_train_end(self, logs=None):
    self._bar.close()
