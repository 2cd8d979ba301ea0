"""How the cores of this machine are shared between runs that are made side by side."""

import dataclasses
import os

from tickets_tf import machine
from tickets_tf.runs.canonical import THREADS_VARIABLE
from tickets_tf.runs.settings import Settings

_PROCESS = 2 * 2**30  # bytes of a run's process; a ResNet32 on images of 32x32 takes 1.3 GB
_GPUS = ('/dev/nvidia0', '/dev/kfd', '/dev/dxg')  # as NVIDIA's and AMD's drivers and WSL make them


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
  count = machine.cores()
  if base.strategy not in ('auto', 'one_device') or base.replicas > 1 or one_per_core:
    return Split(1, base.threads, 'a run uses the whole machine')
  if any(os.path.exists(path) for path in _GPUS):
    return Split(1, base.threads, 'there is a GPU; --parallel=N makes N runs share it')
  most = count // given if given else count
  fitting = max(min(most, machine.memory() // _PROCESS), 1)
  why = '' if fitting == most else f', memory for {fitting} processes'
  return Split(fitting, base.threads if given else count // fitting, f'{count} core{"s" if count > 1 else ""}{why}')
