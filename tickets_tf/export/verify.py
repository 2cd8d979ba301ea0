"""Proof that a TFLite file computes what the SavedModel does, and what it costs."""

import gzip
import time

import numpy as np
import numpy.typing as npt

from tickets_tf.data import Examples
from tickets_tf.errors import TicketsError
from tickets_tf.export import flatbuffer
from tickets_tf.export.export_report import ExportedFile, Latency
from tickets_tf.export.program import Program, all_threads
from tickets_tf.export.saved_model import SavedModelClassifier

_ROUNDING = 1e-5  # of a probability
_BATCH = 100  # images per call
_MEASUREMENT = 0.02  # seconds that a measurement takes at least, by repeating the inference


class Verifier:
  """Runs the TFLite files of one ticket on its test set.

  Args:
    classifier: the ticket's SavedModel.
    examples: the test set.
    rounds: pairs of measurements of latency.

  Attributes:
    accuracy: that of the SavedModel, in [0, 1].
  """

  def __init__(self, classifier: SavedModelClassifier, examples: Examples, rounds: int) -> None:
    self._examples = examples
    self._rounds = rounds
    self._logits = np.concatenate([classifier.logits(examples.images[start:start + _BATCH])
                                   for start in range(0, len(examples), _BATCH)])
    self.accuracy = self._accuracy(self._logits)

  def verify(self, file: str, content: bytes, dense: bytes) -> ExportedFile:
    """Returns what one file is and does.

    Args:
      file: its name.
      content: the file.
      dense: the file to compare its latency with.

    Raises:
      TicketsError: if the runtime refuses the file, or the file computes something else once its logits are an output.
    """
    probabilities, logits = Program(flatbuffer.with_logits(content)).run(self._examples.images)
    shipped, = Program(content).run(self._examples.images[:_BATCH])
    # One more output can change which operators the runtime fuses, and with it the last bits.
    if np.max(np.abs(shipped - probabilities[:_BATCH])) > _ROUNDING:
      raise TicketsError(f'{file}: the file and its copy with logits as an output compute different probabilities')
    return ExportedFile(
        file=file,
        bytes=len(content),
        gzip_bytes=len(gzip.compress(content)),
        accuracy=self._accuracy(probabilities),
        largest_logit_difference=float(np.max(np.abs(logits - self._logits))),
        latency=latency(content, dense, self._examples.images[0], self._rounds),
        operators=tuple(sorted(set(flatbuffer.operators(content)))),
        sparse_layers=flatbuffer.sparse_layers(content))

  def _accuracy(self, outputs: npt.NDArray[np.float32]) -> float:
    return float(np.mean(np.argmax(outputs, axis=1) == self._examples.labels))


def latency(content: bytes, dense: bytes, image: npt.NDArray[np.uint8], rounds: int) -> tuple[Latency, ...]:
  """Times two TFLite files in turn on one image.

  Args:
    content: the file whose latency is asked for.
    dense: the file to compare with.
    image: uint8 [height, width, channels].
    rounds: pairs of measurements.

  Returns:
    The latency with one thread, and with all if there are several.
  """
  found = []
  for threads in sorted({1, all_threads()}):
    programs = [Program(each, threads) for each in (dense, content)]
    for program in programs:
      program.prepare(image)
      program.invoke()  # the first decompresses the weights
    inferences = [1 + int(_MEASUREMENT / _seconds(program, 1)) for program in programs]
    seconds = np.array([[_seconds(program, count) for program, count in zip(programs, inferences, strict=True)]
                        for _ in range(rounds)])
    of_dense, of_content = seconds.T
    found.append(Latency(threads, 1000 * float(np.median(of_content)), float(np.median(of_content / of_dense))))
  return tuple(found)


def _seconds(program: Program, inferences: int) -> float:
  start = time.perf_counter()
  for _ in range(inferences):
    program.invoke()
  return (time.perf_counter() - start) / inferences
