"""Magnitude: a weight matters as much as it is large."""

import numpy as np

from tickets_tf.models import prunable_kernels


def magnitude(model, images, labels, rng):
  """Returns |theta|, float32, one array per kernel (Han et al. 2015)."""
  del images, labels, rng
  return [np.abs(kernel.variable.numpy()) for kernel in prunable_kernels(model)]
