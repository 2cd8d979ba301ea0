"""The check that rearranges a mask and keeps as many weights on paths from input to output as the original does.

A random mask cuts more paths than one that was chosen, so `rearrange` changes two things: which weights are kept, and
how many of them do anything. Here weights on no path move to random places on paths of the same layer, or the other way
round, until both tickets have equally many.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from tickets_tf.checks import positions
from tickets_tf.checks.check import Changed
from tickets_tf.checks.check import Check
from tickets_tf.checks.check import Original
from tickets_tf.errors import TicketsError
from tickets_tf.pruning.kernels import Kernel
from tickets_tf.pruning.mask import Mask

TOLERANCE = 0.01  # of the original's weights on paths
_STARTS = 5  # random masks to start from, at most: one that cuts all paths shows no way back
_TRIES = 400  # masks whose paths are followed, at most
_PATIENCE = 40  # smallest moves that may fail one after the other


def rearrange_effective(original: Original, rng: np.random.Generator) -> Changed:
  """Rearranges the mask within each layer, with as many weights on paths as the original has.

  Args:
    original: the ticket to change.
    rng: draws the masks.

  Returns:
    (mask, weights, proof): that of `rearrange`, whose `effective` is that of the original or within `TOLERANCE` of it,
    and how many weights were on paths before they were matched.

  Raises:
    TicketsError: if the paths cannot be known, or the numbers cannot be matched.
  """
  wanted = positions.effective(original, original.mask)
  if wanted is None:
    raise TicketsError('the paths of this network cannot be known, so weights on them cannot be counted')
  for _ in range(_STARTS):
    start = positions.rearranged(original, rng)
    after = matched(original, start, wanted, rng)
    found = positions.on_paths(after, _live(original, after))
    if abs(found - wanted) <= TOLERANCE * wanted:
      break
  else:
    raise TicketsError(f'no rearranged mask was found with as many weights on paths: {found}, and {wanted} in the '
                       'original')
  proof = positions.mask_proof(original, after, positions.by_chance(original))
  return after, original.weights, {**proof, 'effective_unmatched': positions.effective(original, start)}


def matched(original: Original, mask: Mask, wanted: int, rng: np.random.Generator) -> Mask:
  """Moves weights of a mask within their layers until as many as wanted are on paths, or no move comes closer.

  Each move takes random weights of one side to random positions of the other. It is kept if it comes closer, so the
  search ends; if it does not, half as many move. If every position is on a path, a random output gives up its weights.

  Args:
    original: the ticket whose candidates and pattern hold.
    mask: the mask to start from.
    wanted: weights on paths to come to.
    rng: draws the moves.
  """
  live = _live(original, mask)
  gap = wanted - positions.on_paths(mask, live)
  step, failed = abs(gap), 0
  for _ in range(_TRIES):
    if not gap or failed == _PATIENCE:
      break
    moved = _moved(original, mask, live, min(step, abs(gap)), gap > 0, rng)
    if moved is None and gap < 0:
      moved = _vacated(original, mask, rng)
    if moved is None:
      break
    live_after = _live(original, moved)
    gap_after = wanted - positions.on_paths(moved, live_after)
    if abs(gap_after) < abs(gap):
      mask, live, gap, step, failed = moved, live_after, gap_after, 2 * step, 0
    else:
      step, failed = max(step // 2, 1), failed + (step == 1)
  return mask


def _moved(original: Original, mask: Mask, live: Mask, number: int, onto_paths: bool,
           rng: np.random.Generator) -> Mask | None:
  """Returns the mask after `number` weights have moved onto paths, or off them; None if none can."""
  here, there = [], []
  for name, keep in mask.items():
    on = live[name] if onto_paths else ~live[name]
    here.append(keep & ~on)
    there.append(_free(original, mask, name) & on)
  room = [int(min(np.count_nonzero(leaving), np.count_nonzero(free)))
          for leaving, free in zip(here, there, strict=True)]
  number = min(number, sum(room))
  if not number:
    return None
  counts = rng.multivariate_hypergeometric(room, number, method='marginals')
  return _exchanged(original, mask, here, there, counts, rng)


def _vacated(original: Original, mask: Mask, rng: np.random.Generator) -> Mask | None:
  """Returns the mask after a random output of a layer has given its weights to the others; None if none can."""
  kernels = positions.kernels_of(original)
  for chosen in rng.permutation(len(kernels)):
    arranged, kernel = kernels[chosen].arranged(mask.arrays[chosen]), kernels[chosen]
    filled = np.flatnonzero(arranged.any(axis=tuple(range(arranged.ndim - 1))))
    if len(filled) > 1:
      output = np.zeros_like(arranged)
      output[..., rng.choice(filled)] = True
      here, there = [np.zeros_like(keep) for keep in mask.arrays], [np.zeros_like(keep) for keep in mask.arrays]
      here[chosen] = kernel.restored(arranged & output)
      there[chosen] = _free(original, mask, kernel.name) & ~kernel.restored(output)
      counts = [int(np.count_nonzero(leaving)) for leaving in here]
      if counts[chosen] <= np.count_nonzero(there[chosen]):
        return _exchanged(original, mask, here, there, counts, rng)
  return None


def _free(original: Original, mask: Mask, name: str) -> npt.NDArray[np.bool_]:
  """Returns the candidates of a kernel that a mask does not keep."""
  return ~mask[name] if original.candidates is None else ~mask[name] & original.candidates[name]


def _exchanged(original: Original, mask: Mask, here: Sequence[npt.NDArray[np.bool_]],
               there: Sequence[npt.NDArray[np.bool_]], counts: Iterable[int], rng: np.random.Generator) -> Mask:
  """Returns the mask after random weights have moved: of each kernel so many from `here` to `there`."""
  scores = []
  for kernel, keep, leaving, free, count in zip(positions.kernels_of(original), mask.arrays, here, there, counts,
                                                strict=True):
    leaves, enters = (_drawn(original, kernel, each, int(count), rng) for each in (leaving, free))
    # What stays comes first, then what enters; what leaves comes last.
    scores.append(1 + 3 * (keep & ~leaves) + 2 * enters - leaves + rng.random(keep.shape) / 2)
  return positions.selected(original, scores, rng)


def _drawn(original: Original, kernel: Kernel, among: npt.NDArray[np.bool_], count: int,
           rng: np.random.Generator) -> npt.NDArray[np.bool_]:
  """Returns random positions, as many as `count`; under a pattern whole groups of them."""
  arranged = kernel.arranged(among)
  drawn = original.pattern.select(arranged + rng.random(arranged.shape) / 2, count, rng)
  return kernel.restored(drawn & arranged)


def _live(original: Original, mask: Mask) -> Mask:
  live = original.live(mask)
  assert live is not None, 'the paths of one mask can be known as well as those of another'
  return live


REARRANGE_EFFECTIVE = Check(
    'ticket', rearrange_effective, 'what are its positions worth, beyond the number of weights on paths?',
    'its mask is rearranged within each layer, with equally many weights on paths',
    'its choice of weights within a layer, beyond their number on paths', always=False)
