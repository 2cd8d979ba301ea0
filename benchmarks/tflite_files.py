"""One TFLite file against another, as those of a ticket with and without compaction."""

import pathlib

import numpy as np

from tickets_tf.errors import UsageError
from tickets_tf.export import loading
from tickets_tf.export import verify


def compare(path, other, rounds):
  """Measures size and latency of one file over those of another, on a black image.

  Args:
    path: a TFLite file that `bin/export` wrote.
    other: another, for images of the same shape.
    rounds: pairs of measurements of latency.

  Returns:
    (size over that of the other; list of (threads, median latency over that of the other)).

  Raises:
    UsageError: where a file is none that `bin/export` wrote, or their images differ in shape.
  """
  shape, others = (tuple(loading.load_ticket(each).image_shape) for each in (path, other))
  if shape != others:
    raise UsageError(f'{path} takes images of shape {shape}, {other} of {others}; expected files of one data set')
  content, against = (pathlib.Path(each).read_bytes() for each in (path, other))
  found = verify.latency(content, against, np.zeros(shape, np.uint8), rounds)
  return len(content) / len(against), [(each['threads'], each['over_dense']) for each in found]
