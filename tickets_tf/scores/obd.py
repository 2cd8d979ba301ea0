"""Optimal brain damage: a weight matters as much as the loss would rise without it, to second order."""

import functools

import numpy as np
import tensorflow as tf

from tickets_tf.errors import UsageError
from tickets_tf.models import prunable_kernels
from tickets_tf.scores import modes
from tickets_tf.scores.gradients import add_up
from tickets_tf.scores.gradients import checked_batch
from tickets_tf.scores.gradients import chunks
from tickets_tf.scores.gradients import hessian_vector_product
from tickets_tf.scores.per_example import SquaredGradients

# Up to this number of classes the Fisher information is summed over all of them.
_EXACT_CLASSES = 10


def obd(model, images, labels, rng, curvature='fisher', samples=None, chunk=None):
  """Scores by 0.5 theta^2 h (LeCun et al. 1990, equation 4), h a diagonal curvature with batch norm in inference mode.

  Curvatures, all means over the examples:
    `fisher`: squared per-example gradient of log p(y), y drawn from the model's own softmax p: the expectation over
      all labels up to 10 classes, over drawn ones above (Martens 2020, section 5).
    `empirical`: squared per-example gradient at the true label.
    `hutchinson`: E[z (H z)] of the Hessian H of the loss with z from {-1, 1} (Bekas et al. 2007); a negative mean
      counts as 0.

  Args:
    model: a built `tf_keras` model to logits.
    images: float32 [N, ...], normalised.
    labels: int [N]; the Fisher information does not look at them.
    rng: draws labels and z.
    curvature: `'fisher'`, `'empirical'` or `'hutchinson'`.
    samples: labels drawn per example (None: 1), or draws of z (None: 10).
    chunk: most images in memory at a time; changes nothing beyond rounding. None: 100, or 200 by the number of
      classes where the Fisher information is exact.

  Returns:
    A list of float32 arrays, one per kernel, none below zero.

  Raises:
    UsageError: where images or labels are missing or do not fit, for an unknown curvature, and where a layer has no
      per-example gradient.
  """
  if curvature not in _CURVATURES:
    raise UsageError(f'curvature {curvature!r}: expected one of {", ".join(_CURVATURES)}')
  if samples is not None and samples < 1:
    raise UsageError(f'samples {samples!r}: expected at least 1')
  kernels = prunable_kernels(model)
  batch = checked_batch(images, labels)
  with modes.moving_statistics(model):
    diagonal = _CURVATURES[curvature](model, kernels, *batch, rng, samples, chunk)
  return [0.5 * kernel.variable.numpy()**2 * np.asarray(each) for kernel, each in zip(kernels, diagonal)]


def _fisher(model, kernels, images, labels, rng, samples, chunk):
  del labels
  classes = model(tf.constant(images[:1]), training=False).shape[-1]
  if classes <= _EXACT_CLASSES:
    every = np.zeros(len(images), np.int64)
    return _mean_squares(model, kernels, images, every, _expected, chunk or 200 // classes)
  # Drawn for all images at once, so that chunks cannot change them.
  uniform = rng.random((len(images), samples or 1))

  def drawn(logits, some):
    cumulative = np.cumsum(tf.nn.softmax(tf.cast(logits, tf.float64)), axis=-1)
    return _at_labels(logits, (cumulative[None, :, :-1] < some.T[:, :, None]).sum(-1)) / len(some.T)**0.5

  return _mean_squares(model, kernels, images, uniform, drawn, chunk or 100)


def _empirical(model, kernels, images, labels, rng, samples, chunk):
  del rng, samples
  return _mean_squares(model, kernels, images, labels, lambda logits, some: _at_labels(logits, some[None]),
                       chunk or 100)


def _hutchinson(model, kernels, images, labels, rng, samples, chunk):
  variables = [kernel.variable for kernel in kernels]
  pieces, samples = chunks(images, labels, chunk or 100), samples or 10
  total = [np.zeros(kernel.shape, np.float32) for kernel in kernels]
  for _ in range(samples):
    signs = [rng.choice(np.float32([-1, 1]), kernel.shape) for kernel in kernels]
    products = hessian_vector_product(model, variables, pieces, [tf.constant(sign) for sign in signs])
    total = [each + sign * product.numpy() for each, sign, product in zip(total, signs, products)]
  return [np.maximum(each, 0) / samples for each in total]


_CURVATURES = {'fisher': _fisher, 'empirical': _empirical, 'hutchinson': _hutchinson}


def _mean_squares(model, kernels, images, extra, vectors_of, chunk):
  # `extra` is cut into chunks with the images and handed to `vectors_of`.
  squared_gradients = SquaredGradients(model, kernels)
  total = add_up(squared_gradients(some_images, functools.partial(vectors_of, some=some_extra))
                 for some_images, some_extra, _ in chunks(images, extra, chunk))
  return [each / len(images) for each in total]


def _expected(logits, some):
  del some
  # The expectation of a a^T, a the gradient of log p(y) by the logits, is diag(p) - p p^T. With r = sqrt(p) that is
  # diag(r) (I - r r^T) diag(r), and I - r r^T = Q Q^T for the columns of Householder's reflection of r onto the first
  # axis but the first: one vector less than there are classes.
  root = tf.sqrt(tf.nn.softmax(logits))
  identity = tf.eye(logits.shape[-1])
  columns = identity[:, 1:] - (root + identity[0])[:, :, None] * (root[:, 1:] / (1 + root[:, :1]))[:, None, :]
  return tf.transpose(root[:, :, None] * columns, (2, 0, 1))


def _at_labels(logits, labels):
  # The gradient of -log p(label) by the logits, for labels [V, B].
  if labels.max() >= logits.shape[-1]:
    raise UsageError(f'labels: found {labels.max()}; the model has {logits.shape[-1]} outputs')
  return tf.nn.softmax(logits) - tf.one_hot(labels, logits.shape[-1])
