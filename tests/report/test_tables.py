"""Tables and lines for the terminal."""

import dataclasses
import statistics

import pytest

from tests import example_records
from tickets_tf import report
from tickets_tf.runs.records import Layer
from tickets_tf.runs.run import Run
from tickets_tf.runs.settings import Settings

LAYERS = (Layer('conv1', (3, 3, 1, 4), 36, 4, 2304, 256), Layer('classifier', (4, 10), 40, 10, 40, 10))


def record(seed=0, **changes):
  settled = changes.get('final_accuracy', 0.9)
  return example_records.record(Run(Settings(pruner='snip', ratio=0.8, seed=seed)),
                                **{'layers': LAYERS, 'settled_accuracy': settled, **changes})


def test_layers_have_a_total():
  lines = [line.split() for line in report.layer_table(record()).splitlines()]
  assert lines == [['layer', 'shape', 'weights', 'kept', 'keep', 'ratio', 'MACs', 'dense', 'MACs', 'sparse'],
                   ['conv1', '3x3x1x4', '36', '4', '0.1111', '2,304', '256'],
                   ['classifier', '4x10', '40', '10', '0.2500', '40', '10'],
                   ['total', '76', '14', '0.1842', '2,344', '266']]


def test_multiply_accumulates_that_are_not_known_are_a_dash():
  unknown = dataclasses.replace(LAYERS[1], dense_macs=None, sparse_macs=None)
  lines = [line.split() for line in report.layer_table(record(layers=(LAYERS[0], unknown))).splitlines()]
  assert lines[2][-2:] == ['-', '-'] and lines[3][-2:] == ['-', '-'], 'a total of what is known would be too small'


def test_the_summary_tells_final_and_best_apart():
  made = record(all_weights=100, final_accuracy=0.8765, best_accuracy=0.9, best_epoch=7)
  first, sparsity, second = report.summary(made).splitlines()
  assert first == 'resnet8 on digits: pruner snip, 14 of 76 weights kept, 4 on paths from input to output, seed 0'
  assert sparsity == 'sparsity 81.58% of the prunable weights, 62.00% of all 100 trainable weights'
  assert second == ('test accuracy 87.65% (final weights); best over the epochs 90.00% (epoch 7, on the test set)')


def test_weights_that_cannot_be_pruned_are_named_in_the_summary():
  text = report.summary(record(all_weights=4800, unpruned={'own/matrix': 4096}))
  assert '1.29% of all 4,800 trainable weights, of which own/matrix (4,096) cannot be pruned' in text


def test_runs_of_several_seeds_have_their_mean_and_sample_deviation():
  accuracies = [0.90, 0.92, 0.95]
  made = [record(seed, final_accuracy=accuracy, best_accuracy=accuracy + 0.01)
          for seed, accuracy in enumerate(accuracies)]
  deviation = f'{100 * statistics.stdev(accuracies):.2f}'
  assert deviation == '2.52' != f'{100 * statistics.pstdev(accuracies):.2f}'
  line = report.runs_table(made).splitlines()[1]
  assert line.split() == ['digits', 'resnet8', 'snip', '0.8', 'unstructured', '-', '3', '14', '4', '92.33', '±', '2.52',
                          '93.33', '±', '2.52']
  assert report.runs_table(made[:1]).splitlines()[1].split()[6:] == ['1', '14', '4', '90.00', '91.00']


def test_runs_are_written_with_their_command_and_commits(tmp_path):
  made = [record(0, environment={'commit': 'b' * 40}), record(1, environment={'commit': 'a' * 40})]
  report.write_runs(made, 'bin/sweep --seeds=2', tmp_path / 'table.md')
  lines = (tmp_path / 'table.md').read_text(encoding='utf-8').splitlines()
  assert lines[0] == '    bin/sweep --seeds=2' and lines[3] == '| ' + ' | '.join(['---'] * 11) + ' |'
  assert lines[4].split(' | ')[2:4] == ['snip', '0.8'] and lines[-1].endswith(f'commit {"a" * 40}, {"b" * 40}.')


def test_no_runs_are_said(tmp_path):
  assert report.runs_table([]) == 'no run is done'
  report.write_runs([], 'bin/sweep', tmp_path / 'table.md')
  assert 'no run is done' in (tmp_path / 'table.md').read_text()


@pytest.mark.parametrize('effective_kept', [None])
def test_what_lies_on_paths_is_left_out_if_it_is_not_known(effective_kept):
  found = record()
  found = dataclasses.replace(found, collapse=dataclasses.replace(found.collapse, effective_kept=effective_kept))
  assert 'paths' not in report.summary(found)
  assert report.runs_table([found]).splitlines()[1].split()[8] == '<NA>'


@pytest.mark.parametrize('settled, told', [(0.87, ''), (0.86, ''), (0.925, '+5.5 points'), (0.80, '-7.0 points')])
def test_statistics_that_do_not_fit_the_weights_are_told(settled, told):
  text = report.summary(record(final_accuracy=0.87, settled_accuracy=settled))
  assert (told in text and f'settled accuracy {settled:.2%}' in text) if told else 'settled' not in text
