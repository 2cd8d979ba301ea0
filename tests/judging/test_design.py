"""What a number of seeds could show: the smallest drop agrees with a simulation."""

import math

import numpy as np
import pytest

from tickets_tf.judging.bounds import critical_value
from tickets_tf.judging.design import Size
from tickets_tf.judging.design import smallest_drop


@pytest.mark.parametrize('seeds, size', [(5, Size(1, 1, 1)), (5, Size(2, 7, 28)), (12, Size(3, 7, 63))])
def test_the_smallest_drop_is_shown_four_times_in_five(seeds, size):
  drop = smallest_drop(seeds, 2.0, size, 0.05)
  own = seeds - 1
  freedom = math.floor(1 / (1 / min(2 * own, own * (size.checks + 1)) + 1 / (2 * own * size.comparisons)) + 1e-9)
  reach = critical_value(size.groups, size.checks, freedom, 0.05)
  rng = np.random.default_rng(0)
  error = 2.0 / math.sqrt(seeds)
  means = rng.normal(drop, error, 40000)
  errors = error * np.sqrt(rng.chisquare(freedom, 40000) / freedom)
  assert np.mean(means - reach * errors > 0) == pytest.approx(0.8, abs=0.01)


def test_more_seeds_show_smaller_drops_and_more_comparisons_larger_ones():
  drops = [smallest_drop(seeds, 1.0, Size(2, 7, 14), 0.05) for seeds in (3, 5, 10, 20)]
  assert drops == sorted(drops, reverse=True)
  assert smallest_drop(5, 1.0, Size(1, 1, 14), 0.05) < smallest_drop(5, 1.0, Size(2, 7, 14), 0.05)
  assert smallest_drop(5, 1.0, Size(2, 7, 14), 0.05) < smallest_drop(5, 1.0, Size(2, 7, 14), 0.01)
  assert smallest_drop(5, 3.0, Size(2, 7, 14), 0.05) == pytest.approx(3 * drops[1])


def test_two_seeds_show_nothing_and_neither_do_no_checks():
  assert smallest_drop(2, 1.0, Size(1, 1, 1), 0.05) is None
  assert smallest_drop(5, 1.0, Size(0, 0, 0), 0.05) is None
