"""One phase of training, from its newest checkpoint to its last epoch."""

import dataclasses
import functools
import math
import pathlib
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tf_keras as keras

from tickets_tf import models
from tickets_tf import seeds
from tickets_tf import sparse
from tickets_tf.data import Examples
from tickets_tf.data import Pipeline
from tickets_tf.pruning.mask import Mask
from tickets_tf.runs.mask_history import MaskChange
from tickets_tf.runs.settings import Settings
from tickets_tf.training import callbacks
from tickets_tf.training import evaluation
from tickets_tf.training import feed
from tickets_tf.training.checkpoints import Checkpoints
from tickets_tf.training.epochs import Epoch
from tickets_tf.training.mask_updating import Moving
from tickets_tf.training.mask_updating import UpdateMasks
from tickets_tf.training.optimizer import RATES
from tickets_tf.training.optimizer import SGD
from tickets_tf.training.optimizer import learning_rate_schedule


@dataclasses.dataclass(frozen=True)
class Trained:
  """What came of a training.

  Attributes:
    epochs: all epochs, those before a resumption included.
    mask: the mask at its end.
    history: all mask updates.
  """
  epochs: list[Epoch]
  mask: Mask
  history: list[MaskChange]


@dataclasses.dataclass(frozen=True, eq=False)
class _Compiled:
  """A network with its compiled training step.

  Attributes:
    network: the network without wrappers; `wrapped` uses the same variables.
    wrapped: the network that holds the mask and is trained.
    optimizer: its optimizer.
    start: values of the optimizer's variables before the first step.
    training: makes the batches that it is trained on.
    evaluation: makes the batches that it is judged on.
  """
  network: keras.Model
  wrapped: keras.Model
  optimizer: keras.optimizers.Optimizer
  start: list[npt.NDArray[Any]]
  training: feed.Feed
  evaluation: feed.Feed


# The networks that were trained last, under everything that their steps depend on: that of the tickets and, if they are
# small, the small dense one beside it. A run that differs only in its ticket uses the network again: building graphs
# would take most of the time of a short training.
_compiled: dict[tuple[Any, ...], _Compiled] = {}
_SMALL = 64 * 2**20  # bytes of images and weights


def holds(model: keras.Model) -> bool:
  """Returns whether a network is the one that is kept with its compiled step, whose layers are wrapped."""
  return any(compiled.network is model for compiled in _compiled.values())


def train(model: keras.Model, mask: Mask, pipeline: Pipeline, judged: Examples, settings: Settings,
          folder: pathlib.Path, strategy: tf.distribute.Strategy, rates: str = 'all',
          moving: Moving | None = None) -> Trained:
  """Trains a ticket. If it is killed, the same call resumes from the newest checkpoint and ends with the same bits.

  There is a checkpoint after the last epoch, and after earlier ones no sooner than `settings.checkpoint_seconds` after
  the checkpoint before.

  Args:
    model: a model to logits, made in the scope of `strategy`, with the weights to start from; it has the trained ones
      afterwards, removed ones at exactly zero.
    mask: the ticket's mask.
    pipeline: gives the training batches.
    judged: the examples that epochs are judged on.
    settings: the run's settings.
    folder: the run's folder; takes `metrics.jsonl`, `checkpoints/` and `tensorboard/`.
    strategy: the strategy that `model` was made for.
    rates: see `pruning.rules.Rule`.
    moving: how the mask changes in training; None: it is fixed.

  Returns:
    What came of it.

  Raises:
    TicketsError: if the checkpoint or the metrics in the folder cannot be read, or a file cannot be written.
  """
  steps, last_epoch = pipeline.steps_per_epoch, settings.stop_epoch or settings.epochs
  with strategy.scope():
    compiled = _prepared(model, mask, pipeline, judged, settings, strategy, rates)
    checkpoints = Checkpoints(folder / 'checkpoints', compiled.wrapped, compiled.optimizer)
    first_epoch = checkpoints.restore()
  log = callbacks.MetricsLog(folder / 'metrics.jsonl', first_epoch)
  # Layers that are random in training mode draw with the order, and not with the initialisation. Only then, because
  # TensorFlow forgets all that it has prepared when its seed is set.
  if moving is not None or models.may_be_random(model):
    keras.utils.set_random_seed(seeds.integer(pipeline.seed, 'layers'))
  updates = None if moving is None else UpdateMasks(
      moving, compiled.network, lambda step: compiled.training.batch(pipeline.fetch(pipeline.draw(step))),
      folder / 'mask_history.jsonl', first_epoch * steps, last_epoch * steps)
  sparse.set_schedule(compiled.wrapped, updates.schedule if updates else sparse.TicketSchedule(1 - mask.density))
  if first_epoch < last_epoch:
    compiled.wrapped.fit(
        strategy.distribute_datasets_from_function(
            functools.partial(_shares, pipeline, first_epoch * steps, last_epoch * steps)),
        validation_data=feed.everything(judged, evaluation.at_once(judged)),
        validation_freq=[*range(settings.evaluate_every, last_epoch, settings.evaluate_every), last_epoch],
        epochs=last_epoch,
        initial_epoch=first_epoch, steps_per_epoch=steps,
        callbacks=_calls(compiled.wrapped, last_epoch, steps, [
            *([updates] if updates else []),
            *_callbacks(settings, folder, log, checkpoints, first_epoch, last_epoch, steps)]), verbose=0)
  model.set_weights(compiled.network.get_weights())
  return Trained(log.epochs, sparse.mask_of(compiled.wrapped), updates.history if updates else [])


def _calls(model: keras.Model, epochs: int, steps: int,
           called: list[keras.callbacks.Callback]) -> keras.callbacks.CallbackList:
  calls = keras.callbacks.CallbackList(called, add_history=True, model=model, verbose=0, epochs=epochs, steps=steps)
  # Keras would warn that a callback which changes masks takes longer than a step; that is its work.
  calls._check_timing = False  # pylint: disable=protected-access
  return calls


def _prepared(model: keras.Model, mask: Mask, pipeline: Pipeline, judged: Examples, settings: Settings,
              strategy: tf.distribute.Strategy, rates: str) -> _Compiled:
  """Returns the compiled network with the weights of `model`, as if it had not been trained before."""
  arrays = [pipeline.examples.images, judged.images, *model.weights]
  key = (settings.step(), rates, id(strategy), model.name, tuple(mask.names), tuple(pipeline.mean), tuple(pipeline.std),
         pipeline.examples.in_files, judged.in_files, tuple(tuple(array.shape) for array in arrays))
  if key not in _compiled:
    made = _compile(model, mask, pipeline, judged, settings, rates)
    size = sum(math.prod(array.shape) * np.dtype(getattr(array.dtype, 'as_numpy_dtype', array.dtype)).itemsize
               for array in arrays)
    for old in list(_compiled)[:-1 if size <= _SMALL else None]:
      del _compiled[old]
    _compiled[key] = made
  compiled = _compiled[key] = _compiled.pop(key)  # The last is that which was used last.
  compiled.training.put(pipeline.examples)
  compiled.evaluation.put(judged)
  if settings.mixed_precision == 'float16':  # It cannot be used again: Keras' loss scale cannot be set back.
    _compiled.clear()
  compiled.network.set_weights(model.get_weights())
  sparse.set_mask(compiled.wrapped, mask)
  for variable, value in zip(compiled.optimizer.variables, compiled.start, strict=True):
    variable.assign(value)
  return compiled


def _compile(model: keras.Model, mask: Mask, pipeline: Pipeline, judged: Examples, settings: Settings,
             rates: str) -> _Compiled:
  optimizer = make_optimizer(settings, pipeline.steps_per_epoch, rates)
  wrapped = sparse.wrap(model, mask)
  optimizer.build(wrapped.trainable_variables)
  wrapped.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=['accuracy'],
                  steps_per_execution=settings.steps_per_execution, jit_compile=settings.jit)
  training, evaluation = feed.Feed(pipeline, pipeline.examples), feed.Feed(pipeline, judged)
  feed.attach(wrapped, training, evaluation)
  start = [variable.numpy() for variable in optimizer.variables]
  return _Compiled(model, wrapped, optimizer, start, training, evaluation)


def make_optimizer(settings: Settings, steps_per_epoch: int, rates: str) -> keras.optimizers.Optimizer:
  """Returns a new optimizer of a run.

  Args:
    settings: the run's settings.
    steps_per_epoch: steps in an epoch.
    rates: see `pruning.rules.Rule`.
  """
  # The schedule is that of all epochs, also if the phase stops early.
  schedule = RATES[rates](learning_rate_schedule(settings.learning_rate, settings.epochs, steps_per_epoch,
                                                 settings.milestone_shares(), settings.decay))
  optimizer = SGD(schedule, settings.momentum, settings.weight_decay)
  if settings.mixed_precision == 'float16':
    return keras.mixed_precision.LossScaleOptimizer(optimizer)
  return optimizer


def _shares(pipeline: Pipeline, first_step: int, last_step: int,
            context: tf.distribute.InputContext) -> tf.data.Dataset:
  # The shares of each global batch that the replicas of one worker compute.
  local = context.num_replicas_in_sync // context.num_input_pipelines
  return pipeline.draws(first_step, last_step, parts=context.num_replicas_in_sync,
                        first_part=context.input_pipeline_id * local, local_parts=local)


def _callbacks(settings: Settings, folder: pathlib.Path, log: callbacks.MetricsLog, checkpoints: Checkpoints,
               first_epoch: int, last_epoch: int, steps: int) -> list[keras.callbacks.Callback]:
  # The metrics are written before the checkpoint: a run that is killed between the two repeats the epoch.
  # Workers save together, so that no clock may decide.
  seconds = 0.0 if settings.strategy == 'multi_worker' else settings.checkpoint_seconds
  made = [log, callbacks.SaveCheckpoint(checkpoints, last_epoch, seconds)]
  if settings.tensorboard:
    made.append(sparse.summaries(folder / 'tensorboard'))
  if settings.progress:
    made.append(callbacks.Progress(first_epoch, last_epoch, steps))
  return made
