"""Selection: the scores of a layer and the number of weights to keep, made into a mask with exactly that many."""

import operator

import numpy as np

from tickets_tf.errors import TicketsError, UsageError


def check_scores(scores, names=None):
  """Checks that every score is a finite real number.

  Args:
    scores: one array per layer.
    names: the layers' names for messages, or None for their numbers.

  Returns:
    The scores as a list of NumPy arrays, not copied where they were NumPy arrays already.

  Raises:
    UsageError: where names and scores differ in number, or scores are no numbers.
    TicketsError: where a score is NaN or infinite; names the first such layer.
  """
  scores = [np.asarray(layer) for layer in scores]
  names = _names(names, len(scores))
  for name, layer in zip(names, scores):
    if layer.dtype.kind not in 'biuf':
      raise UsageError(f'scores of {name}: expected real numbers, found dtype {layer.dtype}')
    # The extremes inherit any NaN or infinity and need no second array of the layer's size.
    if layer.size and not (np.isfinite(layer.min()) and np.isfinite(layer.max())):
      bad = layer.size - np.count_nonzero(np.isfinite(layer))
      raise TicketsError(f'scores of {name}: {bad} of {layer.size} are NaN or infinite')
  return scores


def highest(scores, count, rng):
  """Returns the mask of the highest scores of one layer; equal scores at the edge are drawn by lot.

  Args:
    scores: array of any shape, real dtype, finite.
    count: weights to keep, from 0 to the array's size.
    rng: `numpy.random.Generator` that decides ties.

  Returns:
    A boolean array of the scores' shape with exactly `count` entries true.
  """
  if count in (0, scores.size):
    return np.full(scores.shape, count > 0)
  threshold = np.partition(scores, scores.size - count, axis=None)[scores.size - count]
  kept = scores > threshold
  tied = scores == threshold
  # Shuffled booleans rather than random sort keys: one byte for each tied weight, and no second tie.
  drawn = np.zeros(np.count_nonzero(tied), dtype=bool)
  drawn[:count - np.count_nonzero(kept)] = True
  if not drawn.all():
    rng.shuffle(drawn)
  kept[tied] = drawn
  return kept


def select(scores, counts, rng, names=None, keep=highest):
  """Keeps the highest scores of every layer, as far as a pattern allows; equal scores are drawn by lot.

  Args:
    scores: one array per layer, any shapes, real dtypes.
    counts: weights to keep per layer, integers.
    rng: `numpy.random.Generator` that decides ties.
    names: the layers' names for messages, or None for their numbers.
    keep: function(scores, count, rng) -> mask of one layer, as `highest` or the `select` of a `Pattern`.

  Returns:
    One boolean array per layer, of the layer's shape, with exactly `counts[i]` entries true, or as many as the pattern
    makes of them.

  Raises:
    UsageError: where scores, counts and names differ in number, a count is not in [0, layer size], or `keep` gives no
      mask.
    TicketsError: where a score is NaN or infinite; names the layer.
  """
  scores = check_scores(scores, names)
  names, counts = _names(names, len(scores)), list(counts)
  if len(counts) != len(scores):
    raise UsageError(f'{len(counts)} counts for the scores of {len(scores)} layers')
  for name, layer, count in zip(names, scores, counts):
    if not is_count(count, layer.size):
      raise UsageError(f'count of {name}: {count!r}; expected an integer from 0 to {layer.size}')
  kept = [np.asarray(keep(layer, int(count), rng)) for layer, count in zip(scores, counts)]
  for name, layer, mask in zip(names, scores, kept):
    if mask.dtype != bool or mask.shape != layer.shape:
      raise UsageError(f'pattern of {name}: expected booleans of shape {layer.shape}, found {mask.dtype} of shape '
                       f'{mask.shape}')
  return kept


def is_count(count, size):
  """Returns whether `count` is an integer, of Python or NumPy, from 0 to `size`."""
  try:
    return 0 <= operator.index(count) <= size
  except TypeError:
    return False


def _names(names, number):
  names = [f'layer {index + 1}' for index in range(number)] if names is None else list(names)
  if len(names) != number:
    raise UsageError(f'{len(names)} names for the scores of {number} layers')
  return names
