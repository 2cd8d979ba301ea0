"""Selecting weights against sorting them."""

import time
from collections.abc import Callable

import numpy as np

from tickets_tf import seeds
from tickets_tf.pruning import selection


def select_over_sort(size: int = 20_000_000, ratio: float = 0.98, rounds: int = 5) -> tuple[list[float], float]:
  """Times the selection of the highest of random scores against `np.sort` of them, in turn.

  Args:
    size: number of weights, in one layer.
    ratio: pruning ratio.
    rounds: pairs of measurements.

  Returns:
    (ratios, seconds of the slowest selection).
  """
  scores = seeds.generator(0, 'selection').random(size, dtype=np.float32)
  keep = int(size * (1 - ratio))
  found = [(_seconds(lambda: selection.select([scores], [keep], seeds.generator(0, 'select'))),
            _seconds(lambda: np.sort(scores))) for _ in range(rounds)]
  return [select / sort for select, sort in found], max(select for select, _ in found)


def _seconds(function: Callable[[], object]) -> float:
  start = time.perf_counter()
  function()
  return time.perf_counter() - start
