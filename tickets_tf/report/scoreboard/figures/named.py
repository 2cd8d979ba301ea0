"""What the drawings of a report call tables, and which of their methods they show together."""

from collections.abc import Iterator
from collections.abc import Sequence
import dataclasses

from tickets_tf.report.scoreboard.cells import Cell
from tickets_tf.report.scoreboard.cells import Table
from tickets_tf.report.scoreboard.figures.drawings import stem

# The name that a table has for random tickets with smart ratios.
LUCK = 'random'


@dataclasses.dataclass(frozen=True)
class Named:
  """A table with what sets it apart from the others of a report.

  Attributes:
    table: the table.
    words: network and data set, and the protocol where several tables have the same.
    stem: the same as part of a name for `Drawing`.
  """
  table: Table
  words: str
  stem: str

  def methods(self, checked: bool) -> list[str]:
    """Returns the methods that were pruned: those that a check was applied to, or all others."""
    return [method for method in self.table.methods if any(cell.ratio for cell in self.of(method))
            and any(run.record.settings.check for cell in self.of(method) for run in cell.runs) == checked]

  def of(self, method: str) -> list[Cell]:
    """Returns the cells of a method, its ratios rising."""
    return [self.table.cells[method, ratio] for ratio in self.table.ratios if (method, ratio) in self.table.cells]

  def pruned(self, ratio: float) -> list[Cell]:
    """Returns the cells of all rules at a ratio, without those of checked tickets and of networks that lack nothing."""
    cells = (self.table.cells.get((method, ratio)) for method in self.methods(checked=False))
    return [cell for cell in cells if cell and prunes(cell)]

  def dense(self) -> list[tuple[str, float]]:
    """Returns (method, mean accuracy in percent) of what was not pruned."""
    return [(method, cell.accuracies.mean) for method in self.table.methods for cell in self.of(method)
            if not cell.ratio and cell.accuracies.mean is not None]


def prunes(cell: Cell) -> bool:
  """Returns whether a cell's networks lack weights: a small dense network lacks none."""
  return all(run.record.kept < run.record.weights for run in cell.runs)


def named(tables: Sequence[Table]) -> Iterator[Named]:
  """Yields tables with names that set them apart."""
  for number, table in enumerate(tables, 1):
    same = [each for each in tables if (each.network, each.dataset) == (table.network, table.dataset)]
    words = f'{table.network} on {table.dataset}' + (f' ({table.protocol})' if len(same) > 1 else '')
    yield Named(table, words, stem(table.network, table.dataset, str(number) if len(same) > 1 else ''))
