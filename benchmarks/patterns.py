"""What a pattern of kept weights is worth in TFLite: dense layers 1024x1024, and convolutions 3x3 of 64 channels."""

import dataclasses
import pathlib
import tempfile
from collections.abc import Callable, Iterator

import tf_keras as keras

from benchmarks import blank
from tickets_tf import registry
from tickets_tf.experiment import tickets
from tickets_tf.export import flatbuffer
from tickets_tf.export import fold
from tickets_tf.export import saved_model
from tickets_tf.export import tflite
from tickets_tf.export import verify
from tickets_tf.export.export_report import SparseLayers

_SHAPE, _CLASSES = (8, 8, 4), 10


@dataclasses.dataclass(frozen=True)
class PatternCost:
  """The sparse file of a ticket against the dense file of the same ticket.

  Attributes:
    pattern: its name.
    size: bytes of the sparse file over those of the dense one.
    layers: how the sparse file's layers are computed.
    latency: that of the sparse file at one thread over that of the dense one, the median.
  """
  pattern: str
  size: float
  layers: SparseLayers
  latency: float


def _dense() -> keras.Model:
  images = keras.Input(_SHAPE)
  x = keras.layers.Flatten()(images)
  for _ in range(3):
    x = keras.layers.Dense(1024, activation='relu')(x)
  return keras.Model(images, keras.layers.Dense(_CLASSES)(x))


def _convolutions() -> keras.Model:
  images = x = keras.Input(_SHAPE)
  for _ in range(4):
    x = keras.layers.Conv2D(64, 3, padding='same', activation='relu')(x)
  return keras.Model(images, keras.layers.Dense(_CLASSES)(keras.layers.GlobalAveragePooling2D()(x)))


NETWORKS: dict[str, Callable[[], keras.Model]] = {'dense layers': _dense, 'convolutions': _convolutions}


def cost_of_patterns(network: str, ratio: float, rounds: int) -> Iterator[PatternCost]:
  """Measures the sparse float32 file of random tickets under every pattern against the dense file of the same ticket.

  Args:
    network: a name in `NETWORKS`.
    ratio: pruning ratio, the same in every layer but the classifier.
    rounds: pairs of measurements of latency.

  Yields:
    What each pattern costs.
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
      saved_model.write_saved_model(fold.fold_batch_norm(model), dataset, path, {})
      dense, sparse = (tflite.convert(saved_model.SavedModelClassifier(path), tflite.VARIANTS[name])
                       for name in ('dense_float32', 'sparse_float32'))
    latency = verify.latency(sparse, dense, dataset.train.images[0], rounds)[0].over_dense
    yield PatternCost(pattern, len(sparse) / len(dense), flatbuffer.sparse_layers(sparse), latency)
