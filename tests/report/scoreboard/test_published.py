"""The published accuracies beside ours."""

import csv
import pathlib

import pytest
import scipy

from tests.report.scoreboard import example_runs
from tickets_tf.report.scoreboard import cells
from tickets_tf.report.scoreboard import published
from tickets_tf.report.scoreboard.found import find
from tickets_tf.runs.records import DatasetSize

GOLDEN = pathlib.Path(__file__).parents[2] / 'golden' / 'published_accuracy.csv'
CIFAR = {'network': 'vgg19', 'dataset': DatasetSize('cifar10', 50000, 10000, 0, 10, (32, 32, 3))}
PAPER = {'model': 'vgg19', 'dataset': 'cifar10', 'width': 0, 'epochs': 160}


def compare(folder, **kwargs):
  return published.compare(cells.tables(find([folder]).runs), **kwargs)


def test_all_118_published_cells_are_there():
  rows = list(csv.DictReader(GOLDEN.read_text().splitlines()))
  assert len(rows) == 118 == sum(len(each.sources) for each in published.cells())
  known = {(source, each.network, each.dataset, each.method, each.ratio): (each.mean, each.deviation)
           for each in published.cells() for source in each.sources}
  for row in rows:
    name = 'dense' if row['method'] == 'full' else row['method'].replace(':', ' + ')
    assert known[row['table'], row['network'], row['dataset'], name, float(row['pruning_ratio'])] == (
        float(row['accuracy_mean']), float(row['accuracy_std']) if row['accuracy_std'] else None)


def test_a_cell_stands_beside_the_published_one(tmp_path):
  example_runs.write(tmp_path, (93.1, 93.4, 93.2), CIFAR, **PAPER, pruner='snip', ratio=0.95)
  example_runs.write(tmp_path, (93.1, 93.4, 93.2), CIFAR, **PAPER, pruner='lr_rewinding', check='shuffle_weights')
  example_runs.write(tmp_path, (93.1, 93.4, 93.2), CIFAR, **PAPER, pruner='snip', check='rearrange')
  example_runs.write(tmp_path, (93.1, 93.4, 93.2), CIFAR, **PAPER, pruner='snip', allocation='smart')
  example_runs.write(tmp_path, (93.0,), CIFAR, **PAPER, pruner='dense')
  found = compare(tmp_path)
  assert [(pair.published.method, pair.published.ratio, pair.published.mean, pair.published.deviation)
          for pair in found.pairs] == [('dense', 0.0, 93.7, None), ('snip', 0.95, 93.39, 0.08),
                                       ('lr_rewinding + shuffle_weights', 0.95, 93.33, 0.1)]
  dense, snip, _ = found.pairs
  assert (dense.interval, dense.agrees) == (None, None) and dense.difference == pytest.approx(-0.7)
  assert snip.difference == pytest.approx(93.2333 - 93.39, abs=1e-4) and snip.best == pytest.approx(94.2333, abs=1e-4)
  notes = ' '.join(found.notes)
  assert 'Of its 100 different cells, 3 have runs here.' in notes and '95% for all 2 intervals together' in notes
  assert '3 are assumed' in notes and 'without an interval: 1.' in notes and 'not the paper\'s protocol' not in notes


@pytest.mark.parametrize('accuracies', [(93.1, 93.4, 93.2), (92.1, 92.2, 92.0), (90.0, 94.0, 93.0, 92.5)])
def test_the_interval_holds_zero_where_welchs_test_finds_nothing(accuracies, tmp_path):
  for ratio in (0.9, 0.95):
    example_runs.write(tmp_path, accuracies, CIFAR, **PAPER, pruner='snip', ratio=ratio)
  for assumed in (3, 5):
    for pair in compare(tmp_path, assumed_runs=assumed).pairs:
      sample, theirs = pair.cell.accuracies, pair.published
      p = scipy.stats.ttest_ind_from_stats(sample.mean, sample.deviation, len(accuracies), theirs.mean,
                                           theirs.deviation, assumed, equal_var=False).pvalue
      assert pair.agrees is bool(p > 0.05 / 2), 'two intervals together'
      low, high = pair.interval
      assert (low + high) / 2 == pytest.approx(pair.difference)


def test_a_number_without_a_deviation_is_one_more_run(tmp_path):
  example_runs.write(tmp_path, (93.1, 93.4, 93.2), CIFAR, **PAPER, pruner='obd', ratio=0.95)
  pair, = compare(tmp_path, alpha=0.1).pairs
  assert pair.published.deviation is None
  reach = scipy.stats.t.isf(0.05, 2) * pair.cell.accuracies.deviation * (1 + 1 / 3)**0.5
  assert pair.interval == pytest.approx((pair.difference - reach, pair.difference + reach))


def test_accuracies_without_any_spread_are_known_to_their_rounding(tmp_path):
  example_runs.write(tmp_path, (10.0, 10.0, 10.0), CIFAR, **PAPER, pruner='lottery', ratio=0.98)
  pair, = compare(tmp_path).pairs
  assert pair.published.deviation == 0 and pair.agrees and 0 < pair.interval[1] < 0.05


def test_another_protocol_is_told(tmp_path):
  example_runs.write(tmp_path, (90.0,), CIFAR, **{**PAPER, 'epochs': 20, 'width': 16}, pruner='snip', ratio=0.95)
  told = compare(tmp_path).notes[-1]
  assert told == ('vgg19 on cifar10 (width=16, epochs=20) is not the paper\'s protocol: width=16 (the paper\'s: 64), '
                  'epochs=20 (the paper\'s: 160).')


def test_nothing_to_compare_says_what_there_would_be(tmp_path):
  example_runs.write(tmp_path, (90.0,), pruner='snip')
  found = compare(tmp_path)
  assert found.pairs == () and '0 have runs here' in found.notes[0]
  assert found.notes[1].endswith('The paper has resnet32, vgg19 on cifar10, cifar100.')
