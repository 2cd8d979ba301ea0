"""How many seeds an open comparison needs."""

import dataclasses
import math

import numpy as np
import pytest

from tickets_tf.errors import UsageError
from tickets_tf.judging.bounds import Bounds
from tickets_tf.judging.bounds import critical_value
from tickets_tf.judging.seeds_needed import NextLook
from tickets_tf.judging.seeds_needed import SeedsNeeded
from tickets_tf.judging.seeds_needed import seeds_needed
from tickets_tf.judging.seeds_needed import statement_probability

LOOK = NextLook(3, 7, 0.05, 0.5, True, 200)


def known(drop, deviation, seeds):
  return Bounds(drop, deviation / math.sqrt(seeds), (-9, 9), (-9, 9))


def test_a_range_over_what_is_not_known():
  found = seeds_needed(known(0.3, 0.7, 10), 10, 21, LOOK)
  assert 10 < found.fewest < found.most <= 200
  # The worst case: the interval is as wide as the margin.
  scale = math.sqrt(21 / 13.2396)
  widths = [2 * critical_value(3, 7, 21 + n - 10, 0.05) * 0.7 * scale / math.sqrt(n) for n in (found.most, 11)]
  assert widths[0] == pytest.approx(0.5, rel=0.2) and widths[1] > 1
  # Nearer to nothing known, wider; at a stricter level, more.
  vague = seeds_needed(known(0.3, 0.7, 10), 10, 5, LOOK)
  assert vague.fewest <= found.fewest and (vague.most is None or vague.most > found.most)
  strict = seeds_needed(known(0.3, 0.7, 10), 10, 21, dataclasses.replace(LOOK, level=0.01))
  assert strict.fewest >= found.fewest and strict.most > found.most


def test_what_no_number_of_seeds_decides_is_not_within_the_limit():
  near = known(0.0, 0.2, 10)
  without = dataclasses.replace(LOOK, can_fail=False, limit=1000)
  assert seeds_needed(near, 10, 21, without).most is None
  assert seeds_needed(near, 10, 21, LOOK).most is not None
  short = dataclasses.replace(LOOK, limit=12)
  assert seeds_needed(known(0.3, 3.0, 10), 10, 21, short) == SeedsNeeded(None, None, 12)
  assert seeds_needed(known(9.0, 3.0, 12), 12, 21, short) == SeedsNeeded(None, None, 12)
  assert seeds_needed(Bounds(0.0, math.nan, None, None), 2, 1, LOOK) is None


def test_it_is_told_in_words():
  assert SeedsNeeded(8, 20, 40).told() == '8 to 20 seeds'
  assert SeedsNeeded(8, 8, 40).told() == '8 seeds'
  assert SeedsNeeded(8, None, 40).told() == '8 seeds at best, perhaps not within --max_seeds=40'
  assert SeedsNeeded(None, None, 40).told() == 'not within --max_seeds=40'


@pytest.mark.parametrize('drop, can_fail', [(0.0, True), (0.25, True), (1.2, True), (1.2, False), (-0.9, False)])
def test_the_probability_is_that_of_simulated_looks(drop, can_fail):
  look = dataclasses.replace(LOOK, can_fail=can_fail)
  rng = np.random.default_rng(0)
  n, freedom, deviation = 14, 30, 0.5
  estimates = drop + deviation / math.sqrt(n) * rng.standard_normal(20000)
  scale = np.sqrt(rng.chisquare(freedom, 20000) / freedom)
  reach = critical_value(3, 7, freedom, 0.05) * deviation / math.sqrt(n) * scale
  said = (estimates > reach) | (estimates < (0.5 - reach if can_fail else -reach))
  assert statement_probability(drop, deviation, n, freedom, look) == pytest.approx(said.mean(), abs=0.05)


def test_refuses_what_is_out_of_range():
  for settings in ({'power': 0.5}, {'confidence': 1.0}):
    with pytest.raises(UsageError, match=next(iter(settings))):
      seeds_needed(known(0.3, 0.7, 10), 10, 21, LOOK, **settings)
  with pytest.raises(UsageError, match='margin 0'):
    seeds_needed(known(0.3, 0.7, 10), 10, 21, dataclasses.replace(LOOK, margin=0))
