"""What the looks of a call cost: the looks of each question are kept beside the runs, whichever call made them."""

from collections.abc import Iterable
import dataclasses
import hashlib
import pathlib

from tickets_tf.judging import look_history
from tickets_tf.judging.estimates import MINIMUM
from tickets_tf.judging.look_history import LookHistory
from tickets_tf.judging.plan import Plan
from tickets_tf.judging.question import Question
from tickets_tf.judging.verdicts import Looks


@dataclasses.dataclass(frozen=True)
class Ledger:
  """The looks at the questions of a plan.

  Attributes:
    plan: what is to be judged, and how.
    touched: the questions that were looked at in this call, with their looks so far.
  """
  plan: Plan
  touched: dict[Question, LookHistory] = dataclasses.field(default_factory=dict)

  def passed(self, questions: Iterable[Question], seeds: int) -> bool:
    """Returns whether more seeds were looked at before, but never this number: to look now would cost, and show less.

    Args:
      questions: those that would be looked at.
      seeds: number of seeds.
    """
    histories = [self._history(question) for question in questions]
    return bool(histories) and all(seeds not in history.done and seeds < max(history.done, default=0)
                                   for history in histories)

  def level(self, questions: Iterable[Question], seeds: int) -> float:
    """Charges a look and returns its level: that of the question that has the least left, as all are judged together.

    Fewer than 3 seeds have no intervals, so that nothing is looked at.

    Args:
      questions: those that are looked at.
      seeds: the number of seeds that are done.
    """
    levels = [self.plan.alpha]
    for question in questions if seeds >= MINIMUM else ():
      history, look = look_history.charge(self._history(question), seeds)
      self.touched[question] = history
      path = self.path(question)
      path.parent.mkdir(parents=True, exist_ok=True)
      look_history.write(path, history)
      levels.append(look.level)
    return min(levels)

  def looks(self, done: int) -> Looks | None:
    """Returns the looks that a report tells; None if the number of seeds was fixed, and nothing else was looked at.

    Args:
      done: number of looks of this call.
    """
    unplanned = tuple(sorted({look.seeds for history in self.touched.values() for look in history.looks
                              if not look.planned}))
    if self.plan.seeds is not None and not unplanned:
      return None
    return Looks('pocock', tuple(self.plan.looks()), tuple(self.plan.levels()), done, unplanned)

  def told(self) -> tuple[str, ...]:
    """Returns what a report must say on top of looks that were not planned: of the question that they cost most."""
    worst = max(self.touched.values(), key=lambda history: (history.spent, len(history.looks)), default=None)
    sentence = look_history.told(worst) if worst else ''
    return (sentence,) if sentence else ()

  def path(self, question: Question) -> pathlib.Path:
    """Returns the file of a question's looks, named by both runs of the plan's first seed."""
    first = self.plan.base.seed
    original, checked = question.original(first), question.checked(first)
    digest = hashlib.sha256(f'{original.name} {checked.name}'.encode()).hexdigest()[:8]
    name = f'{original.settings.pruner}-{question.ratio:g}-{question.check}-{digest}.json'.replace(':', '.')
    return pathlib.Path(self.plan.base.output_dir).expanduser() / 'looks' / name

  def _history(self, question: Question) -> LookHistory:
    planned = look_history.planned(self.plan.looks(), self.plan.levels())
    return self.touched.get(question) or look_history.resume(look_history.read(self.path(question)), planned)
