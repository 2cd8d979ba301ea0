"""Chunks, batch norm in training mode and the sums over chunks, against plain code."""

import functools
import itertools

import numpy as np
import pytest

import tickets_tf
import tensorflow as tf
import tf_keras as keras
from tickets_tf.errors import UsageError
from tickets_tf.scores import batch_norm
from tickets_tf.scores import gradients
from tickets_tf.scores.grasp import grasp
from tickets_tf.scores.snip import snip


def plain_loss(model, images, labels, temperature=1.0):
  """Mean cross-entropy with Keras' own batch norm in training mode; the network must have no dropout."""
  logits = model(images, training=True) / temperature
  return tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True))


def plain_gradient(model, images, labels, temperature=1.0):
  variables = [kernel.variable for kernel in tickets_tf.prunable_kernels(model)]
  with tf.GradientTape() as tape:
    loss = plain_loss(model, images, labels, temperature)
  return tape.gradient(loss, variables)


@pytest.mark.parametrize('count, size, sizes', [(100, 100, [100]), (101, 100, [51, 50]), (7, 3, [3, 2, 2]),
                                                (3, 9, [3]), (4, 1, [1] * 4)])
def test_chunks_are_few_and_nearly_equal(count, size, sizes):
  images, labels = np.arange(count * 2.0).reshape(count, 2), np.arange(count)
  parts = gradients.chunks(images, labels, size)
  assert [len(part) for part, _, _ in parts] == sizes
  assert np.array_equal(np.concatenate([part for part, _, _ in parts]), images)
  assert np.array_equal(np.concatenate([part for _, part, _ in parts]), labels)
  np.testing.assert_allclose([share for _, _, share in parts], np.array(sizes) / count)
  assert all(np.shares_memory(part, images) for part, _, _ in parts)


def test_a_chunk_has_images(small_model, small_batch):
  for name in ('snip', 'grasp'):
    with pytest.raises(UsageError, match='chunk 0: expected at least 1'):
      tickets_tf.score_weights(small_model, name, *small_batch, chunk=0)


def test_labels_beyond_the_outputs(small_model, small_batch):
  for name, options in (('snip', {}), ('grasp', {}), ('obd', {'curvature': 'empirical'})):
    with pytest.raises(UsageError, match=r'labels: found 10; .* 10 outputs'):
      tickets_tf.score_weights(small_model, name, small_batch[0], small_batch[1] + 1, **options)


@pytest.mark.parametrize('scale, center', [(True, True), (False, False)])
def test_batch_norm_and_both_its_derivatives(scale, center):
  rng = np.random.default_rng(0)
  layer = keras.layers.BatchNormalization(epsilon=1e-2, scale=scale, center=center)
  layer.build((None, 5, 4, 3))
  for variable in layer.trainable_variables:
    variable.assign(rng.normal(size=3))
  x, a, u = (tf.constant(rng.normal(1, 2, (6, 5, 4, 3)), tf.float32) for _ in range(3))
  gamma = layer.gamma if scale else 1.0
  beta = layer.beta if center else 0.0

  def plain(x):
    mean = tf.reduce_mean(x, [0, 1, 2])
    return (x - mean) / tf.sqrt(tf.reduce_mean((x - mean)**2, [0, 1, 2]) + 1e-2) * gamma + beta

  def derivatives(function):
    # Of a loss that is not linear in the outputs, so that the second derivative has both of its parts.
    with tf.GradientTape() as outer:
      outer.watch([x, a])
      with tf.GradientTape() as inner:
        inner.watch(x)
        y = function(x)
        loss = tf.reduce_sum(a * y + y**3)
      first = inner.gradient(loss, x)
    return [y, first, *outer.gradient(first, [x, a], u)]

  for found, expected in zip(derivatives(lambda x: batch_norm.normalise(layer, x)), derivatives(plain), strict=True):
    assert np.linalg.norm(found - expected) < 2e-6 * np.linalg.norm(expected)


@pytest.mark.parametrize('shape, axis', [((9, 4), -1), ((9, 3, 4), 1), ((9, 3, 4, 2), 1), ((9, 3, 4, 2), [1, 3]),
                                         ((9, 3, 4, 2), 3), ((9, 2, 3, 2, 4), -1)])
def test_batch_norm_of_any_shape(shape, axis):
  rng = np.random.default_rng(0)
  layer = keras.layers.BatchNormalization(axis, epsilon=1e-2)
  layer.build((None, *shape[1:]))
  for variable in layer.trainable_variables:
    variable.assign(rng.normal(size=variable.shape))
  x = tf.constant(rng.normal(1, 2, shape), tf.float32)
  np.testing.assert_allclose(batch_norm.normalise(layer, x), layer(x, training=True), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('sizes', [[64], [22, 21, 21]])
def test_snip_is_the_weighted_mean_over_chunks(small_model, small_batch, relative, sizes):
  images, labels = small_batch
  scores = tickets_tf.score_weights(small_model, 'snip', images, labels, chunk=max(sizes))
  starts = np.cumsum([0, *sizes])
  parts = [plain_gradient(small_model, images[start:stop], labels[start:stop])
           for start, stop in itertools.pairwise(starts)]
  expected = [np.abs(kernel.variable * sum(size / 64 * part[index] for size, part in zip(sizes, parts, strict=True)))
              for index, kernel in enumerate(tickets_tf.prunable_kernels(small_model))]
  assert relative(scores, expected) < 1e-5


def test_moving_statistics_stay_even_without_score_weights(small_model, small_batch):
  before = small_model.get_weights()
  snip(small_model, *small_batch, None)
  grasp(small_model, *small_batch, None)
  assert all(map(np.array_equal, before, small_model.get_weights()))


def test_frozen_batch_norm_keeps_to_inference_mode(small_model, small_batch, relative):
  for layer in small_model.layers:
    layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)
  expected = plain_gradient(small_model, *small_batch)
  expected = [np.abs(kernel.variable * each)
              for kernel, each in zip(tickets_tf.prunable_kernels(small_model), expected, strict=True)]
  assert relative(tickets_tf.score_weights(small_model, 'snip', *small_batch), expected) < 1e-5


def test_frozen_kernels_are_scored(small_model, small_batch):
  expected = tickets_tf.score_weights(small_model, 'snip', *small_batch)
  small_model.get_layer('classifier').trainable = False
  assert all(map(np.array_equal, expected, tickets_tf.score_weights(small_model, 'snip', *small_batch)))


class PlainNorm(keras.layers.Layer):
  """Batch norm without parameters, in training mode, that can be differentiated twice."""

  def call(self, inputs):
    axes = list(range(inputs.shape.rank - 1))
    centred = inputs - tf.reduce_mean(inputs, axes)
    return centred / tf.sqrt(tf.reduce_mean(centred**2, axes) + 1e-5)


def tiny(norm=keras.layers.BatchNormalization):
  """A network whose whole Hessian fits: 60 prunable weights."""
  keras.utils.set_random_seed(6)
  return keras.Sequential([
      keras.Input((4, 4, 1)),
      keras.layers.Conv2D(3, 3, activation='tanh', name='conv'),
      norm(),
      keras.layers.Flatten(),
      keras.layers.Dense(2, activation='tanh', name='dense'),
      norm(),
      keras.layers.Dense(3, name='classifier'),
  ])


def hessian(loss, variables):
  """The Hessian by all variables, [P, P] in float64, and the gradient, [P]."""
  with tf.GradientTape(persistent=True) as outer:
    with tf.GradientTape() as inner:
      value = loss()
    flat = tf.concat([tf.reshape(each, [-1]) for each in inner.gradient(value, variables)], 0)
  rows = outer.jacobian(flat, variables, experimental_use_pfor=False)
  return np.concatenate([np.reshape(each, (len(flat), -1)) for each in rows], 1).astype(np.float64), flat.numpy()


@pytest.mark.parametrize('count, chunk, cuts', [(20, 100, [[0, 10], [10, 20]]),
                                                (13, 4, [[0, 3], [3, 6], [6, 10], [10, 13]])])
def test_grasp_is_what_whole_hessians_give(relative, count, chunk, cuts):
  # Keras' batch norm on a matrix has a wrong second derivative.
  model, plain = tiny(lambda: keras.layers.BatchNormalization(epsilon=1e-5)), tiny(PlainNorm)
  kernels = tickets_tf.prunable_kernels(model)
  variables = [kernel.variable for kernel in tickets_tf.prunable_kernels(plain)]
  assert all(np.array_equal(kernel.variable, variable) for kernel, variable in zip(kernels, variables, strict=True))
  rng = np.random.default_rng(7)
  images, labels = rng.normal(size=(count, 4, 4, 1)).astype(np.float32), rng.integers(0, 3, count)
  half = count // 2
  total_gradient = total_hessian = 0
  for start, stop in cuts:
    share = (stop - start) / (half if stop <= half else count - half)
    part, gradient = hessian(functools.partial(plain_loss, plain, images[start:stop], labels[start:stop], 2.0),
                             variables)
    total_hessian, total_gradient = total_hessian + share * part, total_gradient + share * gradient
  products = np.split(total_hessian @ total_gradient, np.cumsum([kernel.size for kernel in kernels])[:-1])
  expected = [kernel.variable.numpy() * each.reshape(kernel.shape)
              for kernel, each in zip(kernels, products, strict=True)]
  scores = tickets_tf.score_weights(model, 'grasp', images, labels, chunk=chunk, temperature=2.0)
  assert relative(scores, expected) < 1e-4


def test_grasp_needs_two_images(small_model, small_batch):
  with pytest.raises(UsageError, match='images: found 1; GraSP'):
    tickets_tf.score_weights(small_model, 'grasp', small_batch[0][:1], small_batch[1][:1])


def test_grasp_with_a_fresh_classifier(small_batch):
  model = tickets_tf.build_model('resnet8', (8, 8, 3), 10, width=64)
  classifier = model.get_layer('classifier').kernel
  before = classifier.numpy()
  scores = tickets_tf.score_weights(model, 'grasp', *small_batch, reinitialise_classifier=True)
  assert np.array_equal(classifier.numpy(), before)
  again = tickets_tf.score_weights(model, 'grasp', *small_batch, reinitialise_classifier=True, seed=1)
  assert not np.array_equal(scores[-1], again[-1])
  grasp(model, *small_batch, np.random.default_rng(0), reinitialise_classifier=True)
  drawn = classifier.numpy()
  assert drawn.std() == pytest.approx((2 / (256 + 10))**0.5, rel=0.05)
  # Not truncated: Keras' GlorotNormal ends at 2.27 deviations.
  assert np.abs(drawn).max() > 2.6 * drawn.std()


def test_dropout_takes_no_part(small_batch):
  def build(rate):
    keras.utils.set_random_seed(8)
    return keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3), keras.layers.BatchNormalization(),
                             keras.layers.Dropout(rate), keras.layers.Flatten(), keras.layers.Dense(10)])

  for name in ('snip', 'grasp'):
    one, other = (tickets_tf.score_weights(build(rate), name, *small_batch) for rate in (0.0, 0.9))
    assert all(map(np.array_equal, one, other))
