"""What a finite test set makes of a number, on made-up runs of which the truth is known."""

import math

import numpy as np
import pytest

from tickets_tf.errors import UsageError
from tickets_tf.judging.bounds import Bounds
from tickets_tf.judging.testset import error_of_images
from tickets_tf.judging.testset import split_variance
from tickets_tf.judging.testset import with_new_images


def runs(rng, trainings, images, spread):
  """Bits of trainings that are each better or worse on all images by a normal of this spread of logits."""
  hardness, skill = rng.normal(2, 2, images), spread * rng.standard_normal((trainings, 1))
  return rng.random((trainings, images)) < 1 / (1 + np.exp(-(hardness + skill)))


@pytest.mark.parametrize('spread', [0.0, 0.3])
def test_the_split_is_unbiased(spread):
  rng = np.random.default_rng(0)
  # The truth: the variance of the accuracy on very many images.
  hardness = rng.normal(2, 2, 20000)
  skill = spread * np.linspace(-3, 3, 61)
  weights = np.exp(-np.linspace(-3, 3, 61)**2 / 2)
  accuracy = [(100 / (1 + np.exp(-(hardness + each)))).mean() for each in skill]
  mean = np.average(accuracy, weights=weights)
  truth = np.average((accuracy - mean)**2, weights=weights)
  found = [split_variance(runs(rng, 4, 50, spread)) for _ in range(3000)]
  estimates = np.array([each.of_training for each in found])
  assert estimates.mean() == pytest.approx(truth, abs=4 * estimates.std() / math.sqrt(len(found)))
  # Test accuracies vary far more than trainings do.
  between = np.mean([each.between for each in found])
  of_test_set = np.mean([each.of_test_set for each in found])
  assert between > truth + 5 and of_test_set == pytest.approx(between - truth, rel=0.1)


def test_a_split_by_hand():
  correct = np.array([[1, 1, 0, 0], [1, 0, 0, 0], [1, 1, 1, 0]], bool)
  found = split_variance(correct)
  assert found.between == pytest.approx(25.0**2)
  assert found.of_test_set == pytest.approx(1e4 * 1.5 * (2 / 9 + 2 / 9) / 4 / 4)
  assert found.of_training == pytest.approx((found.between - found.of_test_set) * 4 / 3)
  assert found.deviations == pytest.approx((25, math.sqrt(found.of_test_set), math.sqrt(found.of_training)))
  alike = split_variance(np.array([[1, 0, 1], [0, 1, 1]], bool))
  assert alike.of_training < 0 and alike.deviations[2] == 0


def test_a_drop_is_covered_for_new_images_only_with_their_error():
  rng = np.random.default_rng(1)
  images, trainings = 100, 8
  inside = {False: 0, True: 0}
  for _ in range(600):
    # The checked ticket is much worse at some images and better at others: 0 on all images that there could be.
    hardness, effect = rng.normal(1, 1, images), 2 * rng.standard_normal(images)
    sides = [rng.random((trainings, images)) < 1 / (1 + np.exp(-(hardness + sign * effect))) for sign in (1, -1)]
    differences = 100 * (sides[0].mean(1) - sides[1].mean(1))
    error = differences.std(ddof=1) / math.sqrt(trainings)
    reach = 2.36 * error
    drop = differences.mean()
    known = Bounds(drop, error, (drop - reach, drop + reach), None)
    for new, each in ((False, known), (True, with_new_images(known, error_of_images(*sides)))):
      inside[new] += each.rule_family[0] <= 0 <= each.rule_family[1]
      assert each.whole_call is None and each.drop == drop
  assert inside[False] / 600 < 0.8 and inside[True] / 600 > 0.93


def test_images_that_differ_by_chance_add_nothing():
  rng = np.random.default_rng(2)
  # What images differ by is the chance of 6 seeds, which is in the error already.
  pairs = [np.split(runs(rng, 12, 400, 0.2), 2) for _ in range(40)]
  apart = [100**2 * (one.mean(0) - other.mean(0)).var(ddof=1) / 400 for one, other in pairs]
  assert np.mean([error_of_images(*pair)**2 for pair in pairs]) < 0.2 * np.mean(apart)
  same = runs(rng, 6, 80, 0.2)
  assert error_of_images(same, same) == 0
  # Seeds that differ on all images alike are no effect of an image.
  one, none = np.ones((4, 30), bool), np.zeros((4, 30), bool)
  assert error_of_images(one, np.where(np.arange(4)[:, np.newaxis] % 2, one, none)) == pytest.approx(0, abs=1e-9)


def test_the_error_of_images_by_hand():
  original = np.array([[1, 1, 1, 0, 1, 1], [1, 1, 1, 0, 0, 1]], bool)
  checked = np.array([[0, 1, 1, 0, 0, 1], [0, 0, 0, 0, 0, 0]], bool)
  # Differences 1 0 0 0 1 0 and 1 1 1 0 0 1: seeds have means 1/3 and 2/3, images 1, 1/2, 1/2, 0, 1/2, 1/2.
  rest = np.array([[2, -1, -1, -1, 2, -1], [1, 1, 1, -2, -2, 1]]) / 3
  of_rest = ((rest[0] - rest[1])**2 / 2).mean() * 6 / 5
  of_images = np.var([1, 0.5, 0.5, 0, 0.5, 0.5], ddof=1) - of_rest / 2
  assert of_images < 0 and error_of_images(original, checked) == 0
  original, checked = (np.tile(bits, (1, 2)) for bits in (original, checked))
  original[:, 6:], checked[:, 6:] = False, True
  differences = original.astype(float) - checked
  rest = differences - differences.mean(1, keepdims=True)
  of_rest = ((rest[0] - rest[1])**2 / 2).mean() * 12 / 11
  of_images = differences.mean(0).var(ddof=1) - of_rest / 2
  assert error_of_images(original, checked) == pytest.approx(100 * math.sqrt(of_images / 12))


def test_squares_of_errors_add_up():
  wide = with_new_images(Bounds(1.0, 3.0, (-5.0, 7.0), (-8.0, 10.0)), 4.0)
  assert wide == Bounds(1.0, 5.0, (-9.0, 11.0), (-14.0, 16.0))


def test_bounds_without_an_error_stay():
  for each in (Bounds(1.0, math.nan, None, None), Bounds(0.0, 0.0, (0.0, 0.0), (0.0, 0.0))):
    assert with_new_images(each, 1.0) is each


def test_refuses_what_it_cannot_split():
  bits = np.ones((3, 4), bool)
  for wrong in (bits[:1], bits[0], bits[:, :1]):
    with pytest.raises(UsageError, match='at least two runs'):
      split_variance(wrong)
  with pytest.raises(UsageError, match=r'\(3, 4\) of the original, \(3, 3\)'):
    error_of_images(bits, bits[:, :3])
