"""How often a classifier is right."""

import numpy as np


def accuracy(classify, examples, batch_size=500):
  """Returns the share of examples whose highest output is the true class.

  Args:
    classify: function from uint8 images [n, height, width, channels] to outputs [n, classes], logits or
      probabilities.
    examples: `Examples` to judge by.
    batch_size: images per call.

  Returns:
    A float in [0, 1].
  """
  starts = range(0, len(examples), batch_size)
  right = 0
  for start in starts:
    part = examples.take(slice(start, start + batch_size))
    right += int(np.count_nonzero(np.argmax(np.asarray(classify(part.images)), axis=1) == part.labels))
  return right / len(examples)
