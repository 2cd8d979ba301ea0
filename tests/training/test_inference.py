"""What a network makes of images, layer by layer and in a graph."""

import types

import numpy as np
import tensorflow as tf

from tickets_tf.training import inference
from tickets_tf.training import settling


def test_a_graph_of_many_images_gives_what_the_layers_give_and_follows_the_statistics(small_model, small_batch):
  images = tf.constant(small_batch[0])
  few, many = inference.classifier(small_model, 100), inference.classifier(small_model, 100_000)
  assert isinstance(many, tf.types.experimental.PolymorphicFunction) and not isinstance(few, type(many))
  assert inference.classifier(small_model, 100_000) is many
  before = many(images)
  np.testing.assert_allclose(before, few(images), atol=1e-5)
  statistics = [2 * each + 0.1 for each in settling.statistics_of(small_model)]
  with settling.settled(small_model, statistics):
    np.testing.assert_allclose(many(images[:7]), few(images[:7]), atol=1e-5)
    assert np.abs(many(images) - before).max() > 1e-2
  np.testing.assert_array_equal(many(images), before)


def test_a_network_of_several_replicas_has_no_graph_of_its_own(small_model):
  mirrored = types.SimpleNamespace(distribute_strategy=types.SimpleNamespace(num_replicas_in_sync=2))
  assert not isinstance(inference.classifier(mirrored, 100_000), tf.types.experimental.PolymorphicFunction)
