"""Batches of training images as a pure function of the step.

Nothing is kept between steps. So a run that resumes at step 1000 sees the same batches as one that never stopped, and
each replica can compute its own share of a batch. The host draws the random numbers, a few per image. A device makes
the batch from them and from the images in its memory, within its training step.
"""

import functools
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tickets_tf import seeds
from tickets_tf.data import loading
from tickets_tf.data.sources import AUGMENTATIONS
from tickets_tf.data.sources import Examples
from tickets_tf.data.stored import StoredImages
from tickets_tf.errors import UsageError

# TensorFlow's own index_shuffle uses 4 rounds of its cipher. With 4, the classes of a data set that is sorted by class
# were spread about 10% too evenly over the batches (variance of the counts). With 8, they are as random as NumPy's.
_SHUFFLE_ROUNDS = 8

# A step's random numbers: 'index', and 'offset' and 'flip' if images are augmented so. See `Pipeline.draw`.
Drawn = dict[str, tf.Tensor]


class Pipeline:
  """Shuffled, augmented, normalised batches of a fixed size.

  Every epoch is a permutation of its own, cut into whole batches. The few examples left over differ between epochs.

  Args:
    examples: the training `Examples`.
    batch_size: examples per step, over all replicas; at most the number of examples is used.
    seed: seed of the order and augmentation, see `Run.order_seed`.
    augmentation: `'crop_flip'`, `'crop'`, `'none'`, or `'resized_crop'` of images that stay in their files: a random
      part of each, see `crops.random_part`, and flips.
    crop_padding: pixels of zeros around an image before the random crop.
    mean: per channel, of images scaled to [0, 1].
    std: per channel, of images scaled to [0, 1].
    first_seed: seed in place of `seed` in the first epochs.
    first_epochs: how many these are.

  Attributes:
    seed: the seed of the order and augmentation.
    batch_size: examples per step.
    steps_per_epoch: whole batches in an epoch, at least 1.
    examples: the training `Examples`.
    mean: per channel, of images scaled to [0, 1].
    std: per channel, of images scaled to [0, 1].

  Raises:
    UsageError: for a batch size below 1, an augmentation that is unknown or needs images in files, or a
      negative padding.
  """

  def __init__(self, examples: Examples, batch_size: int, seed: int, augmentation: str, crop_padding: int,
               mean: Sequence[float], std: Sequence[float], first_seed: int = 0, first_epochs: int = 0) -> None:
    if batch_size < 1:
      raise UsageError(f'--batch_size={batch_size}: must be at least 1')
    if augmentation not in AUGMENTATIONS:
      raise UsageError(f'--augmentation={augmentation}: unknown; known: {", ".join(AUGMENTATIONS)}')
    if augmentation == 'resized_crop' and not examples.in_files:
      raise UsageError('--augmentation=resized_crop: parts of images are cut where they are stored, and these are in '
                       'memory; expected --images_in=files, or another augmentation')
    if crop_padding < 0:
      raise UsageError(f'crop_padding must be 0 or more pixels, got {crop_padding}')
    self.batch_size = min(batch_size, len(examples))
    self.steps_per_epoch = len(examples) // self.batch_size
    self.seed = seed
    self._first_seed, self._first_epochs = first_seed, first_epochs
    self._flip = augmentation in ('crop_flip', 'resized_crop')
    self._padding = crop_padding if augmentation in ('crop_flip', 'crop') else 0
    self._cuts_parts = augmentation == 'resized_crop'
    self.mean, self.std = mean, std
    self.examples = examples
    self._kept: dict[tuple[Any, ...], tf.data.Dataset] = {}  # Making one takes longer than some epochs.

  def draw(self, step: int | tf.Tensor, part: int | tf.Tensor = 0, parts: int = 1) -> Drawn:
    """Returns the random numbers of one step's batch, or of a share of it: a few per image.

    TensorFlow can shuffle only on the CPU, so they are drawn there. `assemble` then makes the batch on any device.

    Args:
      step: counted from 0 over all epochs.
      part: which share, in [0, parts).
      parts: how many equal shares the batch is cut into.

    Returns:
      A dictionary of int64 tensors: `index` [batch_size / parts] of the examples; with crops, `offset`
      [batch_size / parts, 2], rows and columns; with flips, `flip` [batch_size / parts], 0 or 1; with resized crops,
      `crop` [batch_size / parts], the seed of each. The shares, one after the other, are the whole batch.

    Raises:
      UsageError: if the batch size is not a multiple of `parts`.
    """
    share = self._share(parts)
    step = tf.cast(step, tf.int64)
    rows = tf.range(share, dtype=tf.int64) + share * tf.cast(part, tf.int64)
    drawn = {'index': self._indices(step, rows)}
    if self._padding:
      drawn['offset'] = self._random('crop', step, rows, [2], 2 * self._padding + 1)
    if self._flip:
      drawn['flip'] = self._random('flip', step, rows, [1], 2)[:, 0]
    if self._cuts_parts:
      drawn['crop'] = self._random('resized_crop', step, rows, [1], 2**31 - 1)[:, 0]
    return drawn

  def fetch(self, drawn: Drawn) -> Drawn:
    """Returns what `draw` gave, with its images and labels if they stay in files, as the elements of `draws` are."""
    images = self.examples.images
    if not isinstance(images, StoredImages):
      return drawn
    index, crops = drawn['index'].numpy(), drawn['crop'].numpy() if 'crop' in drawn else None
    rest = {name: value for name, value in drawn.items() if name not in loading.READ_BY}
    return {**rest, 'images': tf.constant(images.read_all(index, crops)),
            'labels': tf.constant(self.examples.labels[index], tf.int64)}

  def assemble(self, images: tf.Tensor | tf.Variable | None, labels: tf.Tensor | tf.Variable | None,
               drawn: Drawn) -> tuple[tf.Tensor, tf.Tensor]:
    """Makes a batch from drawn numbers; graph code for any device, and for XLA.

    Args:
      images: uint8 [N, height, width, channels], all images of the data set; None if they stay in files.
      labels: integers [N]; None likewise.
      drawn: an element of `draws`; without `offset` images are not cropped, and without `flip` not flipped.

    Returns:
      (float32 [n, height, width, channels] normalised, labels [n]).
    """
    found, their = ((drawn['images'], drawn['labels']) if images is None else
                    (tf.gather(images, drawn['index']), tf.gather(labels, drawn['index'])))
    # Converted to floating point first, because GPUs can gather and pad float tensors, but not uint8 tensors.
    batch = tf.cast(found, tf.float32)
    if 'offset' in drawn:
      batch = self._crop(batch, drawn['offset'])
    if 'flip' in drawn:
      batch = tf.where(drawn['flip'][:, None, None, None] == 1, tf.reverse(batch, [2]), batch)
    return normalise(batch, self.mean, self.std), their

  def batch(self, step: int | tf.Tensor, part: int | tf.Tensor = 0, parts: int = 1) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the images and labels of a step, made on the caller's device; arguments and errors as `draw`."""
    return self.assemble(*self._held, self.fetch(self.draw(step, part, parts)))

  def draws(self, first_step: int, last_step: int, parts: int = 1, first_part: int = 0,
            local_parts: int | None = None) -> tf.data.Dataset:
    """Returns the random numbers of the batches of a range of steps, with the images if these stay in files.

    Args:
      first_step: the first step.
      last_step: one past the last step.
      parts: how many replicas share each batch, over all workers.
      first_part: the first share that this worker computes.
      local_parts: how many shares this worker computes; None: all from `first_part` on.

    Returns:
      A data set whose elements are what `draw` returns, or `loading.batches` makes of it. Element k
      is share `first_part + k % local_parts` of step `first_step + k // local_parts`: the shares of one step follow
      each other, one per replica.

    Raises:
      UsageError: if the batch size is not a multiple of `parts`.
    """
    self._share(parts)  # Raises the error here, before tf.data traces `element`.
    local = parts - first_part if local_parts is None else local_parts
    asked = (first_step, last_step, parts, first_part, local)
    if asked not in self._kept:
      self._kept[asked] = self._draws(*asked)
    return self._kept[asked]

  def _draws(self, first_step: int, last_step: int, parts: int, first_part: int, local: int) -> tf.data.Dataset:

    def element(k: tf.Tensor) -> Drawn:
      return self.draw(k // local, first_part + k % local, parts)

    if self.examples.in_files:
      return loading.batches(self.examples, lambda k: _on_host(element, first_step * local + k),
                             self._share(parts), (last_step - first_step) * local * self._share(parts))
    with tf.device('CPU:0'):
      steps = tf.data.Dataset.range(first_step * local, last_step * local)
      return steps.map(element, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(tf.data.AUTOTUNE)

  def dataset(self, first_step: int, last_step: int, parts: int = 1, first_part: int = 0,
              local_parts: int | None = None) -> tf.data.Dataset:
    """Returns the batches themselves, (images, labels) made on the CPU; arguments and errors as `draws`."""
    asked = ('batches', first_step, last_step, parts, first_part, local_parts)
    if asked not in self._kept:
      with tf.device('CPU:0'):
        draws = self.draws(first_step, last_step, parts, first_part, local_parts)
        self._kept[asked] = draws.map(lambda drawn: self.assemble(*self._held, drawn))
    return self._kept[asked]

  # Eager tensors, which functions capture by reference. Constants would be copied into every graph.
  @functools.cached_property
  def _held(self) -> tuple[tf.Tensor | None, tf.Tensor | None]:
    if self.examples.in_files:
      return None, None
    with tf.init_scope():
      return tf.convert_to_tensor(self.examples.images), tf.convert_to_tensor(self.examples.labels)

  def _share(self, parts: int) -> int:
    if self.batch_size % parts:
      raise UsageError(f'--batch_size={self.batch_size}: cannot be cut into {parts} equal shares, one per replica')
    return self.batch_size // parts

  def _indices(self, step: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
    epoch, step_of_epoch = step // self.steps_per_epoch, step % self.steps_per_epoch
    return tf.raw_ops.RandomIndexShuffle(
        index=step_of_epoch * self.batch_size + rows,
        seed=tf.stack([self._seed_at(epoch, 'shuffle'), tf.constant(0, tf.int64), epoch]),
        max_index=len(self.examples) - 1,
        rounds=_SHUFFLE_ROUNDS)

  def _seed_at(self, epoch: tf.Tensor, *purpose: str) -> tf.Tensor:
    first, later = (tf.constant(seeds.integer(seed, *purpose), tf.int64) for seed in (self._first_seed, self.seed))
    return tf.where(epoch < self._first_epochs, first, later)

  def _crop(self, images: tf.Tensor, offsets: tf.Tensor) -> tf.Tensor:
    # Before normalisation, so that the border is black, as in the reference.
    height, width = images.shape[1:3]
    images = tf.pad(images, [[0, 0], [self._padding] * 2, [self._padding] * 2, [0, 0]])
    for axis, size in ((1, height), (2, width)):
      images = tf.gather(images, offsets[:, axis - 1:axis] + tf.range(size, dtype=tf.int64), axis=axis, batch_dims=1)
    return images

  def _random(self, purpose: str, step: tf.Tensor, rows: tf.Tensor, shape: list[int], below: int) -> tf.Tensor:
    # Always drawn for the whole batch, so that the shares agree with it. The algorithm is named because the automatic
    # choice depends on the device.
    seed = tf.stack([self._seed_at(step // self.steps_per_epoch, 'augmentation', purpose), step])
    drawn = tf.random.stateless_uniform([self.batch_size, *shape], seed, minval=0, maxval=below, dtype=tf.int32,
                                        alg='philox')
    return tf.cast(tf.gather(drawn, rows), tf.int64)


def _on_host(element: Callable[[int], Drawn], k: int) -> loading.Drawn:
  with tf.device('CPU:0'):  # in a thread of grain's, which knows of no device
    return {name: value.numpy() for name, value in element(k).items()}


def normalise(images: tf.Tensor, mean: Sequence[float], std: Sequence[float]) -> tf.Tensor:
  """Returns float32 (images / 255 - mean) / std, of images [..., channels] with values from 0 to 255; graph code."""
  # One factor and one summand instead of divisions. Graph optimisers turn divisions into products with the reciprocal,
  # so the last bit would differ between a graph, tf.data and eager code.
  means, stds = np.asarray(mean, np.float64), np.asarray(std, np.float64)
  factor, summand = tf.constant(1 / (255 * stds), tf.float32), tf.constant(-means / stds, tf.float32)
  return tf.cast(images, tf.float32) * factor + summand
