"""Gradient: a weight matters as much as the loss would fall if it grew."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import tf_keras as keras

from tickets_tf.models import prunable_kernels
from tickets_tf.pruning.kernels import Kernel
from tickets_tf.scores import modes
from tickets_tf.scores.gradients import checked_batch
from tickets_tf.scores.gradients import chunks
from tickets_tf.scores.gradients import gradient as total_gradient


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
  return [np.abs(each) for each in loss_gradients(prunable_kernels(model), model, images, labels, chunk)]


def loss_gradients(kernels: Sequence[Kernel], model: keras.Model, images: npt.ArrayLike | None,
                   labels: npt.ArrayLike | None, chunk: int) -> list[np.ndarray]:
  """Returns the gradients of the loss that `gradient` describes by kernels, one float32 array each."""
  variables = [kernel.variable for kernel in kernels]
  with modes.batch_statistics(model, derivatives=1):
    pieces = chunks(*checked_batch(images, labels), chunk)
    return [np.asarray(each) for each in total_gradient(model, variables, pieces)]
