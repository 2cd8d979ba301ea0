"""What a sweep would do: which of its runs are done or at work, and how long the others take. Nothing is trained."""

from collections.abc import Iterable
from collections.abc import Sequence
import pathlib

from tickets_tf.errors import TicketsError
from tickets_tf.experiment import standing
from tickets_tf.experiment import sweep
from tickets_tf.runs import durations
from tickets_tf.runs import records
from tickets_tf.runs.durations import Durations
from tickets_tf.runs.folder import RunFolder
from tickets_tf.runs.prospect import Entry
from tickets_tf.runs.prospect import Prospect
from tickets_tf.runs.prospect import State
from tickets_tf.runs.records import Record
from tickets_tf.runs.run import Run
from tickets_tf.runs.settings import Settings


def prospect(runs: Iterable[Settings], parallel: int = 1) -> Prospect:
  """Returns what `sweep.run_all` would do.

  The model of times is fitted to all records in the folders that the runs go to.

  Args:
    runs: settings of the runs.
    parallel: how many would be done at a time.

  Raises:
    UsageError: for settings that cannot be used.
  """
  asked = list(dict.fromkeys(map(Run, runs)))
  order = sweep.with_needed(run.settings for run in asked)
  known, unreadable = _records({run.folder.path.parent for run in order})
  model = Durations(tuple(known.values()))
  states = {run: standing.state(run.folder) for run in order}
  left = [run for run in order if states[run] is not State.DONE]
  seconds = durations.in_all(left, lambda run: model.seconds(run) or 0.0, parallel) if known or not left else None
  return Prospect(tuple(_entries(order, set(asked), states, model, known)),
                  sum(len(sweep.with_needed([run.settings])) for run in asked), parallel, seconds, len(known),
                  unreadable, model.error)


def _entries(order: Sequence[Run], asked: set[Run], states: dict[Run, State], model: Durations,
             known: dict[pathlib.Path, Record]) -> Iterable[Entry]:
  needed_by = dict.fromkeys(order, 0)
  for run in order:
    for other in run.before():
      needed_by[other] += 1
  for run in order:
    record = known.get(run.folder.path)
    seconds = durations.total(record) if record else model.seconds(run)
    yield Entry(run, states[run], run in asked, needed_by[run], seconds, None if record else model.basis(run))


def _records(folders: Iterable[pathlib.Path]) -> tuple[dict[pathlib.Path, Record], int]:
  """Returns the records of the runs in some folders, by the run's folder, and how many could not be read."""
  found, unreadable = {}, 0
  for folder in folders:
    for path in sorted(folder.glob('*/' + RunFolder(folder).record.name)):
      try:
        found[path.parent] = records.read(path.parent)
      except TicketsError:
        unreadable += 1
  return found, unreadable
