"""Intervals of what is lost on the same images."""

import numpy as np
import pytest

from tickets_tf.export import paired


def interval(lost, won, images, alpha=0.05):
  before, after = np.ones(images, bool), np.ones(images, bool)
  after[:lost], before[lost:lost + won] = False, False
  return paired.loss_interval(before, after, alpha)


@pytest.mark.parametrize('lost, won, images', [(0, 0, 200), (2, 0, 200), (9, 1, 100), (12, 4, 200), (40, 0, 40)])
def test_it_is_symmetric_and_holds_the_difference(lost, won, images):
  low, high = interval(lost, won, images)
  assert -1 <= low <= (lost - won) / images <= high <= 1
  assert interval(won, lost, images) == pytest.approx((-high, -low), abs=1e-12)
  assert interval(lost, won, images, 0.5)[1] <= high


def test_without_pairs_that_differ_it_has_a_closed_form():
  """Both ends are z^2 / (n + z^2) from 0."""
  z2 = 1.959963984540054**2
  assert interval(0, 0, 200) == pytest.approx((-z2 / (200 + z2), z2 / (200 + z2)), abs=1e-12)


@pytest.mark.parametrize('lost, won, shown', [(12, 4, True), (11, 4, False), (8, 2, False), (9, 2, True),
                                              (4, 12, False)])
def test_at_zero_it_is_mcnemars_test(lost, won, shown):
  """(lost - won) / sqrt(lost + won) above 1.96."""
  assert ((lost - won) / (lost + won)**0.5 > 1.96) == shown == (interval(lost, won, 500)[0] > 0)


def test_it_covers():
  """The true difference lies in it about as often as it should."""
  rng, images, hits = np.random.default_rng(0), 200, 0
  for _ in range(400):
    kinds = rng.choice(4, images, p=[0.8, 0.05, 0.02, 0.13])
    low, high = paired.loss_interval((kinds == 0) | (kinds == 1), (kinds == 0) | (kinds == 2))
    hits += low <= 0.03 <= high
  assert 0.92 < hits / 400 < 0.98
