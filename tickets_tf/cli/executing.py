"""Flags that say what does the runs of a program, and the executor that they ask for."""

from collections.abc import Callable
from collections.abc import Sequence
import dataclasses
from typing import TYPE_CHECKING

from absl import flags

from tickets_tf import notes
from tickets_tf.errors import UsageError

if TYPE_CHECKING:
  from tickets_tf.experiment.executors import Executor
  from tickets_tf.runs.settings import Settings

_AUTO = 'auto'


def define_flags() -> None:
  """Defines the flags."""
  flags.DEFINE_string('parallel', _AUTO, 'runs to make at a time, each in a process of its own if it is more than one; '
                      'auto: as many as cores, with one thread each, if there is memory for them; with a GPU, 1')
  flags.DEFINE_string('executor', 'processes', 'what makes the runs: processes of this machine, or ray, a Ray cluster')
  flags.DEFINE_string('ray_address', '', 'address of the Ray cluster, such as head:6379 or auto; empty: one of this '
                      'machine is started')
  flags.DEFINE_float('cpus_per_run', 1, 'with --executor=ray: CPU cores of a run', lower_bound=0)
  flags.DEFINE_float('gpus_per_run', 0, 'with --executor=ray: GPUs of a run; 0.5: two runs share one', lower_bound=0)
  flags.DEFINE_integer('retries', 3, 'with --executor=ray: how often a run is begun again if its process or machine '
                       'has died', lower_bound=0)
  flags.DEFINE_string('store', '', 'with --executor=ray: object store that finished runs are copied to and read back '
                      'from, such as s3://bucket/runs; empty: all machines share --output_dir')


def from_flags() -> 'Executor | None':
  """Returns the executor that the parsed flags ask for; None: the program makes its runs itself.

  Raises:
    UsageError: if it cannot be used.
  """
  from tickets_tf.experiment import executors  # Here, so that flags are known at once.

  values = flags.FLAGS
  resources = executors.Resources(values.ray_address, values.cpus_per_run, values.gpus_per_run, values.retries,
                                  values.store)
  return executors.make(values.executor, resources, 1 if values.parallel == _AUTO else number(values.parallel))


def shared(base: 'Settings', asked: str | int, runs_of: 'Callable[[Settings], Sequence[Settings]]',
           ) -> 'tuple[Settings, int]':
  """Chooses how many runs go at a time, and how many threads each has; tells the user if that is left to the program.

  Args:
    base: the settings of the program.
    asked: the value of --parallel.
    runs_of: function from these settings to those of the program's runs.

  Returns:
    (the settings with the number of threads, how many runs go at a time).

  Raises:
    UsageError: if --parallel is anything but `auto` or a number.
  """
  if asked != _AUTO:
    return base, number(asked)
  from tickets_tf.experiment import cores  # Here, so that flags are known at once.
  from tickets_tf.experiment import sweep

  values = flags.FLAGS
  if values.executor != 'processes':
    return base, 1
  chosen = cores.split(base, one_per_core=values['threads'].present and not base.threads)
  if chosen.threads == base.threads:
    print(chosen.told())
    return base, chosen.parallel
  changed = dataclasses.replace(base, threads=chosen.threads)
  with notes.dropped():  # Code of one's own may import TensorFlow.
    begun, as_asked = (any(run.folder.settings.exists() for run in sweep.with_needed(runs_of(each)))
                       for each in (changed, base))
  if as_asked and not begun:
    print(f'--parallel=auto: {chosen.parallel} at a time with --threads={base.threads}, as some of these runs were '
          f'begun; in another --output_dir they have {chosen.threads} each')
    return base, chosen.parallel
  print(chosen.told())
  return changed, chosen.parallel


def number(asked: str | int) -> int:
  """Returns the number that --parallel gives.

  Raises:
    UsageError: if it is none.
  """
  if not str(asked).isdecimal() or int(asked) < 1:
    raise UsageError(f'--parallel={asked}: expected a number of at least 1, or auto')
  return int(asked)
