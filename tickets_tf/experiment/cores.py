"""How the cores of this machine are shared between runs that are made side by side."""

import dataclasses
import os
import pathlib
import re

from tickets_tf.runs.canonical import THREADS_VARIABLE
from tickets_tf.runs.settings import Settings

_PROCESS = 2 * 2**30  # bytes of a run's process; a ResNet32 on images of 32x32 takes 1.3 GB
_GPUS = ('/dev/nvidia0', '/dev/kfd', '/dev/dxg')  # as NVIDIA's and AMD's drivers and WSL make them
_CGROUP = pathlib.Path('/sys/fs/cgroup')


@dataclasses.dataclass(frozen=True)
class Split:
  """How runs share a machine.

  Attributes:
    parallel: runs at a time, each in a process of its own if it is more than one.
    threads: `--threads` of each run.
    reason: in words, why.
  """
  parallel: int
  threads: int
  reason: str

  def told(self) -> str:
    """Returns the line that tells a user."""
    each = f'{self.threads} thread{"s" if self.threads > 1 else ""} each' if self.threads else 'a thread per core'
    return f'--parallel=auto: {self.parallel} at a time, {each} ({self.reason})'


def split(base: Settings, one_per_core: bool = False) -> Split:
  """Chooses how many runs go at a time: as many as cores, with one thread each.

  Small operations gain nothing by a second thread, and large ones not as much as by a second run. There are fewer runs,
  with more threads, if there is not memory for as many, or if the settings say how many threads a run has. What is
  chosen depends on the machine and the settings alone, so that the same command makes the same runs.

  Args:
    base: the settings of the runs.
    one_per_core: whether the settings ask for a thread per core and not just leave the number open.
  """
  given = base.threads or int(os.environ.get(THREADS_VARIABLE) or 0)
  count = available()
  if base.strategy not in ('auto', 'one_device') or base.replicas > 1 or one_per_core:
    return Split(1, base.threads, 'a run uses the whole machine')
  if any(os.path.exists(path) for path in _GPUS):
    return Split(1, base.threads, 'there is a GPU; --parallel=N makes N runs share it')
  most = count // given if given else count
  fitting = max(min(most, memory() // _PROCESS), 1)
  why = '' if fitting == most else f', memory for {fitting} processes'
  return Split(fitting, base.threads if given else count // fitting, f'{count} core{"s" if count > 1 else ""}{why}')


def available() -> int:
  """Returns how many cores this process may use."""
  count = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1
  try:
    quota, period = (_CGROUP / 'cpu.max').read_text().split()
    return max(min(count, int(quota) // int(period)), 1)
  except (OSError, ValueError):  # `max`, or a system without groups of processes
    return count


def memory() -> int:
  """Returns the bytes of memory of this machine, or of the group of processes that this one is in if that has less."""
  total = _meminfo('MemTotal') or _PROCESS * available()
  return min(total, _limit() or total)


def free_memory() -> int:
  """Returns the bytes of memory that could be used in addition."""
  free = _meminfo('MemAvailable') or memory()
  limit, used = _limit(), _number(_CGROUP / 'memory.current')
  return min(free, limit - used) if limit and used is not None else free


def own_memory() -> int:
  """Returns the bytes of memory that this process has; 0 if the system does not tell."""
  try:
    return int(pathlib.Path('/proc/self/statm').read_text().split()[1]) * os.sysconf('SC_PAGE_SIZE')
  except (OSError, ValueError, IndexError):
    return 0


def _limit() -> int | None:
  return _number(_CGROUP / 'memory.max')


def _number(path: pathlib.Path) -> int | None:
  try:
    return int(path.read_text())
  except (OSError, ValueError):
    return None


def _meminfo(name: str) -> int:
  try:
    found = re.search(rf'^{name}:\s+(\d+) kB', pathlib.Path('/proc/meminfo').read_text(), re.MULTILINE)
  except OSError:
    found = None
  return int(found[1]) * 1024 if found else 0
