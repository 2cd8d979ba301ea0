"""Proof that a TFLite file computes what the SavedModel does, and what it costs."""

import dataclasses
import functools
import gzip
import time
from collections.abc import Callable
from typing import Protocol

import numpy as np
import numpy.typing as npt

from tickets_tf.data import Examples, Images
from tickets_tf.errors import TicketsError
from tickets_tf.export import flatbuffer
from tickets_tf.export import paired
from tickets_tf.export import startup
from tickets_tf.export.export_report import ExportedFile, Latency
from tickets_tf.export.program import Program, all_threads
from tickets_tf.export.saved_model import SavedModelClassifier

ROUNDING = 1e-5  # of a probability
_BATCH = 100  # images per call
_MEASUREMENT = 0.02  # seconds that a measurement takes at least, by repeating the inference


class Timed(Protocol):
  """A program whose latency can be measured."""

  def prepare(self, image: npt.NDArray[np.uint8]) -> None:
    """Sets the image [height, width, channels] that every call of `invoke` computes on."""

  def invoke(self) -> None:
    """Computes, and does nothing else."""


@dataclasses.dataclass(frozen=True)
class Compared:
  """How the outputs of a file on the test set compare with the SavedModel's.

  Attributes:
    accuracy: in [0, 1].
    same_class: share of images that get the SavedModel's class, in [0, 1].
    largest_logit_difference: to the SavedModel's logits.
    loss: interval of the points of accuracy that are lost on the test set, see `paired.loss_interval`.
    class_right: number of images that are classified right, of each class.
  """
  accuracy: float
  same_class: float
  largest_logit_difference: float
  loss: tuple[float, float]
  class_right: tuple[int, ...]


class Verifier:
  """Runs the files of one ticket on its test set.

  Args:
    classifier: the ticket's SavedModel.
    examples: the test set.
    rounds: pairs of measurements of latency.
    validation: images to choose files by; None: the test set.

  Attributes:
    accuracy: that of the SavedModel, in [0, 1].
    class_right: number of test images that the SavedModel classifies right, of each class.
    class_examples: number of test images of each class.
    images: those of the test set, uint8 [N, height, width, channels].
    rounds: as given.
  """

  def __init__(self, classifier: SavedModelClassifier, examples: Examples, rounds: int,
               validation: Examples | None = None) -> None:
    self._examples = examples
    self._validation = validation
    self.images = examples.images
    self.rounds = rounds
    self._logits = _logits(classifier, examples)
    self._right = _right(self._logits, examples)
    self.accuracy = float(np.mean(self._right))
    self.class_right = self._by_class(self._right)
    self.class_examples = self._by_class(np.ones_like(self._right))
    self._right_before = None if validation is None else _right(_logits(classifier, validation), validation)

  def verify(self, file: str, content: bytes, dense: bytes | None) -> ExportedFile:
    """Returns what one file is and does.

    Args:
      file: its name.
      content: the file.
      dense: the file to compare its latency with; None if there is none.

    Raises:
      TicketsError: if the runtime refuses the file, or the file computes something else once its logits are an output.
    """
    probabilities, logits = Program(flatbuffer.with_logits(content)).run(self.images)
    shipped, = Program(content).run(self.images[:_BATCH])
    # One more output can change which operators the runtime fuses, and with it the last bits.
    if np.max(np.abs(shipped - probabilities[:_BATCH])) > ROUNDING:
      raise TicketsError(f'{file}: the file and its copy with logits as an output compute different probabilities')
    compared = self.compare(probabilities, logits)
    return ExportedFile(
        file=file,
        bytes=len(content),
        gzip_bytes=len(gzip.compress(content)),
        accuracy=compared.accuracy,
        largest_logit_difference=compared.largest_logit_difference,
        latency=latency(content, dense, self.images[0], self.rounds),
        operators=tuple(sorted(set(flatbuffer.operators(content)))),
        sparse_layers=flatbuffer.sparse_layers(content),
        loss=self.loss(compared, lambda images: Program(content).run(images)[0]),
        startup=startup.measure('tflite', content),
        class_right=compared.class_right)

  def compare(self, probabilities: npt.NDArray[np.float32], logits: npt.NDArray[np.float32]) -> Compared:
    """Compares what a file gave for the test images, both [N, classes], with what the SavedModel gives."""
    same = np.argmax(probabilities, axis=1) == np.argmax(self._logits, axis=1)
    right = _right(probabilities, self._examples)
    return Compared(float(np.mean(right)), float(np.mean(same)), float(np.max(np.abs(logits - self._logits))),
                    _points_lost(self._right, right), self._by_class(right))

  def loss(self, compared: Compared, run: Callable[[Images], npt.NDArray[np.float32]],
           ) -> tuple[float, float]:
    """Returns the interval of the points that a file loses on the images to choose by.

    Args:
      compared: how it does on the test set.
      run: gives its probabilities [N, classes] of images.
    """
    if self._validation is None or self._right_before is None:
      return compared.loss
    return _points_lost(self._right_before, _right(run(self._validation.images), self._validation))

  def _by_class(self, chosen: npt.NDArray[np.bool_]) -> tuple[int, ...]:
    # How many of the chosen images each class has.
    counts = np.bincount(self._examples.labels[chosen], minlength=self._logits.shape[1])
    return tuple(counts.tolist())


def _logits(classifier: SavedModelClassifier, examples: Examples) -> npt.NDArray[np.float32]:
  return np.concatenate([classifier.logits(examples.images[start:start + _BATCH])
                         for start in range(0, len(examples), _BATCH)])


def _right(outputs: npt.NDArray[np.float32], examples: Examples) -> npt.NDArray[np.bool_]:
  right: npt.NDArray[np.bool_] = np.argmax(outputs, axis=1) == examples.labels
  return right


def _points_lost(before: npt.NDArray[np.bool_], after: npt.NDArray[np.bool_]) -> tuple[float, float]:
  low, high = paired.loss_interval(before, after)
  return 100 * low, 100 * high


def latency(content: bytes, dense: bytes | None, image: npt.NDArray[np.uint8], rounds: int) -> tuple[Latency, ...]:
  """Times two TFLite files in turn on one image.

  Args:
    content: the file whose latency is asked for.
    dense: the file to compare with; None: no comparison.
    image: uint8 [height, width, channels].
    rounds: pairs of measurements.

  Returns:
    The latency with one thread, and with all if there are several.
  """
  load_dense = None if dense is None else functools.partial(Program, dense)
  return time_in_turn(functools.partial(Program, content), load_dense, image, rounds)


def time_in_turn(load: Callable[[int], Timed], load_dense: Callable[[int], Timed] | None, image: npt.NDArray[np.uint8],
                 rounds: int) -> tuple[Latency, ...]:
  """Times two programs as `latency` does; each is loaded by a function of the number of threads."""
  loads = [each for each in (load_dense, load) if each is not None]
  found = []
  for threads in sorted({1, all_threads()}):
    inferences = [1 + int(_MEASUREMENT / _seconds(_ready(each, threads, image), 1)) for each in loads]
    rows = []
    for _ in range(rounds):
      # Loaded anew, because where a program lies in memory changes its time.
      programs = [_ready(each, threads, image) for each in loads]
      rows.append([_seconds(program, count) for program, count in zip(programs, inferences, strict=True)])
    seconds = np.array(rows)
    milliseconds, quartiles = _middle(1000 * seconds[:, -1])
    over_dense = (None, None) if load_dense is None else _middle(seconds[:, -1] / seconds[:, 0])
    found.append(Latency(threads, milliseconds, over_dense[0], quartiles, over_dense[1]))
  return tuple(found)


def _ready(load: Callable[[int], Timed], threads: int, image: npt.NDArray[np.uint8]) -> Timed:
  program = load(threads)
  program.prepare(image)
  program.invoke()  # the first decompresses the weights
  return program


def _middle(values: npt.NDArray[np.float64]) -> tuple[float, tuple[float, float]]:
  """Returns the median, and the first and the third quartile."""
  low, middle, high = map(float, np.quantile(values, [0.25, 0.5, 0.75]))
  return middle, (low, high)


def _seconds(program: Timed, inferences: int) -> float:
  start = time.perf_counter()
  for _ in range(inferences):
    program.invoke()
  return (time.perf_counter() - start) / inferences
