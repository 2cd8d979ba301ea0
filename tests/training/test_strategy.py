import pytest

from tickets_tf import training
from tickets_tf.errors import UsageError


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
