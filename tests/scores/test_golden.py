"""Scores agree with those that the authors' implementation gives in float64, on networks that avoid edges of ReLUs."""

import numpy as np
import pytest

import tickets_tf
from tests import golden_networks
from tickets_tf.scores import modes

CASES = {
    'snip': ('snip', {}, 1),
    'grasp': ('grasp', {}, -1),  # The reference removes from the highest down.
    'obd_fisher': ('obd', {}, 1),
    'obd_empirical': ('obd', {'curvature': 'empirical'}, 1),
}


@pytest.fixture(scope='module', params=sorted(golden_networks.NETWORKS))
def golden(request):
  return golden_networks.load(request.param)


def relative(found, expected):
  return np.linalg.norm(found - expected) / np.linalg.norm(expected)


def of_layers(reference, score):
  """The reference's arrays of one score, in the order of the layers."""
  return [reference[key] for key in sorted(reference) if key[:-2] == score and key[-2:].isdigit()]


def test_logits(golden):
  model, reference = golden
  assert relative(model(reference['x'], training=False), reference['logits_eval']) < 1e-4
  with modes.batch_statistics(model):
    assert relative(model(reference['x'], training=False), reference['logits_train']) < 1e-4


@pytest.mark.parametrize('case', CASES)
def test_every_layer_agrees(golden, case):
  model, reference = golden
  score, options, sign = CASES[case]
  found = tickets_tf.score_weights(model, score, reference['x'], reference['y'], **options)
  expected = of_layers(reference, case)
  errors = [relative(one, sign * other) for one, other in zip(found, expected, strict=True)]
  print(f'{model.name} {case}: {max(errors):.1e}')
  assert max(errors) < 1e-4


@pytest.mark.parametrize('score', ['snip', 'grasp'])
@pytest.mark.parametrize('ratio', [0.9, 0.98])
def test_keep_counts_agree(golden, score, ratio):
  model, reference = golden
  kernels = tickets_tf.prunable_kernels(model)
  expected = reference[f'{score}_keep_{ratio}']
  scores = tickets_tf.score_weights(model, score, reference['x'], reference['y'])
  # The reference's GraSP removes int(N p) weights but for the one at its threshold, two less than a ticket here. Given
  # its total, all layers agree; given the ratio, nothing but those two may differ, which can fall into one layer.
  same_total = 1 - (expected.sum() + 0.5) / sum(kernel.size for kernel in kernels)
  assert np.abs(np.subtract(tickets_tf.allocate(kernels, same_total, 'global', scores), expected)).max() <= 1
  missing = expected - tickets_tf.allocate(kernels, ratio, 'global', scores)
  assert missing.min() >= 0 and missing.sum() == (2 if score == 'grasp' else 0)
