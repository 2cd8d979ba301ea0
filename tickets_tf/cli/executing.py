"""Flags that say what does the runs of a program, and the executor that they ask for."""

from typing import TYPE_CHECKING

from absl import flags

if TYPE_CHECKING:
  from tickets_tf.experiment.executors import Executor


def define_flags() -> None:
  """Defines the flags."""
  flags.DEFINE_integer('parallel', 1, 'runs to make at a time, each in a process of its own', lower_bound=1)
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
  return executors.make(values.executor, resources, values.parallel)
