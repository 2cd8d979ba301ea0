"""One phase of training, from its newest checkpoint to its last epoch."""

import dataclasses
import functools

import tf_keras as keras

from tickets_tf import sparse
from tickets_tf.training.checkpoints import Checkpoints
from tickets_tf.training import callbacks
from tickets_tf.training import feed
from tickets_tf.training.optimizer import SGD
from tickets_tf.training.optimizer import learning_rate_schedule


# The network that was trained last, with its compiled step. In a sequence of runs that differ in their tickets alone,
# most of a short training would else be the building of graphs.
_compiled = {}

_EVALUATION_BATCH = 500  # images


def train(model, mask, pipeline, judged, settings, folder, strategy):
  """Trains a ticket; killed at any moment, the same call goes on and ends with the same bits.

  Args:
    model: a model to logits, made in the scope of `strategy`, with the weights to start from; it has the trained ones
      afterwards, removed ones at exactly zero.
    mask: the ticket's `Mask`.
    pipeline: the `Pipeline` of training batches.
    judged: the `Examples` that every epoch is judged on.
    settings: the run's `Settings`.
    folder: the run's folder; takes `metrics.jsonl`, `checkpoints/` and `tensorboard/`.
    strategy: the `tf.distribute.Strategy`.

  Returns:
    A list of one dictionary per epoch: epoch, learning_rate, loss, accuracy, evaluation_loss, evaluation_accuracy,
    seconds.
  """
  steps, last_epoch = pipeline.steps_per_epoch, settings.stop_epoch or settings.epochs
  with strategy.scope():
    trained, wrapped, optimizer = _prepared(model, mask, pipeline, judged, settings, strategy)
    checkpoints = Checkpoints(folder / 'checkpoints', wrapped, optimizer)
    first_epoch = checkpoints.restore()
  log = callbacks.MetricsLog(folder / 'metrics.jsonl', first_epoch, {
      'loss': 'loss', 'accuracy': 'accuracy', 'val_loss': 'evaluation_loss', 'val_accuracy': 'evaluation_accuracy'})
  if first_epoch < last_epoch:
    wrapped.fit(
        strategy.distribute_datasets_from_function(
            functools.partial(_shares, pipeline, first_epoch * steps, last_epoch * steps)),
        validation_data=feed.in_order(len(judged), _EVALUATION_BATCH), epochs=last_epoch,
        initial_epoch=first_epoch, steps_per_epoch=steps,
        callbacks=_callbacks(settings, folder, log, checkpoints, first_epoch, last_epoch, steps), verbose=0)
  model.set_weights(trained.get_weights())
  return log.lines


def _prepared(model, mask, pipeline, judged, settings, strategy):
  """Returns (network, the same wrapped and compiled, optimizer) with the weights of `model` and nothing of before."""
  arrays = [pipeline.examples.images, judged.images, *model.weights]
  key = (_training_settings(settings), id(strategy), model.name, tuple(pipeline.mean), tuple(pipeline.std),
         tuple(tuple(array.shape) for array in arrays))
  if key not in _compiled:
    optimizer = _optimizer(settings, pipeline.steps_per_epoch)
    wrapped = sparse.wrap(model, mask)
    optimizer.build(wrapped.trainable_variables)
    wrapped.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=['accuracy'],
                    steps_per_execution=settings.steps_per_execution, jit_compile=settings.jit)
    feeds = feed.Feed(pipeline, pipeline.examples), feed.Feed(pipeline, judged)
    feed.attach(wrapped, *feeds)
    _compiled.clear()
    _compiled[key] = model, wrapped, optimizer, [variable.numpy() for variable in optimizer.variables], feeds
  trained, wrapped, optimizer, start, feeds = _compiled[key]
  for each, examples in zip(feeds, (pipeline.examples, judged)):
    each.put(examples)
  if settings.mixed_precision == 'float16':  # Keras keeps the loss scale where it cannot be set back.
    _compiled.clear()
  trained.set_weights(model.get_weights())
  sparse.set_mask(wrapped, mask)
  for variable, value in zip(optimizer.variables, start):
    variable.assign(value)
  return trained, wrapped, optimizer


def _training_settings(settings):
  # All that can change a step; what a ticket is and which data it meets are no part of the graph.
  others = ('pruner', 'ratio', 'seed', 'trained_on', 'stop_epoch')
  return tuple(getattr(settings, field.name) for field in dataclasses.fields(settings)
               if field.metadata['identity'] and not field.metadata['pruning'] and field.name not in others)


def _optimizer(settings, steps_per_epoch):
  schedule = learning_rate_schedule(settings.learning_rate, settings.epochs, steps_per_epoch,
                                    settings.milestone_shares(), settings.decay)
  optimizer = SGD(schedule, settings.momentum, settings.weight_decay)
  if settings.mixed_precision == 'float16':
    return keras.mixed_precision.LossScaleOptimizer(optimizer)
  return optimizer


def _shares(pipeline, first_step, last_step, context):
  # What one worker's replicas compute of each global batch.
  local = context.num_replicas_in_sync // context.num_input_pipelines
  return pipeline.draws(first_step, last_step, parts=context.num_replicas_in_sync,
                        first_part=context.input_pipeline_id * local, local_parts=local)


def _callbacks(settings, folder, log, checkpoints, first_epoch, last_epoch, steps):
  # The metrics are written before the checkpoint: a run killed between the two repeats the epoch.
  made = [log, callbacks.SaveCheckpoint(checkpoints, last_epoch, settings.checkpoint_seconds)]
  if settings.tensorboard:
    made.append(sparse.summaries(folder / 'tensorboard'))
  if settings.progress:
    made.append(callbacks.Progress(first_epoch, last_epoch, steps))
  return made
