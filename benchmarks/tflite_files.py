"""One TFLite file against another, for example those of a ticket with and without compaction."""

import os
import pathlib

import numpy as np

from tickets_tf.errors import UsageError
from tickets_tf.export import loading
from tickets_tf.export import verify
from tickets_tf.export.export_report import Latency


def compare_files(path: str | os.PathLike[str], other: str | os.PathLike[str],
                  rounds: int) -> tuple[float, tuple[Latency, ...]]:
  """Measures size and latency of one file over those of another, on a black image.

  Args:
    path: a TFLite file that `bin/export` wrote.
    other: another, for images of the same shape.
    rounds: pairs of measurements of latency.

  Returns:
    (size over that of the other; latencies, whose `over_dense` is over those of the other).

  Raises:
    UsageError: if `bin/export` did not write one of the files, or their images differ in shape.
  """
  shape, others = (loading.load_ticket(each).image_shape for each in (path, other))
  if shape != others:
    raise UsageError(f'{path} takes images of shape {shape}, {other} of {others}; expected files of one data set')
  content, against = (pathlib.Path(each).read_bytes() for each in (path, other))
  return len(content) / len(against), verify.latency(content, against, np.zeros(shape, np.uint8), rounds)
