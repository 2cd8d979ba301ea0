"""Mask updates: how the mask of a ticket changes while the ticket is trained, and at which steps.

A mask update is a `MaskUpdate` in `tickets_tf.registry.MASK_UPDATES`, or a user's own. At the steps of a `Timing` its
function looks at the network as it stands and returns the next mask.
"""

from collections.abc import Callable
import dataclasses
import functools
import inspect
import math
import re
from typing import Any

import numpy as np

from tickets_tf.errors import UsageError
from tickets_tf.pruning import selection
from tickets_tf.pruning.mask import Mask

_STEPS = 'steps'


@dataclasses.dataclass(frozen=True, eq=False)
class Moment:
  """A network in training, just before a step at which its mask may change.

  Attributes:
    mask: its mask.
    ratio: the pruning ratio that the schedule asks for, in [0, 1).
    passed: share of the time from the first update to the last that has passed, in [0, 1].
    ticket: function from a pruning ratio to the `Mask` that the rule's score and allocation now choose from the kept
      weights.
    scores: function from a score's name to one array per kernel, as the score rates all weights of the network now; it
      sees the images of the step.
    rng: the step's own random numbers.
  """
  mask: Mask
  ratio: float
  passed: float
  ticket: Callable[[float], Mask]
  scores: Callable[[str], list[np.ndarray]]
  rng: np.random.Generator


@dataclasses.dataclass(frozen=True)
class MaskUpdate:
  """How a mask changes in training.

  Attributes:
    change: function(moment, **options) that returns the next `Mask`; None: the mask is fixed.
    starts_dense: whether training starts with all weights. The pruning ratio then rises to the ticket's, by the cubic
      schedule of Zhu and Gupta 2017; otherwise it is the ticket's all the time.
    grows: whether removed weights can come back.
    what: what happens to the mask, in a few words.
  """
  change: Callable[..., Mask] | None = None
  starts_dense: bool = False
  grows: bool = False
  what: str = ''

  @property
  def moves(self) -> bool:
    """Whether the mask changes at all."""
    return self.change is not None

  def first_ratio(self, ratio: float) -> float:
    """Returns the pruning ratio at the start of the training of a ticket."""
    return 0.0 if self.starts_dense else ratio

  def check_options(self, flag: str, options: dict[str, Any]) -> None:
    """Raises UsageError, naming the flag, unless `change` takes these options."""
    known = list(inspect.signature(self.change).parameters)[1:] if self.change else []
    unknown = [name for name in options if name not in known]
    if unknown:
      raise UsageError(f'--{flag}: unknown option {unknown[0]!r}; known: {", ".join(known) or "none"}')


@dataclasses.dataclass(frozen=True)
class Timing:
  """The steps of a training before which the mask changes; all three in steps.

  Attributes:
    begin: the first.
    end: the last.
    every: from one to the next.
  """
  begin: int
  end: int
  every: int

  def passed(self, step: int) -> float:
    """Returns the share of the time from the first update to the last that has passed before a step, in [0, 1]."""
    return min(max((step - self.begin) / (self.end - self.begin), 0.0), 1.0)


def check_time(flag: str, value: str) -> None:
  """Raises UsageError unless a time is a number of epochs, as in `2.5`, or of steps, as in `100steps`."""
  try:
    in_steps(value, 1)
  except ValueError:
    raise UsageError(f'--{flag}={value}: expected a number of epochs, as in 2.5, or of steps, as in 100steps') from None


def in_steps(time: str, steps_per_epoch: int) -> int:
  """Returns a time in whole steps, rounded down.

  Args:
    time: a number of epochs, or of steps if `steps` follows it.
    steps_per_epoch: steps in an epoch.

  Raises:
    ValueError: if it is neither.
  """
  if time.endswith(_STEPS):
    return int(time.removesuffix(_STEPS))
  if not re.fullmatch(r'\d+(\.\d+)?', time):
    raise ValueError(time)
  # Without the small summand 0.29 epochs of 100 steps would be 28 steps.
  return math.floor(float(time) * steps_per_epoch + 1e-9)


def timing(begin: str, end: str, every: str, epochs: int, steps_per_epoch: int) -> Timing:
  """Returns the steps of the mask updates of a training.

  Args:
    begin: time of the first, see `in_steps`.
    end: latest time of the last; empty: three quarters of the epochs (Evci et al. 2020). The last one is the latest
      that is whole periods after the first.
    every: the period.
    epochs: epochs of the training.
    steps_per_epoch: steps in an epoch.

  Raises:
    UsageError: if there is no room for two updates before the training ends.
  """
  first, period = in_steps(begin, steps_per_epoch), in_steps(every, steps_per_epoch)
  latest = in_steps(end, steps_per_epoch) if end else 3 * epochs * steps_per_epoch // 4
  if latest >= epochs * steps_per_epoch:
    raise UsageError(f'--update_end={end}: expected a time before the end of the {epochs} epochs')
  if period < 1 or first + period > latest:
    raise UsageError(f'--update_every={every}: expected at least two mask updates from step {first} '
                     f'(--update_begin={begin}) to step {latest} (--update_end={end or "three quarters"}); an epoch '
                     f'has {steps_per_epoch} steps')
  return Timing(first, first + (latest - first) // period * period, period)


def pruned_further(moment: Moment) -> Mask:
  """Removes more weights by the rule's score and allocation: gradual pruning (Zhu and Gupta 2017)."""
  return moment.ticket(moment.ratio)


def regrown(moment: Moment, grow: str, share: float = 0.3) -> Mask:
  """Removes the smallest weights of every layer and lets as many others come back, at zero.

  The share of a layer's kept weights that is exchanged falls as share / 2 * (1 + cos(pi * passed)). Weights that were
  removed a moment ago can come back too, with their values (Evci et al. 2020, sections 3.3 and 3.4).

  Args:
    moment: the network.
    grow: score of the weights that come back.
    share: the share that is exchanged at the first update, in [0, 1].

  Raises:
    UsageError: if the share is not in [0, 1].
  """
  if not isinstance(share, (int, float)) or not 0 <= share <= 1:
    raise UsageError(f'--update_options=share={share}: expected a number from 0 to 1')
  exchanged = share / 2 * (1 + math.cos(math.pi * moment.passed))
  rows = zip(moment.mask.items(), moment.scores('magnitude'), moment.scores(grow), strict=True)
  return Mask((name, _exchange(keep, sizes, wanted, exchanged, moment.rng)) for (name, keep), sizes, wanted in rows)


def _exchange(keep: np.ndarray, sizes: np.ndarray, wanted: np.ndarray, share: float,
              rng: np.random.Generator) -> np.ndarray:
  kept = int(np.count_nonzero(keep))
  grown = int(kept * share)
  after = np.zeros_like(keep)
  after[keep] = selection.highest(sizes[keep], kept - grown, rng)
  free = ~after
  after[free] = selection.highest(wanted[free], grown, rng)
  return after


FIXED = MaskUpdate(what='it stays as it is')
GRADUAL = MaskUpdate(pruned_further, starts_dense=True,
                     what='training starts dense; the rule\'s score and allocation remove more weights each time')
SET = MaskUpdate(functools.partial(regrown, grow='random'), grows=True,
                 what='the smallest weights of each layer go, as many random ones come back')
RIGL = MaskUpdate(functools.partial(regrown, grow='gradient'), grows=True,
                  what='the smallest weights of each layer go, those of the largest gradient come back')
