"""Which devices a run trains on."""

import functools
import json
import os
import subprocess
from typing import Any
from collections.abc import Callable
from collections.abc import Sequence

import tensorflow as tf
import tf_keras as keras

from tickets_tf.errors import UsageError
from tickets_tf.runs.canonical import THREADS_VARIABLE

_OUTSIDE = 600  # MiB that CUDA itself takes for a process, in addition to what TensorFlow allocates


def make_strategy(name: str = 'auto', replicas: int = 0) -> tf.distribute.Strategy:
  """Makes the distribution strategy of a run.

  Args:
    name: `'one_device'`, `'mirrored'`, `'multi_worker'`, or `'auto'`: mirrored if several GPUs are visible, else one
      device.
    replicas: number of replicas of `'mirrored'`; 0: one per GPU, or one without GPUs. If there are fewer devices, they
      are divided into logical ones.

  Raises:
    UsageError: if the devices are not available.
  """
  kind = 'GPU' if tf.config.list_physical_devices('GPU') else 'CPU'
  if name == 'auto':
    several = kind == 'GPU' and len(tf.config.list_physical_devices('GPU')) > 1
    name = 'mirrored' if several or replicas > 1 else 'one_device'
  return _MAKERS[name](kind, replicas)


def use_threads(threads: int) -> None:
  """Sets how many CPU threads an operation of this process uses; the last bits of sums depend on it.

  Args:
    threads: number of threads; 0: one per core.

  Raises:
    UsageError: if this process has already computed with another number.
  """
  # TensorFlow reads the variable if it was told nothing else.
  present = tf.config.threading.get_intra_op_parallelism_threads() or int(os.environ.get(THREADS_VARIABLE) or 0)
  if threads != present:
    try:
      tf.config.threading.set_intra_op_parallelism_threads(threads)
    except RuntimeError:
      raise UsageError(f'--threads={threads}: this process already computes with {present or "one per core"}; '
                       'start another process for it') from None


def check_jit(model: keras.Model, deterministic: bool) -> None:
  """Checks that XLA can compile a network for the GPUs of this machine, if there are any.

  Args:
    model: the network that is to be trained with `--jit`.
    deterministic: whether its steps must give the same bits every time.

  Raises:
    UsageError: if XLA cannot compile it.
  """
  pools = [layer.name for layer in model.layers if isinstance(layer, keras.layers.MaxPooling2D)]
  if pools and deterministic and tf.config.list_physical_devices('GPU'):
    raise UsageError(f'--jit: on GPUs XLA has no deterministic gradient of max pooling ({pools[0]} of {model.name}); '
                     'expected --nojit, or --nodeterministic')


def share_memory(processes: int) -> None:
  """Limits this process to its share of the memory of every GPU; call it before anything else touches them.

  Args:
    processes: how many processes use these GPUs at the same time.
  """
  gpus = tf.config.list_physical_devices('GPU')
  total = _least_memory() if gpus else None
  for gpu in gpus:
    if total is None:
      tf.config.experimental.set_memory_growth(gpu, True)
    else:
      limit = max(total // processes - _OUTSIDE, _OUTSIDE)
      tf.config.set_logical_device_configuration(gpu, [tf.config.LogicalDeviceConfiguration(memory_limit=limit)])


def _least_memory() -> int | None:
  # MiB of the GPU with the least memory, or None if nvidia-smi does not say.
  query = ['nvidia-smi', '--query-gpu=memory.total', '--format=csv,noheader,nounits']
  try:
    return min(map(int, subprocess.run(query, capture_output=True, text=True, check=True).stdout.split()))
  except (OSError, subprocess.CalledProcessError, ValueError):
    return None


def describe_devices(strategy: tf.distribute.Strategy) -> str:
  """Returns the names of the devices of a strategy that `make_strategy` made, separated by commas."""
  if not tf.distribute.has_strategy() and strategy is tf.distribute.get_strategy():
    return str(tf.config.list_logical_devices()[-1].name)
  return ', '.join(strategy.extended.worker_devices)


def _one_device(kind: str, replicas: int) -> tf.distribute.Strategy:
  del kind
  if replicas > 1:
    raise UsageError(f'--replicas={replicas}: --strategy=one_device has 1; use --strategy=mirrored')
  # Not OneDeviceStrategy, which makes a new iterator over devices for every epoch and every evaluation.
  return tf.distribute.get_strategy()


def _mirrored(kind: str, replicas: int) -> tf.distribute.Strategy:
  physical = tf.config.list_physical_devices(kind)
  if replicas > len(physical):
    _divide(physical, replicas, kind)
  return _mirror(kind, replicas or len(physical))


@functools.cache
def _mirror(kind: str, replicas: int) -> tf.distribute.Strategy:
  # One strategy for all runs of a process. A second one would number its collective operations from the start again,
  # and TensorFlow would mistake them for those of the first, whose shapes may differ.
  # NCCL refuses two parts of one GPU.
  is_divided = kind == 'GPU' and replicas > len(tf.config.list_physical_devices(kind))
  return tf.distribute.MirroredStrategy([f'/{kind}:{index}' for index in range(replicas)],
                                        tf.distribute.ReductionToOneDevice() if is_divided else None)


def _divide(physical: Sequence[tf.config.PhysicalDevice], replicas: int, kind: str) -> None:
  parts = replicas - len(physical) + 1
  limit = None
  if kind == 'GPU':
    total = _least_memory()
    if total is None:
      raise UsageError(f'--replicas={replicas}: a GPU can be divided only if nvidia-smi tells its memory; expected at '
                       f'most {len(physical)}')
    limit = total // parts - _OUTSIDE
  extra = [tf.config.LogicalDeviceConfiguration(memory_limit=limit)] * parts
  try:
    tf.config.set_logical_device_configuration(physical[0], extra)
  except RuntimeError as error:  # The devices are already in use, perhaps divided.
    if len(tf.config.list_logical_devices(kind)) < replicas:
      raise UsageError(f'--replicas={replicas}: this process already uses its {len(physical)} {kind} device(s) '
                       'undivided; make the strategy before anything else touches them') from error


def is_chief() -> bool:
  """Returns whether this process is the first of the workers of `--strategy=multi_worker`, which leaves the files.

  Raises:
    UsageError: if the environment names no workers.
  """
  config = _cluster()
  task = config.get('task', {})
  if 'chief' in config['cluster']:
    return bool(task.get('type') == 'chief')
  return int(task.get('index', 0)) == 0


def _cluster() -> dict[str, Any]:
  try:
    config: dict[str, Any] = json.loads(os.environ.get('TF_CONFIG', ''))
    assert config['cluster']['worker']
    assert int(config.get('task', {}).get('index', 0)) >= 0
  except (ValueError, KeyError, TypeError, AttributeError, AssertionError):
    raise UsageError('--strategy=multi_worker needs TF_CONFIG in the environment, as in {"cluster": {"worker": '
                     '["host1:2222", "host2:2222"]}, "task": {"type": "worker", "index": 0}}') from None
  return config


def _multi_worker(kind: str, replicas: int) -> tf.distribute.Strategy:
  del kind, replicas
  _cluster()
  return _workers()


@functools.cache
def _workers() -> tf.distribute.Strategy:
  # One for all runs of a process, as `_mirror`. The workers meet here.
  return tf.distribute.MultiWorkerMirroredStrategy()


_MAKERS: dict[str, Callable[[str, int], tf.distribute.Strategy]] = {
    'one_device': _one_device, 'mirrored': _mirrored, 'multi_worker': _multi_worker}
