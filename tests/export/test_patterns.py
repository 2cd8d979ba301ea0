import numpy as np
import pytest

import tickets_tf
import tf_keras as keras
from benchmarks import patterns as benchmark
from tickets_tf.export import fold
from tickets_tf.export import flatbuffer
from tickets_tf.export import saved_model
from tickets_tf.export import tflite
from tickets_tf.export.export_report import SparseLayers
from tickets_tf.export.program import Program


@pytest.fixture
def dense_layers():
  """Three dense layers on digits."""
  keras.utils.set_random_seed(0)
  images = keras.Input((8, 8, 1))
  x = keras.layers.Flatten()(images)
  for number in range(2):
    x = keras.layers.Dense(128, activation='relu', name=f'hidden{number}')(x)
  return keras.Model(images, keras.layers.Dense(10, name='classifier')(x))


@pytest.mark.parametrize('pattern, in_blocks', [('unstructured', False), ('1x4', True), ('2:4', False)])
def test_dense_layers_in_blocks_are_computed_sparse(pattern, in_blocks, dense_layers, digits, tmp_path):
  found = tickets_tf.find_ticket(dense_layers, 'random', 0.85, pattern=pattern)
  dense_layers.set_weights(found.weights)
  saved_model.write_saved_model(fold.fold_batch_norm(dense_layers), digits, tmp_path / 'ticket', {})
  ticket = saved_model.SavedModelClassifier(tmp_path / 'ticket')
  images = digits.test.images[:20]
  for name, tolerance in (('sparse_float32', 1e-5), ('sparse_float16', 1e-2)):
    content = tflite.convert(ticket, tflite.VARIANTS[name], digits.train.images[:20])
    layers = flatbuffer.sparse_layers(content)
    # There are blocks in the small classifier by chance, too.
    native = in_blocks and name == 'sparse_float32'
    assert (layers.as_they_are >= 2 and layers.made_dense <= 1) if native else (
        layers.as_they_are <= 1 and layers.made_dense >= 2), name
    np.testing.assert_allclose(Program(content).run(images)[0], ticket.predict(images), atol=tolerance)
  dense = tflite.convert(ticket, tflite.VARIANTS['dense_float32'])
  assert flatbuffer.sparse_layers(dense) == SparseLayers(0, 0)


def test_the_benchmark_measures_every_pattern():
  rows = list(benchmark.cost_of_patterns('convolutions', 0.9, rounds=1))
  assert [row.pattern for row in rows] == ['unstructured', '1x4', '2:4']
  for row in rows:
    assert 0.05 < row.size < 0.25 and row.layers.stored == 5 and row.layers.made_dense >= 4 and row.latency > 0
