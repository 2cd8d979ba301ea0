"""The tables and the model card of a report that is made up."""

import dataclasses

import pytest

from tickets_tf.export import card
from tickets_tf.export.export_report import (ExportedFile, ExportedSavedModel, ExportReport, Latency, SparseLayers,
                                             Startup)
from tickets_tf.export.size import Reference

DENSE = ExportedFile(
    'dense_float32.tflite', 1000, 500, 0.9, 1e-6, (Latency(1, 2.0, 1.0, (1.9, 2.2), (0.98, 1.03)),), (),
    SparseLayers(0, 0), loss=(-1.0, 1.0), reference_bytes=250.0, startup=Startup(0.5, (0.4, 0.6), 3 * 2**20),
    class_right=(9, 4, 0))
BLOCKS = dataclasses.replace(
    DENSE, file='blocks.tflite', bytes=300, latency=(Latency(1, 0.0234, 0.29, (0.02, 0.03), (0.28, 0.31)),),
    sparse_layers=SparseLayers(2, 1), reference_bytes=None, startup=None, class_right=(8, 5, 0))
REPORT = ExportReport(
    ExportedSavedModel(2000, 14 / 15, (9, 5, 0)), (DENSE, BLOCKS), 'blocks.tflite', 0.5, 15,
    Reference(kept=100, position_bits=250.0, others=7),
    {'processor': 'Fast One', 'platform': 'Linux', 'commit': 'abcdef0123456789',
     'packages': {'tickets_tf': '1.2', 'tensorflow': '3.4', 'ai-edge-litert': '5.6', 'onnxruntime': '7.8'}},
    chosen_examples=15, front=('blocks.tflite',), class_examples=(10, 5, 0), load_per_core=(0.1, 1.0))
SETTINGS = dict(model='resnet8', dataset='digits', pruner='random', ratio=0.9, seed=0, epochs=2)
DESCRIPTION = dict(class_names=['cat', 'dog', 'eel'], image_shape=[8, 8, 1], settings=SETTINGS,
                   preprocessing=dict(formula='x', mean=[0.5], std=[0.5]))


def lines_with(text, *words):
  return [line for line in text.splitlines() if all(word in line for word in words)]


def test_the_table_tells_spread_and_what_is_noise():
  table = card.table(REPORT)
  null, = lines_with(table, 'dense_float32.tflite against itself')
  assert all(text in null for text in ('2.00 ms (1.90 to 2.20)', '1.00 (0.98 to 1.03)', '0.50 ms (0.40 to 0.60)',
                                       '3.0 MiB'))
  other, = lines_with(table, 'blocks.tflite', '0.29 (0.28 to 0.31)')
  assert '0.023 ms (0.020 to 0.030)' in other and 'not measured' in other and '2 of 3 layers' in other
  assert lines_with(table, 'dense_float32.tflite', '4.00, gzipped 2.00') and lines_with(table, 'blocks.tflite', ' - ')
  assert lines_with(table, 'one image on Fast One', 'over dense_float32.tflite, timed in turn')
  assert lines_with(table, '100 kept weights, 7 other parameters', '2.50 bits each', 'no limit')
  assert 'busy' not in table and 'limit of' not in table


@pytest.mark.parametrize('before, spread, busy', [
    (0.1, (0.95, 1.05), False), (0.6, (0.95, 1.05), True), (0.1, (0.81, 1.05), True), (0.1, (0.95, 1.73), True),
    (None, (0.95, 1.05), False), (None, (0.95, 1.73), True)])
def test_a_busy_machine_is_one_line(before, spread, busy):
  dense = dataclasses.replace(DENSE, latency=(Latency(1, 2.0, 1.0, (1.9, 2.2), spread),))
  report = dataclasses.replace(REPORT, tflite=(dense, BLOCKS),
                               load_per_core=(before, None if before is None else 1.25))
  found = lines_with(card.table(report), 'the machine was busy')
  assert len(found) == busy
  if busy:
    assert f'took {spread[0]:.2f} to {spread[1]:.2f} times as long as itself with 1 thread' in found[0]
    assert ('load average per core 0.' in found[0] and '1.25 after' in found[0]) == (before is not None)
    assert lines_with(card.model_card(DESCRIPTION, report), 'the machine was busy')


def test_without_a_dense_file_nothing_is_over_it():
  lone = dataclasses.replace(BLOCKS, latency=(Latency(1, 2.0, None, (1.9, 2.2)),))
  table = card.table(dataclasses.replace(REPORT, tflite=(lone,), load_per_core=(2.0, 2.0)))
  assert 'over dense' not in table and 'itself' not in table
  assert lines_with(table, 'the machine was busy: load average per core 2.00 before, 2.00 after')


def test_the_card_says_what_is_known_and_what_is_not():
  text = card.model_card(DESCRIPTION, REPORT)
  assert '| licence | not given |' in text
  assert '| made and tested with | tickets_tf 1.2 (commit abcdef012345), tensorflow 3.4, ai-edge-litert 5.6 |' in text
  assert 'files were chosen by the same test images' in text and 'of no use' not in text
  assert 'The least accurate is cat, 90.00% of 10 test images' in text
  rows = [line for line in text.splitlines() if line.startswith(('| cat', '| dog', '| eel'))]
  assert rows[0].startswith('| cat | 10 | 90.00% | 80.00% | 55.5% to 99.7% |')
  assert rows[1].startswith('| dog | 5 | 100.00% | 100.00% |') and rows[2].startswith('| eel | 0 | - | - |')
  assert '100 kept weights' in text and 'probabilities / 256' in text and '/ 256f' not in text


def test_the_card_of_another_report():
  best = dataclasses.replace(BLOCKS, integers=True)
  report = dataclasses.replace(REPORT, tflite=(DENSE, best), licence='MIT', chosen_on='validation', chosen_examples=40,
                               saved_model=ExportedSavedModel(2000, 5 / 15, (3, 2, 0)))
  text = card.model_card(DESCRIPTION, report)
  assert '| licence | MIT |' in text and 'chosen by 40 validation images' in text
  assert 'not above what guessing can give' in text and '/ 256f' in text


def test_of_many_classes_the_least_accurate_are_listed():
  names = [f'class{number}' for number in range(60)]
  right = tuple(range(60))
  report = dataclasses.replace(REPORT, tflite=(), best=None, class_examples=(60,) * 60,
                               saved_model=ExportedSavedModel(1, 0.5, right))
  text = card.model_card({**DESCRIPTION, 'class_names': names}, report)
  assert '| class0 |' in text and '| class49 |' in text and '| class50 |' not in text and 'The other 10 are in' in text
