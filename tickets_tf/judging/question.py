"""One question of a sanity check: two tickets that differ in one thing, and what that thing is called."""

import dataclasses
from typing import Any

from tickets_tf import registry
from tickets_tf.judging.statements import Statement
from tickets_tf.runs.run import Run


@dataclasses.dataclass(frozen=True)
class Compared:
  """What a comparison with a ticket of another run asks, and what the drop is then the worth of."""
  question: str
  subject: str


LUCK = 'luck'
NARROW = 'narrow'
POSITIONS = 'positions'
RATIOS = 'ratios'
SMARTNESS = 'smartness'
SEEDS = 'seeds'
# By the name that takes the place of a check's.
_COMPARED = {
    LUCK: Compared('does it beat random tickets with smart ratios?', 'its difference from luck'),
    NARROW: Compared('does it beat a small dense network of its size?', 'its difference from a small dense network'),
    POSITIONS: Compared('what are the positions that it chose worth, beyond its layer ratios?', 'its positions'),
    RATIOS: Compared('what are its layer ratios worth, beyond smart ratios?', 'its layer ratios'),
    SMARTNESS: Compared('what are smart layer ratios worth, beyond uniform ones?', 'smart layer ratios'),
    SEEDS: Compared('do two sets of random tickets of different seeds differ?', 'another seed'),
}


@dataclasses.dataclass(frozen=True)
class Question:
  """What is the thing worth to a rule that makes these two tickets differ?

  Attributes:
    rule: the run of the original ticket with any seed; its own seed does not matter.
    check: name of the check, or of what else the rule is compared with: `luck`, `narrow`, `positions`, `ratios`,
      `smartness` or `seeds`.
    other: the run that the rule is compared with, with any seed; None: the rule itself with the check.
    shift: what the other run's seed is above that of the original.
    control: what a planted control must come out as: the statement that it must have, or `open` if neither *uses it*
      nor *better without it* may be said; None for a question that was asked.
  """
  rule: Run
  check: str
  other: Run | None = None
  shift: int = 0
  control: Statement | None = None

  def original(self, seed: int) -> Run:
    """Returns the run of the original ticket."""
    return self.rule.replace(seed=seed)

  def checked(self, seed: int) -> Run:
    """Returns the run of the ticket that it is compared with."""
    if self.other is None:
      return self.rule.replace(seed=seed, check=self.check)
    return self.other.replace(seed=seed + self.shift)

  @property
  def question(self) -> str:
    """What is asked; ends with a question mark."""
    return str(self._described.question)

  @property
  def subject(self) -> str:
    """What the drop is the worth of, as in 'the labels'."""
    subject = str(self._described.subject)
    if self.check == RATIOS and self.other is not None and self.rule.rule.rewound_to != 'init':
      # Luck starts from the initialisation.
      return f'{subject} with the trained weights that it starts from'
    return subject

  @property
  def ratio(self) -> float:
    """The pruning ratio; of the dense network that of what it is compared with. 0 for a mask from a file."""
    named = self.rule if self.rule.rule.prunes or self.other is None else self.other
    return named.settings.ratio

  @property
  def by_construction(self) -> bool:
    """Whether both tickets are the same to the bit: a check acts on data that the rule does not look at.

    Such a question is run with the first seed, to verify it, and is in no family.
    """
    if self.other is not None:
      return self.other == self.rule and not self.shift
    checked = self.checked(self.rule.settings.seed)
    # What is trained first sees the changed data, and the score or the start may depend on it.
    return bool(checked.data_check) and not checked.before() and not registry.SCORES.looks_at_data(
        self.rule.rule.score)

  @property
  def _described(self) -> Any:
    return registry.CHECKS.get(self.check) if self.other is None else described(self.check)


def described(name: str) -> Compared:
  """Returns what a comparison with another run asks, by the name that takes the place of a check's."""
  return _COMPARED[name]


