"""The one place that randomness comes from: a run's seed and the purpose that the numbers serve.

Two purposes never share a stream, so drawing more numbers for one changes nothing in another.
"""

import zlib

import numpy as np


def _sequence(seed, purpose):
  return np.random.SeedSequence([seed, *(zlib.crc32(str(part).encode()) for part in purpose)])


def generator(seed, *purpose):
  """Returns the NumPy generator of one purpose.

  Args:
    seed: the run's seed, an integer of at least 0.
    *purpose: strings or integers that name what the numbers are for, e.g. `'scoring', 3`.

  Returns:
    A fresh `numpy.random.Generator`; the same arguments give the same numbers in every process.
  """
  return np.random.default_rng(_sequence(seed, purpose))


def integer(seed, *purpose):
  """Returns the seed of one purpose as an integer in [0, 2**31), for TensorFlow's random functions."""
  return int(_sequence(seed, purpose).generate_state(1)[0] >> 1)
