"""Optimal brain damage: a weight matters as much as the loss rises without it, to second order."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tf_keras as keras

from tickets_tf.errors import UsageError
from tickets_tf.models import prunable_kernels
from tickets_tf.pruning.kernels import Kernel
from tickets_tf.scores import modes
from tickets_tf.scores.gradients import add_up
from tickets_tf.scores.gradients import checked_batch
from tickets_tf.scores.gradients import chunks
from tickets_tf.scores.gradients import hessian_vector_product
from tickets_tf.scores.per_example import SquaredGradients

# Up to this number of classes the Fisher information is summed over all of them.
_EXACT_CLASSES = 10


def obd(model: keras.Model, images: npt.ArrayLike | None, labels: npt.ArrayLike | None, rng: np.random.Generator,
        curvature: str = 'fisher', samples: int | None = None, chunk: int | None = None) -> list[np.ndarray]:
  """Scores by 0.5 theta^2 h (LeCun et al. 1990, equation 4); h is a diagonal curvature.

  Batch norm is in inference mode. The curvatures are means over the examples:
    `fisher`: squared per-example gradient of log p(y), y drawn from the model's own softmax p: the exact expectation
      over all labels for up to 10 classes, the mean over drawn labels for more (Martens 2020, section 5).
    `empirical`: squared per-example gradient at the true label.
    `hutchinson`: E[z (H z)] of the Hessian H of the loss with z from {-1, 1} (Bekas et al. 2007); a negative mean
      counts as 0.

  Args:
    model: a built `tf_keras` model to logits.
    images: float32 [N, ...], normalised.
    labels: int [N]; the Fisher information does not use them.
    rng: draws labels and z.
    curvature: `'fisher'`, `'empirical'` or `'hutchinson'`.
    samples: labels drawn per example (None: 1), or draws of z (None: 10).
    chunk: most images in memory at a time; changes nothing beyond rounding. None: 100, or 200 divided by the number of
      classes for the exact Fisher information.

  Returns:
    One float32 array per kernel, none below zero.

  Raises:
    UsageError: if images or labels are missing or do not fit, the curvature is unknown, or a layer has no per-example
      gradient.
  """
  if curvature not in _CURVATURES:
    raise UsageError(f'curvature {curvature!r}: expected one of {", ".join(_CURVATURES)}')
  if samples is not None and samples < 1:
    raise UsageError(f'samples {samples!r}: expected at least 1')
  kernels = prunable_kernels(model)
  recurrent = [kernel.name for kernel in kernels if kernel.kind == 'recurrent']
  if recurrent and curvature != 'hutchinson':
    raise UsageError(f'curvature {curvature!r}: {recurrent[0]} is recurrent and has no gradients per example; expected '
                     'hutchinson')
  batch = checked_batch(images, labels)
  with modes.moving_statistics(model):
    diagonal = _CURVATURES[curvature](model, kernels, *batch, rng, samples, chunk)
  return [0.5 * kernel.variable.numpy()**2 * np.asarray(each) for kernel, each in zip(kernels, diagonal, strict=True)]


def _fisher(model: keras.Model, kernels: Sequence[Kernel], images: np.ndarray, labels: np.ndarray,
            rng: np.random.Generator, samples: int | None, chunk: int | None) -> list[tf.Tensor]:
  del labels
  classes = model(tf.constant(images[:1]), training=False).shape[-1]
  if classes <= _EXACT_CLASSES:
    every = np.zeros(len(images), np.int64)
    return _mean_squares(model, kernels, images, every, _expected, chunk or 200 // classes)
  # Drawn for all images at once, so that the chunks cannot change the labels.
  uniform = rng.random((len(images), samples or 1))

  def drawn(logits: tf.Tensor, some: np.ndarray) -> tf.Tensor:
    cumulative = np.cumsum(tf.nn.softmax(tf.cast(logits, tf.float64)), axis=-1)
    return _at_labels(logits, (cumulative[None, :, :-1] < some.T[:, :, None]).sum(-1)) / len(some.T)**0.5

  return _mean_squares(model, kernels, images, uniform, drawn, chunk or 100)


def _empirical(model: keras.Model, kernels: Sequence[Kernel], images: np.ndarray, labels: np.ndarray,
               rng: np.random.Generator, samples: int | None, chunk: int | None) -> list[tf.Tensor]:
  del rng, samples

  def given(logits: tf.Tensor, some: np.ndarray) -> tf.Tensor:
    return _at_labels(logits, some[None])

  return _mean_squares(model, kernels, images, labels, given, chunk or 100)


def _hutchinson(model: keras.Model, kernels: Sequence[Kernel], images: np.ndarray, labels: np.ndarray,
                rng: np.random.Generator, samples: int | None, chunk: int | None) -> list[np.ndarray]:
  variables = [kernel.variable for kernel in kernels]
  pieces, samples = chunks(images, labels, chunk or 100), samples or 10
  total: list[np.ndarray] = [np.zeros(kernel.shape, np.float32) for kernel in kernels]
  for _ in range(samples):
    signs = [rng.choice(np.array([-1, 1], np.float32), kernel.shape) for kernel in kernels]
    products = hessian_vector_product(model, variables, pieces, [tf.constant(sign) for sign in signs])
    total = [each + sign * product.numpy() for each, sign, product in zip(total, signs, products, strict=True)]
  return [np.maximum(each, 0) / samples for each in total]


_CURVATURES: dict[str, Callable[..., Sequence[npt.ArrayLike]]] = {
    'fisher': _fisher, 'empirical': _empirical, 'hutchinson': _hutchinson}


def _mean_squares(model: keras.Model, kernels: Sequence[Kernel], images: np.ndarray, extra: np.ndarray,
                  vectors_of: Callable[[tf.Tensor, np.ndarray], tf.Tensor], chunk: int) -> list[tf.Tensor]:
  # `extra` is cut into chunks along with the images and passed to `vectors_of`.
  squared_gradients = SquaredGradients(model, kernels)

  def squares(some_images: np.ndarray, some_extra: np.ndarray) -> list[tf.Tensor]:
    return squared_gradients(some_images, lambda logits: vectors_of(logits, some_extra))

  total = add_up(squares(some_images, some_extra) for some_images, some_extra, _ in chunks(images, extra, chunk))
  return [each / len(images) for each in total]


def _expected(logits: tf.Tensor, some: np.ndarray) -> tf.Tensor:
  del some
  # The vectors are the columns of diag(r) Q, so that the sum of their outer products is the expectation of a a^T, where
  # a is the gradient of log p(y) by the logits: that is diag(p) - p p^T = diag(r) (I - r r^T) diag(r) with r = sqrt(p),
  # and I - r r^T = Q Q^T. Q is Householder's reflection of r onto the first axis without its first column, so there is
  # one vector less than there are classes.
  root = tf.sqrt(tf.nn.softmax(logits))
  identity = tf.eye(logits.shape[-1])
  columns = identity[:, 1:] - (root + identity[0])[:, :, None] * (root[:, 1:] / (1 + root[:, :1]))[:, None, :]
  return tf.transpose(root[:, :, None] * columns, (2, 0, 1))


def _at_labels(logits: tf.Tensor, labels: np.ndarray) -> tf.Tensor:
  # The gradient of -log p(label) by the logits, for labels [V, B].
  if labels.max() >= logits.shape[-1]:
    raise UsageError(f'labels: found {labels.max()}; the model has {logits.shape[-1]} outputs')
  return tf.nn.softmax(logits) - tf.one_hot(labels, logits.shape[-1])
