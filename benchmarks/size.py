"""Size of a random ticket's sparse TFLite file over what there is to know of its weights."""

import gzip
import pathlib
import tempfile

from benchmarks import blank
from tickets_tf import models
from tickets_tf.experiment import tickets
from tickets_tf.export import fold
from tickets_tf.export import saved_model
from tickets_tf.export import size
from tickets_tf.export import tflite
from tickets_tf.pruning import patterns

_SHAPE, _CLASSES = (32, 32, 3), 10


def over_reference(model: str, ratio: float) -> tuple[float, float]:
  """Exports a random ticket with random weights as sparse float32, and measures the file.

  Args:
    model: name of the network, at its own width.
    ratio: pruning ratio.

  Returns:
    (size of the file, size of the file gzipped), both over `export.size.Reference.bytes`.
  """
  network = models.build_model(model, _SHAPE, _CLASSES)
  ticket = tickets.find_ticket(network, 'random', ratio)
  network.set_weights(ticket.weights)
  folded = fold.fold_batch_norm(network)
  with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder) / 'ticket'
    saved_model.write_saved_model(folded, blank.dataset(_SHAPE, _CLASSES), path, {})
    content = tflite.convert(saved_model.SavedModelClassifier(path), tflite.VARIANTS['sparse_float32'])
  layers = size.describe_layers(models.prunable_kernels(folded), patterns.UNSTRUCTURED)
  known = size.reference(layers, folded.count_params()).bytes()
  return len(content) / known, len(gzip.compress(content)) / known
