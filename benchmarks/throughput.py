"""Images per second of the whole training loop, with each way to make it faster."""

import dataclasses
import pathlib
import tempfile

import numpy as np
import tensorflow as tf

from tickets_tf import data
from tickets_tf import training
from tickets_tf.data import Examples
from tickets_tf.experiment import networks
from tickets_tf.experiment import tickets
from tickets_tf.runs.run import Run
from tickets_tf.runs.settings import Settings

_IMAGE, _CLASSES = (32, 32, 3), 10
_STEPS_PER_CALL = 100
# In the order in which they are measured: a process that once computes deterministically goes on to do so.
VARIANTS: dict[str, dict[str, object]] = {
    'plain': {'deterministic': False},
    f'{_STEPS_PER_CALL} steps a call': {'deterministic': False, 'steps_per_execution': _STEPS_PER_CALL},
    'bfloat16': {'deterministic': False, 'steps_per_execution': _STEPS_PER_CALL, 'mixed_precision': 'bfloat16'},
    'XLA': {'deterministic': False, 'steps_per_execution': _STEPS_PER_CALL, 'jit': True},
    'XLA, bfloat16': {'deterministic': False, 'steps_per_execution': _STEPS_PER_CALL, 'jit': True,
                      'mixed_precision': 'bfloat16'},
    'deterministic': {'deterministic': True},
    f'deterministic, {_STEPS_PER_CALL} steps a call': {'deterministic': True, 'steps_per_execution': _STEPS_PER_CALL},
}


def images_per_second(settings: Settings, steps: int, rounds: int) -> list[float]:
  """Trains a random ticket on random images of CIFAR-10's size, and times each epoch but the first.

  Args:
    settings: network, batch size, ratio, and how to compute.
    steps: training steps in an epoch.
    rounds: epochs that are timed.

  Returns:
    Images per second in each of these epochs, evaluation of one batch included.
  """
  settings = dataclasses.replace(settings, epochs=rounds + 1, milestones='', tensorboard=False, progress=False,
                                 checkpoint_seconds=1e6)
  if settings.deterministic:
    tf.config.experimental.enable_op_determinism()
  rng = np.random.default_rng(0)
  count = steps * settings.batch_size
  images = rng.integers(0, 256, (count, *_IMAGE), dtype=np.uint8)
  examples = Examples(images, rng.integers(0, _CLASSES, count, dtype=np.int32))
  dataset = data.Dataset('random', examples, examples.take(slice(0, settings.batch_size)),
                         tuple(map(str, range(_CLASSES))), (0.5,) * 3, (0.25,) * 3, 'crop_flip', 4)
  strategy = training.make_strategy(settings.strategy, settings.replicas)
  pipeline = networks.pipeline(Run(settings), dataset, strategy)
  model = networks.network(Run(settings), dataset, strategy, networks.INITIALISATION)
  mask = tickets.find_ticket(model, 'random', settings.ratio).mask
  with tempfile.TemporaryDirectory() as folder:
    epochs = training.train(model, mask, pipeline, dataset.test, settings, pathlib.Path(folder), strategy).epochs
  return [count / epoch.seconds for epoch in epochs[1:]]
