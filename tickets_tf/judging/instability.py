"""How far two trainings of one ticket that differ in order alone end from each other, as values and as JSON.

Frankle et al. 2020, "Linear Mode Connectivity and the Lottery Ticket Hypothesis", arXiv 1912.05671: the error along
the line between the final weights of both; if it rises nowhere above that of the ends, they are linearly connected, and
the ticket is stable to the order from the epoch on from which the orders differ.
"""

from collections.abc import Sequence
import dataclasses
import pathlib
from typing import Any

import msgspec

from tickets_tf.errors import UsageError
from tickets_tf.runs import records

FORMAT = 1


@dataclasses.dataclass(frozen=True)
class Point:
  """One point of the line between two trainings' final weights, batch-norm statistics estimated there afresh.

  Attributes:
    position: 0 at the weights of the first training, 1 at those of the second.
    accuracy: test accuracy in [0, 1].
    loss: mean cross-entropy on the test set; None if it is not finite.
  """
  position: float
  accuracy: float
  loss: float | None


@dataclasses.dataclass(frozen=True)
class Line:
  """The line between two trainings that share their first epochs.

  Attributes:
    share_epochs: how many epochs both saw the same batches in the same order.
    runs: names of the two runs.
    points: from the first run to the second, both ends included.
  """
  share_epochs: int
  runs: tuple[str, str]
  points: tuple[Point, ...]

  @property
  def ends(self) -> tuple[float, float]:
    """Accuracies of the two trainings."""
    return self.points[0].accuracy, self.points[-1].accuracy

  @property
  def lowest(self) -> Point:
    """The point with the lowest accuracy, the first of several."""
    return min(self.points, key=lambda point: point.accuracy)

  @property
  def barrier(self) -> float:
    """Highest error on the line minus the mean error of its ends, in percent points; at least 0."""
    return 100 * (sum(self.ends) / 2 - self.lowest.accuracy)

  @property
  def loss_barrier(self) -> float | None:
    """Highest loss on the line minus the mean loss of its ends; None if a loss is not finite."""
    losses = [point.loss for point in self.points if point.loss is not None]
    return max(losses) - (losses[0] + losses[-1]) / 2 if len(losses) == len(self.points) else None


@dataclasses.dataclass(frozen=True)
class Instability:
  """Lines of one ticket, by the epochs that their trainings share.

  Attributes:
    ticket: name of the run whose ticket it is; it is the first training of every line.
    order_seed: seed of the order that the second training has after the shared epochs.
    tolerance: the highest barrier, in percent points, at which two trainings count as connected.
    lines: in rising order of `share_epochs`.
    guessing: accuracy of guessing, in percent.
    format: version of the file.
  """
  ticket: str
  order_seed: int
  tolerance: float
  lines: tuple[Line, ...]
  guessing: float
  format: int = FORMAT

  def could_show(self, line: Line) -> bool:
    """Returns whether a barrier could show: trainings that are hardly better than guessing have nothing to lose."""
    return 100 * sum(line.ends) / 2 - self.guessing > self.tolerance

  def is_connected(self, line: Line) -> bool:
    """Returns whether the two trainings of a line are shown to be linearly connected."""
    # A barrier of just the tolerance passes, whatever its last bit.
    return self.could_show(line) and line.barrier <= self.tolerance + 1e-9

  @property
  def connected_from(self) -> int | None:
    """The number of shared epochs from which on all trainings are connected; None if the last are not."""
    found = None
    for line in reversed(self.lines):
      if not self.is_connected(line):
        break
      found = line.share_epochs
    return found


def to_json(found: Instability) -> dict[str, Any]:
  """Returns all of it as JSON values: the points, and what follows from them."""
  lines = [{**msgspec.to_builtins(line), 'ends': list(line.ends), 'lowest': msgspec.to_builtins(line.lowest),
            'barrier': line.barrier, 'loss_barrier': line.loss_barrier, 'connected': found.is_connected(line)}
           for line in found.lines]
  return {**msgspec.to_builtins(found), 'lines': lines, 'connected_from': found.connected_from}


def write(path: pathlib.Path, found: Instability) -> None:
  """Writes the file, whole or not at all."""
  records.write_json(path, to_json(found))


def read(path: pathlib.Path) -> Instability:
  """Reads what `write` wrote.

  Raises:
    UsageError: if the file is missing, damaged or of another format; one line that names it.
  """
  return records.read_value(path, Instability, FORMAT, 'lines between trainings')


def check_epochs(share_epochs: Sequence[int], epochs: int) -> tuple[int, ...]:
  """Returns numbers of shared epochs in rising order, none twice.

  Raises:
    UsageError: if there is none, or one that leaves no epoch in which orders could differ.
  """
  if not share_epochs or min(share_epochs) < 0 or max(share_epochs) >= epochs:
    raise UsageError(f'--share_epochs={",".join(map(str, share_epochs))}: expected numbers of at least 0 and less than '
                     f'--epochs, {epochs}')
  return tuple(sorted(set(share_epochs)))
