import math

import numpy as np
import pytest

from tickets_tf.export import size
from tickets_tf.pruning import patterns
from tickets_tf.pruning.kernels import Kernel


class Variable:
  """Holds an array as a variable does."""

  def __init__(self, values):
    self._values = values

  def numpy(self):
    return self._values


def test_the_reference_by_hand():
  # 3 of 8 and 2 of 4 weights; of 20 parameters, 8 are others.
  layers = [{'shape': (2, 2, 1, 2), 'kept': 3}, {'shape': (1, 4), 'kept': 2, 'position_bits': 2.5}]
  found = size.reference(layers, 20)
  assert found == size.Reference(5, pytest.approx(math.log2(56) + 2.5), 8)
  assert found.bytes() == pytest.approx(20 + (math.log2(56) + 2.5) / 8 + 32)
  assert found.bytes(8, 16) == pytest.approx(5 + (math.log2(56) + 2.5) / 8 + 16)


def test_a_dense_network_has_no_choice_of_positions():
  assert size.reference([{'shape': (3, 3, 2, 8), 'kept': 144}], 152).bytes() == pytest.approx(4 * 152)


def test_positions_take_about_their_entropy():
  weights, kept = 20_024_000, 400_480
  density = kept / weights
  entropy = weights * -(density * math.log2(density) + (1 - density) * math.log2(1 - density))
  found = size.reference([{'shape': (weights // 10, 10), 'kept': kept}], weights).position_bits
  assert found == pytest.approx(entropy, rel=1e-4)


def test_layers_are_described_by_what_is_kept_where():
  """A kernel whose inputs are its last axis; the second is too full for blocks."""
  blocks = np.zeros((3, 8))
  blocks[0, 4:], blocks[2, :4] = 1, -1
  broken = blocks.copy()
  broken[1, 0] = 1
  kernels = [Kernel(name, (3, 8), 'dense', inputs=(1,), outputs=(0,), variable=Variable(values))
             for name, values in (('blocks', blocks), ('broken', broken))]
  first, second = size.describe_layers(kernels, patterns.BLOCKS_OF_FOUR)
  assert first == {'name': 'blocks', 'shape': [3, 8], 'kept': 8,
                   'position_bits': pytest.approx(math.log2(15), abs=0.01)}
  assert second['position_bits'] == pytest.approx(math.log2(math.comb(24, 9)), abs=0.01)
