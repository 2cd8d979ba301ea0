"""The families of questions of a call, judged look by look."""

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses

from tickets_tf.judging.bounds import Pooled
from tickets_tf.judging.evidence import Evidence
from tickets_tf.judging.evidence import evidence
from tickets_tf.judging.evidence import guessing
from tickets_tf.judging.evidence import resolution
from tickets_tf.judging.judge import Gap
from tickets_tf.judging.judge import Scale
from tickets_tf.judging.judge import judge
from tickets_tf.judging.margin import Margin
from tickets_tf.judging.plan import Plan
from tickets_tf.judging.question import Question
from tickets_tf.judging.statements import OPEN
from tickets_tf.judging.verdicts import Judgement
from tickets_tf.runs.records import Record
from tickets_tf.runs.run import Run


@dataclasses.dataclass(frozen=True)
class Done:
  """The runs that a look can rest on.

  Attributes:
    seeds: the seeds of the look.
    records: the runs that are done.
    failures: one line for each run that failed.
  """
  seeds: Sequence[int]
  records: Mapping[Run, Record]
  failures: Mapping[Run, str]


@dataclasses.dataclass
class Family:
  """Questions that are judged together, and what is said of each so far.

  Attributes:
    questions: all of them, none twice.
    closes: whether a question that has a statement is left as it is at later looks. It needs no more seeds then.
    evidence: the latest evidence on each question that has any.
    judgements: what was said of it when it was last looked at.
    pooled: what the comparisons shared at the last look.
  """
  questions: Sequence[Question]
  closes: bool = True
  evidence: dict[Question, Evidence] = dataclasses.field(default_factory=dict)
  judgements: dict[Question, Judgement] = dataclasses.field(default_factory=dict)
  pooled: Pooled | None = None
  _looked: bool = False

  def open(self) -> list[Question]:
    """Returns the questions that more seeds may answer."""
    return [question for question in self.questions if self._is_open(question)]

  def unanswered(self) -> list[Question]:
    """Returns the questions without any evidence."""
    return [question for question in self.questions if question not in self.evidence]

  def look(self, done: Done, scale: Scale) -> None:
    """Judges the open questions by the runs that are done.

    The others stay in the family with the evidence that they have: more looks are not more chances.

    Args:
      done: the runs.
      scale: what drops are measured by at this look.
    """
    changing = self.open() if self.closes else list(self.questions)
    for question in changing:
      found = evidence(question, done.seeds, done.records, done.failures)
      if found:
        self.evidence[question] = found
    judged, self.pooled = judge(list(self.evidence.values()), scale)
    self.judgements.update({question: judgement for question, judgement in zip(self.evidence, judged, strict=True)
                            if question in changing})
    self._looked = True

  def in_order(self) -> tuple[Judgement, ...]:
    """Returns what is said of the questions that have evidence, in their order."""
    return tuple(self.judgements[question] for question in self.questions if question in self.judgements)

  def _is_open(self, question: Question) -> bool:
    judgement = self.judgements.get(question)
    if judgement is None:
      # Without evidence after a look, all its runs have failed or the budget is spent: nobody asks again.
      return not self._looked
    cut = judgement.cut is not None and all(map(any, judgement.cut))
    # If all pairs are cut, more seeds will not help.
    return judgement.statements == (OPEN,) and not judgement.unaffected and not cut


@dataclasses.dataclass
class Families:
  """All families of a call.

  Attributes:
    plan: what is to be judged.
    gaps: the dense network against luck; they are the scale of all others, so they are looked at each time.
    luck: each rule against luck.
    narrow: each rule against a small dense network of its size.
    asked: the rules against their checks.
    steps: the steps of the ladders.
    controls: the planted controls.
  """
  plan: Plan
  gaps: Family
  luck: Family
  narrow: Family
  asked: Family
  steps: Family
  controls: Family

  @classmethod
  def of(cls, plan: Plan) -> 'Families':
    """Returns the families of what a plan asks, without any evidence."""
    steps = [step for ladder in plan.ladders() for step in ladder.steps]
    return cls(plan, Family(plan.gaps(), closes=False), Family(plan.luck()), Family(plan.small_dense()),
               Family(plan.questions()), Family(list(dict.fromkeys(steps))), Family(plan.planted()))

  def __iter__(self) -> Iterator[Family]:
    return iter((self.gaps, *self._scaled()))

  def open(self) -> list[Question]:
    """Returns the questions that more seeds may answer, in order of importance."""
    return [question for family in self._scaled() for question in family.open()]

  def unanswered(self) -> list[Question]:
    """Returns the questions without any evidence."""
    return [question for family in self for question in family.unanswered()]

  def look(self, done: Done, margin: Margin, level: float) -> None:
    """Judges the open questions of all families.

    Args:
      done: the runs that are done.
      margin: what a drop has to be worth more or less than.
      level: error rate to spend at this look, for each family.
    """
    first = next(iter(done.records.values()), None)
    if first is None:
      return
    planned = zip(self.plan.looks(), self.plan.levels(), strict=True)
    following = next((share for size, share in planned if size > len(done.seeds)), level)
    scale = Scale(margin, {}, resolution(first), guessing(first), level, following, self.plan.max_seeds)
    self.gaps.look(done, scale)
    scale = dataclasses.replace(scale, gaps=known_gaps(self.gaps.in_order()))
    for family in self._scaled():
      family.look(done, scale)

  def _scaled(self) -> tuple[Family, ...]:
    """Returns the families whose scale the gaps are, in order of importance."""
    return self.luck, self.narrow, self.asked, self.steps, self.controls


def known_gaps(judgements: Iterable[Judgement]) -> dict[float, Gap]:
  """Returns the gap at each ratio from judgements of the dense network against luck."""
  found = {}
  for each in judgements:
    if each.drop is not None:
      found[each.ratio] = Gap(each.drop, each.interval.whole_call)
  return found
