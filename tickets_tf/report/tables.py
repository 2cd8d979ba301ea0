"""Tables and lines for the terminal."""

from collections.abc import Sequence
import dataclasses
import pathlib

import pandas as pd

from tickets_tf import files
from tickets_tf.runs.records import Record

_NONE = 'no run is done'
_SETTLED_TOLD = 2  # points by which the settled accuracy differs if it is told


def layer_table(record: Record) -> str:
  """Returns the layers of a record, kept weights and multiply-accumulates, as text with one line each and a total."""
  table = pd.DataFrame([dataclasses.asdict(layer) for layer in record.layers])
  total = table[['weights', 'kept', 'dense_macs', 'sparse_macs']].sum(min_count=len(table))
  table.loc[len(table)] = {'name': 'total', 'shape': '', **total}
  table['shape'] = ['x'.join(map(str, shape)) for shape in table['shape']]
  table['keep ratio'] = table['kept'] / table['weights']
  table = table.rename(columns={'name': 'layer', 'dense_macs': 'MACs dense', 'sparse_macs': 'MACs sparse'})
  columns = ['layer', 'shape', 'weights', 'kept', 'keep ratio', 'MACs dense', 'MACs sparse']
  numbers = {name: _integer for name in ('weights', 'kept', 'MACs dense', 'MACs sparse')}
  # Some versions of Pandas do not ask the formatters of a missing number.
  return table[columns].to_string(index=False, na_rep='-', formatters={'keep ratio': '{:.4f}'.format, **numbers})


def summary(record: Record) -> str:
  """Returns the lines that end a run: what was trained, how good it is and how small."""
  on_paths = ('' if record.collapse.effective_kept is None else
              f', {record.collapse.effective_kept:,} on paths from input to output')
  return (f'{record.network} on {record.dataset.name}: pruner {record.settings.pruner}, '
          f'{record.kept:,} of {record.weights:,} weights kept{on_paths}, seed {record.seed}\n'
          f'{_sparsity(record)}\n'
          f'test accuracy {record.final_accuracy:.2%} (final weights); best over the epochs '
          f'{record.best_accuracy:.2%} (epoch {record.best_epoch}, on the {record.best_on} set{_of_few(record)})'
          + _settled(record))


def _of_few(record: Record) -> str:
  every = record.settings.evaluate_every
  return f', of one in {every} and the last' if every > 1 else ''


def _sparsity(record: Record) -> str:
  removed = record.weights - record.kept
  return (f'sparsity {removed / record.weights:.2%} of the prunable weights, {removed / record.all_weights:.2%} of all '
          f'{record.all_weights:,} trainable weights'
          + ''.join(f', of which {name} ({size:,}) cannot be pruned' for name, size in record.unpruned.items()))


def _settled(record: Record) -> str:
  difference = 100 * (record.settled_accuracy - record.final_accuracy)
  if abs(difference) <= _SETTLED_TOLD:
    return ''
  return (f'\nsettled accuracy {record.settled_accuracy:.2%}, {difference:+.1f} points: batch norm\'s running '
          'statistics do not fit the final weights; --settle exports statistics that do')


def runs_table(records: Sequence[Record]) -> str:
  """Returns a table of runs as text, seeds together: mean and sample deviation of the test accuracies, in percent.

  Args:
    records: in the order in which they are to be shown.

  Returns:
    Text with one line for each combination of data set, network, rule, ratio and check.
  """
  if not records:
    return _NONE
  return '\n'.join([_runs(records).to_string(index=False), *_of_few_runs(records)])


def _of_few_runs(records: Sequence[Record]) -> list[str]:
  few = sorted({record.settings.evaluate_every for record in records} - {1})
  return [f'--evaluate_every={every}: best is that of one epoch in {every} and the last.' for every in few]


def write_runs(records: Sequence[Record], command: str, path: str | pathlib.Path) -> None:
  """Writes the table of `runs_table` as Markdown, with the command that makes it and the commits of the runs."""
  if not records:
    files.write_text(path, f'    {command}\n\n{_NONE}\n')
    return
  table = _runs(records)
  lines: list[list[object]] = [list(table.columns), ['---'] * len(table.columns), *table.to_numpy().tolist()]
  commits = sorted({str(record.environment.get('commit')) for record in records})
  files.write_text(path, '\n'.join([
      f'    {command}', '', *('| ' + ' | '.join(map(str, line)) + ' |' for line in lines), '',
      'Test accuracy of the final weights in percent, mean ± sample deviation over the seeds; commit '
      f'{", ".join(commits)}.', *_of_few_runs(records)]) + '\n')


def _runs(records: Sequence[Record]) -> pd.DataFrame:
  rows = pd.DataFrame([{
      'data set': record.dataset.name, 'network': record.network, 'rule': record.settings.pruner,
      'ratio': record.settings.ratio, 'pattern': record.settings.pattern, 'check': record.settings.check or '-',
      'kept': record.kept, 'on paths': record.collapse.effective_kept,
      'final': 100 * record.final_accuracy, 'best': 100 * record.best_accuracy} for record in records])
  together = rows.groupby(['data set', 'network', 'rule', 'ratio', 'pattern', 'check'], sort=False, dropna=False)
  table = together[['kept', 'on paths']].mean().round().astype('Int64')
  table.insert(0, 'seeds', together.size())
  for name in ('final', 'best'):
    table[name] = [_mean_and_deviation(values) for _, values in together[name]]
  return table.reset_index()


def _mean_and_deviation(values: 'pd.Series[float]') -> str:
  return f'{values.mean():.2f}' + (f' ± {values.std(ddof=1):.2f}' if len(values) > 1 else '')


def _integer(value: float) -> str:
  return '-' if pd.isna(value) else f'{int(value):,}'
