"""How much accuracy one classifier loses against another on the same images, with an interval."""

import math
import statistics

import numpy as np
import numpy.typing as npt

_STEPS = 60  # of bisection: more than a double has bits


def loss_interval(before: npt.NDArray[np.bool_], after: npt.NDArray[np.bool_],
                  alpha: float = 0.05) -> tuple[float, float]:
  """Returns the interval of the accuracy that is lost, in [-1, 1].

  It is the score interval of the difference of two paired proportions (Tango, Statistics in Medicine 17, 1998, section
  2): all differences that its test does not reject. At a difference of zero that test is McNemar's.

  Args:
    before: for each image, whether the one classifier is right.
    after: likewise the other, on the same images.
    alpha: 1 - alpha is the confidence.

  Returns:
    (low, high); above 0 if the other is worse.
  """
  lost, won = int(np.sum(before & ~after)), int(np.sum(after & ~before))
  limit = statistics.NormalDist().inv_cdf(1 - alpha / 2)
  return _solve(lost, won, len(before), limit), _solve(lost, won, len(before), -limit)


def _solve(lost: int, won: int, images: int, limit: float) -> float:
  # The score falls with the difference.
  low, high = -1.0, 1.0
  for _ in range(_STEPS):
    middle = (low + high) / 2
    low, high = (middle, high) if _score(lost, won, images, middle) > limit else (low, middle)
  return (low + high) / 2


def _score(lost: int, won: int, images: int, difference: float) -> float:
  # Tango's equation 2.9: the share of images that only the other gets right, most likely under this difference.
  b = -lost - won + (2 * images - lost + won) * difference
  c = -won * difference * (1 - difference)
  only_after = (math.sqrt(max(0.0, b * b - 8 * images * c)) - b) / (4 * images)
  variance = images * (2 * only_after + difference * (1 - difference))
  distance = lost - won - images * difference
  return distance / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, distance) if distance else 0.0
