"""How many weights the masks of two rules, or of two seeds of a rule, have in common, beside what chance gives."""

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
import functools
import itertools

from matplotlib import axes as mpl_axes
from matplotlib import figure
from matplotlib import patches
import numpy as np
import numpy.typing as npt

from tickets_tf.errors import UsageError
from tickets_tf.pruning.mask import load_mask
from tickets_tf.report import drawing
from tickets_tf.report import wording
from tickets_tf.report.scoreboard.cells import Table
from tickets_tf.report.scoreboard.figures import panels
from tickets_tf.report.scoreboard.figures.drawings import Drawing
from tickets_tf.report.scoreboard.figures.drawings import stem
from tickets_tf.report.scoreboard.figures.named import Named
from tickets_tf.report.scoreboard.figures.named import named
from tickets_tf.report.scoreboard.found import Found
from tickets_tf.report.scoreboard.found import Run
from tickets_tf.runs.folder import RunFolder

MOST = 12  # rules whose numbers fit side by side
# In pixels of the page at full width.
_WIDTH, _LEFT, _RIGHT, _CELL, _BOTTOM = 420, 112, 6, 31, 20
_ONES = np.array([number.bit_count() for number in range(256)], np.uint8)


@dataclasses.dataclass(frozen=True)
class Packed:
  """A mask as bits, eight to a byte: many fit into memory.

  Attributes:
    layers: (name, shape) of each layer.
    bits: the bits of all layers in a row.
    counts: kept weights of each layer.
    sizes: all weights of each layer.
  """
  layers: tuple[tuple[str, tuple[int, ...]], ...]
  bits: npt.NDArray[np.uint8]
  counts: drawing.Floats
  sizes: drawing.Floats

  @classmethod
  def of(cls, run: Run) -> 'Packed':
    """Reads the mask that a run ends with.

    Raises:
      UsageError: if it is not there, or damaged.
    """
    path = RunFolder(run.folder).final_mask
    if not path.exists():
      raise UsageError('there is no mask: it was not copied with the record')
    mask = load_mask(path)
    return cls(tuple(zip(mask.names, mask.shapes, strict=True)),
               np.packbits(np.concatenate([array.ravel() for array in mask.arrays])),
               np.array(mask.counts, np.float64), np.array(mask.sizes, np.float64))


@dataclasses.dataclass(frozen=True)
class Shared:
  """What two masks have in common: intersection over union, and what chance gives; both in [0, 1].

  With the same counts in each layer and positions at random, the intersection is expected to hold sum a b / n of the
  a and b weights kept of n; `chance` is that over the union that goes with it.
  """
  union: float
  chance: float

  @classmethod
  def by(cls, one: Packed, other: Packed) -> 'Shared':
    """Returns what two masks of the same network have in common."""
    kept = float(one.counts.sum() + other.counts.sum())
    both = float(_ONES[one.bits & other.bits].sum(dtype=np.int64))
    expected = float((one.counts * other.counts / one.sizes).sum())
    return cls(both / max(kept - both, 1), expected / max(kept - expected, 1))

  @property
  def beyond(self) -> float:
    """The share of what chance leaves open that the two have in common, in [0, 1]."""
    return max(0.0, self.union - self.chance) / max(1 - self.chance, 1e-9)


_Pairs = Mapping[tuple[int, int], Shared]


def draw(found: Found, tables: Sequence[Table]) -> Iterator[Drawing | tuple[str, str]]:
  """Yields the overlap of all rules of each table at each ratio.

  Args:
    found: not used.
    tables: the tables.
  """
  del found
  for each in named(tables):
    for ratio in filter(None, each.table.ratios):
      masks: dict[str, dict[int, Packed]] = {}
      missing: list[tuple[str, str]] = []
      for cell in each.pruned(ratio):
        for run in cell.runs:
          try:
            masks.setdefault(cell.method, {})[run.record.seed] = Packed.of(run)
          except (UsageError, OSError) as error:
            missing.append((str(run.folder), f'not in the overlap of masks: {wording.one_line(str(error))}'))
      drawn = _drawing(each, ratio, masks)
      if drawn:
        yield drawn
      yield from missing


def shared(masks: Sequence[Mapping[int, Packed]]) -> dict[tuple[int, int], Shared]:
  """Returns what masks have in common: two rules with the same seed, or two seeds of a rule; means over all such pairs.

  Args:
    masks: those of each rule, by seed.

  Returns:
    By the places (later or the same, earlier) of two rules; pairs that are not there, or of other networks, are left
    out.
  """
  found = {}
  for row, column in itertools.combinations_with_replacement(range(len(masks)), 2):
    one, other = masks[row], masks[column]
    seeds = itertools.combinations(one, 2) if row == column else ((seed, seed) for seed in one if seed in other)
    pairs = [Shared.by(one[a], other[b]) for a, b in seeds if one[a].layers == other[b].layers]
    if pairs:
      found[column, row] = Shared(float(np.mean([pair.union for pair in pairs])),
                                  float(np.mean([pair.chance for pair in pairs])))
  return found


def _drawing(each: Named, ratio: float, masks: Mapping[str, Mapping[int, Packed]]) -> Drawing | None:
  methods = list(masks)[:MOST]
  pairs = shared([masks[method] for method in methods])
  if not pairs:
    return None
  said = [f'{methods[row]} and {methods[column]}' if row != column else f'{methods[row]} between seeds'
          for row, column in pairs]
  words = '; '.join(f'{of} {panels.percent(pair.union)}, by chance {panels.percent(pair.chance)}'
                    for of, pair in zip(said, pairs.values(), strict=True))
  left = list(masks)[MOST:]
  more = f' Not drawn, as only {MOST} fit: {", ".join(left)}.' if left else ''
  return Drawing(stem('overlap', each.stem, f'{ratio:g}'), f'Overlap of masks at ratio {ratio:g}: {each.words}',
                 'Weights that both masks keep, in percent of those that either keeps (intersection over union); under '
                 'it what chance gives with the same counts in each layer. Two rules are compared with the same seed; '
                 'on the diagonal a rule with other seeds. Means over all pairs, at the end of training. Dark is '
                 f'beyond chance.{more}', words, functools.partial(_paint, methods, pairs))


def _paint(methods: Sequence[str], pairs: _Pairs) -> mpl_axes.Axes:
  number = len(methods)
  total = number * _CELL + _BOTTOM + 4
  drawn = figure.Figure(figsize=(_WIDTH / 72, total / 72))
  width = min((_WIDTH - _LEFT - _RIGHT) / number, 76)
  axes = drawn.add_axes((_LEFT / _WIDTH, _BOTTOM / total, number * width / _WIDTH, number * _CELL / total))
  axes.set_xlim(-0.5, number - 0.5)
  axes.set_ylim(number - 0.5, -0.5)
  for spine in axes.spines.values():
    spine.set_visible(False)
  axes.set_yticks([])
  axes.set_xticks(range(number), [str(place + 1) for place in range(number)])
  axes.tick_params(axis='x', length=0, pad=2)
  for row, column in zip(*np.tril_indices(number), strict=True):
    pair = pairs.get((int(row), int(column)))
    alpha = 0.5 * pair.beyond if pair else 0
    axes.add_patch(patches.Rectangle((column - 0.48, row - 0.48), 0.96, 0.96, linewidth=0,
                                     facecolor=drawing.COLOURS['series-0'], alpha=alpha))
    for text, up, colour in ((_percent(pair.union if pair else None), 3, 'ink'),
                                (_percent(pair.chance) if pair else '', -10, 'ink' if alpha > 0.15 else 'muted')):
      axes.annotate(text, (column, row), xytext=(0, up), textcoords='offset points', ha='center',
                    va='bottom' if up > 0 else 'center', fontsize=10, color=drawing.COLOURS[colour])
  for place, method in enumerate(methods):
    lines = panels.lines_of(f'{place + 1} {method}', 16)
    drawing.label(axes, place, '\n'.join(lines), fontsize=10, linespacing=1)
  axes.annotate('in common, %\nby chance, %', (1, 1) if number > 3 else (0.98, 1), xycoords='axes fraction',
                xytext=(0, -4), textcoords='offset points', ha='right', va='top', fontsize=10,
                color=drawing.COLOURS['muted'])
  return axes


def _percent(share: float | None) -> str:
  if share is None:
    return wording.NOTHING
  return '<1' if 0 < share < 0.005 else f'{100 * share:.0f}'
