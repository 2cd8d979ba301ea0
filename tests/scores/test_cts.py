"""Concrete ticket search: the search against its formulas, and what it finds."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

import tickets_tf
from tickets_tf.errors import UsageError
from tickets_tf.scores import cts


@pytest.fixture(scope='module')
def model():
  keras.utils.set_random_seed(3)
  return keras.Sequential([keras.Input((12,)), keras.layers.Dense(24, 'relu'), keras.layers.Dense(4)])


@pytest.fixture(scope='module')
def batch():
  rng = np.random.default_rng(4)
  return rng.normal(size=(64, 12)).astype(np.float32), rng.integers(0, 4, 64)


def divergence(model, images, masks):
  """KL(sparse || dense) of the outputs with masks, the dense network's being those of the model."""
  dense = keras.models.clone_model(model)
  dense.set_weights(model.get_weights())
  arrays = iter([kernel.variable.numpy() * mask for kernel, mask in
                 zip(tickets_tf.prunable_kernels(model), masks, strict=True)])
  dense.set_weights([next(arrays) if value.ndim == 2 else value for value in dense.get_weights()])
  own, other = (tf.nn.log_softmax(each(images)).numpy() for each in (dense, model))
  return float((np.exp(own) * (own - other)).sum(axis=1).mean())


def highest(scores, keep):
  threshold = np.sort(np.concatenate([each.ravel() for each in scores]))[-keep]
  return [each >= threshold for each in scores]


def test_it_finds_masks_near_to_the_dense_network(model, batch):
  scores = tickets_tf.score_weights(model, 'cts', *batch, pruning_ratio=0.8, steps=150)
  every = sum(each.size for each in scores)
  expected = sum((1 / (1 + np.exp(-each))).sum() for each in scores)
  assert 0.9 < expected / (0.2 * every) < 1.3, 'it aims at about what is kept'
  masks = [highest(each, every // 5) for each in (scores, tickets_tf.score_weights(model, 'magnitude'),
                                                  *(tickets_tf.score_weights(model, 'random', seed=seed)
                                                    for seed in range(5)))]
  found, magnitude, *luck = (divergence(model, batch[0], each) for each in masks)
  assert found < 0.5 * magnitude and found < 0.3 * min(luck)


@pytest.mark.parametrize('objective', ['kl', 'loss'])
def test_the_first_step_is_that_of_the_formulas(model, batch, objective):
  images, labels = batch
  variables = [kernel.variable for kernel in tickets_tf.prunable_kernels(model)]
  weights = [variable.numpy() for variable in variables]
  dense = tf.nn.log_softmax(model(images))
  given = [variable.numpy() for variable in model.variables]
  rng = np.random.default_rng(5)
  scores = cts.cts(model, images, labels, rng, ratio=0.75, objective=objective, steps=1)
  for variable, value in zip(model.variables, given, strict=True):
    variable.assign(value)
  rng = np.random.default_rng(5)
  order = rng.choice(64, 64, replace=False)
  noise = rng.logistic(size=sum(each.size for each in weights)).astype(np.float32)
  start = np.log(0.25 / 0.75)
  odds = [tf.fill(each.shape, np.float32(start)) for each in weights]
  parts = [part.reshape(each.shape) for part, each in zip(np.split(noise, [weights[0].size]), weights, strict=True)]
  with tf.GradientTape() as tape:
    tape.watch(odds)
    gates = [tf.sigmoid(each + part * 1.5) for each, part in zip(odds, parts, strict=True)]
    x = tf.nn.relu(images @ (weights[0] * gates[0]) + model.layers[0].bias)
    logits = x @ (weights[1] * gates[1]) + model.layers[1].bias
    own = tf.nn.log_softmax(logits)
    loss = (tf.reduce_mean(tf.reduce_sum(tf.exp(own) * (own - dense), axis=1)) if objective == 'kl' else
            tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)))
  assert sorted(order) == list(range(64))
  # Below the aim, 1.1 times what is kept, GradBalance adds nothing; the first step of Adam is the gradient's sign.
  for score, gradient in zip(scores, tape.gradient(loss, odds), strict=True):
    certain = np.abs(gradient) > 1e-6
    np.testing.assert_allclose(score[certain], (start - 0.1 * np.sign(gradient))[certain], atol=1e-4)
    assert certain.mean() > 0.5


def test_the_sparsity_is_balanced_by_the_norms_of_both_gradients():
  search = cts._Search(np.linspace(-1, 1, 50, dtype=np.float32), 0.2, 0.1)
  search.odds[:] = 0.5  # More weights than the aim are expected to be kept.
  noise = np.random.default_rng(6).logistic(size=50)
  np.testing.assert_allclose(search.gates(np.random.default_rng(6), 2 / 3), 1 / (1 + np.exp(-0.5 - 1.5 * noise)), 1e-5)
  gates, gradient = np.full(50, 0.4, np.float32), np.linspace(1, 2, 50, dtype=np.float32)
  search.step(gates, gradient)
  task = 100 * gradient * np.linspace(-1, 1, 50) * 0.24
  kept = 1 / (1 + np.exp(-0.5))
  sparsity = np.full(50, 100 / (1.1 * 0.2 * 50) * kept * (1 - kept))
  assert search._balance == pytest.approx(np.linalg.norm(task) / np.linalg.norm(sparsity), rel=1e-5)
  np.testing.assert_allclose(search.odds, 0.5 - 0.1 * np.sign(task + search._balance * sparsity), atol=1e-4)
  first = search._balance
  search.odds[:] = -9.0
  search.step(gates, gradient)
  assert search._balance == pytest.approx(0.99 * first), 'too few are kept: it fades'


def test_the_ratio_is_that_of_the_round(model, batch):
  plain, given, other = (tickets_tf.score_weights(model, 'cts', *batch, steps=1, **options) for options in (
      {'ratio': 0.8}, {'pruning_ratio': 0.8}, {'pruning_ratio': 0.9}))
  assert np.array_equal(plain[0], given[0]) and not np.array_equal(plain[0], other[0])
  ticket = tickets_tf.find_ticket(model, 'cts', 0.8, *batch, steps=1)
  assert ticket.mask.kept == int(0.2 * (12 * 24 + 24 * 4))
  with pytest.raises(UsageError, match="objective 'mse': expected 'kl' or 'loss'"):
    tickets_tf.score_weights(model, 'cts', *batch, objective='mse')
