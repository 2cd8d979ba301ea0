"""The sanity check of pruning rules: runs of tickets and what they are compared with, seed by seed, look by look."""

from collections.abc import Callable
from collections.abc import Iterable
import dataclasses
import time

from tickets_tf.experiment import sweep
from tickets_tf.experiment.executors import Executor
from tickets_tf.judging.conclusion import conclude
from tickets_tf.judging.family import Done
from tickets_tf.judging.family import Families
from tickets_tf.judging.ledger import Ledger
from tickets_tf.judging.plan import Plan
from tickets_tf.judging.plan import rounded_ratio
from tickets_tf.judging.question import Question
from tickets_tf.judging.statements import OPEN
from tickets_tf.judging.verdicts import Verdicts
from tickets_tf.runs.records import Record
from tickets_tf.runs.run import Run


def sanity_check(plan: Plan, say: Callable[[str], None] = print, progress: bool = True,
                 executor: Executor | None = None) -> Verdicts:
  """Judges pruning rules.

  Args:
    plan: what is to be judged, and how.
    say: takes lines for the user.
    progress: whether to show a bar over the runs.
    executor: what does the runs, see `sweep.run_all`.

  Returns:
    The verdicts, which `tickets_tf.report` shows.

  Raises:
    UsageError: for settings that cannot be used.
  """
  end = time.monotonic() + 60 * plan.minutes
  plan.questions()  # What cannot be asked is told before anything is run.
  plan = _with_mask_ratio(plan, say, progress)
  families, ledger = Families.of(plan), Ledger(plan)
  made: dict[Run, Record] = {}
  failures: dict[Run, str] = {}
  looks = 0
  for size in plan.looks():
    asked = [*families.open(), *plan.gaps()]
    if size < plan.looks()[-1] and ledger.passed(asked, size):
      continue
    seeds = range(plan.base.seed, plan.base.seed + size)
    minutes = max((end - time.monotonic()) / 60, 0.01) if plan.minutes else 0.0
    outcome = sweep.run_all([run.settings for run in plan.runs(asked, seeds)], plan.parallel, minutes, say, progress,
                            executor)
    made |= outcome.records
    # What failed at an earlier look may have been done since.
    failures = {run: problem for run, problem in {**failures, **outcome.failures}.items() if run not in made}
    done, looks = Done(seeds, made, failures), looks + 1
    families.look(done, plan.parsed_margin(), ledger.level(_affected(asked), _pairs(asked, done)))
    # A control that must not differ is right as long as it is open: it asks for no seeds of its own.
    if outcome.stopped or all(question.control == OPEN for question in families.open()):
      break
  verdicts = conclude(plan, families, done, ledger.looks(looks), outcome.stopped)
  return dataclasses.replace(verdicts, exploratory=(*verdicts.exploratory, *ledger.told()))


def _with_mask_ratio(plan: Plan, say: Callable[[str], None], progress: bool) -> Plan:
  """Returns the plan with the ratio of its mask: a run reads a mask that nothing else can, and luck needs its ratio."""
  unknown = [rule for rule in plan.rules() if plan.luck_of(rule) is None]
  if not unknown:
    return plan
  outcome = sweep.run_all([unknown[0].settings], 1, plan.minutes, say, progress)
  record = outcome.records.get(unknown[0])
  return dataclasses.replace(plan, mask_ratio=rounded_ratio(record.kept / record.weights)) if record else plan


def _affected(questions: Iterable[Question]) -> list[Question]:
  return [question for question in questions if not question.by_construction]


def _pairs(questions: Iterable[Question], done: Done) -> int:
  """Returns the most seeds that a question has both runs of: all of the look, unless the budget has ended."""
  finished = {*done.records, *done.failures}
  return max((sum({question.original(seed), question.checked(seed)} <= finished for seed in done.seeds)
              for question in questions), default=0)
