"""Runs of networks whose layers have no names, and of weights that no rule can prune."""

import dataclasses

import pytest
import tf_keras as keras

from tests import small_network
import tickets_tf
from tickets_tf import registry
from tickets_tf.experiment import train
from tickets_tf.pruning.mask import load_mask
from tickets_tf.runs.run import Run


@pytest.fixture
def tiny(tmp_path):
  """A function from settings to a small run."""
  base = tickets_tf.Settings(model=small_network.NAME, width=4, train_examples=160, batch_size=32, epochs=3, ratio=0.8,
                             progress=False, tensorboard=False, export=False, samples_per_class=2,
                             output_dir=str(tmp_path))
  return lambda **changes: Run(dataclasses.replace(base, **changes))


def own_matrix(input_shape, num_classes):
  class Own(keras.layers.Layer):

    def build(self, shape):
      self.matrix = self.add_weight('matrix', (shape[-1], 6))

    def call(self, inputs):
      return inputs @ self.matrix

  inputs = keras.Input(input_shape)
  x = Own()(keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3)(inputs)))
  return keras.Model(inputs, keras.layers.Dense(num_classes)(x))


def test_a_run_says_what_stays_dense_and_which_ratios_it_took(tiny, monkeypatch):
  monkeypatch.setitem(registry.MODELS._entries, 'own_matrix', own_matrix)
  lines = []
  train.find(tiny(pruner='random', model='own_matrix', width=0), lines.append)
  # 40 + 24 + 70 weights.
  assert lines[-2:] == ['17.9% of the 134 trainable weights cannot be pruned: own/matrix 24',
                        'allocation smart: ratios of a network without residual connections']
  train.find(tiny(pruner='random', allocation_options='residual=True'), lines.append)
  assert lines[-1] == 'allocation smart: ratios of a network with residual connections'
  train.find(tiny(pruner='snip'), lines.append)
  assert 'ratios' not in lines[-1]


def test_a_check_and_pretraining_of_a_network_without_names(tiny, monkeypatch):
  def plain(input_shape, num_classes):
    layers = keras.layers
    return keras.Sequential([layers.Conv2D(4, 3, activation='relu', input_shape=input_shape),
                             layers.GlobalAveragePooling2D(), layers.Dense(num_classes)])

  monkeypatch.setitem(registry.MODELS._entries, 'plain', plain)
  for settings in ({'pruner': 'lottery'}, {'pruner': 'lr_rewinding'}, {'pruner': 'random', 'check': 'rearrange'}):
    made = tiny(model='plain', width=0, epochs=1, **settings)
    train.train(made.settings, lambda line: None)
    assert load_mask(made.folder.mask).names == ['conv2d', 'dense']
