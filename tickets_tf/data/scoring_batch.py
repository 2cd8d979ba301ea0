"""The class-balanced batch of training images that a score sees."""

from collections.abc import Callable
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tickets_tf import seeds
from tickets_tf.data import subsets
from tickets_tf.data.pipeline import normalise
from tickets_tf.data.sources import Examples
from tickets_tf.errors import UsageError

_NAMED = 8  # classes named in a line before the rest is counted


def scoring_batches(examples: Examples, num_classes: int, samples_per_class: int, seed: int,
                    class_names: Sequence[str] | None = None,
                    say: Callable[[str], object] | None = None, number: int = 1) -> npt.NDArray[np.int64]:
  """Draws the same number of examples of every class, without replacement; of a smaller class all that it has.

  Args:
    examples: the training `Examples`.
    num_classes: number of classes.
    samples_per_class: examples to draw of each.
    seed: the run's seed.
    class_names: names for the line about smaller classes; None: the labels' numbers.
    say: takes that line.
    number: which batch of the seed; each round of a rule has its own.

  Returns:
    Indices into `examples`, [num_classes * samples_per_class] if no class is smaller. The classes take turns: any
    `num_classes` in a row hold each class once, so a cut after whole turns leaves balanced parts. Those of a smaller
    class are spread evenly over the others.

  Raises:
    UsageError: if `samples_per_class` is below 1.
  """
  sizes = np.bincount(examples.labels, minlength=num_classes)
  if samples_per_class < 1:
    raise UsageError(f'--samples_per_class={samples_per_class}: must be at least 1')
  purpose = ('scoring', number) if number > 1 else ('scoring',)
  drawn = subsets.draw(examples.labels, [samples_per_class] * num_classes, seeds.generator(seed, *purpose))
  if say and sizes.min() < samples_per_class:
    smaller = [f'{name} {size}' for name, size in zip(class_names or range(num_classes), sizes, strict=True)
               if size < samples_per_class]
    rest = len(smaller) - _NAMED
    say(f'--samples_per_class={samples_per_class}: these classes have fewer training images, and the score sees all of '
        f'them: {", ".join(smaller[:_NAMED])}' + (f' and {rest} more' if rest > 0 else ''))
  places = np.concatenate([(np.arange(len(each)) + 0.5) / max(len(each), 1) for each in drawn])
  return np.concatenate(drawn)[np.argsort(places, kind='stable')]


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
  return normalise(examples.images[indices], mean, std), tf.constant(examples.labels[indices])
