import numpy as np
import pytest

import tickets_tf


@pytest.fixture(scope='session')
def random_mask():
  """A function: a mask of a model that keeps each weight with probability `density`."""
  def build(model, density, seed):
    rng = np.random.default_rng(seed)
    kernels = tickets_tf.prunable_kernels(model)
    return tickets_tf.Mask((kernel.name, rng.random(kernel.shape) < density) for kernel in kernels)

  return build
