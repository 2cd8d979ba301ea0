"""The sanity check of pruning rules: runs of original and checked tickets, seed by seed, until verdicts are reached."""

from collections.abc import Callable
import time

from tickets_tf.experiment import sweep
from tickets_tf.judging.conclusion import RunsSoFar
from tickets_tf.judging.conclusion import conclude
from tickets_tf.judging.family import Family
from tickets_tf.judging.plan import Plan
from tickets_tf.judging.verdicts import Verdicts
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
  asked, controls = Family(plan.questions()), Family(plan.planted())
  end = time.monotonic() + 60 * plan.minutes
  failures: dict[Run, str] = {}
  for done, (size, level) in enumerate(zip(plan.looks(), plan.levels(), strict=True), start=1):
    seeds = range(plan.base.seed, plan.base.seed + size)
    minutes = max((end - time.monotonic()) / 60, 0.01) if plan.minutes else 0.0
    wanted = plan.runs([*asked.undecided(), *controls.undecided()], seeds)
    outcome = sweep.run_all([run.settings for run in wanted], plan.parallel, minutes, say, progress)
    # What failed at an earlier look may have been done since.
    failures = {run: problem for run, problem in {**failures, **outcome.failures}.items()
                if run not in outcome.records}
    for family in (asked, controls):
      family.look(seeds, outcome.records, level, plan.margin)
    runs = RunsSoFar(done, seeds, outcome.records, failures, outcome.stopped)
    if outcome.stopped or not asked.undecided() + controls.undecided():
      break
  return conclude(plan, asked, controls, runs)
