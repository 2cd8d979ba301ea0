"""What `bin/instability` shows: a table, and the accuracy along the lines as a picture."""

import pathlib

from matplotlib import figure
from matplotlib import ticker

from tickets_tf import files
from tickets_tf.judging.instability import Instability
from tickets_tf.judging.instability import Line

_HEAD = ('shared epochs', 'accuracy', 'accuracy, other order', 'lowest on the line', 'barrier', 'loss barrier',
         'connected')


def instability_table(found: Instability) -> str:
  """Returns one line of text for each number of shared epochs, and from which on trainings are connected.

  Accuracies are in percent, barriers in percent points.
  """
  rows = [_HEAD, *(_row(found, line) for line in found.lines)]
  widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
  table = '\n'.join('  '.join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
  return f'{table}\n{instability_sentence(found)}'


def instability_sentence(found: Instability) -> str:
  """Returns the conclusion as one sentence."""
  epochs = ', '.join(str(line.share_epochs) for line in found.lines)
  if not found.could_show(found.lines[-1]):
    return (f'no barrier could show after {found.lines[-1].share_epochs} shared epochs: the trainings are at most '
            f'{found.tolerance:g} points better than guessing (tried: {epochs})')
  if found.connected_from is None:
    return (f'not connected after {found.lines[-1].share_epochs} shared epochs: a barrier of more than '
            f'{found.tolerance:g} points (tried: {epochs})')
  return (f'connected from {found.connected_from} shared epochs on: no barrier of more than {found.tolerance:g} points '
          f'(tried: {epochs})')


def write_instability(found: Instability, path: pathlib.Path) -> None:
  """Draws the accuracy along every line into an SVG file, whole or not at all."""
  drawn = figure.Figure(figsize=(6, 4), layout='constrained')
  axes = drawn.add_subplot()
  for line in found.lines:
    axes.plot([point.position for point in line.points], [100 * point.accuracy for point in line.points], marker='.',
              label=f'{line.share_epochs}')
  axes.set_xlabel('from one training\'s weights (0) to those of the other order (1)')
  axes.set_ylabel('test accuracy (%)')
  axes.xaxis.set_major_locator(ticker.MultipleLocator(0.2))
  axes.legend(title='shared epochs')
  axes.set_title(found.ticket, fontsize=9)
  with files.replacing(path) as temporary:
    drawn.savefig(temporary, format='svg', metadata={'Date': None})


def _row(found: Instability, line: Line) -> tuple[str, ...]:
  first, second = (f'{100 * accuracy:.2f}' for accuracy in line.ends)
  loss = '-' if line.loss_barrier is None else f'{line.loss_barrier:.4f}'
  connected = 'yes' if found.is_connected(line) else 'no' if found.could_show(line) else 'cannot show'
  return (str(line.share_epochs), first, second, f'{100 * line.lowest.accuracy:.2f} at {line.lowest.position:g}',
          f'{line.barrier:.2f}', loss, connected)
