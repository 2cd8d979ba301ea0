"""What `score_weights` does around a score."""

import numpy as np
import pytest

import tickets_tf
import tensorflow as tf
import tf_keras as keras
from tickets_tf import sparse
from tickets_tf.errors import TicketsError
from tickets_tf.errors import UsageError


def zeros(model, images, labels, rng, scale=1.0):
  """A user's own score, which changes the model."""
  del images, labels, rng, scale
  for variable in model.variables:
    variable.assign_add(tf.ones_like(variable))
  return [np.zeros(kernel.shape) for kernel in tickets_tf.prunable_kernels(model)]


def test_variables_come_back_whatever_the_score_did(small_model):
  before = small_model.get_weights()
  tickets_tf.score_weights(small_model, zeros)
  assert all(map(np.array_equal, before, small_model.get_weights()))

  def fails(model, images, labels, rng):
    zeros(model, images, labels, rng)
    raise RuntimeError('no')

  with pytest.raises(RuntimeError, match='no'):
    tickets_tf.score_weights(small_model, fails)
  assert all(map(np.array_equal, before, small_model.get_weights()))


@pytest.mark.parametrize('score, options, message', [
    (lambda model: 1, {}, r'expected a function \(model, images, labels, rng\)'),
    (zeros, {'chunk': 1}, "chunk.*its options: scale"),
    ('snip', {'samples': 1}, "score 'snip'.*samples.*its options: chunk"),
    (42, {}, "score '?42'?: expected a function, found int"),
    (lambda model, images, labels, rng: [np.zeros(3)], {}, 'returned 1 arrays; expected 10, one per kernel'),
    (lambda model, images, labels, rng: [np.zeros(3)] * 10, {}, r'shape \(3,\) for conv1; expected \(3, 3, 3, 4\)'),
    (lambda model, images, labels, rng: None, {}, 'expected one array per kernel, 10 in all'),
])
def test_wrong_scores_give_one_clear_line(small_model, score, options, message):
  with pytest.raises(UsageError, match=message):
    tickets_tf.score_weights(small_model, score, **options)


def test_a_type_error_within_a_score_is_the_users_own(small_model):
  def broken(model, images, labels, rng):
    return len(42)

  with pytest.raises(TypeError, match='int'):
    tickets_tf.score_weights(small_model, broken)


def test_scores_that_are_not_finite_name_the_layer(small_model):
  def infinite(model, images, labels, rng):
    return [np.full(kernel.shape, np.inf if kernel.classifier else 0) for kernel in tickets_tf.prunable_kernels(model)]

  with pytest.raises(TicketsError, match='scores of classifier: 160 of 160 are NaN or infinite'):
    tickets_tf.score_weights(small_model, infinite)


@pytest.mark.parametrize('name', ['snip', 'grasp', 'obd', 'synflow'])
@pytest.mark.parametrize('policy', ['mixed_float16', 'mixed_bfloat16'])
def test_mixed_precision_changes_no_score(small_model, small_batch, relative, name, policy):
  before = keras.mixed_precision.global_policy()
  keras.mixed_precision.set_global_policy(policy)
  try:
    mixed = tickets_tf.build_model('resnet8', (8, 8, 3), 10, width=4)
  finally:
    keras.mixed_precision.set_global_policy(before)
  mixed.set_weights(small_model.get_weights())
  policies = [layer.dtype_policy.name for layer in mixed.layers]
  assert policies.count(policy) > 20
  expected = tickets_tf.score_weights(small_model, name, *small_batch)
  assert relative(tickets_tf.score_weights(mixed, name, *small_batch), expected) < 1e-5
  assert [layer.dtype_policy.name for layer in mixed.layers] == policies


def test_tensor_float_32_is_off_while_scoring(small_model):
  seen = []

  def score(model, images, labels, rng):
    seen.append(tf.config.experimental.tensor_float_32_execution_enabled())
    return zeros(model, images, labels, rng)

  tickets_tf.score_weights(small_model, score)
  assert seen == [False] and tf.config.experimental.tensor_float_32_execution_enabled()


@pytest.mark.parametrize('name', ['snip', 'grasp', 'obd', 'synflow'])
def test_models_of_a_mirrored_strategy(small_model, small_batch, relative, name):
  with tf.distribute.MirroredStrategy(['CPU:0', 'CPU:1']).scope():
    mirrored = tickets_tf.build_model('resnet8', (8, 8, 3), 10, width=4)
  mirrored.set_weights(small_model.get_weights())
  expected = tickets_tf.score_weights(small_model, name, *small_batch)
  assert relative(tickets_tf.score_weights(mirrored, name, *small_batch), expected) < 1e-5


@pytest.mark.parametrize('name', ['snip', 'grasp', 'obd', 'synflow'])
def test_wrapped_models_score_their_removed_weights_zero(small_model, small_batch, relative, name):
  kernels = tickets_tf.prunable_kernels(small_model)
  rng = np.random.default_rng(0)
  mask = tickets_tf.Mask((kernel.name, rng.random(kernel.shape) < 0.6) for kernel in kernels)
  wrapped = sparse.wrap(small_model, mask)
  scores = tickets_tf.score_weights(wrapped, name, *small_batch)
  assert all(not each[~kept].any() and each[kept].any() for each, kept in zip(scores, mask.arrays, strict=True))
  if name != 'grasp':  # Its g has no part in the removed weights of a wrapped model.
    assert relative(scores, tickets_tf.score_weights(small_model, name, *small_batch)) < 1e-5


class Compiled(keras.Model):
  """A model whose call is a graph."""

  def __init__(self):
    super().__init__(name='compiled')
    self.conv, self.norm = keras.layers.Conv2D(2, 3), keras.layers.BatchNormalization()
    self.last = keras.layers.Dense(10)

  @tf.function
  def call(self, inputs, training=False):
    return self.last(tf.reduce_mean(self.norm(self.conv(inputs), training=training), [1, 2]))


class Plain(Compiled):
  """The same without the graph."""

  def call(self, inputs, training=False):
    return self.last(tf.reduce_mean(self.norm(self.conv(inputs), training=training), [1, 2]))


@pytest.mark.parametrize('name', ['snip', 'grasp', 'obd', 'synflow'])
@pytest.mark.parametrize('traced_before', [True, False])
def test_models_whose_call_is_a_graph(small_batch, relative, name, traced_before):
  compiled, plain = Compiled(), Plain()
  compiled.build((None, 8, 8, 3))
  plain.build((None, 8, 8, 3))
  plain.set_weights(compiled.get_weights())
  if traced_before:
    compiled(small_batch[0], training=False)
  expected = tickets_tf.score_weights(plain, name, *small_batch)
  assert relative(tickets_tf.score_weights(compiled, name, *small_batch), expected) < 1e-6
  assert not tf.config.functions_run_eagerly()
  np.testing.assert_allclose(compiled(small_batch[0], training=False), plain(small_batch[0], training=False),
                             rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('name', ['snip', 'grasp', 'obd', 'synflow'])
def test_graphs_from_a_file_are_refused(tmp_path, small_batch, name):
  model = Plain()
  model(small_batch[0])
  model.save(tmp_path / 'graph', save_format='tf')
  loaded = keras.models.load_model(tmp_path / 'graph')
  with pytest.raises(UsageError, match=r'not reached|no layer to prune was reached|cannot compute in float64'):
    tickets_tf.score_weights(loaded, name, *small_batch)


@pytest.mark.parametrize('name', ['snip', 'grasp', 'obd', 'synflow', 'magnitude'])
def test_a_mask_scores_what_is_left_of_the_network(small_model, small_batch, relative, name):
  kernels = tickets_tf.prunable_kernels(small_model)
  rng = np.random.default_rng(0)
  mask = tickets_tf.Mask((kernel.name, rng.random(kernel.shape) < 0.6) for kernel in kernels)
  before = small_model.get_weights()
  scores = tickets_tf.score_weights(small_model, name, *small_batch, mask=mask)
  assert all(map(np.array_equal, small_model.get_weights(), before))
  # As the network that holds the mask by itself, whose gradients are masked too.
  expected = tickets_tf.score_weights(sparse.wrap(small_model, mask), name, *small_batch)
  assert relative([each[keep] for each, keep in zip(scores, mask.arrays, strict=True)],
                  [each[keep] for each, keep in zip(expected, mask.arrays, strict=True)]) < 1e-5
  assert all(not each[~keep].any() for each, keep in zip(scores, mask.arrays, strict=True))


def test_regrowing_scores_removed_weights_by_the_gradient_of_the_masked_network(small_model, small_batch):
  kernels = tickets_tf.prunable_kernels(small_model)
  rng = np.random.default_rng(0)
  mask = tickets_tf.Mask((kernel.name, rng.random(kernel.shape) < 0.6) for kernel in kernels)
  scores = tickets_tf.score_weights(small_model, 'snip', *small_batch, mask=mask, regrow=True)
  weights = [kernel.variable.numpy() for kernel in kernels]
  for kernel in kernels:
    kernel.variable.assign(kernel.variable * mask[kernel.name])

  def gradient(model, images, labels, rng):
    from tickets_tf.scores import gradients
    from tickets_tf.scores import modes
    with modes.batch_statistics(model):
      found = gradients.gradient(model, [kernel.variable for kernel in kernels],
                                 gradients.chunks(np.asarray(images), np.asarray(labels, np.int64), 100))
    return [each.numpy() for each in found]

  # FORCE: the dense weights times the gradient at the masked ones.
  for score, weight, slope, keep in zip(
      scores, weights, tickets_tf.score_weights(small_model, gradient, *small_batch), mask.arrays, strict=True):
    np.testing.assert_allclose(score, np.abs(weight * slope), rtol=1e-4, atol=1e-8)
    assert score[~keep].any()
