"""The class-balanced batch of training images that a score sees."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tickets_tf import seeds
from tickets_tf.data import subsets
from tickets_tf.data.pipeline import normalise
from tickets_tf.data.sources import Examples
from tickets_tf.errors import UsageError


def scoring_batches(examples: Examples, num_classes: int, samples_per_class: int, seed: int,
                    class_names: Sequence[str] | None = None) -> npt.NDArray[np.int64]:
  """Draws the same number of examples of every class, without replacement.

  Args:
    examples: the training `Examples`.
    num_classes: number of classes.
    samples_per_class: examples to draw of each.
    seed: the run's seed.
    class_names: names for the error message; None: the labels' numbers.

  Returns:
    [num_classes * samples_per_class] indices into `examples`. The classes take turns: any `num_classes` in a row hold
    each class once, so a cut after whole turns leaves balanced parts.

  Raises:
    UsageError: if `samples_per_class` is below 1 or a class has too few examples.
  """
  sizes = np.bincount(examples.labels, minlength=num_classes)
  if samples_per_class < 1:
    raise UsageError(f'--samples_per_class={samples_per_class}: must be at least 1')
  if sizes.min() < samples_per_class:
    label = int(sizes.argmin())
    raise UsageError(f'--samples_per_class={samples_per_class}: class {(class_names or range(num_classes))[label]!r} '
                     f'has only {sizes[label]} training examples')
  drawn = subsets.draw(examples.labels, [samples_per_class] * num_classes, seeds.generator(seed, 'scoring'))
  return np.stack(drawn, axis=1).ravel()


def scoring_images(examples: Examples, indices: npt.NDArray[np.int64], mean: Sequence[float],
                   std: Sequence[float]) -> tuple[tf.Tensor, tf.Tensor]:
  """Returns the images at `indices` without augmentation, and their labels.

  Args:
    examples: the training `Examples`.
    indices: [M], what `scoring_batches` returned, or a part of it if memory is short.
    mean: per channel, of images scaled to [0, 1].
    std: per channel, of images scaled to [0, 1].

  Returns:
    (float32 [M, height, width, channels] normalised, int32 [M]).
  """
  part = examples.take(indices)
  return normalise(part.images, mean, std), tf.constant(part.labels)
