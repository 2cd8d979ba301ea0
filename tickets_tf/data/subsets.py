"""Drawing from every class: how many of each, and which."""

import numpy as np


def equal_counts(sizes, total):
  """Returns how many examples to take of each class so that the classes are as equal as they can be.

  A remainder goes to the first classes; what a small class cannot give is shared by the others.

  Args:
    sizes: int [classes], the examples there are of each class.
    total: how many to take, at most the sum of `sizes`.

  Returns:
    int64 [classes] whose sum is `total`.
  """
  sizes = np.asarray(sizes, np.int64)
  counts = np.zeros_like(sizes)
  while (missing := total - counts.sum()) > 0:
    open_classes = np.flatnonzero(counts < sizes)[:missing]
    counts[open_classes] = np.minimum(sizes, counts + missing // len(open_classes))[open_classes]
  return counts


def proportional_counts(sizes, total):
  """Returns how many examples to take of each class so that every class gives the same share of itself.

  Args:
    sizes: int [classes], the examples there are of each class.
    total: how many to take, at most the sum of `sizes`.

  Returns:
    int64 [classes] whose sum is `total`; each within 1 of the exact share.
  """
  sizes = np.asarray(sizes, np.int64)
  exact = sizes * total / max(sizes.sum(), 1)
  counts = np.floor(exact).astype(np.int64)
  by_fraction = np.argsort(counts - exact, kind='stable')
  counts[by_fraction[:total - counts.sum()]] += 1
  return counts


def draw(labels, counts, generator):
  """Draws without replacement from every class.

  Args:
    labels: int [N].
    counts: int [classes], how many of each class; at most as many as there are.
    generator: a `numpy.random.Generator`. A larger count with the same generator extends a smaller one's draw.

  Returns:
    A list with one int64 array of indices into `labels` per class, in the order drawn.
  """
  return [generator.permutation(np.flatnonzero(labels == label))[:count] for label, count in enumerate(counts)]
