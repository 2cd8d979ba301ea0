"""How often a classifier is right."""

from collections.abc import Callable
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tickets_tf.data import Examples

Classify = Callable[[npt.NDArray[np.uint8]], npt.ArrayLike]


def predicted_classes(classify: Classify, examples: Examples, batch_size: int = 500) -> npt.NDArray[np.int64]:
  """Returns the class with the highest output of every example, int64 [N].

  Args:
    classify: function from images [n, height, width, channels] to outputs [n, classes], logits or probabilities.
    examples: the N examples to classify.
    batch_size: images per call.
  """
  starts = range(0, len(examples), batch_size)
  return np.concatenate([np.argmax(np.asarray(classify(examples.images[start:start + batch_size])), axis=1)
                         for start in starts])


def accuracy(classify: Classify, examples: Examples, batch_size: int = 500) -> float:
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
