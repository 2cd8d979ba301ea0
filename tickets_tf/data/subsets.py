"""Drawing from every class: how many of each, and which."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt


def equal_counts(sizes: npt.ArrayLike, total: int) -> npt.NDArray[np.int64]:
  """Returns how many examples to take of each class so that the classes are as equal as possible.

  A remainder goes to the first classes. If a class is too small, the others share what it lacks.

  Args:
    sizes: integers [classes], the number of examples of each class.
    total: how many to take, at most the sum of `sizes`.

  Returns:
    [classes] whose sum is `total`.
  """
  available = np.asarray(sizes, np.int64)
  counts = np.zeros_like(available)
  while (missing := total - counts.sum()) > 0:
    open_classes = np.flatnonzero(counts < available)[:missing]
    counts[open_classes] = np.minimum(available, counts + missing // len(open_classes))[open_classes]
  return counts


def proportional_counts(sizes: npt.ArrayLike, total: int) -> npt.NDArray[np.int64]:
  """Returns how many examples to take of each class so that every class gives the same share of its examples.

  Args:
    sizes: integers [classes], the number of examples of each class.
    total: how many to take, at most the sum of `sizes`.

  Returns:
    [classes] whose sum is `total`; each within 1 of the exact share.
  """
  available = np.asarray(sizes, np.int64)
  exact = available * total / max(available.sum(), 1)
  counts: npt.NDArray[np.int64] = np.floor(exact).astype(np.int64)
  by_fraction = np.argsort(counts - exact, kind='stable')
  counts[by_fraction[:total - counts.sum()]] += 1
  return counts


def draw(labels: npt.NDArray[np.integer[Any]], counts: Iterable[int],
         generator: np.random.Generator) -> list[npt.NDArray[np.int64]]:
  """Draws without replacement from every class.

  Args:
    labels: [N].
    counts: [classes], how many of each class; at most as many as there are.
    generator: decides which. With the same generator, a larger count starts with the indices of a smaller one.

  Returns:
    One array of indices into `labels` per class, in the order drawn.
  """
  return [generator.permutation(np.flatnonzero(labels == label))[:count] for label, count in enumerate(counts)]
