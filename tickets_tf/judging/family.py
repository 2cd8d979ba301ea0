"""A family of questions whose error rate is held together, and their answers, look by look."""

from collections.abc import Iterable
from collections.abc import Mapping
import dataclasses

from tickets_tf.judging.comparison import Comparison
from tickets_tf.judging.comparison import compare
from tickets_tf.judging.correction import UNDECIDED
from tickets_tf.judging.correction import Verdict
from tickets_tf.judging.correction import judge
from tickets_tf.judging.plan import Question
from tickets_tf.runs.records import Record
from tickets_tf.runs.run import Run


@dataclasses.dataclass(frozen=True)
class Answer:
  """The answer to a question at one look.

  Attributes:
    originals: record of the original ticket by seed.
    checked: record of the checked ticket by seed, in the same order.
    comparison: of their accuracies.
    verdict: what came out.
  """
  originals: dict[int, Record]
  checked: dict[int, Record]
  comparison: Comparison
  verdict: Verdict

  @property
  def cut(self) -> bool:
    """Whether no path leads through any of the original tickets."""
    return all(record.collapse.connected is False for record in self.originals.values())


@dataclasses.dataclass
class Family:
  """Questions whose error rate is held together, and their answers so far.

  Attributes:
    questions: all of them, none twice.
    answers: the latest answer to each question that has one.
  """
  questions: list[Question]
  answers: dict[Question, Answer] = dataclasses.field(default_factory=dict)
  _hopeless: list[Question] = dataclasses.field(default_factory=list)

  def undecided(self) -> list[Question]:
    """Returns the questions that have no verdict yet and that more seeds can decide."""
    return [question for question in self.questions if question not in self._hopeless and (
        question not in self.answers or self.answers[question].verdict.outcome == UNDECIDED)]

  def unanswered(self) -> list[Question]:
    """Returns the questions without an answer."""
    return [question for question in self.questions if question not in self.answers]

  def look(self, seeds: Iterable[int], records: Mapping[Run, Record], level: float, margin: float) -> None:
    """Answers the undecided questions by the runs that are done.

    Args:
      seeds: the seeds of this look.
      records: the runs that are done.
      level: error rate to spend at this look.
      margin: differences smaller than this many percent points count as none.
    """
    pairs = {question: pair for question in self.undecided() if (pair := _pair(question, seeds, records))[0]}
    comparisons = [_compare(*pair, margin) for pair in pairs.values()]
    # The questions that have their verdict count as members: more looks are not more chances.
    verdicts = judge(comparisons, level, family=len(self.questions))
    for question, comparison, verdict in zip(pairs, comparisons, verdicts, strict=True):
      answer = Answer(*pairs[question], comparison, verdict)
      if answer.cut:
        # Tickets that guess lose nothing to any check.
        answer = dataclasses.replace(answer, verdict=dataclasses.replace(verdict, outcome=UNDECIDED))
      self.answers[question] = answer
    # Without an answer, all runs of a question have failed or the budget is spent: either way nobody asks again. If all
    # tickets are cut, more seeds will not help.
    self._hopeless = [question for question in self.questions
                      if question not in self.answers or self.answers[question].cut]


def accuracies(records: Iterable[Record]) -> list[float]:
  """Returns the test accuracies of the final weights, which are what is judged, in percent."""
  return [100 * record.final_accuracy for record in records]


def resolution(record: Record) -> float:
  """Returns the smallest step between two accuracies in percent points: one test image."""
  return 100 / record.dataset.test


def _pair(question: Question, seeds: Iterable[int], records: Mapping[Run, Record]
          ) -> tuple[dict[int, Record], dict[int, Record]]:
  """Returns the records of the original and of the checked tickets, of the seeds for which both are done."""
  originals, checked = {}, {}
  for seed in seeds:
    one, other = records.get(question.original(seed)), records.get(question.checked(seed))
    if one and other:
      originals[seed], checked[seed] = one, other
  return originals, checked


def _compare(originals: dict[int, Record], checked: dict[int, Record], margin: float) -> Comparison:
  first = next(iter(originals.values()))
  return compare(accuracies(originals.values()), accuracies(checked.values()), margin, resolution=resolution(first))
