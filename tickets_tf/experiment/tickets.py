"""Tickets: a mask and the weights that training starts from, and how a rule finds them."""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import pathlib
from typing import Any

from absl import logging
import numpy as np
import numpy.typing as npt
import tf_keras as keras

from tickets_tf import files
from tickets_tf import registry
from tickets_tf import scores as scoring
from tickets_tf import seeds
from tickets_tf.errors import UsageError
from tickets_tf.models import prunable_kernels
from tickets_tf.pruning import allocation as allocations
from tickets_tf.pruning import patterns
from tickets_tf.pruning import rules
from tickets_tf.pruning.kernels import Kernel
from tickets_tf.pruning.mask import Mask
from tickets_tf.pruning.mask import load_mask
from tickets_tf.runs import records


# From the number of a round to (images, labels) that its scores see.
Batches = Callable[[int], tuple[npt.ArrayLike, npt.ArrayLike]]


@dataclasses.dataclass(frozen=True, eq=False)
class Ticket:
  """A sparse subnetwork as a value.

  Attributes:
    mask: the `Mask`.
    weights: what `model.get_weights()` of the network gives with removed weights at zero: all variables, in order.
    provenance: dictionary of JSON values: rule, ratio, seed and whatever else tells where the ticket comes from.
  """
  mask: Mask
  weights: list[np.ndarray]
  provenance: dict[str, Any]

  def save(self, folder: str | pathlib.Path) -> None:
    """Writes the ticket into a folder, whole or not at all; nothing is pickled.

    Raises:
      TicketsError: if it cannot be written.
    """
    with files.replacing(folder) as temporary:
      temporary.mkdir()
      self.mask.save(temporary / 'mask.npz')
      arrays: dict[str, Any] = {f'{index:05d}': value for index, value in enumerate(self.weights)}
      np.savez(temporary / 'weights.npz', **arrays)
      records.write_json(temporary / 'provenance.json', self.provenance)

  @classmethod
  def load(cls, folder: str | pathlib.Path) -> 'Ticket':
    """Reads what `save` wrote.

    Raises:
      UsageError: if the folder holds no ticket, or a damaged one; the message names the file.
    """
    folder = pathlib.Path(folder)
    mask = load_mask(folder / 'mask.npz')
    path = folder / 'weights.npz'
    try:
      with np.load(path, allow_pickle=False) as stored:
        weights = [stored[key] for key in sorted(stored.files)]
    except (OSError, ValueError) as error:
      raise UsageError(f'{path}: cannot be read: {error}') from error
    return cls(mask, weights, records.read_json(folder / 'provenance.json'))


def find_ticket(model: keras.Model, rule: str | rules.Rule, ratio: float, images: npt.ArrayLike | None = None,
                labels: npt.ArrayLike | None = None, seed: int = 0, allocation: str = '', pattern: str = 'unstructured',
                start: Mask | None = None, regrow: bool = False,
                allocation_options: Mapping[str, Any] | None = None, batches: Batches | None = None,
                **options: Any) -> Ticket:
  """Finds the ticket that a rule's score and allocation choose in a network as it stands, in the rule's rounds.

  A rule that scores trained weights wants a trained network, and between its rounds trained tickets; `tickets_tf.train`
  takes care of that for whole runs.

  Args:
    model: a built `tf_keras` model to logits; it is left as it was.
    rule: the name of a rule or score, `package.module:name` of a score function, or a `Rule`.
    ratio: pruning ratio in [0, 1).
    images: float32 [N, height, width, channels], normalised, for scores that look at data.
    labels: int [N].
    seed: the run's seed.
    allocation: replaces the rule's allocation; empty keeps it.
    pattern: where kept weights may sit: a name in `registry.PATTERNS`, or `package.module:name`.
    start: what earlier rounds have kept; None: everything.
    regrow: whether weights that earlier rounds removed can come back.
    allocation_options: the allocation's own settings.
    batches: function from the number of a round, from 1, to the images and labels of that round, in place of `images`
      and `labels`.
    **options: the score's own settings.

  Returns:
    A `Ticket` with the weights of `model`.

  Raises:
    UsageError: for a rule, ratio or allocation that cannot be used.
    TicketsError: if a score is NaN or infinite; names the layer.
  """
  row = rule if isinstance(rule, rules.Rule) else rules.resolve(rule, allocation=allocation)
  ratio = ratio if row.prunes else 0.0
  kernels = prunable_kernels(model)
  mask = start
  scored = scoring.Rounds(model, row.score, row.rounds, seed, regrow, **options)
  for number, round_ratio in enumerate(rules.round_ratios(ratio, row.rounds), start=1):
    if batches is not None:
      images, labels = batches(number)
    scores = scored(images, labels, mask, round_ratio)
    mask = _keep(kernels, scores, round_ratio, row.allocation, pattern, seed, None if regrow else mask,
                 allocation_options)
  assert mask is not None, 'there is at least one round'
  _warn_of_broken_pattern(pattern, mask, kernels)
  provenance = {'score': str(row.score), 'allocation': str(row.allocation), 'pattern': pattern, 'ratio': ratio,
                'rounds': row.rounds, 'seed': seed}
  return Ticket(mask, _masked_weights(model, kernels, mask), provenance)


def _keep(kernels: Sequence[Kernel], scores: list[np.ndarray], ratio: float, allocation: Any, pattern: str, seed: int,
          candidates: Mask | None, options: Mapping[str, Any] | None) -> Mask:
  if candidates is not None:
    scores = patterns.last_if_removed(scores, candidates.arrays)
  counts = allocations.allocate(kernels, ratio, allocation, scores, seed, **(options or {}))
  if candidates is not None:
    counts = _within(counts, candidates.counts)
  kept = patterns.choose_lowered(registry.PATTERNS.get(pattern), kernels, scores, counts,
                                 seeds.generator(seed, 'select'), candidates)
  return Mask.from_arrays(kernels, kept)


def _warn_of_broken_pattern(pattern: str, mask: Mask, kernels: Sequence[Kernel]) -> None:
  broken = patterns.broken_by(registry.PATTERNS.get(pattern), mask, kernels)
  if broken:
    logging.warning('pattern %s: the allocation gives these layers more weights than it can hold: %s', pattern,
                    ', '.join(broken))


def _within(counts: Sequence[int], candidates: Sequence[int]) -> list[int]:
  # An allocation knows nothing of earlier rounds; what a layer no longer has is taken from the first that have more.
  within = [min(count, most) for count, most in zip(counts, candidates, strict=True)]
  surplus = sum(counts) - sum(within)
  for index, most in enumerate(candidates):
    taken = min(surplus, most - within[index])
    within[index] += taken
    surplus -= taken
  return within


def _masked_weights(model: keras.Model, kernels: Sequence[Kernel], mask: Mask) -> list[np.ndarray]:
  keep = {kernel.variable.ref(): mask[kernel.name] for kernel in kernels}
  return [value if variable.ref() not in keep else np.where(keep[variable.ref()], value, np.zeros_like(value))
          for variable, value in zip(model.weights, model.get_weights(), strict=True)]
