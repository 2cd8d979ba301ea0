"""GraSP: a weight matters as much as the gradient flow shrinks without it."""

from collections.abc import Iterable
import math

import numpy as np
import numpy.typing as npt
import tf_keras as keras

from tickets_tf.errors import UsageError
from tickets_tf.models import prunable_kernels
from tickets_tf.pruning.kernels import Kernel
from tickets_tf.scores import modes
from tickets_tf.scores.gradients import checked_batch
from tickets_tf.scores.gradients import chunks
from tickets_tf.scores.gradients import gradient
from tickets_tf.scores.gradients import hessian_gradient_product
from tickets_tf.scores.gradients import hessian_vector_product


def grasp(model: keras.Model, images: npt.ArrayLike | None, labels: npt.ArrayLike | None, rng: np.random.Generator,
          chunk: int = 100, temperature: float = 200.0, reinitialise_classifier: bool = False) -> list[np.ndarray]:
  """Scores by theta * (H g), the negative of the score that Wang et al. 2020, equation 8, remove the highest of.

  The batch is cut into two halves. g is the sum over halves of the gradient of their mean cross-entropy, H g the sum
  of their Hessians' products with that g. Logits are divided by the temperature; batch norm is in training mode. As
  in `snip`, batch norm takes its statistics from one chunk of a half.

  Args:
    model: a built `tf_keras` model to logits.
    images: float32 [N, ...], normalised, at least two; the first N // 2 are the first half. The classes must take
      turns, as they do in `scoring_batches`, so that both halves have all of them.
    labels: int [N].
    rng: draws the classifier's weights.
    chunk: most images in memory at a time; each half is cut into `gradients.chunks`.
    temperature: what logits are divided by.
    reinitialise_classifier: whether to score with a new classifier, as the authors' code does, drawn from Xavier's
      normal distribution (Glorot and Bengio 2010, equation 12). It stays in the model: `score_weights` puts the old
      weights back.

  Returns:
    One float32 array per kernel.

  Raises:
    UsageError: if images or labels are missing or do not fit.
  """
  kernels = prunable_kernels(model)
  inputs, classes = checked_batch(images, labels)
  half = len(inputs) // 2
  if not half:
    raise UsageError('images: found 1; GraSP cuts the batch into two halves')
  if reinitialise_classifier:
    _reinitialise(kernels, rng)
  variables = [kernel.variable for kernel in kernels]
  pieces = chunks(inputs[:half], classes[:half], chunk) + chunks(inputs[half:], classes[half:], chunk)
  with modes.batch_statistics(model):
    if len(inputs) <= chunk:
      products = hessian_gradient_product(model, variables, pieces, temperature)
    else:
      gradients = gradient(model, variables, pieces, temperature)
      products = hessian_vector_product(model, variables, pieces, gradients, temperature)
  return [variable.numpy() * product.numpy() for variable, product in zip(variables, products, strict=True)]


def _reinitialise(kernels: Iterable[Kernel], rng: np.random.Generator) -> None:
  for kernel in kernels:
    if kernel.classifier:
      deviation = math.sqrt(2 / sum(kernel.shape[-2:]))
      kernel.variable.assign(rng.normal(0, deviation, kernel.shape).astype(np.float32))
