"""A masked training step against a dense one."""

import time

import numpy as np
import numpy.typing as npt
import tf_keras as keras

from tickets_tf import models
from tickets_tf import sparse
from tickets_tf import training
from tickets_tf.experiment import tickets
from tickets_tf.runs.settings import Settings

_IMAGE, _CLASSES = (32, 32, 3), 10


def masked_over_dense(settings: Settings, rounds: int = 7, steps: int = 3) -> list[float]:
  """Times a training step of a random ticket against that of the dense network, in turn.

  Args:
    settings: what gives network, batch size, ratio and optimizer.
    rounds: pairs of measurements.
    steps: training steps per measurement.

  Returns:
    `rounds` ratios, masked over dense.
  """
  rng = np.random.default_rng(0)
  images = rng.normal(size=(settings.batch_size, *_IMAGE)).astype(np.float32)
  labels = rng.integers(0, _CLASSES, settings.batch_size).astype(np.int32)
  dense, masked = _network(settings), _network(settings)
  masked = sparse.wrap(masked, tickets.find_ticket(masked, 'random', settings.ratio).mask)
  for model in (dense, masked):
    compile_for(model, settings)
    model.train_on_batch(images, labels)  # traces the graph
  seconds = [[seconds_of(model, images, labels, steps) for model in (masked, dense)] for _ in range(rounds)]
  return [first / second for first, second in seconds]


def _network(settings: Settings) -> keras.Model:
  return models.build_model(settings.model, _IMAGE, _CLASSES, width=settings.width)


def compile_for(model: keras.Model, settings: Settings) -> None:
  """Compiles a network for training."""
  optimizer = training.SGD(settings.learning_rate, settings.momentum, settings.weight_decay)
  model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))


def seconds_of(model: keras.Model, images: npt.NDArray[np.float32], labels: npt.NDArray[np.int32],
               steps: int) -> float:
  """Returns how many seconds so many training steps take."""
  start = time.perf_counter()
  for _ in range(steps):
    model.train_on_batch(images, labels)
  return time.perf_counter() - start
