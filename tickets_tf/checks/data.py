"""Checks of the data that a rule sees, for scoring and for training before it. Su et al. 2020, section 3."""

import dataclasses
import math
from typing import TYPE_CHECKING
from typing import Any

import numpy as np

from tickets_tf.checks.check import Check

# The package of data imports TensorFlow, and whoever plans checks needs none.
if TYPE_CHECKING:
  from tickets_tf.data import Examples


def random_labels(examples: 'Examples', num_classes: int, rng: np.random.Generator
                 ) -> tuple['Examples', dict[str, Any]]:
  """Replaces every label by a class drawn uniformly from all classes.

  Args:
    examples: the training examples.
    num_classes: number of classes.
    rng: draws the labels.

  Returns:
    (examples, proof): the share of labels that agree with the true ones, and the share expected by chance.
  """
  labels = rng.integers(0, num_classes, len(examples), dtype=examples.labels.dtype)
  agreeing = float(np.mean(labels == examples.labels))
  return dataclasses.replace(examples, labels=labels), {'labels_agreeing': round(agreeing, 4),
                                                        'expected_by_chance': round(1 / num_classes, 4)}


def random_pixels(examples: 'Examples', num_classes: int, rng: np.random.Generator
                 ) -> tuple['Examples', dict[str, Any]]:
  """Replaces the labels as `random_labels` does, and permutes the values within each image, channels included.

  Args:
    examples: the training examples.
    num_classes: number of classes.
    rng: draws the labels, and a permutation for each image.

  Returns:
    (examples, proof): the proof of `random_labels`, the share of pixels whose value has changed, and whether every
    image has the same values as before.
  """
  from tickets_tf.data import stored  # Here, as above.
  relabelled, proof = random_labels(examples, num_classes, rng)
  before, after = examples.images, stored.permuted(examples.images, rng)
  changed, same = 0, True
  for part in stored.blocks(before):  # The images may be more than memory holds.
    old, new = (images[part].reshape(-1, math.prod(images.shape[1:])) for images in (before, after))
    changed += int(np.count_nonzero(old != new))
    same = same and np.array_equal(np.sort(old, axis=1), np.sort(new, axis=1))
  proof = {**proof, 'pixels_changed': round(changed / math.prod(before.shape), 4), 'same_values_in_each_image': same}
  return dataclasses.replace(relabelled, images=after), proof


def half_dataset(examples: 'Examples', num_classes: int, rng: np.random.Generator
                 ) -> tuple['Examples', dict[str, Any]]:
  """Takes half of the training set, the same share of every class. The epochs stay, so the steps are halved with it.

  Args:
    examples: the training examples.
    num_classes: number of classes.
    rng: draws the half.

  Returns:
    (examples, proof): how many there were and how many are left, and the share of steps that is left of an epoch.
  """
  from tickets_tf.data import subsets  # Here, as above.
  sizes = np.bincount(examples.labels, minlength=num_classes)
  drawn = subsets.draw(examples.labels, subsets.proportional_counts(sizes, len(examples) // 2), rng)
  half = examples.take(np.sort(np.concatenate(drawn)))
  return half, {'examples': len(examples), 'examples_left': len(half),
                'steps_left': round(len(half) / len(examples), 4)}


RANDOM_LABELS = Check('data', random_labels, 'what are the labels worth to it?', 'its labels are random', 'the labels')
RANDOM_PIXELS = Check('data', random_pixels, 'what are the images worth to it?', 'its labels and pixels are random',
                      'the images with their labels')
HALF_DATASET = Check('data', half_dataset, 'what is the other half worth to it, with its steps?',
                     'it sees half of the training set, in half as many steps',
                     'the other half of the data, with its steps,')
