"""Looking more than once: numbers of seeds and levels; benchmarks/verdicts.py simulates what they cost."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from tickets_tf.errors import UsageError
from tickets_tf.judging.looks import look_sizes
from tickets_tf.judging.looks import nominal_levels
from tickets_tf.judging.looks import planned_looks
from tickets_tf.judging.looks import spent_alpha

KINDS = ['pocock', 'obrien_fleming']


def test_spending_functions_have_their_published_values():
  assert spent_alpha([0, 1]).tolist() == pytest.approx([0, 0.05])
  assert spent_alpha([0, 1], 0.025, 'obrien_fleming').tolist() == pytest.approx([0, 0.025])
  # One-sided 0.025 at five equal looks, Lan and DeMets (1983) as tabulated in textbooks.
  fifths = np.arange(1, 6) / 5
  expected = [0.0074, 0.0131, 0.0177, 0.0216, 0.025]
  assert spent_alpha(fifths, 0.025, 'pocock') == pytest.approx(expected, abs=6e-5)
  expected = [2 - 2 * stats.norm.cdf(stats.norm.ppf(1 - 0.025 / 2) / math.sqrt(t)) for t in fifths]
  assert spent_alpha(fifths, 0.025, 'obrien_fleming') == pytest.approx(expected, abs=1e-12)
  assert expected[1] == pytest.approx(0.00039, abs=2e-5)


@pytest.mark.parametrize('kind', KINDS)
def test_levels_are_what_is_newly_spent(kind):
  looks = [3, 4, 7, 10]
  levels = nominal_levels(looks, 0.05, kind)
  assert len(levels) == 4 and min(levels) > 0 and sum(levels) == pytest.approx(0.05)
  assert np.cumsum(levels) == pytest.approx(spent_alpha(np.array(looks) / 10, 0.05, kind))
  assert nominal_levels([5], 0.05, kind) == pytest.approx([0.05])


@pytest.mark.parametrize('function,arguments,message', [
    (spent_alpha, (1.1,), 'fraction'), (spent_alpha, ([-0.1, 1],), 'fraction'),
    (spent_alpha, (math.nan,), 'fraction'), (spent_alpha, (0.5, 0.6), 'alpha'),
    (spent_alpha, (0.5, 0.05, 'haybittle'), "'haybittle': expected 'pocock' or"),
    (nominal_levels, ([],), 'looks'), (nominal_levels, ([3, 3],), 'looks'),
    (nominal_levels, ([5, 3],), 'looks'), (nominal_levels, ([0, 3],), 'looks'),
    (nominal_levels, ([2.5, 3],), 'looks'), (nominal_levels, ([3, 4], 1), 'alpha'),
    (nominal_levels, ([3, 4], 0.05, 'none'), "'none'"), (look_sizes, (2,), 'looks from 3 to 2'),
    (look_sizes, (9, 2), 'looks from 2 to 9'), (look_sizes, (9, 3, 1), 'factor of 1')])
def test_refuses_looks_that_cannot_be(function, arguments, message):
  with pytest.raises(UsageError, match=message):
    function(*arguments)


def test_look_sizes_grow_by_a_factor():
  assert look_sizes(20) == [3, 5, 8, 12, 20]
  assert [look_sizes(most) for most in (3, 4, 5)] == [[3], [3, 4], [3, 5]]
  assert look_sizes(12, 4, 3.0) == [4, 12]
  for most in range(3, 60):
    sizes = look_sizes(most)
    assert sizes[0] == 3 and sizes[-1] == most and sizes == sorted(set(sizes))
    assert all(high <= max(2 * low, low + 1) for low, high in itertools.pairwise(sizes))


def test_automatic_looks_start_at_five():
  assert planned_looks(20) == [5, 8, 13, 20]
  assert [planned_looks(most) for most in (3, 4, 5, 6, 8)] == [[3], [4], [5], [5, 6], [5, 8]]
