"""Many runs, shared work once: in order, one after another or side by side, within a budget of minutes."""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
import dataclasses
import time
from typing import Any

from tickets_tf.errors import StorageError
from tickets_tf.errors import UsageError
from tickets_tf.experiment import workers
from tickets_tf.experiment.executors import Executor
from tickets_tf.experiment.progress import SweepBar
from tickets_tf.runs import records
from tickets_tf.runs.records import Record
from tickets_tf.runs.run import Run
from tickets_tf.runs.settings import Settings
from tickets_tf.runs.settings import defaults


@dataclasses.dataclass(frozen=True)
class Outcome:
  """What became of the runs of a sweep.

  Attributes:
    records: the records of the runs that are done.
    failures: one line for each run that failed.
    stopped: whether the budget ended before the last run.
  """
  records: dict[Run, Record]
  failures: dict[Run, str]
  stopped: bool

  def record(self, settings: Settings) -> Record | None:
    """Returns the record of a run, or None if it is not done."""
    return self.records.get(Run(settings))

  def distinct(self, runs: Iterable[Settings]) -> list[Record]:
    """Returns the records of those runs that are done, in their order; settings that name one run count once."""
    return [self.records[run] for run in dict.fromkeys(map(Run, runs)) if run in self.records]


def run_all(runs: Iterable[Settings], parallel: int = 1, minutes: float = 0.0, say: Callable[[str], None] = print,
            progress: bool = True, executor: Executor | None = None) -> Outcome:
  """Does runs in the order given, which is the order of importance, each after those that it needs.

  Killed at any moment, the same call resumes. At the end of the budget the runs at work are stopped; they resume from
  their last checkpoint if they are called again.

  Args:
    runs: settings of the runs.
    parallel: how many to do at a time, each in a process of its own if it is more than one.
    minutes: budget; 0 for none.
    say: takes lines for the user.
    progress: whether to show a bar.
    executor: what does the runs, see `tickets_tf.experiment.executors`; None: this process, or others of this machine
      if several are done at a time or there is a budget.

  Returns:
    What became of the runs given and those that they need.

  Raises:
    UsageError: for settings that cannot be used, before anything is done.
    StorageError: if the folder of a run cannot be written to; runs at work are stopped.
  """
  order = with_needed(runs)
  deadline = time.monotonic() + 60 * minutes if minutes else None
  done = {run: records.read(run.folder.path) for run in order if run.folder.is_done()}
  say(f'{len(order)} runs, {len(done)} of them done already')
  left = [run for run in order if run not in done]
  if executor:
    ended = executor(left, set(done), deadline)
  else:
    ended = _one_by_one(left) if parallel == 1 and not minutes else workers.side_by_side(left, set(done), parallel,
                                                                                         deadline)
  failures: dict[Run, str] = {}
  stopped = False
  with SweepBar(left, list(done.values()), progress) as bar:
    try:
      for run, problem in ended:
        if isinstance(problem, workers.UsageProblem) and not done:
          # It is likely to be true of every other run.
          bar.leave = False
          raise UsageError(problem)
        if isinstance(problem, workers.StorageProblem):  # All runs write to one disk.
          bar.leave = False
          raise StorageError(problem)
        if not problem:
          done[run] = records.read(run.folder.path)
        bar.ended(run, done.get(run))
        if not problem:
          continue
        if problem not in failures.values():
          bar.write(f'{run.name}: {problem}')
        failures[run] = problem
    except workers.OutOfTime:
      stopped = True
  return Outcome(done, failures, stopped)


def with_needed(runs: Iterable[Settings]) -> list[Run]:
  """Returns the runs and, each before the first that needs it, those that they need; none twice."""
  order: dict[Run, None] = {}

  def add(run: Run) -> None:
    if run not in order:
      for other in run.before():
        add(other)
      order[run] = None

  for settings in runs:
    add(Run(settings))
  return list(order)


def _one_by_one(left: Sequence[Run]) -> Iterator[tuple[Run, str]]:
  failed: set[Run] = set()
  for run in left:
    problem = workers.unmet(run, failed) or workers.do(run.settings)
    if problem:
      failed.add(run)
    yield run, problem


def grid(base: Settings, **values: Sequence[Any]) -> list[Settings]:
  """Returns the settings of every combination of values, the first name varying slowest.

  Args:
    base: all that does not vary.
    **values: field name -> its values, among which a dictionary gives values to several fields together.

  Raises:
    UsageError: if a combination cannot be.
  """
  combinations = [base]
  for name, choices in values.items():
    if name not in defaults(Settings):
      raise UsageError(f'{name}: no such setting')
    changes = [choice if isinstance(choice, dict) else {name: choice} for choice in choices]
    combinations = [dataclasses.replace(one, **change) for one in combinations for change in changes]
  return combinations
