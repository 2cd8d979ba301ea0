"""What a pattern of kept weights is worth in TFLite: dense layers 1024x1024, and convolutions 3x3 of 64 channels."""

import pathlib
import tempfile

import tf_keras as keras

from tickets_tf import registry
from tickets_tf.experiment import tickets
from benchmarks import blank
from tickets_tf.export import flatbuffer
from tickets_tf.export import fold
from tickets_tf.export import saved_model
from tickets_tf.export import tflite
from tickets_tf.export import verify

_SHAPE, _CLASSES = (8, 8, 4), 10


def _dense():
  images = keras.Input(_SHAPE)
  x = keras.layers.Flatten()(images)
  for _ in range(3):
    x = keras.layers.Dense(1024, activation='relu')(x)
  return keras.Model(images, keras.layers.Dense(_CLASSES)(x))


def _convolutions():
  images = x = keras.Input(_SHAPE)
  for _ in range(4):
    x = keras.layers.Conv2D(64, 3, padding='same', activation='relu')(x)
  return keras.Model(images, keras.layers.Dense(_CLASSES)(keras.layers.GlobalAveragePooling2D()(x)))


NETWORKS = {'dense layers': _dense, 'convolutions': _convolutions}


def compare(network, ratio, rounds):
  """Measures the sparse float32 file of random tickets under every pattern against the dense file of the same ticket.

  Args:
    network: a name in `NETWORKS`.
    ratio: pruning ratio, the same in every layer but the classifier.
    rounds: pairs of measurements of latency.

  Yields:
    Of every pattern: its name, the sparse file's size over the dense one's, (layers computed sparse, layers made dense
    first), and its latency at one thread over the dense one's, the median.
  """
  model = NETWORKS[network]()
  initial = model.get_weights()
  dataset = blank.dataset(_SHAPE, _CLASSES)
  for pattern in registry.PATTERNS.names():
    model.set_weights(initial)
    ticket = tickets.find_ticket(model, 'random', ratio, allocation='uniform', pattern=pattern)
    model.set_weights(ticket.weights)
    with tempfile.TemporaryDirectory() as folder:
      path = pathlib.Path(folder) / 'ticket'
      saved_model.export_saved_model(fold.fold_batch_norm(model), dataset, path, {})
      dense, sparse = (tflite.convert(saved_model.LoadedTicket(path), tflite.VARIANTS[name], calibration=None)
                       for name in ('dense_float32', 'sparse_float32'))
    latency = verify.latency(sparse, dense, dataset.train.images[0], rounds)[0]['over_dense']
    yield pattern, len(sparse) / len(dense), flatbuffer.sparse_layers(sparse), latency
