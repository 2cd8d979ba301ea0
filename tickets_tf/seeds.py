"""The only source of random numbers: each stream belongs to a run's seed and the purpose of the numbers.

Two purposes never share a stream, so drawing more numbers for one does not change another.
"""

import zlib

import numpy as np


def _sequence(seed: int, purpose: tuple[str | int, ...]) -> np.random.SeedSequence:
  return np.random.SeedSequence([seed, *(zlib.crc32(str(part).encode()) for part in purpose)])


def generator(seed: int, *purpose: str | int) -> np.random.Generator:
  """Returns the NumPy generator of one purpose.

  Args:
    seed: the run's seed, at least 0.
    *purpose: what the numbers are for, e.g. `'scoring', 3`.

  Returns:
    A fresh generator; the same arguments give the same numbers in every process.
  """
  return np.random.default_rng(_sequence(seed, purpose))


def of_phase(seed: int, phase: int) -> int:
  """Returns the seed of one of the trainings that lead to a ticket, so that each sees its images in another order.

  Args:
    seed: the seed of the order, at least 0.
    phase: 0 for the training of the dense network, r for that of the ticket after r rounds.

  Returns:
    The seed; `seed` itself for the ticket after one round, which most runs train.
  """
  return seed if phase == 1 else integer(seed, 'phase', phase)


def integer(seed: int, *purpose: str | int) -> int:
  """Returns the seed of one purpose as an integer in [0, 2**31), for TensorFlow's random functions."""
  return int(_sequence(seed, purpose).generate_state(1)[0] >> 1)
