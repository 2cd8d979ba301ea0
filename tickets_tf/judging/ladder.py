"""The ladder that takes a ticket apart: positions, layer ratios, smartness; and the closed-form ratios nearest to it.

original -> the same layer ratios, positions at random -> smart ratios, positions at random (luck) -> uniform ratios.
"""

from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import dataclasses

from absl import logging
import numpy as np

from tickets_tf import registry
from tickets_tf.errors import UsageError
from tickets_tf.judging.question import POSITIONS
from tickets_tf.judging.question import RATIOS
from tickets_tf.judging.question import SMARTNESS
from tickets_tf.judging.question import Question
from tickets_tf.pruning.kernels import Kernel
from tickets_tf.pruning.rules import RULES
from tickets_tf.runs.canonical import NO_UPDATES
from tickets_tf.runs.records import Layer
from tickets_tf.runs.records import Record
from tickets_tf.runs.run import Run

_REARRANGE = 'rearrange'


@dataclasses.dataclass(frozen=True)
class Rungs:
  """The tickets of one ladder, and the questions between them.

  Attributes:
    rule: the run of the original ticket with any seed.
    names: what stands on the rungs, from the top.
    tickets: the run of each rung with any seed.
    steps: the question from each rung to the next.
  """
  rule: Run
  names: tuple[str, ...]
  tickets: tuple[Run, ...]
  steps: tuple[Question, ...]

  def runs(self, seed: int) -> tuple[Run, ...]:
    """Returns the run of each rung with a seed."""
    return tuple(ticket.replace(seed=seed) for ticket in self.tickets)


def rungs(rule: Run, luck: Run) -> Rungs:
  """Returns the ladder of a rule.

  Luck itself has one step, to uniform ratios: its positions are at random already. A rule whose mask changes in
  training is followed by random tickets with the layer ratios that it ends with.

  Args:
    rule: the run of the rule.
    luck: the run of random tickets with smart ratios at the same ratio.

  Raises:
    UsageError: if its mask changes in training and it is no row of the table, so that nothing names its layer ratios.
  """
  uniform = luck.replace(allocation='uniform')
  if rule == luck:
    return Rungs(rule, ('luck', 'uniform'), (luck, uniform), (Question(luck, SMARTNESS, uniform),))
  name, moved = (_like(rule, luck) if rule.rule.update.moves else (_REARRANGE, rule.replace(check=_REARRANGE)))
  return Rungs(rule, ('original', name, 'luck', 'uniform'), (rule, moved, luck, uniform), (
      Question(rule, POSITIONS, moved), Question(moved, RATIOS, luck), Question(luck, SMARTNESS, uniform)))


def _like(rule: Run, luck: Run) -> tuple[str, Run]:
  name = f'like:{rule.settings.pruner}'
  if RULES.get(rule.settings.pruner) != rule.rule:
    raise UsageError(f'--ladder: the mask changes in training (--mask_updates={rule.rule.mask_updates}), and only for '
                     f'--pruner={rule.settings.pruner} without other choices there are tickets of its layer ratios')
  return name, luck.replace(allocation=name, **{flag: getattr(rule.settings, flag) for flag in NO_UPDATES})


def nearest_ratios(originals: Sequence[Record], luck: Record | None = None) -> tuple[str, dict[str, float]]:
  """Returns the closed-form layer ratios nearest to those of a rule.

  The distance is the mean over the layers of the absolute difference of the keep ratios. Closed forms are all
  allocations in the registry that need no scores.

  Args:
    originals: records of the rule's original tickets at one ratio; their keep ratios are averaged.
    luck: record of a random ticket with smart ratios at that ratio, which tells whether the network counts as one with
      residual connections; None: with them if it has a layer with a 1x1 kernel among its convolutions.

  Returns:
    (name of the nearest, distance by name); of equal distances the first in the registry. ('', {}) without records.
  """
  if not originals:
    return '', {}
  layers = originals[0].layers
  own = np.mean([[layer.kept / layer.weights for layer in record.layers] for record in originals], axis=0)
  keep = round(float(np.mean([record.kept for record in originals])))
  distances = {name: round(float(np.abs(np.subtract(ratios, own)).mean()), 6)
               for name, ratios in closed_forms(layers, keep, luck).items()}
  return min(distances, key=distances.__getitem__, default=''), distances


def closed_forms(layers: Sequence[Layer], keep: int, luck: Record | None = None) -> dict[str, list[float]]:
  """Returns the keep ratio of each layer by every allocation in the registry that needs no scores.

  Args:
    layers: the layers of a network.
    keep: weights that are kept in total.
    luck: as in `nearest_ratios`.
  """
  kernels = _kernels(layers, _is_residual(layers, luck))
  with _without_warnings():
    counts = {name: _counts(name, kernels, keep) for name in registry.ALLOCATIONS.names()}
  return {name: [count / kernel.size for count, kernel in zip(own, kernels, strict=True)]
          for name, own in counts.items() if own is not None}


def _kernels(layers: Sequence[Layer], residual: bool) -> list[Kernel]:
  """Returns kernels of the layers' shapes; the last dense one is the classifier, as in every network here."""
  dense = [index for index, layer in enumerate(layers) if len(layer.shape) == 2]
  return [Kernel(layer.name, layer.shape, 'dense' if len(layer.shape) == 2 else 'conv',
                 classifier=index == (dense[-1] if dense else None), residual=residual)
          for index, layer in enumerate(layers)]


def _is_residual(layers: Sequence[Layer], luck: Record | None) -> bool:
  if luck is None:
    return any(layer.shape[:2] == (1, 1) for layer in layers if len(layer.shape) == 4)
  apart = {}
  with _without_warnings():
    for residual in (True, False):
      counts = _counts('smart', _kernels(luck.layers, residual), luck.kept)
      apart[residual] = np.abs(np.subtract(counts or 0, [layer.kept for layer in luck.layers])).sum()
  return bool(apart[True] <= apart[False])


def _counts(name: str, kernels: Sequence[Kernel], keep: int) -> Sequence[int] | None:
  """Returns what an allocation keeps of each kernel; None for one that cannot do without scores."""
  try:
    counts: Sequence[int] = registry.ALLOCATIONS.get(name)(kernels, keep, scores=None, rng=None)
  except (UsageError, TypeError, AttributeError):  # A user's own that follows scores stumbles over None.
    return None
  return counts


@contextlib.contextmanager
def _without_warnings() -> Iterator[None]:
  # Nothing is pruned here: what a real allocation warns of is no news.
  before = logging.get_verbosity()
  logging.set_verbosity(logging.ERROR)
  try:
    yield
  finally:
    logging.set_verbosity(before)
