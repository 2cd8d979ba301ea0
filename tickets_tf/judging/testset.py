"""What a number is made of: how much of it a finite test set makes, and what new test images would change.

Everything starts from which test images each run got right. All results are in percent points, or their squares.
"""

import dataclasses
import math

import numpy as np
import numpy.typing as npt

from tickets_tf.errors import UsageError
from tickets_tf.judging.bounds import Bounds

_Bits = npt.NDArray[np.bool_]
_Floats = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class VarianceSplit:
  """The variance of test accuracies between trainings, in squared percent points.

  Attributes:
    between: sample variance (n - 1) of the accuracies of the runs.
    of_test_set: the part that is there because the test set is finite: which of the hard images a training gets right
      is nearly a toss, and few images do not average it out.
    of_training: the variance on all images that there could be, which is real. An unbiased estimate, so that it is
      below 0 now and then if there is little of it.
  """
  between: float
  of_test_set: float
  of_training: float

  @property
  def deviations(self) -> tuple[float, float, float]:
    """The three as standard deviations in percent points, one below 0 as 0."""
    between, of_test_set, of_training = (math.sqrt(max(part, 0)) for part in dataclasses.astuple(self))
    return between, of_test_set, of_training


def split_variance(correct: _Bits) -> VarianceSplit:
  """Splits the variance of test accuracies between trainings (Jordan 2024, arXiv 2304.01910).

  With N images, let p_i be the probability over trainings that image i is right. For a test set drawn at random,
  E Var(accuracy) = E[p (1 - p)] / N + (1 - 1 / N) V, since two images share only how good the training is: V is the
  variance of the accuracy on all images. From R runs, R / (R - 1) mean(p_i (1 - p_i)) / N is unbiased for the first
  term, with p_i the share of the runs that have the image right, and the sample variance of the accuracies for the
  left side. What is left, times N / (N - 1), is unbiased for V.

  Args:
    correct: whether each run has each image right, [runs, images], all trained alike.

  Raises:
    UsageError: if there are fewer than two runs or two images.
  """
  runs, images = _shape('correct', correct)
  accuracies = 100 * correct.mean(1)
  p = correct.mean(0)
  of_test_set = 100**2 * runs / (runs - 1) * float((p * (1 - p)).mean()) / images
  between = float(accuracies.var(ddof=1))
  return VarianceSplit(between, of_test_set, (between - of_test_set) * images / (images - 1))


def error_of_images(original: _Bits, checked: _Bits) -> float:
  """Returns the standard error that the choice of test images adds to a drop, in percent points.

  The differences original - checked, one a seed and image, have an effect of the seed, one of the image, and a rest.
  The mean over seeds of image i varies with the images by the variance of the images' effects plus that of the rest
  over the number of seeds. The first alone, divided by the number of images, is what new images add (the crossed random
  effects of Cornfield and Tukey 1956); an estimate below 0 counts as 0.

  Args:
    original: whether the original ticket of each seed has each image right, [seeds, images].
    checked: the same of the checked tickets, of the same seeds and images.

  Raises:
    UsageError: if the shapes differ, or there are fewer than two seeds or two images.
  """
  runs, images = _shape('original', original)
  if original.shape != checked.shape:
    raise UsageError(f'images that are right: {original.shape} of the original, {checked.shape} of the check; expected '
                     'the same seeds and images')
  differences = original.astype(np.float64) - checked
  # Less the seed's effect, so that what is left of an image is the rest.
  rest = differences - differences.mean(1, keepdims=True)
  of_rest = float(rest.var(0, ddof=1).mean()) * images / (images - 1)
  of_images = float(differences.mean(0).var(ddof=1)) - of_rest / runs
  return 100 * math.sqrt(max(of_images, 0) / images)


def with_new_images(bounds: Bounds, error: float) -> Bounds:
  """Returns bounds that hold for new test images as well as for new trainings.

  The two errors are independent, so their squares add up. The critical value stays, which is on the safe side: what is
  known of images rests on many more of them than there are seeds.

  Args:
    bounds: those for the test images that there are.
    error: what `error_of_images` returned.
  """
  if math.isnan(bounds.error) or bounds.error == 0:
    return bounds
  both = math.hypot(bounds.error, error)

  def wider(interval: tuple[float, float] | None) -> tuple[float, float] | None:
    if interval is None:
      return None
    reach = (interval[1] - interval[0]) / 2 * both / bounds.error
    return bounds.drop - reach, bounds.drop + reach

  return Bounds(bounds.drop, both, wider(bounds.rule_family), wider(bounds.whole_call))


def _shape(name: str, correct: _Bits) -> tuple[int, int]:
  if correct.ndim != 2 or min(correct.shape) < 2:
    raise UsageError(f'{name}: expected at least two runs on at least two images, found shape {correct.shape}')
  return correct.shape[0], correct.shape[1]
