"""Which TFLite file is the best: within the tolerance of accuracy, and least by the measure that was asked for."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from tickets_tf import registry
from tickets_tf.errors import UsageError
from tickets_tf.export.export_report import ExportedFile, ExportedOnnx

_ROUNDING = 1e-9  # lets a loss of accuracy that is exactly the tolerance pass
NOISE = 0.1  # of a latency: a file that is faster by less is not called faster

Row = TypeVar('Row', ExportedFile, ExportedOnnx)
Measure = Callable[[ExportedFile], float]


def relative_latency(row: ExportedFile) -> float:
  """Returns the latency over that of the dense file with one thread; milliseconds if no dense file was timed.

  Ratios, because the two were timed in turn: a machine that is busy for a while slows both.
  """
  first = row.latency[0]
  return first.milliseconds if first.over_dense is None else first.over_dense


def size(row: ExportedFile) -> float:
  """Returns the bytes of a file."""
  return row.bytes


def gzip(row: ExportedFile) -> float:
  """Returns the bytes of a file that is compressed with gzip."""
  return row.gzip_bytes


def size_and_latency(row: ExportedFile) -> float:
  """Returns the product of size and latency: half the one is worth as much as half the other."""
  return row.bytes * relative_latency(row)


MEASURES = {'size': size, 'gzip': gzip, 'latency': relative_latency, 'size_and_latency': size_and_latency}
_WORDS = {'size': 'smallest', 'gzip': 'smallest gzipped', 'latency': 'fastest',
          'size_and_latency': 'least in size times latency'}


def find(name: str) -> Measure:
  """Returns the measure called `name`, or that of `package.module:name`: of a file to a number, less is better.

  Raises:
    UsageError: if there is none.
  """
  try:
    measure: Measure = registry.Registry('measure', MEASURES).get(name)
  except UsageError as error:
    raise UsageError(f'--best={name}: {error}') from None
  return measure


def words(name: str) -> str:
  """Returns what the best file is by a measure: `'smallest'`."""
  return _WORDS.get(name, f'least by {name}')


def within(rows: Sequence[Row], accuracy: float, tolerance: float) -> list[Row]:
  """Returns the files that are not shown to lose more than `tolerance` points against the SavedModel.

  A loss is shown if the whole interval of a file's `loss` is above the tolerance. A few images of a small test set are
  no loss that is shown; the interval says how large it could be.

  Args:
    rows: files. Of one without `loss`, the difference of accuracies decides.
    accuracy: the SavedModel's, in [0, 1].
    tolerance: points of accuracy.
  """
  def least(row: Row) -> float:
    return row.loss[0] if row.loss else 100 * (accuracy - row.accuracy)

  return [row for row in rows if least(row) <= tolerance + 100 * _ROUNDING]


def front(rows: Sequence[ExportedFile]) -> tuple[str, ...]:
  """Returns the names of the files that a smaller one cannot replace: each is faster than all smaller ones.

  Faster means by 10%, and with the middle halves of their measurements apart, so that noise makes no file faster.

  Args:
    rows: files that are good enough. Of those without latencies only the smallest is on the front.

  Returns:
    The names from the smallest, which is the slowest, to the fastest.
  """
  found: list[ExportedFile] = []
  for row in sorted(rows, key=lambda row: (row.bytes, relative_latency(row) if row.latency else 0.0)):
    if not found or (row.latency and _faster(row, found[-1])):
      found.append(row)
  return tuple(row.file for row in found)


def _faster(row: ExportedFile, other: ExportedFile) -> bool:
  below = _quartiles(row)[1] < _quartiles(other)[0]
  return below and relative_latency(row) < (1 - NOISE) * relative_latency(other)


def _quartiles(row: ExportedFile) -> tuple[float, float]:
  # Of what `relative_latency` gives.
  first = row.latency[0]
  found = first.milliseconds_quartiles if first.over_dense is None else first.over_dense_quartiles
  return found or (relative_latency(row),) * 2
