"""Accuracies and p-values that are made up, and verdicts of many simulated families at once."""

import math

import numpy as np
from scipy import stats

from tickets_tf.judging import comparison
from tickets_tf.judging import correction

ORIGINAL = [91.2, 90.4, 92.1, 91.7, 90.9]
CHECKED = [90.1, 89.9, 90.8, 91.2, 89.7]
RUNS = 10000
FAMILIES = {
    'all at the margin': ([0.5] * 8, 0.01),
    'all at the margin, wide': ([0.5] * 8, 0.3),
    'all at zero': ([0.0] * 8, 3.0),
    'all better': ([-0.5] * 8, 1.0),
    'mixed': ([0.5, 0.5, -0.5, 0.0, 0.2, 3.0, 0.0, 0.5], 0.2),
    'mixed, wide': ([0.5, 0.5, -0.5, 0.0, 0.2, 3.0, 0.0, 0.0], 2.0)}


def at_most(rate, runs):
  """Highest count that an error rate of `rate` gives in `runs` runs, but for one time in 10 000."""
  return stats.binom.ppf(0.9999, runs, rate)


def at_least(rate, runs):
  return stats.binom.ppf(0.0001, runs, rate)


def differences(seed, *shape, drop=0.0, deviation=1.0):
  return drop + deviation * np.random.default_rng(seed).standard_normal(shape)


def outcomes(values, alpha=0.05, margin=0.5, resolution=0.0):
  """Verdicts of families, (runs, family), from differences (runs, family, n)."""
  drop, n = values.mean(-1), values.shape[-1]
  p_values = comparison.p_values(drop, comparison.tested_deviation(values.std(-1, ddof=1), resolution), n, margin)
  return correction.decide(drop, margin, *p_values, alpha)[0]


def made_up(p_equivalent=1.0, p_drop=1.0, drop=0.0, n=5):
  interval = (drop - 1, drop + 1)
  return comparison.Comparison(n, 90.0, 1.0, 90.0 - drop, 1.0, drop, 1.0, interval, 0.5, 0.0, p_equivalent, p_drop)


def wrong(found, drops, margin=0.5):
  drops = np.array(drops)
  return ((found == 'insensitive') & (np.abs(drops) >= margin)) | ((found == 'sensitive') & (drops <= 0))


def family_differences(seed, drops, deviation, n, shared, runs=RUNS):
  """Differences (runs, family, n) where a share of the variance comes from the common original."""
  own = differences(seed, runs, len(drops), n)
  common = differences(seed + 1000, runs, 1, n)
  return np.array(drops)[:, np.newaxis] + deviation * (math.sqrt(shared) * common + math.sqrt(1 - shared) * own)
