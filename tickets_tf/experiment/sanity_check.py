"""The sanity check of pruning rules: runs of tickets and what they are compared with, seed by seed, look by look."""

from collections.abc import Callable
import time

from tickets_tf.experiment import sweep
from tickets_tf.judging.conclusion import conclude
from tickets_tf.judging.family import Done
from tickets_tf.judging.family import Families
from tickets_tf.judging.plan import Plan
from tickets_tf.judging.statements import OPEN
from tickets_tf.judging.verdicts import Looks
from tickets_tf.judging.verdicts import Verdicts
from tickets_tf.runs.records import Record
from tickets_tf.runs.run import Run


def sanity_check(plan: Plan, say: Callable[[str], None] = print, progress: bool = True) -> Verdicts:
  """Judges pruning rules.

  Args:
    plan: what is to be judged, and how.
    say: takes lines for the user.
    progress: whether to show a bar over the runs.

  Returns:
    The verdicts, which `tickets_tf.report` shows.

  Raises:
    UsageError: for settings that cannot be used.
  """
  families = Families.of(plan)
  end = time.monotonic() + 60 * plan.minutes
  made: dict[Run, Record] = {}
  failures: dict[Run, str] = {}
  sizes, levels = plan.looks(), plan.levels()
  for looks, (size, level) in enumerate(zip(sizes, levels, strict=True), start=1):
    seeds = range(plan.base.seed, plan.base.seed + size)
    minutes = max((end - time.monotonic()) / 60, 0.01) if plan.minutes else 0.0
    wanted = plan.runs([*families.open(), *plan.gaps()], seeds)
    outcome = sweep.run_all([run.settings for run in wanted], plan.parallel, minutes, say, progress)
    made |= outcome.records
    # What failed at an earlier look may have been done since.
    failures = {run: problem for run, problem in {**failures, **outcome.failures}.items() if run not in made}
    done = Done(seeds, made, failures)
    families.look(done, plan.parsed_margin(), level)
    # A control that must not differ is right as long as it is open: it asks for no seeds of its own.
    if outcome.stopped or all(question.control == OPEN for question in families.open()):
      break
  looked = Looks('pocock', tuple(sizes), tuple(levels), looks) if plan.seeds is None else None
  return conclude(plan, families, done, looked, outcome.stopped)
