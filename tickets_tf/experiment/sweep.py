"""Many runs, shared work once: in order, one after another or side by side, within a budget of minutes."""

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

import tqdm

from tickets_tf.runs import lineage
from tickets_tf.runs import records
from tickets_tf.runs import settings as settings_module
from tickets_tf.errors import TicketsError
from tickets_tf.errors import UsageError


@dataclasses.dataclass(frozen=True)
class Outcome:
  """What became of the runs of a sweep.

  Attributes:
    records: canonical `Settings` -> record, of the runs that are done.
    failures: canonical `Settings` -> one line, of those that failed.
    stopped: whether the budget ended before the last run.
  """
  records: dict
  failures: dict
  stopped: bool

  def record(self, settings):
    """Returns the record of a run, or None where it is not done."""
    return self.records.get(lineage.canonical(settings))

  def distinct(self, runs):
    """Returns the records of those runs that are done, in their order; settings that name one run count once."""
    return [self.records[run] for run in dict.fromkeys(map(lineage.canonical, runs)) if run in self.records]


def run_all(runs, parallel=1, minutes=0.0, say=print, progress=True):
  """Makes runs in the order given, which is the order of importance, each after those that it needs.

  Killed at any moment, the same call goes on. At the end of the budget the runs at work are stopped; they go on from
  their last checkpoint when they are called again.

  Args:
    runs: sequence of `Settings`.
    parallel: how many to make at a time, each in a process of its own where it is more than one.
    minutes: budget; 0 for none.
    say: takes lines for the user.
    progress: whether to show a bar.

  Returns:
    The `Outcome`, of the runs given and those that they need.

  Raises:
    UsageError: for settings that cannot be used, before anything is made.
  """
  order = _with_needed(runs)
  deadline = time.monotonic() + 60 * minutes if minutes else None
  done = {run: records.read(run.folder()) for run in order if (run.folder() / records.NAME).exists()}
  say(f'{len(order)} runs, {len(done)} of them done already')
  failures, stopped = {}, False
  left = [run for run in order if run not in done]
  make = _one_by_one if parallel == 1 and not minutes else _side_by_side
  with tqdm.tqdm(total=len(left), unit='run', disable=not progress, dynamic_ncols=True) as bar:
    try:
      for run, problem in make(left, set(done), parallel, deadline):
        if isinstance(problem, _Usage) and not done:
          # It is likely to be true of every other run.
          bar.leave = False
          raise UsageError(problem)
        bar.set_postfix_str(run.run_name())
        bar.update()
        if problem:
          if problem not in failures.values():
            bar.write(f'{run.run_name()}: {problem}')
          failures[run] = problem
        else:
          done[run] = records.read(run.folder())
    except _OutOfTime:
      stopped = True
  return Outcome(done, failures, stopped)


class _OutOfTime(Exception):
  pass


class _Usage(str):
  """Why a run cannot be made with what was asked for."""


def _with_needed(runs):
  """Returns the canonical runs and, each before the first that needs it, those that they need; none twice."""
  order = {}

  def add(run):
    run = lineage.canonical(run)
    if run not in order:
      for other in _needed(run):
        add(other)
      order[run] = None

  for run in runs:
    add(run)
  return list(order)


def _needed(run):
  # A checked ticket needs no more of the original than its ticket, but the original is what it is compared with.
  if run.check and not lineage.data_check(run):
    return [*lineage.needed(run), lineage.canonical(lineage.original(run))]
  return lineage.needed(run)


def _one_by_one(left, done, parallel, deadline):
  del done, parallel, deadline
  failed = set()
  for run in left:
    problem = _unmet(run, failed) or _make(run)
    if problem:
      failed.add(run)
    yield run, problem


def _side_by_side(left, done, parallel, deadline):
  """As `_one_by_one`, in processes that start afresh after some runs, so that what TensorFlow keeps is given back."""
  left, failed, working, suspects = list(left), set(), {}, []
  with tempfile.TemporaryDirectory() as folder:
    log = pathlib.Path(folder) / 'stderr'
    pool = _workers(parallel, log)
    try:
      while left or working:
        for run in [run for run in left if _unmet(run, failed)]:
          left.remove(run)
          failed.add(run)
          yield run, _unmet(run, failed)
        ready = [run for run in left if set(_needed(run)) <= done]
        for run in ready[:(1 if suspects else parallel) - len(working)]:
          left.remove(run)
          # Nobody sees a worker's bar, whose lock would outlive a worker that is killed.
          working[pool.submit(_make, dataclasses.replace(run, progress=False))] = run
        remaining = max(deadline - time.monotonic(), 0) if deadline else None
        ended, _ = concurrent.futures.wait(working, remaining, concurrent.futures.FIRST_COMPLETED)
        if not ended and working:
          raise _OutOfTime
        if any(map(_died, ended)):
          # A pool ends with the first of its processes.
          ended, _ = concurrent.futures.wait(working)
          pool.shutdown()
          dead = [future for future in working if _died(future)]
          if len(dead) > 1:
            # Whose process died is not known: each of them is made again by itself.
            suspects = [working.pop(future) for future in dead]
            left[:0] = suspects
            ended -= set(dead)
          last = _last_line(log)
          pool = _workers(parallel, log)
        for future in ended:
          run = working.pop(future)
          problem = f'its process died{last}' if _died(future) else future.result()
          suspects = [other for other in suspects if other != run]
          (failed if problem else done).add(run)
          yield run, problem
    except BaseException:
      for process in multiprocessing.active_children():
        process.kill()
      raise
    finally:
      pool.shutdown(cancel_futures=True)


def _workers(parallel, log):
  # Python 3.10 cannot start processes afresh.
  afresh = {'max_tasks_per_child': 40} if sys.version_info >= (3, 11) else {}
  log.write_text('')
  return concurrent.futures.ProcessPoolExecutor(parallel, multiprocessing.get_context('spawn'), _prepare_worker,
                                                (parallel, log), **afresh)


def _died(future):
  return isinstance(future.exception(), concurrent.futures.process.BrokenProcessPool)


def _last_line(log):
  lines = log.read_text(errors='replace').split('\n')
  return ''.join(f': {line.strip()}' for line in [line for line in lines if line.strip()][-1:])


def _unmet(run, failed):
  for other in _needed(run):
    if other in failed:
      return f'not made, since it needs {other.run_name()}, which failed'
  return ''


def _make(run):
  """Makes a run; returns the empty string, or in one line why it could not be made."""
  # Here, since whoever only plans or reports needs no TensorFlow.
  from tickets_tf.experiment import run as run_module
  try:
    run_module.train(run, say=lambda line: None)
  except TicketsError as error:
    kind = _Usage if isinstance(error, UsageError) else str
    return kind(' '.join(str(error).split()))
  except Exception as error:  # pylint: disable=broad-except
    # One run that is too large for the memory, or a score with a mistake, is no reason to leave the others undone.
    return ' '.join(f'{type(error).__name__}: {error}'.split())
  return ''


def _prepare_worker(parallel, log):
  os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'
  os.environ.setdefault('TF_FORCE_GPU_ALLOW_GROWTH', 'true')  # Up to the share, not all of it at once.
  with open(log, 'a') as errors:
    os.dup2(errors.fileno(), 2)
  threading.Thread(target=_end_with_parent, daemon=True).start()
  from tickets_tf import training  # Here, as in `_make`.
  training.share_memory(parallel)


def _end_with_parent():
  # A parent that is killed cannot end its workers, which would wait for work for ever.
  multiprocessing.parent_process().join()
  os._exit(1)


def grid(base, **values):
  """Returns the settings of every combination of values, the first name varying slowest.

  Args:
    base: `Settings` of all that does not vary.
    **values: field name -> list of values, among which a dictionary gives values to several fields together.

  Returns:
    A list of `Settings`.

  Raises:
    UsageError: where a combination cannot be.
  """
  combinations = [base]
  for name, choices in values.items():
    if name not in {field.name for field in dataclasses.fields(settings_module.Settings)}:
      raise UsageError(f'{name}: no such setting')
    changes = [choice if isinstance(choice, dict) else {name: choice} for choice in choices]
    combinations = [dataclasses.replace(one, **change) for one in combinations for change in changes]
  return combinations
