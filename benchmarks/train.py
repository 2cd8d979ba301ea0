"""A training step of this package against the same step in PyTorch, in turn."""

import contextlib
import dataclasses
import importlib.util
import statistics
from typing import Any

import tqdm

from benchmarks import ratios
from benchmarks import sides
from benchmarks.training_case import TrainingCase
from tickets_tf.errors import TicketsError

_OWN, _PRODUCTS = 'tickets_tf', 'products'


@dataclasses.dataclass(frozen=True)
class StepComparison:
  """Training steps of this package and of PyTorch, measured in turn.

  Attributes:
    case: what was trained.
    seconds: side -> seconds a step, one value per round.
  """
  case: TrainingCase
  seconds: dict[str, list[float]]

  @property
  def best_other(self) -> str:
    """The faster of PyTorch's memory layouts, by its median."""
    others = [side for side in self.seconds if side.startswith('torch')]
    return min(others, key=lambda side: statistics.median(self.seconds[side]))

  @property
  def speed(self) -> list[float]:
    """PyTorch's time in its faster layout over this package's; above 1 this package is faster. One value per round."""
    return ratios.in_turn(self.seconds[self.best_other], self.seconds[_OWN])

  @property
  def share_of_peak(self) -> list[float]:
    """The time of a step's multiplications in products of matrices over that of the step. One value per round."""
    return ratios.in_turn(self.seconds[_PRODUCTS], self.seconds[_OWN])

  def row(self) -> str:
    """Returns one line of a Markdown table."""
    case = self.case
    return (f'| {case.name} | {case.dtype} | {case.threads} | {ratios.text(self.speed)} | '
            f'{self.best_other.removeprefix("torch_")} | {statistics.median(self.share_of_peak):.0%} |')

  def to_json(self) -> dict[str, Any]:
    """Returns what was measured as JSON values; seconds of a step in each round."""
    return {'case': dataclasses.asdict(self.case), 'seconds': self.seconds, 'pytorch_layout': self.best_other,
            'pytorch_time_over_own': statistics.median(self.speed),
            'share_of_peak': statistics.median(self.share_of_peak)}


HEADER = ('| network | computed in | threads | PyTorch\'s time over ours, median (lowest to highest) | its layout '
          '| share of the peak |\n| --- | --- | --- | --- | --- | --- |')


def compare(case: TrainingCase, rounds: int, steps: int) -> StepComparison:
  """Times training steps of all sides in turn.

  Args:
    case: what to train.
    rounds: measurements of each side.
    steps: training steps of a measurement.

  Raises:
    TicketsError: if PyTorch is not installed, or a process fails.
  """
  if importlib.util.find_spec('torch') is None:
    raise TicketsError('PyTorch is not installed: pip install "tickets_tf[torch-benchmark]"')
  with contextlib.ExitStack() as stack:
    all_sides = [stack.enter_context(sides.started(name, case, steps)) for name in sides.SIDES]
    for side in all_sides:
      side.seconds()  # They start at the same time; from here on one works while the others wait.
    found: dict[str, list[float]] = {side.name: [] for side in all_sides}
    for _ in tqdm.trange(rounds, desc=f'{case.name}, {case.dtype}', unit='round', leave=False):
      for side in all_sides:
        found[side.name].append(side.seconds() / steps)
  return StepComparison(case, found)
