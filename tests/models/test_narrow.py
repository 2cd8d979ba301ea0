"""How narrow a dense network is that is as large as a ticket of the wide one."""

import pytest

from tickets_tf import models
from tickets_tf import registry
from tickets_tf.errors import UsageError
from tickets_tf.models import narrow
from tickets_tf.pruning import allocation
from tickets_tf.pruning.narrowed import Narrowed

SHAPE = (8, 8, 3)


def kernels(width, name='resnet8'):
  return models.prunable_kernels(models.build_model(name, SHAPE, 10, width=width))


def size(width, match='weights'):
  """The size of a dense ResNet8 of a width on 8x8 images, as it is asked for the search, and so built once."""
  return narrow._size('resnet8', SHAPE, 10, match, width)


@pytest.mark.parametrize('ratio', [0.0, 0.5, 0.9, 0.999])
def test_no_other_width_is_nearer_to_the_weights_of_the_ticket(ratio):
  found = narrow.narrowed('resnet8', SHAPE, 10, 6, ratio, 'weights', 'smart')
  wanted = int(size(6) * (1 - ratio))
  apart = {width: abs(size(width) - wanted) for width in range(1, 7)}
  assert found == Narrowed(min(apart, key=apart.__getitem__), 6, 'weights', wanted, size(found.width))
  assert (found.width == 6) == (ratio == 0) and (found.width == 1) == (ratio == 0.999)
  assert ratio or size(6) == sum(kernel.size for kernel in kernels(6))


def test_multiply_accumulates_are_those_of_a_ticket_with_the_layer_ratios_asked_for():
  wide = models.build_model('resnet8', SHAPE, 10, width=6)
  of_wide = models.prunable_kernels(wide)
  wanted = sum(models.multiply_accumulates(of_wide, allocation.allocate(of_wide, 0.8, 'smart'), wide))
  found = narrow.narrowed('resnet8', SHAPE, 10, 6, 0.8, 'macs', 'smart')
  dense = kernels(found.width)
  assert found.wanted == wanted
  assert found.found == sum(models.multiply_accumulates(dense, [kernel.size for kernel in dense]))
  assert abs(found.found - wanted) <= min(abs(size(found.width + step, 'macs') - wanted) for step in (-1, 1))
  assert wanted != narrow.narrowed('resnet8', SHAPE, 10, 6, 0.8, 'macs', 'uniform').wanted


def test_the_width_of_the_network_itself_is_that_of_its_function(monkeypatch):
  monkeypatch.setattr(narrow, '_size', lambda name, shape, classes, match, width, *of_ticket: width**2)
  assert narrow.narrowed('vgg11', SHAPE, 10, 0, 0.5, 'weights', 'smart') == Narrowed(64, 64, 'weights', 64**2, 64**2)


@pytest.mark.parametrize('width, found, told', [
    (3, 90, 'width 3 of 16 has 90 prunable weights, 10.0% fewer than the ticket\'s 100'),
    (4, 101, 'width 4 of 16 has 101 prunable weights, 1.0% more than the ticket\'s 100'),
    (4, 100, 'width 4 of 16 has 100 prunable weights, as many as the ticket\'s 100')])
def test_it_is_told_how_near_it_comes(width, found, told):
  assert Narrowed(width, 16, 'weights', 100, found).told() == told


def test_a_network_of_your_own_has_a_width_if_its_function_takes_one(monkeypatch):
  monkeypatch.setattr(registry, 'MODELS', registry.ModelRegistry('model', {'fixed': 'no:module'}, ('fixed',)))
  registry.MODELS.register('plain')(lambda input_shape, num_classes: None)
  registry.MODELS.register('scaled')(lambda input_shape, num_classes, width: None)
  assert [registry.MODELS.has_width(name) for name in ('fixed', 'plain', 'scaled', 'scaled50')] == [
      False, False, True, True]
  with pytest.raises(UsageError, match='--width=0: scaled has no width of its own; expected a number of filters'):
    narrow.narrowed('scaled', SHAPE, 10, 0, 0.5, 'weights', 'smart')
