"""Which closed-form layer ratios a ticket's own are nearest to."""

import dataclasses

import numpy as np
import pytest

from tests import example_records
from tests.planted_runs import BASE
from tickets_tf import registry
from tickets_tf.judging.ladder import nearest_ratios
from tickets_tf.pruning.kernels import Kernel
from tickets_tf.runs.records import Layer
from tickets_tf.runs.run import Run

SHAPES = {'conv1': (3, 3, 1, 16), 'conv2': (3, 3, 16, 32), 'conv3': (3, 3, 32, 32), 'conv4': (3, 3, 32, 64),
          'classifier': (64, 10)}


def record(allocation, residual=False, kept=4000):
  """Returns the record of a ticket with the layer ratios of an allocation."""
  kernels = [Kernel(name, shape, 'conv' if len(shape) == 4 else 'dense', name == 'classifier', residual)
             for name, shape in SHAPES.items()]
  counts = registry.ALLOCATIONS.get(allocation)(kernels, kept)
  layers = tuple(Layer(kernel.name, kernel.shape, kernel.size, count, None, None)
                 for kernel, count in zip(kernels, counts, strict=True))
  return example_records.record(Run(BASE), layers=layers)


@pytest.mark.parametrize('residual', [True, False])
@pytest.mark.parametrize('allocation', ['smart', 'cubic', 'ascending', 'uniform', 'er', 'erk'])
def test_ratios_are_nearest_to_themselves(allocation, residual):
  name, distances = nearest_ratios([record(allocation, residual)], record('smart', residual))
  assert name == allocation and distances[allocation] == 0
  assert set(distances) == set(registry.ALLOCATIONS.names()) - {'global', 'global_convolutions'}


def test_the_distance_is_the_mean_absolute_difference_of_the_keep_ratios():
  uniform, smart = record('uniform'), record('smart')
  ratios = [[layer.kept / layer.weights for layer in each.layers] for each in (uniform, smart)]
  expected = np.mean(np.abs(np.subtract(*ratios)))
  assert nearest_ratios([uniform], smart)[1]['smart'] == pytest.approx(expected, abs=1e-6)


def test_keep_ratios_are_averaged_over_tickets():
  one, other = record('uniform'), record('uniform')
  change = (100, -100, 0, 0, 0)
  sides = [dataclasses.replace(each, layers=tuple(
      dataclasses.replace(layer, kept=layer.kept + sign * by)
      for layer, by in zip(each.layers, change, strict=True))) for each, sign in ((one, 1), (other, -1))]
  assert nearest_ratios(sides)[1]['uniform'] == 0


def test_without_tickets_nothing_is_near():
  assert nearest_ratios([]) == ('', {})


def test_an_allocation_that_needs_scores_is_left_out():
  def by_scores(kernels, keep, scores=None, rng=None):
    return [len(each) for each in scores]

  registry.ALLOCATIONS.register('by_scores')(by_scores)
  try:
    assert 'by_scores' not in nearest_ratios([record('er')])[1]
  finally:
    registry.ALLOCATIONS._entries.pop('by_scores')
