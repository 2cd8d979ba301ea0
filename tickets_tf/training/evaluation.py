"""How often a classifier is right, on which images, and its loss."""

from collections.abc import Callable
from collections.abc import Sequence
import dataclasses
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from tickets_tf.data import Examples

_MOST = 500  # images per call
_BYTES = 2**26  # of images per call

Classify = Callable[[npt.NDArray[np.uint8]], npt.ArrayLike]


@dataclasses.dataclass(frozen=True, eq=False)
class Judged:
  """What a network makes of N examples.

  Attributes:
    predicted: the class with the highest output, int64 [N].
    right: whether that is the true class, bool [N].
    loss: mean cross-entropy; None if it is not finite.
  """
  predicted: npt.NDArray[np.int64]
  right: npt.NDArray[np.bool_]
  loss: float | None

  @property
  def accuracy(self) -> float:
    """Share of the examples that were given their true class, in [0, 1]."""
    return int(np.count_nonzero(self.right)) / len(self.right)


def at_once(examples: Examples) -> int:
  """Returns how many images are judged at once: 500, fewer if they are larger than about 200x200."""
  return min(_MOST, max(1, _BYTES // math.prod(examples.images.shape[1:])))


def judge(logits: Classify, examples: Examples, batch_size: int | None = None) -> Judged:
  """Judges a network by its logits in one pass.

  Args:
    logits: function from images [n, height, width, channels] to logits [n, classes].
    examples: the N examples to classify.
    batch_size: images per call; None: `at_once`.
  """
  outputs = _outputs(logits, examples, batch_size)
  predicted = np.argmax(outputs, axis=1)
  return Judged(predicted, predicted == examples.labels, _mean_cross_entropy(outputs, examples.labels))


def predicted_classes(classify: Classify, examples: Examples, batch_size: int | None = None) -> npt.NDArray[np.int64]:
  """Returns the class with the highest output of every example, int64 [N].

  Args:
    classify: function from images [n, height, width, channels] to outputs [n, classes], logits or probabilities.
    examples: the N examples to classify.
    batch_size: images per call; None: `at_once`.
  """
  predicted: npt.NDArray[np.int64] = np.argmax(_outputs(classify, examples, batch_size), axis=1)
  return predicted


def accuracy(classify: Classify, examples: Examples, batch_size: int | None = None) -> float:
  """Returns the share of examples whose highest output is the true class, in [0, 1]; see `predicted_classes`."""
  return share_right(predicted_classes(classify, examples, batch_size), examples.labels)


def share_right(predicted: npt.NDArray[np.integer], labels: npt.NDArray[np.integer]) -> float:
  """Returns the share of examples [N] that were given their true class, in [0, 1]."""
  return int(np.count_nonzero(predicted == labels)) / len(labels)


def class_accuracies(predicted: npt.NDArray[np.integer], labels: npt.NDArray[np.integer],
                     num_classes: int) -> tuple[float | None, ...]:
  """Returns the accuracy within every class, in [0, 1]; None for a class without examples."""
  return tuple(share_right(predicted[labels == label], labels[labels == label]) if np.any(labels == label) else None
               for label in range(num_classes))


def balanced_accuracy(of_classes: Sequence[float | None]) -> float:
  """Returns the mean of the accuracies within the classes that have examples: each class counts equally."""
  known = [each for each in of_classes if each is not None]
  return sum(known) / len(known)


def _outputs(classify: Classify, examples: Examples, batch_size: int | None) -> npt.NDArray[Any]:
  size = batch_size or at_once(examples)
  return np.concatenate([np.asarray(classify(examples.images[start:start + size]))
                         for start in range(0, len(examples), size)])


def _mean_cross_entropy(logits: npt.NDArray[Any], labels: npt.NDArray[np.integer]) -> float | None:
  # In float64, so that neither the sum nor an exponential loses digits.
  shifted = logits.astype(np.float64)
  with np.errstate(invalid='ignore', over='ignore'):
    shifted -= shifted.max(axis=1, keepdims=True)
    losses = np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(labels)), labels]
    mean = float(losses.mean())
  return mean if math.isfinite(mean) else None
