"""SNIP: a weight matters as much as the loss reacts to its removal."""

import numpy as np
import numpy.typing as npt
import tf_keras as keras

from tickets_tf.models import prunable_kernels
from tickets_tf.scores.gradient import loss_gradients


def snip(model: keras.Model, images: npt.ArrayLike | None, labels: npt.ArrayLike | None, rng: np.random.Generator,
         chunk: int = 100) -> list[np.ndarray]:
  """Scores by connection sensitivity, |theta * dL/dtheta| (Lee et al. 2019, equation 5, not normalised).

  L is the mean cross-entropy with batch norm in training mode. Batch norm takes its statistics from one chunk, so
  `chunk` is part of the definition if the network has batch norm and the batch is larger; L is then the mean over all
  images, each normalised with its chunk. The paper scores CIFAR-10 with 10 x 10 images, which are one chunk.

  Args:
    model: a built `tf_keras` model to logits.
    images: float32 [N, ...], normalised.
    labels: int [N].
    rng: not used.
    chunk: most images in memory at a time, see `gradients.chunks`.

  Returns:
    One float32 array per kernel.

  Raises:
    UsageError: if images or labels are missing or do not fit.
  """
  del rng
  kernels = prunable_kernels(model)
  gradients = loss_gradients(kernels, model, images, labels, chunk)
  scores = [kernel.variable.numpy() * each for kernel, each in zip(kernels, gradients, strict=True)]
  return [np.abs(each, out=each) for each in scores]
