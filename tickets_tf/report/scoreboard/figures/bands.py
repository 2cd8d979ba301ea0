"""Simultaneous intervals of mean accuracies: the bands of plots."""

import math

import numpy as np

from tickets_tf.judging import bounds
from tickets_tf.judging import estimates
from tickets_tf.report import drawing
from tickets_tf.report.scoreboard.cells import Table

ALPHA = 0.05


def bands(table: Table) -> dict[tuple[str, float], tuple[float, float]]:
  """Returns intervals of mean accuracies in percent that hold together, for all cells of a table, with 1 - ALPHA.

  mean +- c sqrt(v / n), with the moderated variance v (`judging.estimates.moderate`, Smyth 2004) of n accuracies, the
  ratios of a method being the group that shares what is known of variances. c is Sidak's (1967) for as many means,
  which `judging.bounds.critical_value` is where nothing is shared: groups of one comparison. His inequality holds
  whatever the means have in common, as seeds do.

  Args:
    table: the table.

  Returns:
    (low, high) by (method, ratio); cells with fewer than 3 seeds have none.
  """
  seeds = max(len(cell.runs) for cell in table.cells.values())
  values = np.full((len(table.methods), len(table.ratios), seeds), np.nan)
  for (method, ratio), cell in table.cells.items():
    accuracies = drawing.numbers(cell.accuracies.accuracies)
    values[table.methods.index(method), table.ratios.index(ratio), :len(accuracies)] = accuracies
  there = np.isfinite(values)
  counts = there.sum(-1)
  means = np.where(there, values, 0).sum(-1) / np.maximum(counts, 1)
  squares = (np.where(there, values - means[..., np.newaxis], 0)**2).sum(-1)
  # Accuracies are rounded to whole images, and a few that are equal are not certain.
  sample = np.maximum(squares / np.maximum(counts - 1, 1), (100 / max(table.size.test, 1))**2 / 12)
  enough = counts >= estimates.MINIMUM
  prior, variances = estimates.moderate(sample, np.where(enough, counts, 0))
  arms = enough.sum(-1)
  found = {}
  for row, column in zip(*np.nonzero(enough), strict=True):
    own = int(counts[row, column]) - 1
    freedom = int(min(prior + own, own * arms[row]) + 1e-9)
    c = bounds.critical_value(int(enough.sum()), 1, freedom, ALPHA)
    reach = c * math.sqrt(variances[row, column] / counts[row, column])
    mean = float(means[row, column])
    found[table.methods[row], table.ratios[column]] = (mean - reach, mean + reach)
  return found
