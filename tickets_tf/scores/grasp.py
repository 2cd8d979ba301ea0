"""GraSP: a weight matters as much as the flow of gradients would lose without it."""

import math

import numpy as np

from tickets_tf.errors import UsageError
from tickets_tf.models import prunable_kernels
from tickets_tf.scores import modes
from tickets_tf.scores.gradients import checked_batch
from tickets_tf.scores.gradients import chunks
from tickets_tf.scores.gradients import gradient
from tickets_tf.scores.gradients import hessian_gradient_product
from tickets_tf.scores.gradients import hessian_vector_product


def grasp(model, images, labels, rng, chunk=100, temperature=200.0, reinitialise_classifier=False):
  """Scores by theta * (H g), the negative of what Wang et al. 2020, equation 8, remove from the highest down.

  The batch is cut into two halves. g is the sum over halves of the gradient of their mean cross-entropy, H g the sum
  of their Hessians' products with that g. Logits are divided by the temperature; batch norm is in training mode. As
  in `snip`, batch norm takes its statistics from one chunk of a half.

  Args:
    model: a built `tf_keras` model to logits.
    images: float32 [N, ...], normalised, at least two; the first N // 2 are the first half, so that the classes must
      take turns, as they do in `scoring_batches`.
    labels: int [N].
    rng: draws the classifier's weights.
    chunk: most images in memory at a time; each half is cut into the fewest parts, as equal as can be.
    temperature: what logits are divided by.
    reinitialise_classifier: whether to score with a classifier drawn afresh from Xavier's normal distribution
      (Glorot and Bengio 2010, equation 12), as the authors' code does, and which stays in the model: call it through
      `score_weights`, which takes it out.

  Returns:
    A list of float32 arrays, one per kernel.

  Raises:
    UsageError: where images or labels are missing or do not fit.
  """
  kernels = prunable_kernels(model)
  images, labels = checked_batch(images, labels)
  half = len(images) // 2
  if not half:
    raise UsageError('images: found 1; GraSP cuts the batch into two halves')
  if reinitialise_classifier:
    _reinitialise(kernels, rng)
  variables = [kernel.variable for kernel in kernels]
  pieces = chunks(images[:half], labels[:half], chunk) + chunks(images[half:], labels[half:], chunk)
  with modes.batch_statistics(model):
    if len(images) <= chunk:
      products = hessian_gradient_product(model, variables, pieces, temperature)
    else:
      gradients = gradient(model, variables, pieces, temperature)
      products = hessian_vector_product(model, variables, pieces, gradients, temperature)
  return [variable.numpy() * product.numpy() for variable, product in zip(variables, products)]


def _reinitialise(kernels, rng):
  for kernel in kernels:
    if kernel.classifier:
      deviation = math.sqrt(2 / sum(kernel.shape[-2:]))
      kernel.variable.assign(rng.normal(0, deviation, kernel.shape).astype(np.float32))
