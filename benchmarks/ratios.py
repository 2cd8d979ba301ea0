"""Ratios of measurements taken in turn, as text."""

import statistics


def in_turn(first, second):
  """Returns `first[i] / second[i]` of two lists of measurements taken in turn, a list."""
  return [one / other for one, other in zip(first, second, strict=True)]


def text(ratios):
  """Returns the median of ratios and what they lie between, as in `'1.02 (0.97 to 1.10)'`."""
  return f'{statistics.median(ratios):.3g} ({min(ratios):.3g} to {max(ratios):.3g})'
