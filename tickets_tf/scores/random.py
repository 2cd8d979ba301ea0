"""Random scores: the ticket depends on the allocation alone."""

import numpy as np
import numpy.typing as npt
import tf_keras as keras

from tickets_tf.models import prunable_kernels
from tickets_tf.scores.score import data_free


@data_free
def random(model: keras.Model, images: npt.ArrayLike | None, labels: npt.ArrayLike | None,
           rng: np.random.Generator) -> list[np.ndarray]:
  """Returns i.i.d. uniform scores in [0, 1), float32, one array per kernel."""
  del images, labels
  return [rng.random(kernel.shape, dtype=np.float32) for kernel in prunable_kernels(model)]
