"""Proof that a TFLite file computes what the SavedModel does, and what it costs."""

import gzip
import time

import numpy as np

from tickets_tf.errors import TicketsError
from tickets_tf.export import flatbuffer
from tickets_tf.export import lite

_BATCH = 100  # images per call
_MEASUREMENT = 0.02  # seconds at least, over as many inferences in a row as that takes


class Verifier:
  """Runs the TFLite files of one ticket on its test set.

  Args:
    ticket: the `LoadedTicket`.
    examples: the test `Examples`.
    rounds: pairs of measurements of latency.

  Attributes:
    accuracy: that of the SavedModel, a float in [0, 1].
  """

  def __init__(self, ticket, examples, rounds):
    self._examples = examples
    self._rounds = rounds
    self._logits = np.concatenate([ticket.logits(examples.images[start:start + _BATCH])
                                   for start in range(0, len(examples), _BATCH)])
    self.accuracy = self._accuracy(self._logits)

  def verify(self, content, dense):
    """Returns what one file is and does.

    Args:
      content: the file, bytes.
      dense: the file that its latency is compared with, bytes.

    Returns:
      A dictionary: `bytes`, `gzip_bytes`; `accuracy` on the test set; `largest_logit_difference` to the SavedModel
      over the test set; `latency`, see `latency`; `operators`, what a runtime has to know; `sparse_layers`, how many
      layers compute with sparse kernels `as_they_are` and how many have theirs `made_dense` first.

    Raises:
      TicketsError: where the runtime refuses the file, or it does not compute the same with its logits looked at.
    """
    probabilities, logits = lite.Program(flatbuffer.with_logits(content)).run(self._examples.images)
    shipped, = lite.Program(content).run(self._examples.images[:_BATCH])
    if not np.array_equal(shipped, probabilities[:_BATCH]):
      raise TicketsError('the file and its copy whose logits can be seen differ')
    return {
        'bytes': len(content),
        'gzip_bytes': len(gzip.compress(content)),
        'accuracy': self._accuracy(probabilities),
        'largest_logit_difference': float(np.max(np.abs(logits - self._logits))),
        'latency': latency(content, dense, self._examples.images[0], self._rounds),
        'operators': sorted(set(flatbuffer.operators(content))),
        'sparse_layers': dict(zip(('as_they_are', 'made_dense'), flatbuffer.sparse_layers(content))),
    }

  def _accuracy(self, outputs):
    return float(np.mean(np.argmax(outputs, axis=1) == self._examples.labels))


def latency(content, dense, image, rounds):
  """Times two files in turn on one image, at one thread and at all.

  Args:
    content: a TFLite file, bytes.
    dense: the one to compare with, bytes.
    image: uint8 [height, width, channels].
    rounds: pairs of measurements.

  Returns:
    A list of dictionaries: `threads`; `milliseconds`, the median of an inference; `over_dense`, the median of the
    ratios to the other file, each measured right before.
  """
  found = []
  for threads in sorted({1, lite.all_threads()}):
    programs = [lite.Program(each, threads) for each in (dense, content)]
    for program in programs:
      program.prepare(image)
      program.invoke()  # the first decompresses the weights
    inferences = [1 + int(_MEASUREMENT / _seconds(program, 1)) for program in programs]
    seconds = np.array([[_seconds(*each) for each in zip(programs, inferences)] for _ in range(rounds)])
    found.append({'threads': threads, 'milliseconds': 1000 * float(np.median(seconds[:, 1])),
                  'over_dense': float(np.median(seconds[:, 1] / seconds[:, 0]))})
  return found


def _seconds(program, inferences):
  start = time.perf_counter()
  for _ in range(inferences):
    program.invoke()
  return (time.perf_counter() - start) / inferences
