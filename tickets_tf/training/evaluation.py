"""How often a classifier is right."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from tickets_tf.data import Examples


def accuracy(classify: Callable[[npt.NDArray[np.uint8]], npt.ArrayLike], examples: Examples,
             batch_size: int = 500) -> float:
  """Returns the share of examples whose highest output is the true class, in [0, 1].

  Args:
    classify: function from images [n, height, width, channels] to outputs [n, classes], logits or probabilities.
    examples: the examples to classify.
    batch_size: images per call.
  """
  right = 0
  for start in range(0, len(examples), batch_size):
    part = examples.take(slice(start, start + batch_size))
    right += int(np.count_nonzero(np.argmax(np.asarray(classify(part.images)), axis=1) == part.labels))
  return right / len(examples)
