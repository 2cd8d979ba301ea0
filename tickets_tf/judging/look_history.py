"""The looks of a question, kept in a file of its folder, so that running again with more seeds is charged.

A look at intervals of level a is wrong with at most a, so all looks together with at most the sum of their levels.
Looks that were planned share alpha as the plan says, and a look that was left out leaves its share to the next (as in
Lan and DeMets 1983). A look that was not planned takes half of what is left of alpha. If nothing is left, it takes half
of what the last look took: levels that are halved again and again never add up to more than twice the first, so that
looks without end are wrong with at most 2 alpha. The sum is told.
"""

from collections.abc import Sequence
import dataclasses
import math
import pathlib

import msgspec

from tickets_tf.errors import UsageError
from tickets_tf.judging.bounds import check_alpha
from tickets_tf.runs import records

# It rises whenever a key changes its name or meaning.
FORMAT = 1


@dataclasses.dataclass(frozen=True)
class Look:
  """One look: the number of seeds, the level that it took, and whether it was planned before anything was seen."""
  seeds: int
  level: float
  planned: bool


@dataclasses.dataclass(frozen=True)
class LookHistory:
  """The looks of a question so far.

  Attributes:
    alpha: error rate of the planned looks together.
    sizes: the planned numbers of seeds, rising.
    levels: the planned level of each, as `looks.nominal_levels` gives them.
    looks: those that were done, in order.
    format: version of the file.
  """
  alpha: float
  sizes: tuple[int, ...]
  levels: tuple[float, ...]
  looks: tuple[Look, ...] = ()
  format: int = FORMAT

  @property
  def spent(self) -> float:
    """The probability that a statement of any look so far is wrong, at most."""
    return math.fsum(look.level for look in self.looks)

  @property
  def left(self) -> float:
    """What is left of alpha."""
    left = self.alpha - self.spent
    return left if left > 1e-9 * self.alpha else 0.0

  @property
  def done(self) -> dict[int, Look]:
    """The looks by their numbers of seeds."""
    return {look.seeds: look for look in self.looks}


def planned(sizes: Sequence[int], levels: Sequence[float]) -> LookHistory:
  """Returns the history of a question that nobody has looked at.

  Args:
    sizes: the numbers of seeds at which to look, rising.
    levels: the level of each; their sum is alpha.

  Raises:
    UsageError: if the numbers do not rise or do not fit the levels, or alpha is out of range.
  """
  if len(sizes) != len(levels) or not sizes or list(sizes) != sorted({*sizes}) or min(levels) <= 0:
    raise UsageError(f'looks at {list(sizes)} seeds with levels {list(levels)}: expected rising numbers of seeds and a '
                     'level above 0 for each')
  alpha = math.fsum(levels)
  check_alpha(alpha)
  return LookHistory(alpha, tuple(sizes), tuple(levels))


def resume(history: LookHistory | None, plan: LookHistory) -> LookHistory:
  """Returns the history to charge the next look to: the kept one, or the plan if nobody has looked yet.

  Once there was a look, its plan stays: what a later command plans was not fixed before.

  Args:
    history: what `read` found.
    plan: what this command would plan.
  """
  return history if history and history.looks else plan


def charge(history: LookHistory, seeds: int) -> tuple[LookHistory, Look]:
  """Returns (history with the look, the look) for a look at a number of seeds.

  A look at a number of seeds that was looked at before shows the same again and costs nothing.

  Args:
    history: the looks so far.
    seeds: number of seeds.

  Raises:
    UsageError: if the number is below 1.
  """
  if seeds < 1:
    raise UsageError(f'look at {seeds} seeds: expected at least 1')
  if seeds in history.done:
    return history, history.done[seeds]
  look = Look(seeds, *_level(history, seeds))
  return dataclasses.replace(history, looks=(*history.looks, look)), look


def next_level(history: LookHistory, seeds: int) -> float:
  """Returns the level that a look at a number of seeds would take; for forecasts."""
  return charge(history, seeds)[1].level


def told(history: LookHistory) -> str:
  """Returns what a report must say on top of looks that were not planned; empty if all were."""
  unplanned = [look.seeds for look in history.looks if not look.planned]
  if not unplanned:
    return ''
  looks, sizes = (', '.join(map(str, numbers)) for numbers in (unplanned, history.sizes))
  last = history.looks[-1]
  return (f'looked at {looks} seeds without having planned it (planned: {sizes}): the intervals at {last.seeds} seeds '
          f'hold with {100 * (1 - last.level):.3g}%, those of all looks together with '
          f'{100 * (1 - history.spent):.3g}%')


def read(path: pathlib.Path) -> LookHistory | None:
  """Reads a history; None if there is no file.

  Args:
    path: the file.

  Raises:
    UsageError: if it cannot be read or is of another format; one line that names the file.
  """
  if not path.exists():
    return None
  return records.read_value(path, LookHistory, FORMAT, 'looks')


def write(path: pathlib.Path, history: LookHistory) -> None:
  """Writes a history, whole or not at all.

  Args:
    path: the file.
    history: what to write.

  Raises:
    TicketsError: if it cannot be written.
  """
  values = msgspec.to_builtins(history)
  records.write_json(path, {'format': values.pop('format'), **values})


def _level(history: LookHistory, seeds: int) -> tuple[float, bool]:
  """Returns (level, whether the look was planned)."""
  last = max((look.seeds for look in history.looks if look.planned), default=0)
  ahead = {size: level for size, level in zip(history.sizes, history.levels, strict=True) if size > last}
  # A look at more seeds than were ever seen is planned; going back to fewer is not.
  if history.left and seeds in ahead and seeds > max(history.done, default=0):
    # What unplanned looks have taken is missing in equal shares.
    share = math.fsum(level for size, level in ahead.items() if size <= seeds) / math.fsum(ahead.values())
    return history.left * share, True
  if history.left:
    return history.left / 2, False
  return history.looks[-1].level / 2, False
