"""Batches that the devices make within a step, of examples in their own memory."""

import tensorflow as tf


class Feed:
  """Examples in the memory of every device of a strategy; make it in the strategy's scope.

  Args:
    pipeline: the `Pipeline` that says how a batch is made of what was drawn.
    examples: `Examples`.
  """

  def __init__(self, pipeline, examples):
    self._pipeline = pipeline
    # Variables: GPUs gather bytes of no tensor, and other examples of that shape can be put into a compiled step.
    # 32-bit integers would stay on the host.
    self._images = tf.Variable(examples.images, trainable=False, dtype=tf.uint8)
    self._labels = tf.Variable(examples.labels, trainable=False, dtype=tf.int64)

  def put(self, examples):
    """Replaces the examples by others of the same shape."""
    self._images.assign(examples.images)
    self._labels.assign(examples.labels)

  def batch(self, drawn):
    """Returns (images, labels) of what `Pipeline.draw` or `in_order` has drawn; graph code."""
    return self._pipeline.assemble(self._images, self._labels, drawn)


def in_order(count, batch_size):
  """Returns draws of all examples in order, as they are.

  Args:
    count: number of examples.
    batch_size: examples per batch; the last holds what is left.

  Returns:
    A `tf.data.Dataset`.
  """
  with tf.device('CPU:0'):
    return tf.data.Dataset.range(count).batch(batch_size).map(lambda index: {'index': index})


def attach(model, training, evaluation):
  """Makes a model take draws in place of batches.

  Args:
    model: a compiled `keras.Model`; `fit` and `evaluate` are then given draws.
    training: the `Feed` of `fit`.
    evaluation: the `Feed` of `evaluate`.
  """
  kind = type(model)
  # Past Keras' own attributes, where the variables of the feeds would become the model's.
  vars(model)['train_step'] = lambda drawn: kind.train_step(model, training.batch(drawn))
  vars(model)['test_step'] = lambda drawn: kind.test_step(model, evaluation.batch(drawn))
