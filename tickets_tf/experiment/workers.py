"""Runs in processes of their own, which may fail or die without harm to the others."""

from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import dataclasses
import multiprocessing
import multiprocessing.connection
import multiprocessing.process
import multiprocessing.util
import os
import pathlib
import tempfile
import threading
import time

from tickets_tf import collecting
from tickets_tf import machine
from tickets_tf.errors import StorageError
from tickets_tf.errors import TicketsError
from tickets_tf.errors import UsageError
from tickets_tf.runs.run import Run
from tickets_tf.runs.settings import Settings

_MOST_BYTES = 2 * 2**30  # that a process may have in any case


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

  All processes start at once, so that those which have nothing to do yet are ready when they have.

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
    crew = _Crew(list(left), done, parallel, pathlib.Path(folder))
    # Python waits for its processes at its exit, also if nobody has asked this function for its end by then.
    end = multiprocessing.util.Finalize(None, crew.end, exitpriority=1)
    try:
      while crew.left or crew.working:
        yield from crew.unmet()
        crew.begin()
        yield from crew.ended(deadline)
    finally:
      end()


@dataclasses.dataclass(eq=False)
class _Worker:
  """A process that does one run after the other."""
  process: multiprocessing.process.BaseProcess
  connection: multiprocessing.connection.Connection
  log: pathlib.Path


@dataclasses.dataclass
class _Crew:
  """The processes at work, and what is left for them."""
  left: list[Run]
  done: set[Run]
  parallel: int
  folder: pathlib.Path
  failed: set[Run] = dataclasses.field(default_factory=set)
  idle: list[_Worker] = dataclasses.field(default_factory=list)
  working: dict[_Worker, Run] = dataclasses.field(default_factory=dict)
  # Runs whose process died while others were at work, which may have taken its memory: each is done again by itself.
  suspects: list[Run] = dataclasses.field(default_factory=list)
  started: int = 0
  largest: int = 0  # bytes, of a process after a run

  def unmet(self) -> Iterator[tuple[Run, str]]:
    """Takes out the runs that need one that failed."""
    for run in [run for run in self.left if unmet(run, self.failed)]:
      self.left.remove(run)
      self.failed.add(run)
      yield run, unmet(run, self.failed)

  def begin(self) -> None:
    """Gives the free processes the next runs that can be begun, and starts the processes that are missing."""
    most = 1 if self.suspects else self.parallel
    ready = [run for run in self.left if set(run.before()) <= self.done]
    for run in ready[:max(most - len(self.working), 0)]:
      if not self.idle and not self._start():
        break
      worker = self.idle.pop(0)
      self.left.remove(run)
      self.working[worker] = run
      # Nobody sees a worker's bar, whose lock would outlive a worker that is killed.
      with contextlib.suppress(BrokenPipeError):  # It has died, which `ended` sees.
        worker.connection.send(dataclasses.replace(run.settings, progress=False))
    while len(self.idle) + len(self.working) < min(self.parallel, len(self.left) + len(self.working)):
      if not self._start():
        break

  def ended(self, deadline: float | None) -> Iterator[tuple[Run, str]]:
    """Waits until a run at work has ended; raises OutOfTime at the deadline."""
    remaining = max(deadline - time.monotonic(), 0) if deadline else None
    by_connection = {worker.connection: worker for worker in self.working}
    ready = multiprocessing.connection.wait(list(by_connection), remaining)
    if not ready and self.working:
      raise OutOfTime
    for worker in [by_connection[each] for each in ready]:  # type: ignore[index]
      try:
        problem, size = worker.connection.recv()
      except (EOFError, ConnectionError):
        yield from self._died(worker)
        continue
      run = self.working.pop(worker)
      self.suspects = [other for other in self.suspects if other != run]
      self.largest = max(self.largest, size)
      self._keep(worker, size)
      (self.failed if problem else self.done).add(run)
      yield run, problem

  def _keep(self, worker: _Worker, size: int) -> None:
    # A process that has grown ends, so that what TensorFlow keeps is given back.
    if size > _MOST_BYTES and size * self.parallel > machine.memory() / 2:
      worker.connection.close()
    else:
      self.idle.append(worker)

  def _died(self, worker: _Worker) -> Iterator[tuple[Run, str]]:
    run = self.working.pop(worker)
    worker.process.join()
    if self.working:
      self.suspects.append(run)
      self.left.insert(0, run)
      return
    self.suspects = [other for other in self.suspects if other != run]
    self.failed.add(run)
    yield run, f'its process died{_last_line(worker.log)}'

  def _start(self) -> bool:
    """Starts a process, unless the memory that is free is less than the largest process has; the first always."""
    if self.working and self.largest and machine.free_memory() < self.largest:
      return False
    context = multiprocessing.get_context('spawn')
    here, there = context.Pipe()
    log = self.folder / f'stderr{self.started}'
    process = context.Process(target=_serve, args=(there, self.parallel, log))
    process.start()
    there.close()
    self.started += 1
    self.idle.append(_Worker(process, here, log))
    return True

  def end(self) -> None:
    """Ends all processes, also those at work."""
    for worker in (*self.idle, *self.working):
      worker.process.kill()
      worker.process.join()
      worker.connection.close()


def _serve(connection: multiprocessing.connection.Connection, parallel: int, log: pathlib.Path) -> None:
  """Does the runs that come over a connection until it is closed; sends of each the problem and this process' size."""
  _prepare(parallel, log)
  with contextlib.suppress(EOFError):
    while True:
      settings = connection.recv()
      connection.send((do(settings), machine.own_memory()))


def _last_line(log: pathlib.Path) -> str:
  lines = [line.strip() for line in log.read_text(errors='replace').split('\n') if line.strip()] if log.exists() else []
  return f': {lines[-1]}' if lines else ''


def _prepare(parallel: int, log: pathlib.Path) -> None:
  os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'
  os.environ.setdefault('TF_FORCE_GPU_ALLOW_GROWTH', 'true')  # Up to the share, not all of it at once.
  with open(log, 'a') as errors:
    os.dup2(errors.fileno(), 2)
  threading.Thread(target=_end_with_parent, daemon=True).start()
  with collecting.paused():  # Here, as in `do`.
    from tickets_tf import training
    from tickets_tf.experiment import train  # noqa: F401  # For `do`.
  training.share_memory(parallel)


def _end_with_parent() -> None:
  # A parent that is killed cannot end its workers, which would wait for work for ever.
  parent = multiprocessing.parent_process()
  assert parent is not None, 'this is a worker'
  parent.join()
  os._exit(1)
