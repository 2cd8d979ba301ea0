"""Checks of the positions that a ticket keeps; weights stay as they are, and those at the new positions are used.

A ticket of many rounds of training is chosen from what the rounds before the last have kept, and so are these: all
other weights are zero by then. Su et al. 2020, section 3.
"""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tickets_tf.checks.check import Changed
from tickets_tf.checks.check import Check
from tickets_tf.checks.check import Original
from tickets_tf.errors import TicketsError
from tickets_tf.pruning import patterns
from tickets_tf.pruning.kernels import Kernel
from tickets_tf.pruning.mask import Mask


def rearrange(original: Original, rng: np.random.Generator) -> Changed:
  """Draws a random mask for each layer, with as many weights and the same pattern.

  Args:
    original: the ticket to change.
    rng: draws the masks.

  Returns:
    (mask, weights, proof): the share of kept weights that were not kept before, and the share expected by chance; the
    weights on paths before and after.
  """
  after = rearranged(original, rng)
  return after, original.weights, mask_proof(original, after, by_chance(original))


def rearrange_filters(original: Original, rng: np.random.Generator) -> Changed:
  """Draws a random mask for each output of each layer, with as many weights and the same pattern.

  Args:
    original: the ticket to change.
    rng: draws the masks.

  Returns:
    (mask, weights, proof): as `rearrange`, and whether each output has as many weights as before.
  """
  kernels, arrays, moved = kernels_of(original), [], 0.0
  for kernel in kernels:
    keep, candidates = (kernel.arranged(each[kernel.name]) for each in (original.mask, _candidates(original)))
    after = np.zeros_like(keep)
    for output in range(keep.shape[-1]):
      column = Kernel('output', keep[..., [output]].shape, kernel.kind)
      kept, free = (int(np.count_nonzero(each[..., output])) for each in (keep, candidates))
      moved += kept * (1 - kept / max(free, 1))
      after[..., [output]] = patterns.choose(original.pattern, [column], [rng.random(column.shape)], [kept], rng,
                                             {'output': candidates[..., [output]]})[0]
    arrays.append(kernel.restored(after))
  mask = Mask(zip(original.mask.names, arrays, strict=True))
  same = all(np.array_equal(_filter_counts(kernel, original.mask), _filter_counts(kernel, mask)) for kernel in kernels)
  return mask, original.weights, {**mask_proof(original, mask, moved), 'same_count_in_each_filter': same}


def rearrange_globally(original: Original, rng: np.random.Generator) -> Changed:
  """Draws a random mask for the whole network, with as many weights and the same pattern.

  Args:
    original: the ticket to change.
    rng: draws how many weights each layer keeps, and which.

  Returns:
    (mask, weights, proof): as `rearrange`, and whether the network has as many weights as before.
  """
  candidates, kept = _candidates(original), original.mask.kept
  sizes, arrays, surplus = candidates.counts, [], 0
  counts = rng.multivariate_hypergeometric(sizes, kept, method='marginals')
  for kernel, count, size in zip(kernels_of(original), counts, sizes, strict=True):
    # A pattern of groups keeps a few more or less than it is asked for, which the next layer makes up for.
    wanted = min(max(int(count) - surplus, 0), size)
    arrays += patterns.choose(original.pattern, [kernel], [rng.random(kernel.shape)], [wanted], rng, candidates)
    surplus += int(np.count_nonzero(arrays[-1])) - int(count)
  after = Mask(zip(original.mask.names, arrays, strict=True))
  proof = mask_proof(original, after, kept * (1 - kept / max(sum(sizes), 1)))
  return after, original.weights, {**proof, 'same_count': after.kept == kept}


def invert(original: Original, rng: np.random.Generator) -> Changed:
  """Keeps the lowest scores instead of the highest, as many in each layer as the original keeps.

  The scores are those that the weights had when the original was chosen from them. A rule that scores the
  initialisation in many rounds is asked in its first, because its later rounds do not score removed weights.

  Args:
    original: the ticket to change.
    rng: decides ties.

  Returns:
    (mask, weights, proof): the share of kept weights that were not kept before; the weights on paths before and after.
  """
  scores = [-np.asarray(score) for score in original.scores()]
  after = selected(original, scores, rng)
  return after, original.weights, mask_proof(original, after)


def confine(original: Original, rng: np.random.Generator, pattern: patterns.Pattern) -> Changed:
  """Takes the ticket that the same search finds under a pattern, which holds in every round.

  Args:
    original: the ticket to change.
    rng: not used.
    pattern: the pattern, for the proof.

  Returns:
    (mask, weights, proof): the share of kept weights that were not kept before, and the number of layers that do not
    have the pattern, before and after; the weights on paths before and after.
  """
  del rng
  if original.searched is None:
    raise TicketsError('expected a ticket whose search can be run again under the pattern')
  after, weights = original.searched()
  without = {f'layers_without_pattern_{when}': len(patterns.broken_by(pattern, mask, original.kernels))
             for when, mask in (('before', original.mask), ('after', after))}
  return after, weights, {**mask_proof(original, after), **without}


def rearranged(original: Original, rng: np.random.Generator) -> Mask:
  """Returns a random mask of the candidates, with as many weights in each layer and the same pattern."""
  return selected(original, [rng.random(shape) for shape in original.mask.shapes], rng)


def selected(original: Original, scores: Sequence[npt.NDArray[Any]], rng: np.random.Generator) -> Mask:
  """Returns the mask of the candidates with the highest scores, with the counts and the pattern of the original.

  Args:
    original: the ticket.
    scores: one array per kernel.
    rng: decides ties.
  """
  kept = patterns.choose(original.pattern, kernels_of(original), scores, original.mask.counts, rng,
                         original.candidates)
  return Mask(zip(original.mask.names, kept, strict=True))


def kernels_of(original: Original) -> Sequence[Kernel]:
  """Returns the kernels of a ticket; without any the arrays of its mask stand for them."""
  return original.kernels or [Kernel(name, keep.shape, 'conv') for name, keep in original.mask.items()]


def mask_proof(original: Original, after: Mask, moved: float | None = None) -> dict[str, Any]:
  """Returns the proof that another mask is kept.

  Args:
    original: the ticket.
    after: the other mask.
    moved: the number of kept weights that chance would put elsewhere; None if chance does not decide.
  """
  before = original.mask
  elsewhere = sum(int(np.count_nonzero(new & ~old)) for new, old in zip(after.arrays, before.arrays, strict=True))
  chance = {} if moved is None else {'expected_by_chance': round(moved / max(before.kept, 1), 4)}
  return {'kept_elsewhere': round(elsewhere / max(after.kept, 1), 4), **chance,
          'same_count_in_each_layer': after.counts == before.counts,
          'effective_before': effective(original, before), 'effective': effective(original, after)}


def effective(original: Original, mask: Mask) -> int | None:
  """Returns how many kept weights of a mask lie on paths from input to output; None if that cannot be known."""
  live = original.live(mask)
  return None if live is None else on_paths(mask, live)


def on_paths(mask: Mask, live: Mask) -> int:
  """Returns how many kept weights are at live positions."""
  return sum(int(np.count_nonzero(keep & live[name])) for name, keep in mask.items())


def by_chance(original: Original) -> float:
  """Returns how many kept weights a random mask of the same layer counts is expected to keep elsewhere."""
  sizes = _candidates(original).counts
  return sum(count * (1 - count / max(size, 1)) for count, size in zip(original.mask.counts, sizes, strict=True))


def _candidates(original: Original) -> Mask:
  return original.candidates or Mask((name, np.ones_like(keep)) for name, keep in original.mask.items())


def _filter_counts(kernel: Kernel, mask: Mask) -> npt.NDArray[np.int64]:
  arranged = kernel.arranged(mask[kernel.name])
  counts: npt.NDArray[np.int64] = arranged.sum(axis=tuple(range(arranged.ndim - 1)))
  return counts


REARRANGE = Check('ticket', rearrange, 'what are its positions worth, beyond its layer ratios?',
                  'its mask is rearranged within each layer', 'its choice of weights within a layer')
REARRANGE_FILTERS = Check('ticket', rearrange_filters,
                          'what are its positions worth, beyond its counts per filter?',
                          'its mask is rearranged within each filter', 'its choice of weights within a filter',
                          always=False)
REARRANGE_GLOBALLY = Check('ticket', rearrange_globally,
                           'what are its positions and layer ratios worth together?',
                           'its mask is rearranged over the whole network', 'its choice of weights',
                           always=False)
INVERT = Check('ticket', invert, 'what is the order of its scores worth?',
               'the lowest scores are kept instead of the highest', 'the order of its scores within a layer',
               of_scores=True)
PATTERN_1X4 = Check('ticket', functools.partial(confine, pattern=patterns.BLOCKS_OF_FOUR),
                    'what do blocks of 4 inputs cost it?', 'its weights are kept in blocks of 4 inputs',
                    'the freedom to keep single weights', always=False, pattern='1x4')
PATTERN_2_4 = Check('ticket', functools.partial(confine, pattern=patterns.TWO_OF_FOUR),
                    'what does at most 2 of every 4 inputs cost it?', 'at most 2 of every 4 inputs are kept',
                    'the freedom to keep more than 2 of 4 inputs', always=False, pattern='2:4')
