"""The weights that rules keep of one layer."""

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
import functools

from matplotlib import axes as mpl_axes
from matplotlib import patches
from matplotlib import path as mpl_path
import numpy as np

from tickets_tf.errors import UsageError
from tickets_tf.pruning.mask import Bits
from tickets_tf.pruning.mask import load_mask
from tickets_tf.report import drawing
from tickets_tf.report import wording
from tickets_tf.report.scoreboard.cells import Table
from tickets_tf.report.scoreboard.figures import panels
from tickets_tf.report.scoreboard.figures.drawings import Drawing
from tickets_tf.report.scoreboard.figures.drawings import stem
from tickets_tf.report.scoreboard.figures.named import Named
from tickets_tf.report.scoreboard.figures.named import named
from tickets_tf.report.scoreboard.figures.named import prunes
from tickets_tf.report.scoreboard.found import Found
from tickets_tf.runs.folder import RunFolder
from tickets_tf.runs.records import Layer

_WEIGHTS = 2500  # of which each is still seen
_MOST = 40_000  # of which at least the texture is


def draw(found: Found, tables: Sequence[Table]) -> Iterator[Drawing | tuple[str, str]]:
  """Yields what all rules of each table keep of one layer at the highest ratio, with the first seed of each.

  Args:
    found: not used.
    tables: the tables.
  """
  del found
  for each in named(tables):
    cells = [cell for method in each.methods(checked=False) for cell in each.of(method)[-1:] if prunes(cell)]
    if not cells:
      continue
    layer = chosen(cells[0].runs[0].record.layers)
    if layer is None:
      yield (f'Mask of a layer: {each.words}', f'no layer has at most {_MOST:,} weights')
      continue
    masks: dict[str, Bits] = {}
    for cell in cells:
      run = cell.runs[0]
      try:
        masks[f'{cell.method}, {panels.percent(1 - cell.ratio)}'] = _bits(RunFolder(run.folder), layer)
      except (UsageError, OSError) as error:
        yield str(run.folder), f'not in the mask of a layer: {wording.one_line(str(error))}'
    if masks:
      yield _drawing(each, layer, masks)


def chosen(layers: Sequence[Layer]) -> Layer | None:
  """Returns the largest layer of which each weight is seen, else the smallest; None if that is too large as well."""
  seen = [layer for layer in layers if layer.weights <= _WEIGHTS and len(layer.shape) == 4]
  seen = seen or [layer for layer in layers if layer.weights <= _WEIGHTS]
  found = max(seen, key=lambda layer: layer.weights) if seen else min(layers, key=lambda layer: layer.weights)
  return found if found.weights <= _MOST else None


def arranged(bits: Bits) -> Bits:
  """Returns the kept weights of a layer as an image: a block for each input (down) and output (right).

  A block has the height and width of the kernel. A dense layer, and one of other axes, has blocks of one weight.

  Args:
    bits: [height, width, inputs, outputs], or any other shape whose last axis is the outputs.
  """
  if bits.ndim != 4:
    return bits.reshape(-1, bits.shape[-1])
  height, width, inputs, outputs = bits.shape
  return bits.transpose(2, 0, 3, 1).reshape(inputs * height, outputs * width)


def _bits(folder: RunFolder, layer: Layer) -> Bits:
  if not folder.final_mask.exists():
    raise UsageError('there is no mask: it was not copied with the record')
  mask = load_mask(folder.final_mask)
  if layer.name not in mask or mask[layer.name].shape != layer.shape:
    raise UsageError(f'the mask has no layer {layer.name} of shape {layer.shape}')
  return mask[layer.name]


def _drawing(each: Named, layer: Layer, masks: Mapping[str, Bits]) -> Drawing:
  name, shape = wording.one_line(layer.name), ' x '.join(map(str, layer.shape))
  said = '; '.join(f'{of} {int(bits.sum()):,} of {bits.size:,}, {panels.percent(bits.mean())}'
                   for of, bits in masks.items())
  blocks = 'A block is a kernel from an input (down) to an output (right).' if len(layer.shape) == 4 else (
      'Inputs go down, outputs right.')
  return Drawing(stem('mask', each.stem), f'Mask of layer {name}: {each.words}',
                 f'Dark weights are kept at the end of training, at the highest ratio of each rule, with its first '
                 f'seed; {shape} weights. {blocks}', f'Kept weights: {said}',
                 functools.partial(_paint, {of: arranged(bits) for of, bits in masks.items()}))


def _paint(masks: Mapping[str, Bits]) -> mpl_axes.Axes:
  rows, columns = next(iter(masks.values())).shape
  # A wide layer has a panel of its own row, a tall one is drawn flat.
  layout = panels.Layout(1 if columns > 3 * rows else 3, 1, left=8, bottom=8)
  height = min(layout.width() * rows / columns, 2.2 * layout.width())
  drawn = panels.panels(list(masks), panels.Layout(layout.columns, max(height, 24), left=8, bottom=8))
  for axes, bits in zip(drawn, masks.values(), strict=True):
    axes.set_xlim(0, columns)
    axes.set_ylim(rows, 0)
    axes.grid(False)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
      spine.set_visible(True)
      spine.set_color(drawing.COLOURS['muted'])
    axes.add_patch(patches.PathPatch(_path(bits), facecolor=drawing.COLOURS['series-0'], linewidth=0))
  return drawn[0]


def _path(bits: Bits) -> mpl_path.Path:
  """Returns kept weights as one path: a rectangle for each run of them in a row."""
  edges = np.diff(np.pad(bits.astype(np.int8), ((0, 0), (1, 1))), axis=1)
  row, left = np.nonzero(edges == 1)
  right = np.nonzero(edges == -1)[1]
  corners = np.stack([np.stack(pair, -1) for pair in ((left, row), (right, row), (right, row + 1), (left, row + 1),
                                                       (left, row))], 1)
  codes = [mpl_path.Path.MOVETO, *[mpl_path.Path.LINETO] * 3, mpl_path.Path.CLOSEPOLY] * len(row)
  return mpl_path.Path(corners.reshape(-1, 2).astype(float), codes)
