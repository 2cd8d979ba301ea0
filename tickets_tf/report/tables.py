"""Tables and lines for the terminal."""

import pandas as pd


def layer_table(record):
  """Returns the layers of a record, kept weights and multiply-accumulates, as text with one line each and a total."""
  table = pd.DataFrame(record['layers'])
  total = table[['weights', 'kept', 'dense_macs', 'sparse_macs']].sum(min_count=len(table))
  table.loc[len(table)] = {'name': 'total', 'shape': '', **total}
  table['shape'] = ['x'.join(map(str, shape)) for shape in table['shape']]
  table['keep ratio'] = table['kept'] / table['weights']
  table = table.rename(columns={'name': 'layer', 'dense_macs': 'MACs dense', 'sparse_macs': 'MACs sparse'})
  columns = ['layer', 'shape', 'weights', 'kept', 'keep ratio', 'MACs dense', 'MACs sparse']
  return table[columns].to_string(
      index=False, formatters={'keep ratio': '{:.4f}'.format, **{name: _integer for name in columns if name in (
          'weights', 'kept', 'MACs dense', 'MACs sparse')}})


def summary(record):
  """Returns the lines that end a run: what was trained, how good it is and how small."""
  kept, weights = (sum(layer[key] for layer in record['layers']) for key in ('kept', 'weights'))
  collapse = record['collapse']
  on_paths = ('' if collapse['effective_kept'] is None else
              f', {collapse["effective_kept"]:,} on paths from input to output')
  return (f'{record["network"]} on {record["dataset"]["name"]}: pruner {record["settings"]["pruner"]}, '
          f'{kept:,} of {weights:,} weights kept{on_paths}, seed {record["seed"]}\n'
          f'test accuracy {record["final_accuracy"]:.2%} (final weights); best over the epochs '
          f'{record["best_accuracy"]:.2%} (epoch {record["best_epoch"]}, on the {record["best_on"]} set)')


def _integer(value):
  return '-' if pd.isna(value) else f'{int(value):,}'
