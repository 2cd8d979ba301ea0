"""Gradient: a weight matters as much as the loss would fall if it grew."""

import numpy as np
import numpy.typing as npt
import tf_keras as keras

from tickets_tf.models import prunable_kernels
from tickets_tf.scores import modes
from tickets_tf.scores.gradients import checked_batch
from tickets_tf.scores.gradients import chunks
from tickets_tf.scores.gradients import gradient as loss_gradient


def gradient(model: keras.Model, images: npt.ArrayLike | None, labels: npt.ArrayLike | None,
             rng: np.random.Generator, chunk: int = 100) -> list[np.ndarray]:
  """Scores by |dL/dtheta|, by which RigL lets weights come back (Evci et al. 2020, section 3.4).

  L is the mean cross-entropy with batch norm in training mode, as for SNIP.

  Args:
    model: a built `tf_keras` model to logits.
    images: float32 [N, ...], normalised.
    labels: int [N].
    rng: not used.
    chunk: most images in memory at a time; batch norm takes its statistics from one chunk.

  Returns:
    One float32 array per kernel.

  Raises:
    UsageError: if images or labels are missing or do not fit.
  """
  del rng
  variables = [kernel.variable for kernel in prunable_kernels(model)]
  with modes.batch_statistics(model):
    gradients = loss_gradient(model, variables, chunks(*checked_batch(images, labels), chunk))
  return [np.abs(each.numpy()) for each in gradients]
