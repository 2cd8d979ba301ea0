"""Two replicas on logical devices against one: the same training, up to rounding."""

import json

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

import tickets_tf
from tests import small_network
from tickets_tf import data
from tickets_tf import training
from tickets_tf.errors import UsageError
from tickets_tf.experiment import networks
from tickets_tf.experiment import train
from tickets_tf.pruning.mask import load_mask
from tickets_tf.runs.run import Run
from tickets_tf.training import callbacks

TWO = {'strategy': 'mirrored', 'replicas': 2}


class Killed(BaseException):
  pass


def frozen(input_shape, num_classes, width=4):
  """The small network with batch norm in inference mode."""
  model = small_network.plain(input_shape, num_classes, width)
  for layer in model.layers:
    layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)
  return model


def tiny(folder, **changes):
  return tickets_tf.Settings(**{
      'model': f'{__name__}:frozen', 'width': 4, 'train_examples': 160, 'batch_size': 32, 'epochs': 2, 'ratio': 0.8,
      'progress': False, 'tensorboard': False, 'export': False, 'checkpoint_seconds': 0, 'samples_per_class': 2,
      'output_dir': str(folder), **changes})


def losses(settings):
  train.train(settings, lambda line: None)
  return [json.loads(line)['loss'] for line in Run(settings).folder.metrics.read_text().splitlines()]


def test_two_replicas_score_rewind_resume_and_train_as_one_does(tmp_path, monkeypatch):
  one, two = tiny(tmp_path, pruner='lottery'), tiny(tmp_path, pruner='lottery', **TWO)
  ends, end = [], callbacks.SaveCheckpoint.on_epoch_end

  def killed_once(self, epoch, logs=None):
    ends.append(epoch)
    if len(ends) == 4:  # Two epochs of the dense network, two of the ticket.
      raise Killed
    end(self, epoch, logs)

  with monkeypatch.context() as patch:
    patch.setattr(callbacks.SaveCheckpoint, 'on_epoch_end', killed_once)
    with pytest.raises(Killed):
      losses(two)
  np.testing.assert_allclose(losses(two), losses(one), rtol=1e-5)
  first, second = (load_mask(Run(each).folder.mask) for each in (one, two))
  # A weight on the edge may change places by rounding.
  assert all(np.mean(first[name] == second[name]) > 0.99 for name in first.names)


@pytest.mark.parametrize('synchronised', [True, False])
def test_synchronised_batch_norm_has_the_statistics_of_the_whole_batch(synchronised, small_batch):
  strategy = training.make_strategy('mirrored', 2)
  settings = tiny('nowhere', model='resnet8', sync_batch_norm=synchronised)
  dataset = data.load_dataset('digits', None, 0, 160, 0.0)
  model = networks.network(Run(settings), dataset, strategy, networks.INITIALISATION)
  norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
  assert {layer.synchronized for layer in norms} == {synchronised} and len(norms) == 9
  images = small_batch[0][..., :1]
  features = keras.Model(model.inputs, norms[0].output)
  expected = features(images, training=True).numpy()
  norms[0].moving_mean.assign(tf.zeros_like(norms[0].moving_mean))
  shares = iter((images[:32], images[32:]))
  values = strategy.experimental_distribute_values_from_function(lambda context: tf.constant(next(shares)))
  found = strategy.run(lambda share: features(share, training=True), [values])
  together = np.concatenate([each.numpy() for each in strategy.experimental_local_results(found)])
  assert np.allclose(together, expected, atol=1e-5) is synchronised, np.abs(together - expected).max()


def test_a_network_that_makes_its_own_batch_norm_is_refused(tmp_path):
  with pytest.raises(UsageError, match=r'--sync_batch_norm: .*:plain makes its own batch norm \(norm1 and 1 more\)'):
    losses(tiny(tmp_path / 'runs', model=small_network.NAME, sync_batch_norm=True))
  assert not (tmp_path / 'runs').exists()
  with pytest.raises(UsageError, match='--sync_batch_norm: does not go with --compact_training=on; expected off'):
    tiny(tmp_path, sync_batch_norm=True, compact_training='on')
