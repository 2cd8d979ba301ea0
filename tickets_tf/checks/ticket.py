"""Checks of the ticket that a rule has found: its mask, or the weights under it. Su et al. 2020, section 3."""

import functools

import numpy as np

from tickets_tf.pruning import selection
from tickets_tf.pruning import patterns
from tickets_tf.checks.check import TICKET
from tickets_tf.checks.check import Check
from tickets_tf.pruning.mask import Mask


def rearrange(original, rng):
  """Draws the mask of each layer afresh, as many weights and the same pattern; the weights under it are the original's.

  Args:
    original: the `Original`.
    rng: `numpy.random.Generator`.

  Returns:
    (mask, weights, proof): the share of kept weights that were not kept before, and the share that chance expects.
  """
  before = original.mask
  after = _selected(original, [rng.random(shape) for shape in before.shapes], original.pattern, rng)
  expected = sum(count * (1 - ratio) for count, ratio in zip(before.counts, before.keep_ratios)) / max(before.kept, 1)
  return after, original.weights, {**_mask_proof(before, after), 'expected_by_chance': round(expected, 4)}


def shuffle_weights(original, rng):
  """Permutes the kept weights of each layer among its kept positions.

  Args:
    original: the `Original`.
    rng: `numpy.random.Generator`.

  Returns:
    (mask, weights, proof): the share of kept weights with another value than before, and that the values are the same.
  """
  weights = {}
  for name, keep in original.mask.items():
    weights[name] = original.weights[name].copy()
    weights[name][keep] = rng.permutation(original.weights[name][keep])
  same = all(np.array_equal(np.sort(weights[name][keep]), np.sort(original.weights[name][keep]))
             for name, keep in original.mask.items())
  return original.mask, weights, {**_weights_proof(original, weights), 'same_values_in_each_layer': same}


def reinitialise(original, rng):
  """Draws the weights afresh from the layers' initialisers; the mask stays, and so do biases and batch norm.

  Args:
    original: the `Original`.
    rng: not used; `original.fresh` has randomness of its own.

  Returns:
    (mask, weights, proof): the share of kept weights with another value than before, and how large they are by root
    mean square, before and after.
  """
  del rng
  weights = original.fresh()
  sizes = [float(np.sqrt(np.mean(np.concatenate([each[name][keep] for name, keep in original.mask.items()])**2)))
           for each in (original.weights, weights)]
  return original.mask, weights, {**_weights_proof(original, weights),
                                  'root_mean_square_before': round(sizes[0], 6), 'root_mean_square': round(sizes[1], 6)}


def invert(original, rng):
  """Keeps the lowest scores instead of the highest, as many in each layer as the original keeps.

  The scores are those of the network before any weight was removed. (A rule of several rounds has scores of removed
  weights nowhere else.)

  Args:
    original: the `Original`.
    rng: `numpy.random.Generator`, for ties.

  Returns:
    (mask, weights, proof): the share of kept weights that were not kept before.
  """
  before = original.mask
  after = _selected(original, [-np.asarray(score) for score in original.scores()], original.pattern, rng)
  return after, original.weights, _mask_proof(before, after)


def confine(original, rng, pattern):
  """Keeps the highest scores of each layer under a pattern, as many weights, up to one group of it, as before.

  Args:
    original: the `Original`.
    rng: `numpy.random.Generator`, for ties.
    pattern: the `Pattern`.

  Returns:
    (mask, weights, proof): the share of kept weights that were not kept before, and the layers that do not have the
    pattern before and after.
  """
  after = _selected(original, original.scores(), pattern, rng)
  without = {f'layers_without_pattern_{when}': len(patterns.broken_by(pattern, mask))
             for when, mask in (('before', original.mask), ('after', after))}
  return after, original.weights, {**_mask_proof(original.mask, after), **without}


def _selected(original, scores, pattern, rng):
  before = original.mask
  return Mask(zip(before.names, selection.select(scores, before.counts, rng, before.names, pattern.select)))


def _mask_proof(before, after):
  moved = sum(int(np.count_nonzero(new & ~old)) for new, old in zip(after.arrays, before.arrays))
  return {'kept_elsewhere': round(moved / max(before.kept, 1), 4),
          'same_count_in_each_layer': after.counts == before.counts}


def _weights_proof(original, weights):
  changed = sum(int(np.count_nonzero(weights[name][keep] != original.weights[name][keep]))
                for name, keep in original.mask.items())
  return {'kept_weights_changed': round(changed / max(original.mask.kept, 1), 4)}


REARRANGE = Check(TICKET, rearrange, 'does the architecture it finds matter, beyond the layer ratios?',
                  'its mask is rearranged within each layer', 'which weights of a layer it keeps')
SHUFFLE_WEIGHTS = Check(TICKET, shuffle_weights, 'do the weights\' positions matter?',
                        'its kept weights change places within each layer', 'where in a layer each weight is')
REINITIALISE = Check(TICKET, reinitialise, 'do the weights matter?', 'its weights are drawn afresh',
                     'the weights that it starts from')
INVERT = Check(TICKET, invert, 'does the score matter?', 'the lowest scores are kept instead of the highest',
               'the order of its scores within a layer', of_scores=True)
PATTERN_1X4 = Check(TICKET, functools.partial(confine, pattern=patterns.BLOCKS_OF_FOUR),
                    'may the kept weights sit in blocks of 4 inputs?', 'its weights are kept in blocks of 4 inputs',
                    'the freedom to keep single weights', always=False, of_scores=True)
PATTERN_2_4 = Check(TICKET, functools.partial(confine, pattern=patterns.TWO_OF_FOUR),
                    'may at most 2 of every 4 inputs be kept?', 'at most 2 of every 4 inputs are kept',
                    'the freedom to keep more than 2 of 4 inputs', always=False, of_scores=True)
