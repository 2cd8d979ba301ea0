"""Batches of training images as a pure function of the step.

Nothing is kept between steps: a run that goes on at step 1000 sees what one that never stopped would have seen, and
each replica can compute its own share of a batch. What is random is drawn on the host, a few numbers per image; of it
and of the images in its memory a device makes the batch within its training step.
"""

import functools

import numpy as np
import tensorflow as tf

from tickets_tf import seeds
from tickets_tf.data.sources import AUGMENTATIONS
from tickets_tf.errors import UsageError

# TensorFlow's own index_shuffle takes 4 rounds of its cipher. With those, the batches of a data set that is sorted by
# class held the classes about 10% too evenly (variance of the counts); with 8 they are as random as NumPy's.
_SHUFFLE_ROUNDS = 8


class Pipeline:
  """Shuffled, augmented, normalised batches of a fixed size.

  Every epoch is its own permutation of the examples, cut into whole batches; the few left over are others each epoch.

  Args:
    examples: the training `Examples`.
    batch_size: examples per step, over all replicas; lowered to the number of examples where there are fewer.
    seed: the run's seed.
    augmentation: `'crop_flip'`, `'crop'` or `'none'`.
    crop_padding: pixels of zeros around an image before the random crop.
    mean: per channel, of images scaled to [0, 1].
    std: likewise.

  Attributes:
    batch_size: examples per step.
    steps_per_epoch: whole batches in an epoch, at least 1.
    examples: the training `Examples`.
    mean: per channel.
    std: likewise.

  Raises:
    UsageError: for a batch size below 1, an unknown augmentation or a negative padding.
  """

  def __init__(self, examples, batch_size, seed, augmentation, crop_padding, mean, std):
    if batch_size < 1:
      raise UsageError(f'--batch_size={batch_size}: must be at least 1')
    if augmentation not in AUGMENTATIONS:
      raise UsageError(f'--augmentation={augmentation}: unknown; known: {", ".join(AUGMENTATIONS)}')
    if crop_padding < 0:
      raise UsageError(f'crop_padding must be 0 or more pixels, got {crop_padding}')
    self.batch_size = min(batch_size, len(examples))
    self.steps_per_epoch = len(examples) // self.batch_size
    self._seed = seed
    self._flip = augmentation == 'crop_flip'
    self._padding = 0 if augmentation == 'none' else crop_padding
    self.mean, self.std = mean, std
    self.examples = examples

  def draw(self, step, part=0, parts=1):
    """Returns what is random in one step's batch, or in a share of it: a few numbers per image.

    TensorFlow shuffles on the CPU alone; whatever device the batch is made on by `assemble` gets these numbers.

    Args:
      step: integer or integer tensor, counted from 0 over all epochs.
      part: which share, integer or integer tensor in [0, parts).
      parts: how many equal shares the batch is cut into; a Python integer.

    Returns:
      A dictionary of int64 tensors: `index` [batch_size / parts] of the examples; with crops, `offset`
      [batch_size / parts, 2], rows and columns; with flips, `flip` [batch_size / parts], 0 or 1. The shares, one after
      the other, are the whole batch.

    Raises:
      UsageError: where the batch size is not a multiple of `parts`.
    """
    share = self._share(parts)
    step = tf.cast(step, tf.int64)
    rows = tf.range(share, dtype=tf.int64) + share * tf.cast(part, tf.int64)
    drawn = {'index': self._indices(step, rows)}
    if self._padding:
      drawn['offset'] = self._random('crop', step, rows, [2], 2 * self._padding + 1)
    if self._flip:
      drawn['flip'] = self._random('flip', step, rows, [1], 2)[:, 0]
    return drawn

  def assemble(self, images, labels, drawn):
    """Makes a batch of what was drawn; graph code for any device, and for XLA.

    Args:
      images: uint8 tensor or variable [N, height, width, channels], all that there are.
      labels: integer tensor or variable [N].
      drawn: what `draw` returns; without `offset` and `flip` images stay as they are.

    Returns:
      (float32 [n, height, width, channels] normalised, labels [n]).
    """
    # At once in floating point: GPUs gather and pad it, but not bytes of a tensor.
    batch = tf.cast(tf.gather(images, drawn['index']), tf.float32)
    if 'offset' in drawn:
      batch = self._crop(batch, drawn['offset'])
    if 'flip' in drawn:
      batch = tf.where(drawn['flip'][:, None, None, None] == 1, tf.reverse(batch, [2]), batch)
    return normalise(batch, self.mean, self.std), tf.gather(labels, drawn['index'])

  def batch(self, step, part=0, parts=1):
    """Returns the batch of `draw`'s arguments, as `assemble` makes it, on the device of the caller."""
    return self.assemble(self._images, self._labels, self.draw(step, part, parts))

  def draws(self, first_step, last_step, parts=1, first_part=0, local_parts=None):
    """Returns what is random in the batches of a range of steps.

    Args:
      first_step: the first step.
      last_step: one past the last step.
      parts: how many replicas share each batch, over all workers.
      first_part: the first share that this worker computes.
      local_parts: how many shares this worker computes; None: all from `first_part` on.

    Returns:
      A `tf.data.Dataset` of what `draw` returns. Element k is share `first_part + k % local_parts` of step
      `first_step + k // local_parts`: the shares of one step follow each other, one per replica.

    Raises:
      UsageError: where the batch size is not a multiple of `parts`.
    """
    self._share(parts)  # says no here rather than while tf.data traces
    local = parts - first_part if local_parts is None else local_parts

    def element(k):
      return self.draw(k // local, first_part + k % local, parts)

    with tf.device('CPU:0'):
      steps = tf.data.Dataset.range(first_step * local, last_step * local)
      return steps.map(element, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(tf.data.AUTOTUNE)

  def dataset(self, *steps_and_parts, **named):
    """Returns the batches themselves, made on the CPU, as a `tf.data.Dataset`; arguments as `draws`."""
    with tf.device('CPU:0'):
      draws = self.draws(*steps_and_parts, **named)
      return draws.map(lambda drawn: self.assemble(self._images, self._labels, drawn))

  # Eager tensors: functions capture them by reference, while constants would be written into every graph.
  @functools.cached_property
  def _images(self):
    with tf.init_scope():
      return tf.convert_to_tensor(self.examples.images)

  @functools.cached_property
  def _labels(self):
    with tf.init_scope():
      return tf.convert_to_tensor(self.examples.labels)

  def _share(self, parts):
    if self.batch_size % parts:
      raise UsageError(f'--batch_size={self.batch_size}: cannot be cut into {parts} equal shares, one per replica')
    return self.batch_size // parts

  def _indices(self, step, rows):
    epoch, step_of_epoch = step // self.steps_per_epoch, step % self.steps_per_epoch
    shuffle_seed = seeds.integer(self._seed, 'shuffle')
    return tf.raw_ops.RandomIndexShuffle(
        index=step_of_epoch * self.batch_size + rows,
        seed=tf.stack([tf.constant(shuffle_seed, tf.int64), tf.constant(0, tf.int64), epoch]),
        max_index=len(self.examples) - 1,
        rounds=_SHUFFLE_ROUNDS)

  def _crop(self, images, offsets):
    # Before normalisation: the border is black, as in the reference.
    height, width = images.shape[1:3]
    images = tf.pad(images, [[0, 0], [self._padding] * 2, [self._padding] * 2, [0, 0]])
    for axis, size in ((1, height), (2, width)):
      images = tf.gather(images, offsets[:, axis - 1:axis] + tf.range(size, dtype=tf.int64), axis=axis, batch_dims=1)
    return images

  def _random(self, purpose, step, rows, shape, below):
    # Drawn for the whole batch whatever the share, so that the shares agree with the whole. The algorithm is named
    # because the automatic choice depends on the device.
    seed = tf.stack([tf.constant(seeds.integer(self._seed, 'augmentation', purpose), tf.int64), step])
    drawn = tf.random.stateless_uniform([self.batch_size, *shape], seed, minval=0, maxval=below, dtype=tf.int32,
                                        alg='philox')
    return tf.cast(tf.gather(drawn, rows), tf.int64)


def normalise(images, mean, std):
  """Returns float32 (images / 255 - mean) / std of uint8 images [..., channels]; graph code."""
  # One factor and one summand, not divisions: graph optimisers turn those into products with the reciprocal, and the
  # last bit would differ between a graph, tf.data and eager code.
  mean, std = np.asarray(mean, np.float64), np.asarray(std, np.float64)
  factor, summand = tf.constant(1 / (255 * std), tf.float32), tf.constant(-mean / std, tf.float32)
  return tf.cast(images, tf.float32) * factor + summand
