"""What an export wrote and measured: what is in its `export.json`."""

import dataclasses
import json
from typing import Any

from tickets_tf.export.size import Reference

Quartiles = tuple[float, float]  # the first and the third


@dataclasses.dataclass(frozen=True)
class Latency:
  """Time of an inference of one image.

  Attributes:
    threads: threads that the runtime may use.
    milliseconds: the median of several measurements.
    over_dense: the median of the ratios to the dense file's time, each measured right before; None if there is no
      dense file. Of the dense file it is the ratio to a second copy of itself: what differs from 1 there is noise.
    milliseconds_quartiles: of the measurements.
    over_dense_quartiles: of the ratios.
  """
  threads: int
  milliseconds: float
  over_dense: float | None
  milliseconds_quartiles: Quartiles | None = None
  over_dense_quartiles: Quartiles | None = None


@dataclasses.dataclass(frozen=True)
class Startup:
  """What a file costs up to its first inference, in a process of its own with one thread.

  Attributes:
    milliseconds: the median time to load it and infer once, if the runtime has been started before.
    quartiles: of the same.
    peak_bytes: the most memory that it took beyond Python with the runtime; None if the system does not tell.
  """
  milliseconds: float
  quartiles: Quartiles
  peak_bytes: int | None


@dataclasses.dataclass(frozen=True)
class SparseLayers:
  """How a runtime computes with the kernels that a TFLite file stores sparse.

  Attributes:
    as_they_are: kernels that their operator takes sparse.
    made_dense: kernels that the operator DENSIFY makes dense first.
  """
  as_they_are: int
  made_dense: int

  @property
  def stored(self) -> int:
    """Number of kernels that the file stores sparse."""
    return self.as_they_are + self.made_dense


@dataclasses.dataclass(frozen=True)
class ExportedFile:
  """A TFLite file of an export.

  Attributes:
    file: its name.
    bytes: its size.
    gzip_bytes: its size compressed with gzip.
    accuracy: on the test set, in [0, 1].
    largest_logit_difference: to the SavedModel's logits over the test set.
    latency: one for each number of threads.
    operators: names of the operators that a runtime has to know.
    sparse_layers: how the layers with sparse kernels are computed.
    kept: whether the export keeps the file, or has only measured it.
    loss: interval (95%) of the points of accuracy that it loses against the SavedModel on the images that files are
      chosen by (`ExportReport.chosen_on`), see `paired.loss_interval`.
    reference_bytes: what there is to know in numbers of its kind, see `size.Reference`; None if it is not known which
      weights are kept.
    startup: None if it could not be measured.
    class_right: number of test images that it classifies right, of each class.
    integers: whether its probabilities are integers, in steps of 1/256.
  """
  file: str
  bytes: int
  gzip_bytes: int
  accuracy: float
  largest_logit_difference: float
  latency: tuple[Latency, ...]
  operators: tuple[str, ...]
  sparse_layers: SparseLayers
  kept: bool = True
  loss: tuple[float, float] | None = None
  reference_bytes: float | None = None
  startup: Startup | None = None
  class_right: tuple[int, ...] = ()
  integers: bool = False


@dataclasses.dataclass(frozen=True)
class FailedFile:
  """A TFLite or ONNX file that could not be made.

  Attributes:
    file: the name that it would have had.
    reason: why not, one line.
  """
  file: str
  reason: str


@dataclasses.dataclass(frozen=True)
class ExportedOnnx:
  """An ONNX file of an export.

  Attributes:
    file: its name.
    bytes: its size.
    gzip_bytes: its size compressed with gzip.
    accuracy: on the test set, in [0, 1].
    same_class: share of test images that get the SavedModel's class, in [0, 1].
    largest_logit_difference: to the SavedModel's logits over the test set.
    kept_weights: weights of its kernels that are not zero.
    latency: one for each number of threads; the dense file is `model.onnx`.
    kept: whether the export keeps the file, or has only measured it.
    loss: as in `ExportedFile`, and so are the next two.
    reference_bytes: what there is to know in numbers of its kind.
    startup: with ONNX Runtime.
  """
  file: str
  bytes: int
  gzip_bytes: int
  accuracy: float
  same_class: float
  largest_logit_difference: float
  kept_weights: int
  latency: tuple[Latency, ...]
  kept: bool = True
  loss: tuple[float, float] | None = None
  reference_bytes: float | None = None
  startup: Startup | None = None


@dataclasses.dataclass(frozen=True)
class ExportedSavedModel:
  """The SavedModel of an export.

  Attributes:
    bytes: size of all its files.
    accuracy: on the test set, in [0, 1].
    class_right: number of test images that it classifies right, of each class.
  """
  bytes: int
  accuracy: float
  class_right: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True)
class ExportReport:
  """What an export wrote and measured.

  Attributes:
    saved_model: the SavedModel.
    tflite: the TFLite files in the order in which they were tried; the dense fallback is the first.
    best: name of the TFLite file within the tolerance that is the best by `best_by`; None if there is no TFLite file.
    tolerance: points of test accuracy that the best file may lose against the SavedModel.
    test_examples: number of test images.
    reference: what there is to know of the network; None if it is not known which weights are kept.
    environment: the machine and the versions of packages, see `tickets_tf.environment`.
    onnx: the ONNX files, if they were asked for; `model.onnx` is the first.
    best_by: the measure that `best` is the least of, see `tickets_tf.export.choice`.
    front: names of the files within the tolerance that no smaller one can replace, the smallest and slowest first.
    failed: the TFLite and ONNX files that could not be made.
    chosen_on: `'validation'` or `'test'`: the images that files are chosen by.
    chosen_examples: their number.
    interval: Clopper-Pearson interval (95%) of the SavedModel's test accuracy, in [0, 1].
    class_examples: number of test images of each class.
    load_per_core: load average of the last minute over the number of cores, before the export and after it; the second
      holds what the export did itself. None where the system has no load average.
    licence: that of the model; empty: not given.
    keras: names of the files for Keras 3; empty: none were asked for.
  """
  saved_model: ExportedSavedModel
  tflite: tuple[ExportedFile, ...]
  best: str | None
  tolerance: float
  test_examples: int
  reference: Reference | None
  environment: dict[str, Any]
  onnx: tuple[ExportedOnnx, ...] = ()
  best_by: str = 'size'
  front: tuple[str, ...] = ()
  failed: tuple[FailedFile, ...] = ()
  chosen_on: str = 'test'
  chosen_examples: int = 0
  interval: tuple[float, float] | None = None
  class_examples: tuple[int, ...] = ()
  load_per_core: tuple[float | None, float | None] = (None, None)
  licence: str = ''
  keras: tuple[str, ...] = ()

  def to_json(self) -> dict[str, Any]:
    """Returns the report as JSON values: what is in `export.json`."""
    values: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self)))  # lists for tuples
    return values
