"""Which file is the best."""

import dataclasses

import numpy as np
import pytest

from tickets_tf.errors import UsageError
from tickets_tf.export import choice
from tickets_tf.export import paired
from tickets_tf.export.export_report import ExportedFile, Latency, SparseLayers


def row(file, size, gzip, over_dense, accuracy=0.9):
  latency = () if over_dense is None else (Latency(1, 2.0, over_dense), Latency(4, 1.0, 0.01))
  return ExportedFile(file, size, gzip, accuracy, 0.0, latency, (), SparseLayers(0, 0))


# What --pattern=1x4 was made for: the second is the fastest, the third the smallest.
ROWS = (row('dense', 1000, 900, 1.0), row('blocks', 300, 290, 0.29), row('half', 200, 180, 1.0),
        row('same', 250, 60, 0.97))


@pytest.mark.parametrize('measure, best', [('size', 'half'), ('gzip', 'same'), ('latency', 'blocks'),
                                           ('size_and_latency', 'blocks')])
def test_the_least_by_every_measure(measure, best):
  assert min(ROWS, key=choice.find(measure)).file == best
  assert choice.words(measure) != f'least by {measure}'


def weigh(each):
  return -each.bytes


def test_a_measure_of_your_own():
  assert min(ROWS, key=choice.find(f'{__name__}:weigh')).file == 'dense'
  assert choice.words('mine:weigh') == 'least by mine:weigh'
  with pytest.raises(UsageError, match=r"^--best=sizes: unknown measure 'sizes' \(did you mean 'size'\?\); known: "):
    choice.find('sizes')


def test_the_front_is_what_no_smaller_file_replaces():
  assert choice.front(ROWS) == ('half', 'blocks'), 'faster by 3% than a smaller one is noise'
  assert choice.front(ROWS[:1]) == ('dense',) and choice.front(()) == ()
  assert choice.front([row('a', 3, 3, None), row('b', 2, 2, None)]) == ('b',), 'none was timed'


@pytest.mark.parametrize('quartiles, front', [((0.7, 0.9), ('half', 'blocks')), ((0.7, 1.3), ('half',))])
def test_a_file_is_faster_only_if_the_middle_halves_are_apart(quartiles, front):
  half, blocks = (dataclasses.replace(each, latency=(Latency(1, 2.0, over_dense, None, spread),)) for each, over_dense,
                  spread in ((ROWS[2], 1.0, (0.95, 1.05)), (ROWS[1], 0.8, quartiles)))
  assert choice.front([half, blocks]) == front


def test_latency_without_a_dense_file_is_in_milliseconds():
  assert choice.relative_latency(row('a', 1, 1, 0.5)) == 0.5
  lone = ExportedFile('a', 1, 1, 0.9, 0.0, (Latency(1, 2.0, None),), (), SparseLayers(0, 0))
  assert choice.relative_latency(lone) == 2.0


def test_within_the_tolerance():
  rows = [row('exact', 1, 1, 1.0, 0.895), row('worse', 1, 1, 1.0, 0.8949)]
  assert [each.file for each in choice.within(rows, 0.9, 0.5)] == ['exact']


def test_two_images_of_200_are_no_loss_that_is_shown():
  right = np.ones(200, bool)
  rows = []
  for lost in (2, 5):
    low, high = paired.loss_interval(right, np.arange(200) >= lost)
    rows.append(dataclasses.replace(row(str(lost), 1, 1, 1.0, 1 - lost / 200), loss=(100 * low, 100 * high)))
  assert [each.file for each in choice.within(rows, 1.0, 0.5)] == ['2']
  assert [each.file for each in choice.within(rows, 1.0, 0.6)] == ['2', '5']
