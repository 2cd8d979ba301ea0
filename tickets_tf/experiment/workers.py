"""Runs in processes of their own, which may fail or die without harm to the others."""

from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Sequence
import concurrent.futures
import concurrent.futures.process
import dataclasses
import multiprocessing
import os
import pathlib
import sys
import tempfile
import threading
import time
from typing import Any

from tickets_tf.errors import StorageError
from tickets_tf.errors import TicketsError
from tickets_tf.errors import UsageError
from tickets_tf.runs.run import Run
from tickets_tf.runs.settings import Settings

_Future = concurrent.futures.Future[str]
_RUNS_PER_PROCESS = 40


class OutOfTime(Exception):
  """The budget has ended before the last run."""


class UsageProblem(str):
  """Why a run cannot be done with what was asked for."""


class StorageProblem(str):
  """Why the folder of a run cannot be written to."""


def unmet(run: Run, failed: Collection[Run]) -> str:
  """Returns why a run cannot be begun after those that failed; empty if it can."""
  for other in run.before():
    if other in failed:
      return f'not done, since it needs {other.name}, which failed'
  return ''


def do(settings: Settings) -> str:
  """Does a run; returns the empty string, or in one line why it failed."""
  # Here, since whoever only plans or reports needs no TensorFlow.
  from tickets_tf.experiment import train
  try:
    train.train(settings, say=lambda line: None)
  except UsageError as error:
    return UsageProblem(_one_line(error))
  except StorageError as error:
    return StorageProblem(_one_line(error))
  except TicketsError as error:
    return _one_line(error)
  except Exception as error:
    # One run that is too large for the memory, or a score with a mistake, is no reason to leave the others undone.
    return f'{type(error).__name__}: {_one_line(error)}'
  return ''


def _one_line(error: Exception) -> str:
  return ' '.join(str(error).split())


def side_by_side(left: Sequence[Run], done: set[Run], parallel: int,
                 deadline: float | None) -> Iterator[tuple[Run, str]]:
  """Does runs in worker processes, each after those that it needs.

  Args:
    left: the runs, in the order of importance.
    done: the runs that are done; those that end well are added.
    parallel: how many to do at a time.
    deadline: when to stop, in seconds of `time.monotonic`; None: never.

  Yields:
    Each run as it ends, with the empty string or why it failed.

  Raises:
    OutOfTime: at the deadline; the runs at work are stopped.
  """
  with tempfile.TemporaryDirectory() as folder:
    crew = _Crew(list(left), done, parallel, pathlib.Path(folder) / 'stderr')
    try:
      while crew.left or crew.working:
        yield from crew.unmet()
        crew.begin()
        yield from crew.ended(deadline)
    except BaseException:
      for process in multiprocessing.active_children():
        process.kill()
      raise
    finally:
      crew.pool.shutdown(cancel_futures=True)


@dataclasses.dataclass
class _Crew:
  """The processes at work, and what is left for them."""
  left: list[Run]
  done: set[Run]
  parallel: int
  log: pathlib.Path
  failed: set[Run] = dataclasses.field(default_factory=set)
  working: dict[_Future, Run] = dataclasses.field(default_factory=dict)
  # The runs that were at work as a process died: each is done again by itself, so that the guilty one is found.
  suspects: list[Run] = dataclasses.field(default_factory=list)

  def __post_init__(self) -> None:
    self.pool = _pool(self.parallel, self.log)

  def unmet(self) -> Iterator[tuple[Run, str]]:
    """Takes out the runs that need one that failed."""
    for run in [run for run in self.left if unmet(run, self.failed)]:
      self.left.remove(run)
      self.failed.add(run)
      yield run, unmet(run, self.failed)

  def begin(self) -> None:
    """Gives the free processes the next runs that can be begun."""
    ready = [run for run in self.left if set(run.before()) <= self.done]
    for run in ready[:(1 if self.suspects else self.parallel) - len(self.working)]:
      self.left.remove(run)
      # Nobody sees a worker's bar, whose lock would outlive a worker that is killed.
      self.working[self.pool.submit(do, dataclasses.replace(run.settings, progress=False))] = run

  def ended(self, deadline: float | None) -> Iterator[tuple[Run, str]]:
    """Waits until a run at work has ended; raises OutOfTime at the deadline."""
    remaining = max(deadline - time.monotonic(), 0) if deadline else None
    ended, _ = concurrent.futures.wait(self.working, remaining, concurrent.futures.FIRST_COMPLETED)
    if not ended and self.working:
      raise OutOfTime
    last = ''
    if any(map(_died, ended)):
      ended, last = self._renewed()
    for future in ended:
      run = self.working.pop(future)
      problem = f'its process died{last}' if _died(future) else future.result()
      self.suspects = [other for other in self.suspects if other != run]
      (self.failed if problem else self.done).add(run)
      yield run, problem

  def _renewed(self) -> tuple[set[_Future], str]:
    """Makes another pool, as one ends with the first of its processes; returns what has ended, and the last words."""
    ended, _ = concurrent.futures.wait(self.working)
    self.pool.shutdown()
    dead = [future for future in self.working if _died(future)]
    if len(dead) > 1:
      self.suspects = [self.working.pop(future) for future in dead]
      self.left[:0] = self.suspects
      ended -= set(dead)
    last = _last_line(self.log)
    self.pool = _pool(self.parallel, self.log)
    return ended, last


def _pool(parallel: int, log: pathlib.Path) -> concurrent.futures.ProcessPoolExecutor:
  # Processes start again after some runs, so that what TensorFlow keeps is given back. Python 3.10 cannot.
  renewal: dict[str, Any] = {'max_tasks_per_child': _RUNS_PER_PROCESS} if sys.version_info >= (3, 11) else {}
  log.write_text('')
  return concurrent.futures.ProcessPoolExecutor(parallel, multiprocessing.get_context('spawn'), _prepare,
                                                (parallel, log), **renewal)


def _died(future: _Future) -> bool:
  return isinstance(future.exception(), concurrent.futures.process.BrokenProcessPool)


def _last_line(log: pathlib.Path) -> str:
  lines = [line.strip() for line in log.read_text(errors='replace').split('\n') if line.strip()]
  return f': {lines[-1]}' if lines else ''


def _prepare(parallel: int, log: pathlib.Path) -> None:
  os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'
  os.environ.setdefault('TF_FORCE_GPU_ALLOW_GROWTH', 'true')  # Up to the share, not all of it at once.
  with open(log, 'a') as errors:
    os.dup2(errors.fileno(), 2)
  threading.Thread(target=_end_with_parent, daemon=True).start()
  from tickets_tf import training  # Here, as in `do`.
  training.share_memory(parallel)


def _end_with_parent() -> None:
  # A parent that is killed cannot end its workers, which would wait for work for ever.
  parent = multiprocessing.parent_process()
  assert parent is not None, 'this is a worker'
  parent.join()
  os._exit(1)
