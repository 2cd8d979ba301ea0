import math

import pytest

from tickets_tf.export import size


def test_the_limit_by_hand():
  # 3 of 8 and 2 of 4 weights: 5 weights of 4 bytes, log2(C(12, 5)) = log2(792) bits, and 2 + 4 biases.
  assert size.information_limit([(2, 2, 1, 2), (1, 4)], [3, 2]) == pytest.approx(20 + math.log2(792) / 8 + 24)


def test_a_dense_network_has_no_choice_of_positions():
  assert size.information_limit([(3, 3, 2, 8)], [144]) == pytest.approx(4 * 144 + 4 * 8)


def test_positions_take_about_their_entropy():
  weights, kept = 20_024_000, 400_480
  density = kept / weights
  entropy = weights * -(density * math.log2(density) + (1 - density) * math.log2(1 - density)) / 8
  found = size.information_limit([(weights // 10, 10)], [kept]) - 4 * kept - 40
  assert found == pytest.approx(entropy, rel=1e-4) and entropy == pytest.approx(354_000, rel=1e-3)
