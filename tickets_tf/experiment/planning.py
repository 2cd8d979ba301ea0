"""What a sanity check would take and could show, from the runs that are there; nothing is trained."""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import functools
import statistics
import time

from tickets_tf.errors import TicketsError
from tickets_tf.errors import UsageError
from tickets_tf.experiment import sweep
from tickets_tf.experiment.executors import Executor
from tickets_tf.judging.design import ASSUMED_DEVIATION
from tickets_tf.judging.design import Design
from tickets_tf.judging.design import Size
from tickets_tf.judging.design import Spread
from tickets_tf.judging.design import smallest_drop
from tickets_tf.judging.estimates import MINIMUM
from tickets_tf.judging.plan import Plan
from tickets_tf.judging.question import Question
from tickets_tf.runs import records
from tickets_tf.runs.durations import Durations
from tickets_tf.runs.records import Record
from tickets_tf.runs.run import Run

# Numbers of seeds that are shown beside the one asked for.
_SHOWN = (3, 5, 8, 12, 20)
_MOST = 100  # Seeds of --hours: nobody needs more, and to count their runs takes time.


@dataclasses.dataclass(frozen=True)
class Survey:
  """What is known of a plan before its runs.

  Attributes:
    plan: the plan.
    questions: all that it asks.
    done: the runs that are there.
    spread: how much differences vary.
    checks: size of the comparisons with checks.
    luck: size of those with luck.
  """
  plan: Plan
  questions: tuple[Question, ...]
  done: Mapping[Run, Record]
  spread: Spread
  checks: Size
  luck: Size
  # The runs of a seed that are asked for.
  _runs: dict[int, list[Run]] = dataclasses.field(default_factory=dict, repr=False, compare=False)

  def designs(self) -> list[Design]:
    """Returns the design of each look, or that of the number of seeds that was asked for, among others."""
    numbers = self.plan.looks() if self.plan.seeds is None else sorted({*_SHOWN, self.plan.seeds})
    return [self.design(seeds) for seeds in numbers]

  def design(self, seeds: int) -> Design:
    """Returns what some seeds would take and could show."""
    every = range(self.plan.base.seed, self.plan.base.seed + seeds)
    left = [run for seed in every for run in self._of_seed(seed) if run not in self.done]
    # With --seeds=auto each look has its own part of the error rate.
    levels = dict(zip(self.plan.looks(), self.plan.levels(), strict=True))
    drop, luck = (smallest_drop(seeds, self.spread.deviation, size, levels.get(seeds, self.plan.alpha))
                  for size in (self.checks, self.luck))
    return Design(seeds, sum(len(self._of_seed(seed)) for seed in every), len(left), self._hours(left), drop, luck)

  def within(self, hours: float) -> Design | None:
    """Returns the design of the most seeds, from 3 to 100, that takes at most some hours; None if none does.

    More seeds always show more: rules, ratios and checks are those that were asked for, and their runs come seed by
    seed.
    """
    fitting, left = 0, list[Run]()
    for seeds in range(1, _MOST + 1):
      left += [run for run in self._of_seed(self.plan.base.seed + seeds - 1) if run not in self.done]
      needed = self._hours(left)
      if needed is None or needed > hours:
        break
      fitting = seeds
    return self.design(fitting) if fitting >= MINIMUM else None

  def _of_seed(self, seed: int) -> list[Run]:
    if seed not in self._runs:
      self._runs[seed] = sweep.with_needed(run.settings for run in self.plan.runs(self.questions, [seed]))
    return self._runs[seed]

  def _hours(self, runs: Sequence[Run]) -> float | None:
    """Returns the time that runs take, by a model of those that are done; None if none is done."""
    if not self.done:
      return None
    return sum(self._durations.seconds(run) or 0.0 for run in runs) / 3600 / self.plan.parallel

  @functools.cached_property
  def _durations(self) -> Durations:
    return Durations(tuple(self.done.values()))


def survey(plan: Plan) -> Survey:
  """Returns what is known of a plan from the runs that are done already.

  Args:
    plan: what is to be judged, and how.

  Raises:
    UsageError: for settings that cannot be used.
  """
  questions = tuple(plan.every_question())
  seeds = range(plan.base.seed, plan.base.seed + max(*_SHOWN, *plan.looks()))
  done = {}
  for run in sweep.with_needed(run.settings for run in plan.runs(questions, seeds)):
    if run.folder.is_done():
      try:
        done[run] = records.read(run.folder.path)
      except TicketsError:  # It would be done again.
        continue
  return Survey(plan, questions, done, _spread(questions, seeds, done), _size(plan.questions()), _size(plan.luck()))


def within(plan: Plan, hours: float, say: Callable[[str], None] = print, progress: bool = True,
           executor: Executor | None = None) -> Plan:
  """Returns the plan with as many seeds as can be trained in some hours.

  If no run is done, the runs of the first seed are, to measure their time; every design needs them.

  Args:
    plan: what is to be judged, and how; its number of seeds does not matter.
    hours: the budget, above 0; it is the budget of the returned plan, less what measuring took.
    say: takes lines for the user.
    progress: whether to show a bar over the runs.
    executor: what does the runs, see `sweep.run_all`.

  Raises:
    UsageError: if 3 seeds take more, or for settings that cannot be used.
  """
  start = time.monotonic()
  found = survey(plan)
  if not found.done:
    say('no run is done: those of the first seed measure the time')
    runs = plan.runs(found.questions, [plan.base.seed])
    sweep.run_all([run.settings for run in runs], plan.parallel, 60 * hours, say, progress, executor)
    found = survey(plan)
  left = max(hours - (time.monotonic() - start) / 3600, 0.0)  # What is done already takes no time.
  best = found.within(left)
  if best is None:
    least = found.design(MINIMUM).hours
    needed = f'{least:.3g} hours more' if least is not None else 'a time that is unknown, as no run could be done'
    raise UsageError(f'--hours={hours:g}: {MINIMUM} seeds, the fewest that have intervals, take {needed}; fewer rules, '
                     'ratios or checks take less')
  return dataclasses.replace(plan, seeds=best.seeds, minutes=max(60 * left, 0.01))


def _spread(questions: Iterable[Question], seeds: Iterable[int], done: Mapping[Run, Record]) -> Spread:
  """Returns the median deviation of the recorded differences, or what is assumed without any."""
  variances = []
  for question in questions:
    if question.by_construction:
      continue
    pairs = [(done.get(question.original(seed)), done.get(question.checked(seed))) for seed in seeds]
    drops = [100 * (one.settled_accuracy - other.settled_accuracy) for one, other in pairs if one and other]
    if len(drops) >= MINIMUM:
      variances.append(statistics.variance(drops))
  if not variances:
    return Spread(ASSUMED_DEVIATION, 0)
  return Spread(statistics.median(variances)**0.5, len(variances))


def _size(questions: Iterable[Question]) -> Size:
  """Returns the size of the largest family of some questions, and of all."""
  compared = [question for question in questions if not question.by_construction]
  groups: dict[Run, int] = {}
  for question in compared:
    groups[question.rule] = groups.get(question.rule, 0) + 1
  ratios: dict[Run, int] = {}
  for rule in groups:
    of_any_ratio = rule.replace(ratio=0.0)
    ratios[of_any_ratio] = ratios.get(of_any_ratio, 0) + 1
  return Size(max(ratios.values(), default=0), max(groups.values(), default=0), len(compared))
