"""Ratios of measurements taken in turn, as text."""

import statistics
from collections.abc import Sequence


def in_turn(first: Sequence[float], second: Sequence[float]) -> list[float]:
  """Returns `first[i] / second[i]` of two lists of measurements taken in turn."""
  return [one / other for one, other in zip(first, second, strict=True)]


def text(ratios: Sequence[float]) -> str:
  """Returns the median of ratios and their range, as in `'1.02 (0.97 to 1.10)'`."""
  return f'{statistics.median(ratios):.3g} ({min(ratios):.3g} to {max(ratios):.3g})'
