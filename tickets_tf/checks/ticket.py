"""Checks of the ticket that a rule has found: its mask, or the weights under it. Su et al. 2020, section 3."""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tickets_tf.checks.check import Check
from tickets_tf.checks.check import Original
from tickets_tf.checks.check import Weights
from tickets_tf.pruning import patterns
from tickets_tf.pruning.kernels import Kernel
from tickets_tf.pruning.mask import Mask

_Changed = tuple[Mask, Weights, dict[str, Any]]


def rearrange(original: Original, rng: np.random.Generator) -> _Changed:
  """Draws a random mask for each layer, with as many weights and the same pattern; the weights do not change.

  Args:
    original: the ticket to change.
    rng: draws the masks.

  Returns:
    (mask, weights, proof): the share of kept weights that were not kept before, and the share expected by chance.
  """
  before = original.mask
  after = _selected(original, [rng.random(shape) for shape in before.shapes], original.pattern, rng)
  moved = sum(count * (1 - ratio) for count, ratio in zip(before.counts, before.keep_ratios, strict=True))
  expected = moved / max(before.kept, 1)
  return after, original.weights, {**_mask_proof(before, after), 'expected_by_chance': round(expected, 4)}


def shuffle_weights(original: Original, rng: np.random.Generator) -> _Changed:
  """Permutes the kept weights of each layer among its kept positions.

  Args:
    original: the ticket to change.
    rng: draws the permutations.

  Returns:
    (mask, weights, proof): the share of kept weights whose value has changed, and whether each layer has the same
    values as before.
  """
  weights = {}
  for name, keep in original.mask.items():
    weights[name] = original.weights[name].copy()
    weights[name][keep] = rng.permutation(original.weights[name][keep])
  same = all(np.array_equal(np.sort(weights[name][keep]), np.sort(original.weights[name][keep]))
             for name, keep in original.mask.items())
  return original.mask, weights, {**_weights_proof(original, weights), 'same_values_in_each_layer': same}


def reinitialise(original: Original, rng: np.random.Generator) -> _Changed:
  """Draws the weights again from the layers' initialisers; mask, biases and batch norm do not change.

  Args:
    original: the ticket to change.
    rng: not used; `original.fresh` draws from a generator of its own.

  Returns:
    (mask, weights, proof): the share of kept weights whose value has changed, and their root mean square before and
    after.
  """
  del rng
  weights = original.fresh()
  sizes = [float(np.sqrt(np.mean(np.concatenate([each[name][keep] for name, keep in original.mask.items()])**2)))
           for each in (original.weights, weights)]
  return original.mask, weights, {**_weights_proof(original, weights),
                                  'root_mean_square_before': round(sizes[0], 6), 'root_mean_square': round(sizes[1], 6)}


def invert(original: Original, rng: np.random.Generator) -> _Changed:
  """Keeps the lowest scores instead of the highest, as many in each layer as the original keeps.

  The scores are those of the network before any weight was removed, because the later rounds of a rule do not score
  removed weights.

  Args:
    original: the ticket to change.
    rng: decides ties.

  Returns:
    (mask, weights, proof): the share of kept weights that were not kept before.
  """
  before = original.mask
  after = _selected(original, [-np.asarray(score) for score in original.scores()], original.pattern, rng)
  return after, original.weights, _mask_proof(before, after)


def confine(original: Original, rng: np.random.Generator, pattern: patterns.Pattern) -> _Changed:
  """Keeps the highest scores of each layer that a pattern allows, as many weights as before up to one group.

  Args:
    original: the ticket to change.
    rng: decides ties.
    pattern: the pattern.

  Returns:
    (mask, weights, proof): the share of kept weights that were not kept before, and the number of layers that do not
    have the pattern, before and after.
  """
  after = _selected(original, original.scores(), pattern, rng)
  without = {f'layers_without_pattern_{when}': len(patterns.broken_by(pattern, mask, original.kernels))
             for when, mask in (('before', original.mask), ('after', after))}
  return after, original.weights, {**_mask_proof(original.mask, after), **without}


def _selected(original: Original, scores: Sequence[npt.NDArray[Any]], pattern: patterns.Pattern,
              rng: np.random.Generator) -> Mask:
  before = original.mask
  kernels = original.kernels or [Kernel(name, keep.shape, 'conv') for name, keep in before.items()]
  kept = patterns.choose(pattern, kernels, scores, before.counts, rng)
  return Mask(zip(before.names, kept, strict=True))


def _mask_proof(before: Mask, after: Mask) -> dict[str, Any]:
  moved = sum(int(np.count_nonzero(new & ~old)) for new, old in zip(after.arrays, before.arrays, strict=True))
  return {'kept_elsewhere': round(moved / max(before.kept, 1), 4),
          'same_count_in_each_layer': after.counts == before.counts}


def _weights_proof(original: Original, weights: Weights) -> dict[str, Any]:
  changed = sum(int(np.count_nonzero(weights[name][keep] != original.weights[name][keep]))
                for name, keep in original.mask.items())
  return {'kept_weights_changed': round(changed / max(original.mask.kept, 1), 4)}


REARRANGE = Check('ticket', rearrange, 'does the architecture it finds matter, beyond the layer ratios?',
                  'its mask is rearranged within each layer', 'which weights of a layer it keeps')
SHUFFLE_WEIGHTS = Check('ticket', shuffle_weights, 'do the weights\' positions matter?',
                        'its kept weights change places within each layer', 'where in a layer each weight is')
REINITIALISE = Check('ticket', reinitialise, 'do the weights matter?', 'its weights are drawn afresh',
                     'the weights that it starts from')
INVERT = Check('ticket', invert, 'does the score matter?', 'the lowest scores are kept instead of the highest',
               'the order of its scores within a layer', of_scores=True)
PATTERN_1X4 = Check('ticket', functools.partial(confine, pattern=patterns.BLOCKS_OF_FOUR),
                    'may the kept weights sit in blocks of 4 inputs?', 'its weights are kept in blocks of 4 inputs',
                    'the freedom to keep single weights', always=False, of_scores=True)
PATTERN_2_4 = Check('ticket', functools.partial(confine, pattern=patterns.TWO_OF_FOUR),
                    'may at most 2 of every 4 inputs be kept?', 'at most 2 of every 4 inputs are kept',
                    'the freedom to keep more than 2 of 4 inputs', always=False, of_scores=True)
