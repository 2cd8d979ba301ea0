import dataclasses
import importlib.util

import pytest

from benchmarks import sides
from benchmarks import train
from benchmarks.training_case import CASES
from tickets_tf.errors import TicketsError

TINY = dataclasses.replace(CASES['digits'], network='resnet8', width=2, batch_size=4)


def test_a_process_measures_each_time_it_is_asked():
  with sides.started('tickets_tf', TINY, 2) as own, sides.started('products', TINY, 2) as products:
    assert all(side.seconds() > 0 for side in (own, products, own, products))


def test_a_process_that_fails_says_why():
  with (sides.started('tickets_tf', dataclasses.replace(TINY, network='resnet9'), 1) as side,
        pytest.raises(TicketsError, match=r'tickets_tf: .*resnet9')):
    side.seconds()


def test_the_better_layout_counts():
  found = train.StepComparison(TINY, {'tickets_tf': [1.0, 2.0, 1.0], 'torch_channels_first': [9.0, 3.0, 3.0],
                                      'torch_channels_last': [2.0, 2.0, 8.0], 'products': [0.5, 0.5, 0.5]})
  assert found.best_other == 'torch_channels_last' and found.speed == [2.0, 1.0, 8.0]
  assert found.row() == '| resnet8, width 2, 8x8 | float32 | 1 | 2 (1 to 8) | channels_last | 50% |'
  assert found.to_json()['pytorch_time_over_own'] == 2


@pytest.mark.skipif(importlib.util.find_spec('torch') is None, reason='PyTorch is not installed')
def test_all_sides_take_steps():
  found = train.compare(TINY, rounds=2, steps=1)
  assert set(found.seconds) == set(sides.SIDES) and all(len(each) == 2 for each in found.seconds.values())


@pytest.mark.skipif(importlib.util.find_spec('torch') is not None, reason='PyTorch is installed')
def test_without_pytorch_one_line_says_how_to_get_it():
  with pytest.raises(TicketsError, match='pip install'):
    train.compare(TINY, rounds=2, steps=1)
