"""What a scoreboard says first: what beats luck, which methods may be the best, or why nothing can be said.

What is said of luck is read off the intervals of verdicts, and told with them. What is said of the best is read off
those of `best.among_best`. Nothing that is open is told as a yes or a no.
"""

from collections.abc import Iterable
from collections.abc import Sequence
import dataclasses

from tickets_tf.judging.verdicts import Judgement
from tickets_tf.judging.verdicts import Verdicts
from tickets_tf.report import findings
from tickets_tf.report import wording
from tickets_tf.report.scoreboard import best
from tickets_tf.report.scoreboard.cells import Cell
from tickets_tf.report.scoreboard.cells import Table

NO_VERDICTS = ('No verdicts.json was found, so that nothing here says whether a method beats luck. bin/sanity_check '
               'makes one.')
NO_RUNS = 'No finished run was found, so that there is no table.'
LUCK = ('Luck is a random ticket with smart layer ratios at the same ratio. [L, U] is the interval of what a rule has '
        'above it, in points; all intervals of a rule hold together.')
BEST = (f'The methods of a column are compared with the one of the highest mean (Hsu 1984), all columns of a table '
        f'together, with at least 95%. Who is among the best is not told from that one; the others are shown to be '
        f'worse. It takes {best.SEEDS} seeds of two methods.')
_AGAINST_LUCK = {
    wording.USES: 'beats luck', wording.BETTER_WITHOUT: 'worse than luck',
    wording.EQUIVALENT: 'as good as luck, within the margin',
    wording.WORTH_LESS: 'above luck by less than the margin, if at all', wording.OPEN: 'not told from luck',
    wording.UNAFFECTED: 'luck itself'}


@dataclasses.dataclass(frozen=True)
class Said:
  """One answer: its kind, a key of `wording.NAMES`, the answer in a few words, and of what it is said."""
  kind: str
  answer: str
  of: tuple[str, ...]


def luck(verdicts: Verdicts) -> list[Said]:
  """Returns which rules beat luck, which do not, and of which that is open, each with its interval.

  Args:
    verdicts: of one sanity check.
  """
  return [Said(kind, answer, tuple(map(_above_luck, of))) for kind, answer in _AGAINST_LUCK.items()
          if (of := [each for each in verdicts.luck if wording.kind(each) == kind])]


def tally(verdicts: Iterable[Verdicts]) -> str:
  """Returns how many comparisons with luck came out how, in all verdicts, as one sentence."""
  kinds = [wording.kind(each) for of_one in verdicts for each in of_one.luck]
  if not kinds:
    return 'No rule was compared with luck, so that nothing here says whether one beats it.'
  parts = [f'{kinds.count(kind)} {answer}' for kind, answer in _AGAINST_LUCK.items() if kind in kinds]
  return f'{wording.count(len(kinds), "comparison")} with luck: {"; ".join(parts)}.'


def alarms(verdicts: Iterable[tuple[str, Verdicts]]) -> list[str]:
  """Returns a sentence for each verdicts whose planted controls came out wrong.

  Args:
    verdicts: (name, verdicts).
  """
  return [f'{name}: {findings.ALARM}' for name, each in verdicts if findings.controls_failed(each)]


def among_best(table: Table) -> list[tuple[float, list[Said]]]:
  """Returns for each ratio of a table which methods are among the best, and which are shown to be worse.

  Args:
    table: all methods under one protocol.
  """
  columns = [(ratio, [table.cells[method, ratio] for method in table.methods if (method, ratio) in table.cells])
             for ratio in table.ratios]
  return [(ratio, _column(cells)) for ratio, cells in columns if ratio or len(cells) > 1]


def _column(cells: Sequence[Cell]) -> list[Said]:
  leading, behind, unknown = ([cell for cell in cells if cell.among_best is known] for known in (True, False, None))
  if not leading:
    return [Said(wording.OPEN, f'nothing can be said: {_why_not(cells)}', ())]
  first = Said(wording.USES, 'among the best', _named(leading)) if behind else Said(
      wording.OPEN, 'not told from each other', _named(leading))
  others = [Said(wording.BETTER_WITHOUT, 'shown to be worse than the best', _named(behind)),
            Said(wording.OPEN, f'fewer than {best.SEEDS} seeds', _named(unknown))]
  return [first, *(each for each in others if each.of)]


def _why_not(cells: Sequence[Cell]) -> str:
  if len(cells) == 1:
    return f'{cells[0].method} is the only method'
  highest = max(cells, key=lambda cell: cell.accuracies.mean or 0)
  if len(highest.runs) < best.SEEDS <= max(len(cell.runs) for cell in cells):
    return f'the highest mean is that of {highest.method}, which has {wording.count(len(highest.runs), "seed")}'
  return f'it takes {best.SEEDS} seeds of two methods, and the most seeds are {max(len(cell.runs) for cell in cells)}'


def _named(cells: Iterable[Cell]) -> tuple[str, ...]:
  rising = sorted(cells, key=lambda cell: -(cell.accuracies.mean or 0))
  return tuple(f'{cell.method} {wording.mean_and_deviation(cell.accuracies)}' for cell in rising)


def _above_luck(judgement: Judgement) -> str:
  found = '' if judgement.unaffected else f' {wording.interval(judgement) or "(no interval: fewer than 3 seeds)"}'
  return f'{wording.name(judgement)} at {judgement.ratio:g}{found}'
