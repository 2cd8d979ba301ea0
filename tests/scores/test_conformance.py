"""What every score in the registry promises, on every kind of network."""

import random

import numpy as np
import pytest

import tickets_tf
import tensorflow as tf
from tickets_tf import registry
from tickets_tf.errors import UsageError
from tickets_tf.scores import looks_at_data

FEW_STEPS = {'cts': {'steps': 2}}
CASES = [(name, FEW_STEPS.get(name, {})) for name in registry.SCORES.names()] + [
    ('obd', {'curvature': 'empirical'}),
    ('obd', {'curvature': 'hutchinson', 'samples': 2}),
    ('grasp', {'reinitialise_classifier': True}),
]
WITHOUT_DATA = [name for name in registry.SCORES.names() if not looks_at_data(name)]
# A score may be the same for all weights of a kernel, but none of these is.
TELL_WEIGHTS_APART = ('random', 'magnitude', 'snip', 'grasp', 'obd', 'synflow')
cases = pytest.mark.parametrize('name, options', CASES, ids=[' '.join([name, *map(str, options.values())])
                                                             for name, options in CASES])


def state_of(model):
  """Everything about a network that scoring could leave changed, as bytes and identities."""
  values = [variable.numpy().tobytes() for variable in [*model.variables, *model.optimizer.variables]]
  layers = [(id(value), name) for layer in model.submodules for name, value in vars(layer).items()
            if name in ('call', 'activation', 'convolution_op', 'kernel', 'gamma', '_dtype_policy')]
  return values, layers


def test_the_table_knows_of_every_score_whether_it_looks_at_data():
  for name in registry.SCORES.names():
    assert registry.SCORES.looks_at_data(name) is getattr(registry.SCORES.get(name), 'looks_at_data', True), name


def test_scores_that_say_so_look_at_no_data():
  assert {'random', 'magnitude', 'synflow'} <= set(WITHOUT_DATA)
  assert not {'snip', 'grasp', 'obd'} & set(WITHOUT_DATA)


@cases
def test_scores_are_arrays_of_the_kernels_shapes(network, batch, name, options):
  kernels = tickets_tf.prunable_kernels(network)
  scores = tickets_tf.score_weights(network, name, *batch, seed=1, **options)
  assert [each.shape for each in scores] == [kernel.shape for kernel in kernels]
  assert all(np.isfinite(each).all() for each in scores)
  assert name not in TELL_WEIGHTS_APART or all(each.std() > 0 for each in scores)
  assert all(np.array_equal(one, other) for one, other in
             zip(scores, tickets_tf.score_weights(network, name, *batch, seed=1, **options), strict=True))


@cases
def test_the_network_is_left_as_it_was(network, batch, name, options):
  before = state_of(network)
  tickets_tf.score_weights(network, name, *batch, seed=1, **options)
  assert state_of(network) == before


@cases
def test_the_random_state_is_left_as_it_was(network, batch, name, options):
  def draw():
    return (tf.random.uniform([4]).numpy().tolist(), tf.random.get_global_generator().uniform([4]).numpy().tolist(),
            np.random.rand(4).tolist(), random.random())

  def seeded(between):
    tf.random.set_seed(7)
    tf.random.set_global_generator(tf.random.Generator.from_seed(7))
    np.random.seed(7)
    random.seed(7)
    between()
    return draw()

  scored = seeded(lambda: tickets_tf.score_weights(network, name, *batch, seed=1, **options))
  assert scored == seeded(lambda: None)


@pytest.mark.parametrize('name', [name for name in registry.SCORES.names() if name not in WITHOUT_DATA])
@pytest.mark.parametrize('images, labels, message', [
    (None, None, 'found images=None, labels=None'),
    (np.zeros((4, 8, 8, 3), np.float32), None, 'found labels=None'),
    (np.zeros((4, 8, 8, 3), np.uint8), np.zeros(4, int), 'normalised floats .* found uint8'),
    (np.zeros((4, 8, 8, 3), np.float32), np.zeros(3, int), r'labels: expected 4 integers .* \[3\]'),
    (np.zeros((4, 8, 8, 3), np.float32), np.zeros(4), 'labels: expected 4 integers .* float64'),
    (np.zeros((0, 8, 8, 3), np.float32), np.zeros(0, int), r'images: .*\[0, 8, 8, 3\]'),
])
def test_scores_that_look_at_data_say_what_is_missing(small_model, name, images, labels, message):
  with pytest.raises(UsageError, match=message):
    tickets_tf.score_weights(small_model, name, images, labels)


@pytest.mark.parametrize('name', WITHOUT_DATA)
def test_scores_that_look_at_no_data_need_none(small_model, small_batch, name):
  alone = tickets_tf.score_weights(small_model, name)
  assert all(map(np.array_equal, alone, tickets_tf.score_weights(small_model, name, *small_batch)))
