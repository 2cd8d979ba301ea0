"""The accuracies that the paper published, beside ours: difference, and whether chance explains it."""

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
import csv
import dataclasses
import functools
import importlib.resources
import math
import statistics

import scipy  # Its stats is imported when it is first used, half a second that most programs save.

from tickets_tf.report.scoreboard.best import SEEDS
from tickets_tf.report.scoreboard.cells import Cell
from tickets_tf.report.scoreboard.cells import Table

SOURCE = ('Su et al., Sanity-Checking Pruning Methods: Random Tickets can Win the Jackpot, NeurIPS 2020 '
          '(arXiv 2009.11094)')
# The published tables do not tell the number of runs that a mean and a deviation are of.
ASSUMED_RUNS = 3
_ROUNDING = 0.01  # Published accuracies have two decimals.
_WIDTHS = {'vgg19': 64, 'resnet32': 32}
# What the paper trained with; of several values each is the same.
_PAPER = {'epochs': (160,), 'batch_size': (64,), 'learning_rate': (0.1,), 'milestones': ('0.5,0.75',), 'decay': (0.1,),
          'momentum': (0.9,), 'weight_decay': (1e-4,), 'augmentation': ('crop_flip', 'auto'), 'image_size': (0, 32),
          'train_examples': (0,), 'validation_split': (0.0,), 'mixed_precision': ('none',)}


@dataclasses.dataclass(frozen=True)
class Published:
  """A published cell.

  Attributes:
    sources: the paper's tables that have it.
    network, dataset, method, ratio: which cell it is, as `cells.Table` names it.
    mean: test accuracy in percent.
    deviation: standard deviation in percent points; None if none was published.
  """
  sources: tuple[str, ...]
  network: str
  dataset: str
  method: str
  ratio: float
  mean: float
  deviation: float | None


@dataclasses.dataclass(frozen=True)
class Pair:
  """A published cell and ours; accuracies in percent.

  Attributes:
    published: the published one.
    table: where ours stands.
    cell: ours.
    best: mean over our seeds of the best accuracy of an epoch.
    difference: our mean less the published one, in percent points.
    interval: joint interval of the difference; None for fewer than 3 seeds.
  """
  published: Published
  table: Table
  cell: Cell
  best: float
  difference: float
  interval: tuple[float, float] | None

  @property
  def agrees(self) -> bool | None:
    """Whether the interval of the difference holds zero, so that the published mean is in ours; None without one."""
    return None if self.interval is None else self.interval[0] <= 0 <= self.interval[1]


@dataclasses.dataclass(frozen=True)
class Comparison:
  """All published cells of which there are runs.

  Attributes:
    pairs: one for each cell of ours that was published, in the order of the tables.
    notes: where the published numbers are from, what is assumed, and what differs, one sentence or two each.
  """
  pairs: tuple[Pair, ...]
  notes: tuple[str, ...]


@functools.cache
def cells() -> tuple[Published, ...]:
  """Returns the published cells; one that stands in several of the paper's tables is there once."""
  text = importlib.resources.files(__package__).joinpath('published_accuracy.csv').read_text(encoding='utf-8')
  sources: dict[tuple[str, ...], list[str]] = {}
  for table, *values in list(csv.reader(text.splitlines()))[1:]:
    sources.setdefault(tuple(values), []).append(table)
  return tuple(Published(tuple(of), network, dataset, method, float(ratio), float(mean),
                         float(deviation) if deviation else None)
               for (network, dataset, method, ratio, mean, deviation), of in sources.items())


def compare(tables: Iterable[Table], alpha: float = 0.05, assumed_runs: int = ASSUMED_RUNS) -> Comparison:
  """Returns the published cells beside ours of the same network, data set, method and ratio, whatever the protocol.

  The interval of a difference d = ours - published is d +- t se with (Welch 1947)

      se^2 = v_o / n_o + v_p / n_p,   f = se^4 / ((v_o / n_o)^2 / (n_o - 1) + (v_p / n_p)^2 / (n_p - 1)),

  v the sample variances, o ours and p published. t is Student's at 1 - alpha / (2 K) with f degrees of freedom, K the
  number of intervals, so that all hold together with 1 - alpha (Bonferroni). A variance is at least that of rounding,
  resolution^2 / 12: a test image of ours, 0.01 points of theirs. If no deviation was published, the number is taken as
  one run that varies as ours do: se^2 = v_o (1 + 1 / n_o), f = n_o - 1.

  Args:
    tables: what `cells.tables` returned.
    alpha: probability that any interval misses its difference, above 0 and below 1.
    assumed_runs: n_p, of the published cells with a deviation, at least 2.
  """
  by_key = {(each.network, each.dataset, each.method, each.ratio): each for each in cells()}
  tables = list(tables)
  beside = [(published, table, cell) for table in tables for method in table.methods for ratio in table.ratios
            for cell in [table.cells.get((method, ratio))]
            for published in [by_key.get((table.network, table.dataset, method, ratio))] if cell and published]
  judged = sum(len(cell.runs) >= SEEDS for _, _, cell in beside)
  pairs = tuple(_pair(*each, alpha / max(judged, 1), assumed_runs) for each in beside)
  return Comparison(pairs, tuple(_notes(pairs, judged, alpha, assumed_runs)))


def _pair(published: Published, table: Table, cell: Cell, level: float, assumed_runs: int) -> Pair:
  own = [100 * run.record.settled_accuracy for run in cell.runs]
  difference = statistics.fmean(own) - published.mean
  interval = None
  if len(own) >= SEEDS:
    least = (100 / max(table.size.test, 1))**2 / 12
    reach = _reach(max(statistics.variance(own), least), len(own), published.deviation, level, assumed_runs)
    interval = difference - reach, difference + reach
  return Pair(published, table, cell, statistics.fmean(100 * run.record.best_accuracy for run in cell.runs), difference,
              interval)


def _reach(variance: float, seeds: int, deviation: float | None, level: float, assumed_runs: int) -> float:
  """Returns half the width of an interval of a difference that is missed with probability `level`."""
  own, freedom = variance / seeds, seeds - 1.0
  other = variance
  if deviation is not None:
    other = max(deviation**2, _ROUNDING**2 / 12) / assumed_runs
    freedom = (own + other)**2 / (own**2 / (seeds - 1) + other**2 / (assumed_runs - 1))
  return float(scipy.stats.t.isf(level / 2, freedom)) * math.sqrt(own + other)


def _notes(pairs: Sequence[Pair], judged: int, alpha: float, assumed_runs: int) -> Iterator[str]:
  number = len({pair.published for pair in pairs})
  yield f'Published: {SOURCE}. Of its {len(cells())} different cells, {number} have runs here.'
  if not pairs:
    yield ('Cells are compared by the names of network, data set, method and ratio. The paper has '
           f'{", ".join(sorted({each.network for each in cells()}))} on '
           f'{", ".join(sorted({each.dataset for each in cells()}))}.')
    return
  if judged:
    together = 'the interval' if judged == 1 else f'all {judged} intervals together'
    yield (f'{1 - alpha:.0%} for {together} (Welch, Bonferroni). The published tables do not tell of how many '
           f'runs a mean and a deviation are: {assumed_runs} are assumed. A number without a deviation is taken as one '
           'run that varies as ours do.')
  if judged < len(pairs):
    yield f'Cells of ours with fewer than 3 seeds, and so without an interval: {len(pairs) - judged}.'
  yield ('Ours is the settled accuracy of the final weights. The authors\' program prints the best test accuracy of '
         'all epochs. Ours of that kind stands beside it and is in no interval.')
  protocols = {(pair.table.network, pair.table.dataset, pair.table.protocol): pair for pair in pairs}
  for (network, dataset, protocol), pair in protocols.items():
    if differences := list(_differences(pair)):
      yield f'{network} on {dataset} ({protocol}) is not the paper\'s protocol: {", ".join(differences)}.'


def _differences(pair: Pair) -> Iterator[str]:
  """Yields the settings of a cell that are not the paper's."""
  settings = pair.cell.runs[0].record.settings
  width = _WIDTHS[pair.published.network]
  for name, known in {'width': (width, 0), **_PAPER}.items():
    if getattr(settings, name) not in known:
      yield f'{name}={getattr(settings, name)} (the paper\'s: {known[0]})'
