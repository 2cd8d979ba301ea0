import os
import subprocess
import sys
import types

import pytest
import tensorflow as tf

from tests import small_network
import tickets_tf
from tickets_tf import training
from tickets_tf.errors import UsageError
from tickets_tf.training import strategy


def test_auto_is_one_device_without_several_gpus():
  assert training.make_strategy().num_replicas_in_sync == 1
  assert training.make_strategy('one_device').num_replicas_in_sync == 1


def test_replicas():
  assert training.make_strategy('mirrored', 2).num_replicas_in_sync == 2
  assert training.make_strategy('auto', 2) is training.make_strategy('mirrored', 2), 'see _mirror'
  with pytest.raises(UsageError, match='--replicas=2: --strategy=one_device has 1'):
    training.make_strategy('one_device', 2)
  with pytest.raises(UsageError, match='--replicas=3: this process already uses'):
    training.make_strategy('mirrored', 3)


@pytest.mark.parametrize('config', [None, '', '{}', '[1]', '{"cluster": {"worker": []}}', 'nonsense'])
def test_multi_worker_needs_to_know_the_workers(config, monkeypatch):
  monkeypatch.delenv('TF_CONFIG', raising=False)
  if config is not None:
    monkeypatch.setenv('TF_CONFIG', config)
  with pytest.raises(UsageError, match='needs TF_CONFIG'):
    training.make_strategy('multi_worker')


@pytest.mark.parametrize('told, limits', [('40960\n24576\n', [24576 // 4 - 600] * 2), (None, None), ('[N/A]\n', None)])
def test_processes_share_the_memory_of_gpus(told, limits, monkeypatch):
  """The devices stand for GPUs; what was asked of TensorFlow is looked at."""
  asked, growing = [], []

  def nvidia_smi(command, **options):
    assert command[0] == 'nvidia-smi' and options['check']
    if told is None:
      raise FileNotFoundError('nvidia-smi')
    return types.SimpleNamespace(stdout=told)

  monkeypatch.setattr(strategy.tf.config, 'list_physical_devices', lambda kind: ['GPU:0', 'GPU:1'])
  monkeypatch.setattr(strategy.tf.config, 'set_logical_device_configuration',
                      lambda gpu, devices: asked.append((gpu, [device.memory_limit for device in devices])))
  monkeypatch.setattr(strategy.tf.config.experimental, 'set_memory_growth', lambda gpu, on: growing.append((gpu, on)))
  monkeypatch.setattr(strategy.subprocess, 'run', nvidia_smi)
  training.share_memory(4)
  assert asked == [(f'GPU:{index}', [limit]) for index, limit in enumerate(limits or [])]
  assert growing == ([] if limits else [('GPU:0', True), ('GPU:1', True)])


def test_the_threads_of_a_run_are_those_of_its_process(tmp_path):
  code = f'''
import tickets_tf
import tensorflow as tf
from tickets_tf.errors import UsageError
settings = tickets_tf.Settings(model={small_network.NAME!r}, width=4, epochs=1, train_examples=100, threads=2,
                               export=False, progress=False, tensorboard=False, output_dir={str(tmp_path)!r})
tickets_tf.train(settings, say=lambda line: None)
print(tf.config.threading.get_intra_op_parallelism_threads())
try:
  tickets_tf.train(tickets_tf.Settings(threads=1))
except UsageError as error:
  print(error)
'''
  done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=False, cwd=tmp_path,
                        env={**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)})
  assert done.stdout.splitlines() == [
      '2', '--threads=1: this process already computes with 2; start another process for it'], done.stderr


def test_what_xla_cannot_compile_for_a_gpu_is_refused(monkeypatch):
  vgg, resnet = (tickets_tf.build_model(name, (32, 32, 3), 10, width=4) for name in ('vgg11', 'resnet8'))
  training.check_jit(vgg, deterministic=True)
  monkeypatch.setattr(strategy.tf.config, 'list_physical_devices', lambda kind: ['GPU:0'])
  training.check_jit(vgg, deterministic=False)
  training.check_jit(resnet, deterministic=True)
  with pytest.raises(UsageError, match=r'--jit: on GPUs .* expected --nojit, or --nodeterministic'):
    training.check_jit(vgg, deterministic=True)


def test_a_gpu_is_divided_into_parts_of_its_memory(monkeypatch):
  divided = []
  monkeypatch.setattr(tf.config, 'set_logical_device_configuration', lambda device, parts: divided.append(parts))
  monkeypatch.setattr(strategy, '_least_memory', lambda: 80_000)
  strategy._divide(['gpu0'], 2, 'GPU')
  assert [part.memory_limit for part in divided.pop()] == [39_400] * 2
  strategy._divide(['gpu0', 'gpu1'], 4, 'GPU')
  assert [part.memory_limit for part in divided.pop()] == [80_000 // 3 - 600] * 3, 'the second GPU stays whole'
  strategy._divide(['cpu'], 2, 'CPU')
  assert [part.memory_limit for part in divided.pop()] == [None] * 2
  monkeypatch.setattr(strategy, '_least_memory', lambda: None)
  with pytest.raises(UsageError, match='--replicas=2: a GPU can be divided only if nvidia-smi tells its memory'):
    strategy._divide(['gpu0'], 2, 'GPU')
