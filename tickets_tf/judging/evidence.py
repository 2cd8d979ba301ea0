"""What a comparison is judged by: accuracies of both sides over seeds, and what stands in the way of a statement."""

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import math
from typing import Any

from tickets_tf.judging import collapses
from tickets_tf.judging.question import Question
from tickets_tf.judging.statements import Statement
from tickets_tf.runs.records import Choices
from tickets_tf.runs.records import Record
from tickets_tf.runs.run import Run


@dataclasses.dataclass(frozen=True)
class Evidence:
  """The accuracies of one comparison.

  Attributes:
    rule: name of the rule.
    allocation: name of its allocation; empty if the mask comes from a file.
    ratio: pruning ratio.
    check: name of the check, or of what else the rule is compared with.
    question: what is asked.
    subject: what the drop is the worth of.
    seeds: the seeds of the pairs.
    original: test accuracy in percent of the original ticket of each seed; a run that failed counts at guessing.
    checked: that of the checked tickets.
    failed: for each pair, whether the run of the (original, checked) ticket failed.
    cut: for each pair, whether no path leads through the (original, checked) ticket; None: unknown.
    identical: whether nothing was compared: both sides are the same by construction, and their records agree.
    proofs: for each checked ticket that was trained, the proof that its check acted; of a small dense network the
      values of `Narrowed`.
    control: the statement that a planted control must have; None for what was asked.
    missing: number of seeds of which nothing is known, since a run of them failed and no record tells which.
    epochs: epochs of training that an (original, checked) ticket takes in all, see `Run.epochs_in_all`; None: unknown.
  """
  rule: str
  allocation: str
  ratio: float
  check: str
  question: str
  subject: str
  seeds: tuple[int, ...]
  original: tuple[float, ...]
  checked: tuple[float, ...]
  failed: tuple[tuple[bool, bool], ...]
  cut: tuple[tuple[bool, bool], ...] | None
  identical: bool
  proofs: tuple[dict[str, Any], ...]
  control: Statement | None = None
  missing: int = 0
  epochs: tuple[int, int] | None = None

  @property
  def title(self) -> str:
    """The rule with its allocation: what the families of statements are told apart by."""
    return f'{self.rule} ({self.allocation})' if self.allocation else self.rule

  def collapsed(self, side: int, resolution: float, chance: float | None) -> tuple[bool, ...]:
    """Returns for each seed whether a ticket collapsed: its run failed, it is cut, or it does no better than guessing.

    Args:
      side: 0 for the originals, 1 for the checked tickets.
      resolution: smallest step between two accuracies, 100 / test images; 0: unknown.
      chance: accuracy of guessing in percent; None: unknown, so that no accuracy is told from it.
    """
    highest = -math.inf if chance is None else chance
    if chance and resolution:
      highest = collapses.guessing(round(100 / chance), round(100 / resolution))
    cut = self.cut or ((False, False),) * len(self.seeds)
    accuracies = (self.original, self.checked)[side]
    return tuple(failed[side] or none[side] or accuracy <= highest
                 for failed, none, accuracy in zip(self.failed, cut, accuracies, strict=True))


def evidence(question: Question, seeds: Iterable[int], records: Mapping[Run, Record], failures: Iterable[Run]
             ) -> Evidence | None:
  """Returns the evidence on a question from the runs that are done; None if there is none.

  A run that failed counts at guessing accuracy (1 / classes). A seed counts if both of its runs are done or failed, and
  a side of which every run failed is no evidence: something else is wrong there.

  Args:
    question: what is asked.
    seeds: the seeds to take into account.
    records: the runs that are done.
    failures: the runs that failed.
  """
  failed = set(failures)
  asked = {seed: (question.original(seed), question.checked(seed)) for seed in seeds}
  pairs = {seed: pair for seed, pair in asked.items() if all(run in records or run in failed for run in pair)}
  found = [tuple(records.get(run) for run in pair) for pair in pairs.values()]
  originals, checked = ([pair[side] for pair in found] for side in (0, 1))
  first = next((record for record in originals if record), None)
  if first is None or not any(checked):
    return None
  guess = guessing(first)
  rule, allocation, ratio = ticket(question.rule, first)
  return Evidence(
      rule=rule, allocation=allocation, ratio=ratio if question.rule.rule.prunes else question.ratio,
      check=question.check, question=question.question,
      subject=question.subject, seeds=tuple(pairs),
      original=tuple(accuracy(record, guess) for record in originals),
      checked=tuple(accuracy(record, guess) for record in checked),
      failed=tuple((one is None, other is None) for one, other in found),
      cut=tuple((_is_cut(one), _is_cut(other)) for one, other in found),
      identical=question.by_construction and all(_same(one, other) for one, other in found),
      proofs=tuple(_proof(record) for record in checked if record),
      control=question.control,
      epochs=(question.rule.epochs_in_all, question.checked(question.rule.settings.seed).epochs_in_all))


def accuracy(record: Record | None, guess: float) -> float:
  """Returns the test accuracy that is judged, in percent: that of settled weights; `guess` for a run that failed."""
  return guess if record is None else round(100 * record.settled_accuracy, 6)


def guessing(record: Record) -> float:
  """Returns the accuracy of guessing in percent."""
  return 100 / record.dataset.classes


def resolution(record: Record) -> float:
  """Returns the smallest step between two accuracies in percent points: one test image."""
  return 100 / record.dataset.test


def ticket(rule: Run, record: Record) -> tuple[str, str, float]:
  """Returns (name of the rule, name of its allocation, pruning ratio)."""
  if rule.rule.given:
    # Of a mask from a file nothing was chosen, and its ratio is what is in it.
    return rule.settings.pruner, '', round(1 - record.kept / record.weights, 4)
  if not rule.rule.prunes:
    return rule.settings.pruner, '', 0.0
  return rule.settings.pruner, Choices.of(rule.rule).allocation, rule.settings.ratio


def _proof(record: Record) -> dict[str, Any]:
  return dataclasses.asdict(record.narrowed) if record.narrowed else record.proof


def _is_cut(record: Record | None) -> bool:
  return record is not None and record.collapse.connected is False


def _same(one: Record | None, other: Record | None) -> bool:
  # Equal masks and equal accuracies in every class, after as many steps: weights that differ would hardly give them.
  return one is not None and other is not None and _figures(one) == _figures(other)


def _figures(record: Record) -> Sequence[object]:
  return (record.mask, record.final_accuracy, record.settled_accuracy, record.best_accuracy, record.class_accuracy)
