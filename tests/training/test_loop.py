import json

import numpy as np
import pytest

import tickets_tf
from tickets_tf import training
from tickets_tf.data import Examples
from tickets_tf.data import Pipeline
from tickets_tf.errors import TicketsError
from tickets_tf.training import Epoch
from tickets_tf.training import callbacks
from tickets_tf.training import loop


@pytest.fixture
def examples():
  rng = np.random.default_rng(0)
  return Examples(rng.integers(0, 256, (32, 4, 4, 1), np.uint8), rng.integers(0, 3, 32).astype(np.int32))


@pytest.fixture
def train(examples, tmp_path):
  """A function that trains a network of one layer for the settings that are given, 2 steps an epoch."""
  pipeline = Pipeline(examples, 16, 0, 'none', 0, (0.5,), (0.25,))

  def run(folder='run', layer='dense', **changes):
    import tf_keras as keras
    settings = tickets_tf.Settings(tensorboard=False, progress=False, **changes)
    strategy = training.make_strategy('one_device')
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(3, name=layer)]
    model = keras.Sequential(layers, name='one')
    mask = tickets_tf.Mask.dense(tickets_tf.prunable_kernels(model))
    path = tmp_path / folder
    path.mkdir(exist_ok=True)
    return training.train(model, mask, pipeline, examples, settings, path, strategy).epochs, model.get_weights(), path

  return run


def without_seconds(epochs):
  return [(each.epoch, each.learning_rate, each.loss, each.accuracy, each.evaluation_loss, each.evaluation_accuracy)
          for each in epochs]


def test_stopping_early_keeps_the_learning_rates_of_the_whole_schedule(train):
  whole, _, _ = train('whole', epochs=4, milestones='0.5')
  assert [epoch.learning_rate for epoch in whole] == [0.1, 0.1, 0.01, 0.01]
  loop._compiled.clear()
  stopped, _, _ = train('stopped', epochs=4, milestones='0.5', stop_epoch=3)
  assert [epoch.learning_rate for epoch in stopped] == [0.1, 0.1, 0.01]
  assert without_seconds(stopped) == without_seconds(whole[:3])


def test_metrics_are_those_of_the_file(train):
  epochs, _, path = train(epochs=2)
  lines = [json.loads(line) for line in (path / 'metrics.jsonl').read_text().splitlines()]
  assert [list(line) for line in lines] == 2 * [
      ['epoch', 'learning_rate', 'loss', 'accuracy', 'evaluation_loss', 'evaluation_accuracy', 'seconds']]
  assert [Epoch(**line) for line in lines] == epochs and [epoch.epoch for epoch in epochs] == [1, 2]
  assert all(epoch.loss > 0 and 0 <= epoch.accuracy <= 1 and epoch.evaluation_loss > 0 for epoch in epochs)


def test_every_epoch_is_judged_by_its_last_weights(train, examples):
  epochs, (kernel, bias), _ = train(epochs=1)
  logits = ((examples.images / 255 - 0.5) / 0.25).reshape(32, 16) @ kernel + bias
  losses = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(32), examples.labels]
  assert epochs[-1].evaluation_loss == pytest.approx(losses.mean(), rel=1e-4)
  assert epochs[-1].evaluation_accuracy == pytest.approx(np.mean(logits.argmax(axis=1) == examples.labels), abs=1e-6)
  assert epochs[-1].accuracy != epochs[-1].evaluation_accuracy and epochs[-1].loss != epochs[-1].evaluation_loss


def test_a_killed_training_resumes_from_its_newest_checkpoint(train, monkeypatch):
  class Killed(BaseException):
    pass

  whole, weights, _ = train('whole', epochs=4, checkpoint_seconds=0)
  end = callbacks.SaveCheckpoint.on_epoch_end

  def killed_before_the_third(self, epoch, logs=None):
    if epoch == 2:
      raise Killed
    end(self, epoch, logs)

  with monkeypatch.context() as patch:
    patch.setattr(callbacks.SaveCheckpoint, 'on_epoch_end', killed_before_the_third)
    with pytest.raises(Killed):
      train('killed', epochs=4, checkpoint_seconds=0)
  resumed, others, path = train('killed', epochs=4, checkpoint_seconds=0)
  assert len((path / 'metrics.jsonl').read_text().splitlines()) == 4, 'the third epoch had been written once'
  assert without_seconds(resumed) == without_seconds(whole)
  assert all(np.array_equal(weight, other) for weight, other in zip(weights, others, strict=True))
  again, same, _ = train('killed', epochs=4)
  assert again == resumed and all(np.array_equal(weight, other) for weight, other in zip(weights, same, strict=True))


def test_a_network_whose_layers_have_other_names_is_compiled_for_itself(train):
  """Layers that the user does not name get another number from Keras every time."""
  first, _, _ = train('first', layer='dense', epochs=1)
  second, _, _ = train('second', layer='dense_1', epochs=1)
  assert without_seconds(first) == without_seconds(second)


@pytest.mark.parametrize('line', ['{"epoch": 1}', '[1, 2]', '{"epoch": 1, "learn', '{"epoch": 1, "rate": 0.1}'])
def test_metrics_that_cannot_be_read_are_named(line, train):
  _, _, path = train(epochs=2)
  file = path / 'metrics.jsonl'
  file.write_text(file.read_text().splitlines()[0] + f'\n{line}\n')
  with pytest.raises(TicketsError, match=r'metrics\.jsonl, line 2: expected a JSON object with epoch, learning_rate, '):
    train(epochs=2)


@pytest.mark.parametrize('seconds, saved', [(0, [1, 2, 3, 4]), (15, [2, 4]), (1000, [4])])
def test_checkpoints_are_spaced_by_seconds(seconds, saved, monkeypatch):
  """Every epoch takes 10 seconds."""
  found = []
  now = iter(range(0, 1000, 10))
  monkeypatch.setattr(callbacks.time, 'monotonic', lambda: clock)
  clock = next(now)

  class Saved:
    def save(self, epoch):
      found.append(epoch)

  callback = callbacks.SaveCheckpoint(Saved(), 4, seconds)
  for epoch in range(4):
    clock = next(now)
    callback.on_epoch_end(epoch)
  assert found == saved


def test_epochs_between_evaluations_are_trained_the_same(train):
  every, weights, _ = train('every', epochs=5)
  few, same, path = train('few', epochs=5, evaluate_every=2)
  assert [each.evaluation_accuracy is None for each in few] == [True, False, True, False, False], 'and the last one'
  assert [each.loss for each in few] == [each.loss for each in every] and all(map(np.array_equal, weights, same))
  judged = [each for each in few if each.evaluation_loss is not None]
  assert without_seconds(judged) == without_seconds([every[1], every[3], every[4]])
  again, _, _ = train('few', epochs=5, evaluate_every=2)
  assert again == few, 'the file says which epochs were not evaluated'
  assert json.loads((path / 'metrics.jsonl').read_text().splitlines()[0])['evaluation_loss'] is None
