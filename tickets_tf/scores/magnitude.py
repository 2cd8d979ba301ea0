"""Magnitude: the larger a weight, the more it matters."""

import numpy as np
import numpy.typing as npt
import tf_keras as keras

from tickets_tf.models import prunable_kernels
from tickets_tf.scores.score import data_free


@data_free
def magnitude(model: keras.Model, images: npt.ArrayLike | None, labels: npt.ArrayLike | None,
              rng: np.random.Generator) -> list[np.ndarray]:
  """Returns |theta|, float32, one array per kernel (Han et al. 2015)."""
  del images, labels, rng
  return [np.abs(kernel.variable.numpy()) for kernel in prunable_kernels(model)]
