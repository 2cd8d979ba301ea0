"""The runs of a sweep as tasks of a Ray cluster.

Ray alone decides where and when a run is done. A task takes the results of the runs that it needs as arguments, so Ray
begins it when these have ended, and begins it again if its process or machine has died.
"""

from collections.abc import Iterator
from collections.abc import Sequence
import contextlib
import dataclasses
import functools
import math
import os
import pathlib
import socket
import sys
import time
from types import ModuleType
from typing import Any

from absl import logging

from tickets_tf.errors import TicketsError
from tickets_tf.errors import UsageError
from tickets_tf.experiment import workers
from tickets_tf.experiment.executors import Resources
from tickets_tf.experiment.store import Store
from tickets_tf.experiment.store import StoreError
from tickets_tf.runs.canonical import THREADS_VARIABLE
from tickets_tf.runs.run import Run
from tickets_tf.runs.settings import Settings

# Processes end after some runs, so that what TensorFlow keeps is given back. With GPUs Ray ends them after each.
_RUNS_PER_PROCESS = 40
_WARNING = 30  # of Python's logging, which Ray uses; the numbers of absl are others
_ANSWER = 20.0  # seconds until a cluster has answered
_ARRIVAL = 90.0  # seconds until what another machine wrote is seen here: NFS clients look again after 60 at most


@dataclasses.dataclass(frozen=True)
class RayExecutor:
  """Does the runs of a sweep on a Ray cluster, see `tickets_tf.experiment.executors.Executor`.

  Args:
    resources: what the runs get.

  Raises:
    UsageError: if Ray is not installed, or the store's address cannot be used.
  """
  resources: Resources

  def __post_init__(self) -> None:
    _ray()
    self._store()

  def __call__(self, left: Sequence[Run], done: set[Run], deadline: float | None) -> Iterator[tuple[Run, str]]:
    """Does runs; yields each as it ends, with the empty string or why it failed.

    Args:
      left: the runs, each behind those that it needs.
      done: the runs that are done.
      deadline: when to stop, in seconds of `time.monotonic`; None: never.

    Raises:
      TicketsError: if the cluster cannot be reached or started.
      workers.OutOfTime: at the deadline; the runs at work are stopped.
    """
    store = self._store()
    waiting = []
    for run in left:
      if store and store.has(run):
        store.fetch(run)
        yield run, ''
      else:
        waiting.append(run)
    if store:
      for run in done:
        store.put(run)  # Runs on other machines may need it.
    if waiting:
      with _connected(self.resources):
        yield from _Tasks(self._begin(waiting), store).ended(deadline)

  def _store(self) -> Store | None:
    return Store(self.resources.store) if self.resources.store else None

  def _begin(self, left: Sequence[Run]) -> dict[Run, Any]:
    """Hands all runs to Ray; returns the reference to the result of each."""
    of = self.resources
    # The last three are Ray's own: what is worth another try, and how often.
    options = {'num_cpus': of.cpus, 'num_gpus': of.gpus, **({} if of.gpus else {'max_calls': _RUNS_PER_PROCESS}),
               'max_retries': of.retries, 'retry_exceptions': [StoreError]}
    task = _ray().remote(**options)(_do)
    place = _Place(os.getcwd(), tuple(sys.path), of)
    results: dict[Run, Any] = {}
    for run in left:
      needed = [results[other] for other in run.before() if other in results]
      settings = dataclasses.replace(run.settings, progress=False, output_dir=str(run.folder.path.parent.absolute()))
      results[run] = task.options(name=run.name).remote(place, run.name, settings, *needed)
    return results


@dataclasses.dataclass(frozen=True)
class _Place:
  """What a process of the cluster has to know to do runs as the program that asked for them would."""
  folder: str
  path: tuple[str, ...]
  resources: Resources


class _Tasks:
  """Runs that were handed to Ray.

  Args:
    results: the reference to the result of each.
    store: where the runs go; None: to a folder that all machines share.
  """

  def __init__(self, results: dict[Run, Any], store: Store | None) -> None:
    self._runs = {result: run for run, result in results.items()}
    self._store = store

  def ended(self, deadline: float | None) -> Iterator[tuple[Run, str]]:
    """Yields each run as it ends; if the caller stops, the runs at work are stopped."""
    ray = _ray()
    failed: set[Run] = set()
    waiting = list(self._runs)
    try:
      while waiting:
        remaining = max(deadline - time.monotonic(), 0.0) if deadline else None
        ended, waiting = ray.wait(waiting, timeout=remaining)
        if not ended:
          raise workers.OutOfTime
        for result in ended:
          run = self._runs[result]
          # A run that needs one whose process died has the error of that one.
          problem = workers.unmet(run, failed) or _problem(result) or self._arrived(run)
          if problem:
            failed.add(run)
          yield run, problem
    except BaseException:
      for result in waiting:
        ray.cancel(result, force=True)
      raise


  def _arrived(self, run: Run) -> str:
    """Waits until the record of a run is here, too; returns why it is not."""
    if self._store:
      self._store.fetch(run)
    deadline = time.monotonic() + _ARRIVAL
    while not run.folder.is_done():
      if time.monotonic() > deadline:
        return (f'its record is not in --output_dir={run.folder.path.parent}: expected a folder that all machines of '
                'the cluster share, or --store')
      time.sleep(0.5)
    return ''


def _problem(result: Any) -> str:
  """Returns why a run failed; empty if it did not."""
  ray = _ray()
  try:
    problem: str = ray.get(result)
    return problem
  except ray.exceptions.RayTaskError as error:
    return ' '.join(str(error.cause).split())
  except ray.exceptions.RayError as error:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f'its process died, and so did each that took its place: {lines[0] if lines else type(error).__name__}'


@contextlib.contextmanager
def _connected(resources: Resources) -> Iterator[None]:
  """Connects to the cluster, or starts one of this machine that ends at the end."""
  ray = _ray()
  if ray.is_initialized():  # By whoever calls this package from a program of their own.
    yield
    return
  try:
    _meet(resources.address)
    context = ray.init(address=resources.address or 'local', log_to_driver=False, logging_level=_WARNING)
  except Exception as error:  # Ray has no class of its own for this.
    what = (f'--ray_address={resources.address}: no Ray cluster could be reached' if resources.address else
            '--executor=ray: no Ray cluster could be started on this machine')
    raise TicketsError(f'{what}: {" ".join(str(error).split())}') from error
  try:
    _warn(resources)
    if context.dashboard_url:
      print(f'Ray\'s dashboard: http://{context.dashboard_url}')
    yield
  finally:
    ray.shutdown()


def _meet(address: str) -> None:
  """Raises OSError if nobody answers at an address such as `head:6379`; Ray itself would try for ten minutes."""
  host, _, port = address.rpartition(':')
  if host and '/' not in host and port.isdecimal():
    socket.create_connection((host, int(port)), timeout=_ANSWER).close()


def _warn(resources: Resources) -> None:
  """Tells what would wait, perhaps for ever, or leave GPUs idle."""
  machines = [node['Resources'] for node in _ray().nodes() if node['Alive']]
  if not any(each.get('CPU', 0) >= resources.cpus and each.get('GPU', 0) >= resources.gpus for each in machines):
    # A cluster may grow, so that this is no error.
    logging.warning('no machine of the cluster has --cpus_per_run=%g and --gpus_per_run=%g; runs wait until one comes',
                    resources.cpus, resources.gpus)
  if not resources.gpus and any(each.get('GPU') for each in machines):
    logging.warning('the cluster has GPUs, and --gpus_per_run=0 leaves them idle')


def _do(place: _Place, name: str, settings: Settings, *needed: str) -> str:
  """Does a run in a process of the cluster; returns the empty string, or why it failed."""
  if any(needed):
    return 'not done, since it needs a run that failed'
  _prepare(place)
  run, store = Run(settings), Store(place.resources.store) if place.resources.store else None
  if run.name != name:
    return f'this machine has other code or files for {name}, and would do {run.name}'
  if store:
    for other in run.before():
      if store.has(other):
        store.fetch(other)
  problem = workers.do(settings)
  if store and not problem:
    store.put(run)
  return problem


@functools.cache
def _prepare(place: _Place) -> None:
  """Makes this process one that does runs, once."""
  os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'
  # Ray sets it to the number of CPUs of a task. Sums would depend on it, and --threads alone decides how many.
  os.environ.pop('OMP_NUM_THREADS', None)
  os.environ.pop(THREADS_VARIABLE, None)  # The settings have that of the program that asked for the runs.
  sys.path += [entry for entry in place.path if entry not in sys.path]  # Scores of one's own are found there.
  if pathlib.Path(place.folder).is_dir():
    os.chdir(place.folder)  # Paths of masks and data may be relative.
  if not place.resources.gpus:
    os.environ['CUDA_VISIBLE_DEVICES'] = ''
    return
  os.environ.setdefault('TF_FORCE_GPU_ALLOW_GROWTH', 'true')
  from tickets_tf import training  # Here, since it brings TensorFlow.
  training.share_memory(max(math.floor(1 / place.resources.gpus), 1))


@functools.cache
def _ray() -> ModuleType:
  try:
    import ray
    import ray.exceptions
  except ImportError as error:
    raise UsageError('--executor=ray needs Ray, which is not installed; expected pip install "tickets_tf[ray]"'
                     ) from error
  found: ModuleType = ray
  return found
