"""What a sweep would do, from what is there: its runs, what they share, and how long they would take."""

import dataclasses
import enum

from tickets_tf.runs.run import Run


class State(enum.Enum):
  """How far a run is."""
  DONE = 'done'
  AT_WORK = 'at work'
  BEGUN = 'begun'
  TO_DO = 'to do'


@dataclasses.dataclass(frozen=True)
class Entry:
  """One run of a sweep.

  Attributes:
    run: the run.
    state: how far it is.
    asked: whether it was asked for; if not, it is there because others need it.
    needed_by: how many other runs of the sweep read from it.
    seconds: how long it takes by the model, or took if it is done; None: unknown.
    basis: what `seconds` rests on, see `tickets_tf.runs.durations`; None if it is done or nothing is known.
  """
  run: Run
  state: State
  asked: bool
  needed_by: int
  seconds: float | None
  basis: str | None


@dataclasses.dataclass(frozen=True)
class Prospect:
  """What a sweep would do.

  Attributes:
    entries: its runs, in the order in which they would be begun.
    unshared: how many runs it would take if each that was asked for had all that it needs to itself.
    parallel: how many runs would be done at a time.
    seconds: how long all that is left would take; None: unknown.
    records: how many records the model is fitted to.
    unreadable: how many files of records could not be read.
    error: the model's median relative error in foretelling a record from the others; None: unknown.
  """
  entries: tuple[Entry, ...]
  unshared: int
  parallel: int
  seconds: float | None
  records: int
  unreadable: int
  error: float | None

  def count(self, state: State) -> int:
    """Returns the number of runs that are in a state."""
    return sum(entry.state is state for entry in self.entries)
