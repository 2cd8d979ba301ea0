"""Batches that the devices make within a step, from examples in their own memory or images that come with a draw."""

import functools

import tensorflow as tf
import tf_keras as keras

from tickets_tf.data import Examples
from tickets_tf.data import Pipeline
from tickets_tf.data import loading
from tickets_tf.data.pipeline import Drawn


class Feed:
  """Examples in the memory of every device of a strategy; make it in the strategy's scope.

  Args:
    pipeline: makes a batch from drawn numbers.
    examples: the examples to keep; if their images stay in files, none is kept.
  """

  def __init__(self, pipeline: Pipeline, examples: Examples) -> None:
    self._pipeline = pipeline
    self._images = self._labels = None  # Images that stay in files come with the draws.
    if examples.in_files:
      return
    # Variables, because GPUs cannot gather from a uint8 tensor, and because a compiled step can then take other
    # examples of that shape. Labels are 64-bit, because 32-bit integers would stay on the host.
    # Workers send each other no bytes; in 16 bits their values are exact too.
    several = isinstance(tf.distribute.get_strategy(), tf.distribute.MultiWorkerMirroredStrategy)
    self._images = tf.Variable(tf.cast(examples.images, tf.float16 if several else tf.uint8), trainable=False)
    self._labels = tf.Variable(examples.labels, trainable=False, dtype=tf.int64)

  def put(self, examples: Examples) -> None:
    """Replaces the examples by others of the same shape; those that stay in files are not kept here."""
    if self._images is None or self._labels is None:
      return
    self._images.assign(tf.cast(examples.images, self._images.dtype))
    self._labels.assign(examples.labels)

  def batch(self, drawn: Drawn) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns (images, labels) for what `Pipeline.draw` or `in_order` gives; graph code."""
    return self._pipeline.assemble(self._images, self._labels, drawn)


def everything(examples: Examples, batch_size: int) -> tf.data.Dataset:
  """Returns draws of every example once, as `in_order` does, with the images if these stay in files."""
  return loading.in_order(examples, batch_size) if examples.in_files else in_order(len(examples), batch_size)


@functools.lru_cache(maxsize=4)  # Making one takes longer than some epochs.
def in_order(count: int, batch_size: int) -> tf.data.Dataset:
  """Returns draws, as those of `Pipeline.draws`, that take every example once, in order and without augmentation.

  Args:
    count: number of examples.
    batch_size: examples per batch; the last batch holds what is left.
  """
  with tf.device('CPU:0'):
    return tf.data.Dataset.range(count).batch(batch_size).map(lambda index: {'index': index})


def attach(model: keras.Model, training: Feed, evaluation: Feed) -> None:
  """Makes a model take draws instead of batches.

  Args:
    model: a compiled model. From now on its `fit` and `evaluate` take draws.
    training: makes the batches of `fit`.
    evaluation: makes the batches of `evaluate`.
  """
  kind = type(model)
  # Not by setattr: Keras would then make the variables of the feeds the model's own.
  vars(model)['train_step'] = lambda drawn: kind.train_step(model, training.batch(drawn))
  vars(model)['test_step'] = lambda drawn: kind.test_step(model, evaluation.batch(drawn))
