"""Counts that add up and draws that stay within their class."""

import numpy as np
import pytest

from tickets_tf.data import subsets


@pytest.mark.parametrize('sizes, total, expected', [
    ([10, 10, 10], 6, [2, 2, 2]),
    ([10, 10, 10], 7, [3, 2, 2]),
    ([1, 10, 10], 9, [1, 4, 4]),
    ([10, 1, 10, 2], 13, [5, 1, 5, 2]),
    ([3, 0, 2], 5, [3, 0, 2]),
    ([4, 4], 0, [0, 0]),
])
def test_equal_counts(sizes, total, expected):
  assert subsets.equal_counts(sizes, total).tolist() == expected


def test_equal_counts_are_exact_and_as_equal_as_they_can_be():
  generator = np.random.default_rng(0)
  for _ in range(200):
    sizes = generator.integers(0, 50, generator.integers(1, 12))
    total = int(generator.integers(0, sizes.sum() + 1))
    counts = subsets.equal_counts(sizes, total)
    assert counts.sum() == total and np.all(counts >= 0) and np.all(counts <= sizes)
    with_more = counts[counts < sizes]
    assert not with_more.size or counts.max() - with_more.min() <= 1


@pytest.mark.parametrize('sizes, total, expected', [
    ([10, 10, 10], 6, [2, 2, 2]),
    ([100, 10, 1], 11, [10, 1, 0]),
    ([3, 3, 3], 4, [2, 1, 1]),
    ([1, 9], 5, [1, 4]),
    ([5, 5], 10, [5, 5]),
    ([5, 5], 0, [0, 0]),
])
def test_proportional_counts(sizes, total, expected):
  assert subsets.proportional_counts(sizes, total).tolist() == expected


def test_draw_is_of_the_class_without_replacement_and_extends_smaller_draws():
  labels = np.random.default_rng(1).integers(0, 3, 100)
  few = subsets.draw(labels, [5, 0, 4], np.random.default_rng(2))
  many = subsets.draw(labels, [9, 3, 8], np.random.default_rng(2))
  for label, (small, large) in enumerate(zip(few, many, strict=True)):
    assert len(set(large)) == len(large) and np.all(labels[large] == label)
    assert large[:len(small)].tolist() == small.tolist()
  assert [len(part) for part in many] == [9, 3, 8]
  assert many[0].tolist() != np.flatnonzero(labels == 0)[:9].tolist(), 'the first of each class is not a draw'
