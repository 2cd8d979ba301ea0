"""Batches of training images as a pure function of the step.

Nothing is kept between steps: a run that goes on at step 1000 sees what one that never stopped would have seen, and
each replica can compute its own share of a batch. All of it is graph code, for `tf.data` or for inside a train step.
"""

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
    examples: the training `Examples`. Their images are copied once, to a uint8 tensor.
    batch_size: examples per step, over all replicas; lowered to the number of examples where there are fewer.
    seed: the run's seed.
    augmentation: `'crop_flip'`, `'crop'` or `'none'`.
    crop_padding: pixels of zeros around an image before the random crop.
    mean: per channel, of images scaled to [0, 1].
    std: likewise.
    device: where the images live. The default suits `dataset`; name an accelerator to call `batch` in a train step
      that runs there.

  Attributes:
    batch_size: examples per step.
    steps_per_epoch: whole batches in an epoch, at least 1.

  Raises:
    UsageError: for a batch size below 1, an unknown augmentation or a negative padding.
  """

  def __init__(self, examples, batch_size, seed, augmentation, crop_padding, mean, std, device='CPU:0'):
    if batch_size < 1:
      raise UsageError(f'--batch_size={batch_size}: must be at least 1')
    if augmentation not in AUGMENTATIONS:
      raise UsageError(f'--augmentation={augmentation}: unknown; known: {", ".join(AUGMENTATIONS)}')
    if crop_padding < 0:
      raise UsageError(f'crop_padding must be 0 or more pixels, got {crop_padding}')
    self.batch_size = min(batch_size, len(examples))
    self.steps_per_epoch = len(examples) // self.batch_size
    self._size = len(examples)
    self._seed = seed
    self._flip = augmentation == 'crop_flip'
    self._padding = 0 if augmentation == 'none' else crop_padding
    self._mean, self._std = mean, std
    # Eager tensors: functions capture them by reference, while constants would be written into every graph.
    with tf.device(device):
      self._images = tf.convert_to_tensor(examples.images)
      self._labels = tf.convert_to_tensor(examples.labels)

  def batch(self, step, part=0, parts=1):
    """Returns one step's batch, or a share of it.

    Args:
      step: integer or integer tensor, counted from 0 over all epochs.
      part: which share, integer or integer tensor in [0, parts).
      parts: how many equal shares the batch is cut into; a Python integer.

    Returns:
      (float32 [batch_size / parts, height, width, channels] normalised, int32 [batch_size / parts]). The shares,
      one after the other, are the whole batch, bit by bit.

    The shuffle has a kernel for the CPU only: TensorFlow puts it there by itself, but XLA does not compile it.

    Raises:
      UsageError: where the batch size is not a multiple of `parts`.
    """
    share = self._share(parts)
    step = tf.cast(step, tf.int64)
    rows = tf.range(share, dtype=tf.int64) + share * tf.cast(part, tf.int64)
    indices = self._indices(step, rows)
    images = self._augment(tf.gather(self._images, indices), step, rows)
    return normalise(images, self._mean, self._std), tf.gather(self._labels, indices)

  def dataset(self, first_step, last_step, parts=1, first_part=0, local_parts=None):
    """Returns the batches of a range of steps.

    Args:
      first_step: the first step.
      last_step: one past the last step.
      parts: how many replicas share each batch, over all workers.
      first_part: the first share that this worker computes.
      local_parts: how many shares this worker computes; None: all from `first_part` on.

    Returns:
      A `tf.data.Dataset` of what `batch` returns. Element k is share `first_part + k % local_parts` of step
      `first_step + k // local_parts`: the shares of one step follow each other, one per replica.

    Raises:
      UsageError: where the batch size is not a multiple of `parts`.
    """
    self._share(parts)  # says no here rather than while tf.data traces
    local = parts - first_part if local_parts is None else local_parts

    def element(k):
      return self.batch(k // local, first_part + k % local, parts)

    with tf.device('CPU:0'):
      steps = tf.data.Dataset.range(first_step * local, last_step * local)
      return steps.map(element, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(tf.data.AUTOTUNE)

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
        max_index=self._size - 1,
        rounds=_SHUFFLE_ROUNDS)

  def _augment(self, images, step, rows):
    if not self._padding and not self._flip:
      return images
    height, width = images.shape[1:3]
    padding = self._padding
    if padding:
      # Before normalisation: the border is black, as in the reference.
      images = tf.pad(images, [[0, 0], [padding, padding], [padding, padding], [0, 0]])
      offsets = tf.gather(self._random('crop', step, [self.batch_size, 2], 2 * padding + 1), rows)
      images = tf.gather(images, offsets[:, :1] + tf.range(height), axis=1, batch_dims=1)
      columns = offsets[:, 1:] + tf.range(width)
    else:
      columns = tf.tile(tf.range(width)[None], [tf.shape(rows)[0], 1])
    if self._flip:
      flips = tf.gather(self._random('flip', step, [self.batch_size, 1], 2), rows)
      columns = tf.where(flips == 1, columns[:, ::-1], columns)
    return tf.gather(images, columns, axis=2, batch_dims=1)

  def _random(self, purpose, step, shape, below):
    # Drawn for the whole batch whatever the share, so that the shares agree with the whole. The algorithm is named
    # because the automatic choice depends on the device.
    seed = tf.stack([tf.constant(seeds.integer(self._seed, 'augmentation', purpose), tf.int64), step])
    return tf.random.stateless_uniform(shape, seed, minval=0, maxval=below, dtype=tf.int32, alg='philox')


def evaluation_batches(examples, batch_size, mean, std):
  """Returns all examples in order, without augmentation.

  Args:
    examples: `Examples`.
    batch_size: examples per batch; the last batch holds what is left.
    mean: per channel, of images scaled to [0, 1].
    std: likewise.

  Returns:
    A `tf.data.Dataset` of (float32 [b, height, width, channels] normalised, int32 [b]).
  """
  if batch_size < 1:
    raise UsageError(f'--batch_size={batch_size}: must be at least 1')
  with tf.device('CPU:0'):
    images, labels = tf.convert_to_tensor(examples.images), tf.convert_to_tensor(examples.labels)

    def batch(start):
      return normalise(images[start:start + batch_size], mean, std), labels[start:start + batch_size]

    starts = tf.data.Dataset.range(0, len(examples), batch_size)
    return starts.map(batch, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(tf.data.AUTOTUNE)


def normalise(images, mean, std):
  """Returns float32 (images / 255 - mean) / std of uint8 images [..., channels]; graph code."""
  # One factor and one summand, not divisions: graph optimisers turn those into products with the reciprocal, and the
  # last bit would differ between a graph, tf.data and eager code.
  mean, std = np.asarray(mean, np.float64), np.asarray(std, np.float64)
  factor, summand = tf.constant(1 / (255 * std), tf.float32), tf.constant(-mean / std, tf.float32)
  return tf.cast(images, tf.float32) * factor + summand
