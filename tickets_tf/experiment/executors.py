"""What does the runs of a sweep: processes of this machine, or a cluster."""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
import dataclasses

from tickets_tf.errors import UsageError
from tickets_tf.runs.run import Run

# Takes the runs that are left, those that are done, and when to stop in seconds of `time.monotonic` (None: never). It
# does the runs, each behind those that it needs, and yields each as it ends with the empty string or why it failed. At
# the deadline it raises `workers.OutOfTime`.
Executor = Callable[[Sequence[Run], set[Run], float | None], Iterator[tuple[Run, str]]]


@dataclasses.dataclass(frozen=True)
class Resources:
  """What runs on a cluster get.

  Attributes:
    address: the cluster's; empty: one of this machine is started, and ended at the end.
    cpus: CPU cores of a run, which may be a fraction.
    gpus: GPUs of a run, which may be a fraction.
    retries: how often a run is begun again if the process or the machine that it was on has died.
    store: address of an object store that finished runs are copied to; empty: the runs' folder is shared.
  """
  address: str = ''
  cpus: float = 1.0
  gpus: float = 0.0
  retries: int = 3
  store: str = ''


def make(name: str, resources: Resources, parallel: int) -> Executor | None:
  """Makes an executor.

  Args:
    name: a name in `EXECUTORS`.
    resources: what runs get.
    parallel: how many runs were asked for at a time.

  Returns:
    The executor; None: the sweep does its runs itself, in processes of this machine.

  Raises:
    UsageError: if the executor cannot be used, or does not take what was asked for.
  """
  if name not in EXECUTORS:
    raise UsageError(f'--executor={name}: expected one of {", ".join(EXECUTORS)}')
  return EXECUTORS[name](resources, parallel)


def _processes(resources: Resources, parallel: int) -> None:
  del parallel
  flags = {'address': 'ray_address', 'cpus': 'cpus_per_run', 'gpus': 'gpus_per_run', 'retries': 'retries',
           'store': 'store'}
  for field in dataclasses.fields(resources):
    if (value := getattr(resources, field.name)) != field.default:
      raise UsageError(f'--{flags[field.name]}={value}: goes with --executor=ray alone')


def _ray(resources: Resources, parallel: int) -> Executor:
  from tickets_tf.experiment import ray_tasks  # Here, since it needs a package that need not be there.
  if parallel != 1:
    raise UsageError(f'--parallel={parallel}: with --executor=ray as many runs are at work as --cpus_per_run and '
                     '--gpus_per_run leave room for')
  return ray_tasks.RayExecutor(resources)


EXECUTORS: dict[str, Callable[[Resources, int], Executor | None]] = {'processes': _processes, 'ray': _ray}
