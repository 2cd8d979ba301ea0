"""Random scores: the ticket depends on the allocation alone."""

import numpy as np

from tickets_tf.models import prunable_kernels


def random(model, images, labels, rng):
  """Returns i.i.d. uniform scores in [0, 1), float32, one array per kernel."""
  del images, labels
  return [rng.random(kernel.shape, dtype=np.float32) for kernel in prunable_kernels(model)]
