"""Batch-norm statistics that fit the final weights."""

import dataclasses

import numpy as np
import pytest

from tests import small_network
import tickets_tf
from tickets_tf.data import Examples
from tickets_tf.data import Pipeline
from tickets_tf.data import normalise
from tickets_tf.experiment import evaluate
from tickets_tf.training import settling

MEAN, STD = (0.5,) * 3, (0.25,) * 3


@pytest.fixture
def pipeline():
  rng = np.random.default_rng(3)
  examples = Examples(rng.integers(0, 256, (96, 8, 8, 3), dtype=np.uint8), rng.integers(0, 10, 96, dtype=np.int32))
  return Pipeline(examples, 32, 0, 'none', 0, MEAN, STD)


def test_statistics_are_the_means_over_the_batches_of_an_epoch(small_model, pipeline):
  before = [value.copy() for value in small_model.get_weights()]
  found = settling.settled_statistics(small_model, pipeline, 0)
  for value, kept in zip(small_model.get_weights(), before, strict=True):
    np.testing.assert_array_equal(value, kept)
  # The first batch norm stands right behind the first convolution.
  convolve = small_model.layers[1]
  outputs = [convolve(images).numpy() for images, _ in pipeline.dataset(0, 3)]
  np.testing.assert_allclose(found[0], np.mean([each.mean(axis=(0, 1, 2)) for each in outputs], axis=0), rtol=1e-4,
                             atol=1e-6)
  variances = [each.var(axis=(0, 1, 2), ddof=1) for each in outputs]
  np.testing.assert_allclose(found[1], np.mean(variances, axis=0), rtol=1e-3)


def test_ruined_statistics_are_mended_for_a_measurement_and_left_as_they_were(small_model, pipeline):
  settled = settling.settled_statistics(small_model, pipeline, 0)
  ruined = [value * 0 + 1e-6 for value in settled]
  settling.set_statistics(small_model, ruined)
  images = normalise(pipeline.examples.images[:32], MEAN, STD)
  assert float(np.abs(small_model(images)).max()) > 100
  with settling.settled(small_model, settled):
    largest = float(np.abs(small_model(images)).max())
  assert largest < 100
  for value, kept in zip(settling.statistics_of(small_model), ruined, strict=True):
    np.testing.assert_array_equal(value, kept)
  again = settling.settled_statistics(small_model, pipeline, 0)
  for value, first in zip(again, settled, strict=True):
    np.testing.assert_array_equal(value, first)


def test_networks_without_batch_norm_and_frozen_ones_have_nothing_to_settle(small_model, pipeline):
  import tf_keras as keras
  plain = keras.Sequential([keras.layers.Flatten(input_shape=(8, 8, 3)), keras.layers.Dense(10)])
  assert settling.settled_statistics(plain, pipeline, 0) == []
  with settling.settled(plain, []):
    assert settling.statistics_of(plain) == []
  small_model.trainable = False
  assert settling.settled_statistics(small_model, pipeline, 0) == []


def test_the_record_has_the_settled_accuracy_and_the_run_its_statistics(tmp_path):
  settings = tickets_tf.Settings(model=small_network.NAME, width=4, train_examples=160, batch_size=32, epochs=1,
                                 ratio=0.8, progress=False, tensorboard=False, export=False, output_dir=str(tmp_path))
  record = tickets_tf.train(settings, say=lambda line: None)
  with np.load(tickets_tf.Run(settings).folder.settled, allow_pickle=False) as stored:
    statistics = [stored[name] for name in stored.files]
  assert len(statistics) == 4 and 0 <= record.settled_accuracy <= 1
  assert record.settled_accuracy != record.final_accuracy, 'after one epoch running statistics lag behind'
  of_classes = [each for each in record.class_accuracy if each is not None]
  assert record.balanced_accuracy == pytest.approx(np.mean(of_classes)) and len(of_classes) == 10


def test_a_saved_model_takes_settled_statistics_if_asked(tmp_path):
  settings = tickets_tf.Settings(model=small_network.NAME, width=4, train_examples=160, batch_size=32, epochs=1,
                                 ratio=0.8, progress=False, tensorboard=False, settle=True, output_dir=str(tmp_path))
  record = tickets_tf.train(settings, say=lambda line: None)
  found = evaluate.evaluate(tickets_tf.Run(settings).folder.path)
  assert found.agrees and [figure.name for figure in found.figures] == [
      'settled accuracy', 'settled loss', 'settled: test images right', 'effective weights']
  assert found.figures[0].found == f'{record.settled_accuracy:.2%}'
  assert found.left_out == ('the final weights with running statistics: the SavedModel has settled ones',)
  assert tickets_tf.Run(settings).name == tickets_tf.Run(dataclasses.replace(settings, settle=False)).name


def test_what_is_compiled_for_a_network_serves_its_later_weights(small_model, pipeline):
  settling.settled_statistics(small_model, pipeline, 0)
  compiled = vars(small_model)[settling._KEPT]
  small_model.set_weights([2 * value + 1 for value in small_model.get_weights()])
  found = settling.settled_statistics(small_model, pipeline, 0)
  assert vars(small_model)[settling._KEPT] is compiled and compiled.experimental_get_tracing_count() == 1
  del vars(small_model)[settling._KEPT]
  for value, alone in zip(found, settling.settled_statistics(small_model, pipeline, 0), strict=True):
    np.testing.assert_array_equal(value, alone)


def test_random_layers_draw_by_the_seed_alone(pipeline):
  import tf_keras as keras
  L = keras.layers
  model = keras.Sequential([keras.Input((8, 8, 3)), L.Dropout(0.5), L.Conv2D(4, 3), L.BatchNormalization(), L.Flatten(),
                            L.Dense(10)])
  first, again, other = (settling.settled_statistics(model, pipeline, seed) for seed in (3, 3, 4))
  np.testing.assert_array_equal(first[1], again[1])
  assert not np.array_equal(first[1], other[1])
