"""Runs of networks whose kernels lie inside other layers, and of layers that set weights that the mask removes."""

import dataclasses
import functools

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from tests import weights_files
import tickets_tf
from tickets_tf import registry
from tickets_tf.errors import TicketsError
from tickets_tf.experiment import train
from tickets_tf.export import bundle
from tickets_tf.pruning.mask import load_mask
from tickets_tf.runs.run import Run
from tickets_tf.training import loop
from tickets_tf.training.checkpoints import Checkpoints

LAYERS = keras.layers


class Block(LAYERS.Layer):

  def __init__(self):
    super().__init__()
    self.norm, self.inner = LAYERS.BatchNormalization(), [LAYERS.Conv2D(4, 3, padding='same') for _ in range(2)]

  def call(self, inputs, training=None):
    return tf.nn.relu(inputs + self.inner[1](self.norm(self.inner[0](inputs), training=training)))


class Reviving(LAYERS.Dense):

  def call(self, inputs):
    self.kernel.assign(tf.where(self.kernel == 0, 0.1, self.kernel))
    return super().call(inputs)


def composite(input_shape, num_classes, head=LAYERS.Dense):
  inputs = keras.Input(input_shape)
  x = LAYERS.GlobalAveragePooling2D()(Block()(LAYERS.Conv2D(4, 3)(inputs)))
  return keras.Model(inputs, head(num_classes, name='head')(x), name='composite')


@pytest.fixture
def tiny(tmp_path, monkeypatch):
  """A function from a folder's name and settings to a small run."""
  monkeypatch.setitem(registry.MODELS._entries, 'composite', composite)
  monkeypatch.setitem(registry.MODELS._entries, 'reviving', functools.partial(composite, head=Reviving))
  base = tickets_tf.Settings(model='composite', width=0, train_examples=160, batch_size=32, epochs=2, ratio=0.8,
                             pruner='random', progress=False, tensorboard=False, export=False, checkpoint_seconds=0)
  return lambda name='', **changes: Run(dataclasses.replace(base, output_dir=str(tmp_path / name), **changes))


def same(first, second):
  first, second = (weights_files.read(run.folder.final) for run in (first, second))
  assert first.keys() == second.keys() and first
  return all(np.array_equal(value, second[path]) for path, value in first.items())


def test_used_again_or_killed_it_ends_with_the_same_bits(tiny, monkeypatch):
  loop._compiled.clear()
  train.train(tiny('fresh').settings, lambda line: None)
  train.train(tiny('other', seed=1).settings, lambda line: None)
  train.train(tiny('again').settings, lambda line: None)
  assert len(loop._compiled) == 1
  assert same(tiny('fresh'), tiny('again')) and not same(tiny('fresh'), tiny('other', seed=1))

  save = Checkpoints.save

  def broken(self, epoch):
    save(self, epoch)
    raise KeyboardInterrupt

  monkeypatch.setattr(Checkpoints, 'save', broken)
  with pytest.raises(KeyboardInterrupt):
    train.train(tiny('killed').settings, lambda line: None)
  monkeypatch.setattr(Checkpoints, 'save', save)
  loop._compiled.clear()
  train.train(tiny('killed').settings, lambda line: None)
  assert same(tiny('fresh'), tiny('killed'))
  network = tickets_tf.build_model('composite', (8, 8, 1), 10, width=0)
  network.load_weights(tiny('fresh').folder.final)
  mask = load_mask(tiny('fresh').folder.mask)
  for kernel in tickets_tf.prunable_kernels(network):
    np.testing.assert_array_equal(kernel.variable.numpy() != 0, mask[kernel.name])


def test_a_layer_that_revives_weights_leaves_no_record(tiny):
  run = tiny(model='reviving')
  with pytest.raises(TicketsError, match=r"weights that the mask removes are not zero: .* of layer 'head'"):
    train.train(run.settings, lambda line: None)
  assert not run.folder.is_done() and not run.folder.final.exists() and not run.folder.saved_model.exists()


def test_nothing_is_exported_from_weights_that_the_mask_does_not_describe(tiny):
  run = tiny(epochs=1)
  train.train(run.settings, lambda line: None)
  network = tickets_tf.build_model('composite', (8, 8, 1), 10, width=0)
  network.load_weights(run.folder.final)
  kernel = tickets_tf.prunable_kernels(network)[1].variable
  kernel.assign(tf.ones_like(kernel))
  network.save_weights(run.folder.final)
  with pytest.raises(TicketsError, match=r"are not zero: [0-9]+ of layer 'block/conv2d'"):
    bundle.export_run(run.folder.path)
  assert not run.folder.export.exists()
