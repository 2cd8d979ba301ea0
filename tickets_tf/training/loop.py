"""One phase of training, from its newest checkpoint to its last epoch."""

import functools

import tf_keras as keras

from tickets_tf import sparse
from tickets_tf.checkpoints import Checkpoints
from tickets_tf.training import callbacks
from tickets_tf.training.optimizer import SGD
from tickets_tf.training.optimizer import learning_rate_schedule


def train(model, pipeline, evaluation, settings, folder, strategy):
  """Trains a model; killed at any moment, the same call goes on and ends with the same bits.

  Args:
    model: a wrapped model to logits, made in the scope of `strategy`.
    pipeline: the `Pipeline` of training batches.
    evaluation: `tf.data.Dataset` of (images, labels) that every epoch is judged on.
    settings: the run's `Settings`.
    folder: the run's folder; takes `metrics.jsonl`, `checkpoints/` and `tensorboard/`.
    strategy: the `tf.distribute.Strategy`.

  Returns:
    A list of one dictionary per epoch: epoch, learning_rate, loss, accuracy, evaluation_loss, evaluation_accuracy,
    seconds.
  """
  steps, last_epoch = pipeline.steps_per_epoch, settings.stop_epoch or settings.epochs
  with strategy.scope():
    optimizer = _optimizer(settings, steps)
    optimizer.build(model.trainable_variables)
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=['accuracy'],
                  steps_per_execution=settings.steps_per_execution, jit_compile=settings.jit)
    checkpoints = Checkpoints(folder / 'checkpoints', model, optimizer)
    first_epoch = checkpoints.restore()
  log = callbacks.MetricsLog(folder / 'metrics.jsonl', first_epoch, {
      'loss': 'loss', 'accuracy': 'accuracy', 'val_loss': 'evaluation_loss', 'val_accuracy': 'evaluation_accuracy'})
  if first_epoch < last_epoch:
    model.fit(
        strategy.distribute_datasets_from_function(
            functools.partial(_shares, pipeline, first_epoch * steps, last_epoch * steps)),
        validation_data=evaluation, epochs=last_epoch, initial_epoch=first_epoch, steps_per_epoch=steps,
        callbacks=_callbacks(settings, folder, log, checkpoints, first_epoch, last_epoch, steps), verbose=0)
  return log.lines


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
  return pipeline.dataset(first_step, last_step, parts=context.num_replicas_in_sync,
                          first_part=context.input_pipeline_id * local, local_parts=local)


def _callbacks(settings, folder, log, checkpoints, first_epoch, last_epoch, steps):
  # The metrics are written before the checkpoint: a run killed between the two repeats the epoch.
  made = [log, callbacks.SaveCheckpoint(checkpoints)]
  if settings.tensorboard:
    made.append(sparse.summaries(folder / 'tensorboard'))
  if settings.progress:
    made.append(callbacks.Progress(first_epoch, last_epoch, steps))
  return made
