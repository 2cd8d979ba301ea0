"""Whether the images of an export are those of the run: a data set that has moved, or another one."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from tickets_tf import data
from tickets_tf.errors import TicketsError, UsageError

_POINTS = 0.005  # of accuracy, by which rounding may change that of the same weights
_IMAGES = 2  # test images that rounding may turn, in sets so small that they are more than that


def check(dataset: data.Dataset, description: Mapping[str, Any], data_dir: str) -> None:
  """Refuses a data set that cannot be the ticket's.

  Args:
    dataset: what was loaded.
    description: that of the ticket's `Classifier`, as far as it is known.
    data_dir: what was asked for in place of the run's; empty: nothing.

  Raises:
    UsageError: if classes, numbers of images, shape, or mean and std of the training images differ; it names the flag.
  """
  sizes = description.get('record', {}).get('dataset', {})
  preprocessing = description.get('preprocessing', {})
  pairs = (('classes', tuple(dataset.class_names), description.get('class_names')),
           ('images of shape', tuple(dataset.image_shape), description.get('image_shape')),
           ('number of test images', len(dataset.test), sizes.get('test')),
           ('mean', tuple(dataset.mean), preprocessing.get('mean')),
           ('std', tuple(dataset.std), preprocessing.get('std')))
  for name, found, recorded in pairs:
    if recorded is not None and not _same(found, recorded):
      raise UsageError(f'{named(dataset, description, data_dir)}: has {name} {_text(found)}, but the run had '
                       f'{_text(recorded)}; give the data set of the run')


def check_accuracy(accuracy: float, dataset: data.Dataset, description: Mapping[str, Any], data_dir: str) -> None:
  """Refuses a SavedModel whose test accuracy is not that of its record; arguments as for `check`.

  Raises:
    TicketsError: if it is not.
  """
  name = 'settled_accuracy' if description.get('settled') else 'final_accuracy'
  recorded = description.get('record', {}).get(name, accuracy)
  if abs(accuracy - recorded) > max(_POINTS, _IMAGES / len(dataset.test)) + 1e-9:
    changed = (f'{named(dataset, description, data_dir)} holds other images than the run\'s, or the weights have '
               'changed since' if data_dir else 'the data set or the weights have changed since')
    raise TicketsError(f'the SavedModel has test accuracy {accuracy:.2%}, the record says {recorded:.2%}: {changed}')


def named(dataset: data.Dataset, description: Mapping[str, Any], data_dir: str) -> str:
  """Returns the words for the data set that was loaded: its flag and the run's, or its name."""
  if not data_dir:
    return f'data set {dataset.name!r}'
  used = description.get('settings', {}).get('data_dir')
  return f'--data_dir={data_dir}' + (f' (the run had {used})' if used else '')


def _same(found: Any, recorded: Any) -> bool:
  if isinstance(found, tuple):
    return len(found) == len(recorded) and all(map(_same, found, recorded))
  return math.isclose(found, recorded, rel_tol=1e-6, abs_tol=1e-9) if isinstance(found, float) else found == recorded


def _text(value: Any) -> str:
  if isinstance(value, int):
    return f'{value:,}'
  return ', '.join(f'{each:.4g}' if isinstance(each, float | np.floating) else str(each) for each in value)
