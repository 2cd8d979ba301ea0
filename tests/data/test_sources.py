"""Loading by name, what a loader may return, and the fixed parts of a training set."""

import dataclasses
import textwrap

import numpy as np
import pytest

from tickets_tf import registry
from tickets_tf.data import Dataset
from tickets_tf.data import Examples
from tickets_tf.data import load_dataset
from tickets_tf.errors import UsageError

_SIZES = (40, 25, 3, 12)  # examples per class of the made-up training set


def _dataset():
  labels = np.random.default_rng(0).permutation(np.repeat(np.arange(4), _SIZES)).astype(np.int32)
  # Every image carries its own number, so that a part can be traced back.
  images = np.arange(len(labels), dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 5, 1), np.uint8)
  return Dataset('made_up', Examples(images, labels), Examples(images[:8], labels[:8]), tuple('abcd'), (0.5,), (0.25,),
                 'crop', 1)


@pytest.fixture(autouse=True)
def _made_up(monkeypatch):
  monkeypatch.setitem(registry.DATASETS._entries, 'made_up', lambda data_dir, image_size: _dataset())


def _numbers(examples):
  return set(examples.images[:, 0, 0, 0].tolist())


def test_properties_and_take():
  dataset = load_dataset('made_up')
  assert dataset.image_shape == (4, 5, 1) and dataset.num_classes == 4 and len(dataset.train) == 80
  assert dataset.validation is None
  taken = dataset.train.take([7, 3])
  assert taken.images[:, 0, 0, 0].tolist() == [7, 3]
  assert taken.labels.tolist() == dataset.train.labels[[7, 3]].tolist()


def test_arguments_reach_the_loader(monkeypatch, tmp_path):
  seen = []
  monkeypatch.setenv('HOME', str(tmp_path))
  monkeypatch.setitem(registry.DATASETS._entries, 'seen', lambda *arguments: (seen.append(arguments), _dataset())[1])
  load_dataset('seen', data_dir='~/images')
  load_dataset('seen', data_dir='')
  assert seen == [(f'{tmp_path}/images', 0), (None, 0)]


def test_a_loader_of_ones_own(monkeypatch, tmp_path):
  (tmp_path / 'own_images.py').write_text(textwrap.dedent('''
      import numpy as np
      from tickets_tf.data import Dataset, Examples

      def load(data_dir, image_size):
        examples = Examples(np.ones((6, image_size, image_size, 1), np.uint8), np.arange(6, dtype=np.int32) % 2)
        return Dataset('own', examples, examples, ('no', 'yes'), (0.5,), (0.5,), 'none', 0)

      def load_nothing(data_dir, image_size):
        return {'train': np.zeros((3, 4))}
  '''))
  monkeypatch.syspath_prepend(tmp_path)
  assert load_dataset('own_images:load', image_size=9).image_shape == (9, 9, 1)
  with pytest.raises(UsageError, match="'own_images:load_nothing': the loader returned dict, not a tickets_tf"):
    load_dataset('own_images:load_nothing')


def test_unknown_name():
  with pytest.raises(UsageError, match=r"unknown data set 'digit'.*did you mean 'digits'"):
    load_dataset('digit')


_IMAGES, _LABELS = np.ones((6, 4, 5, 1), np.uint8), np.arange(6, dtype=np.int32) % 4


@pytest.mark.parametrize('changes, message', [
    ({'class_names': ('a', 'a', 'b', 'c')}, 'class_names must be at least 2 different strings'),
    ({'class_names': ('a',)}, 'class_names must be at least 2 different strings'),
    ({'class_names': (0, 1, 2, 3)}, 'class_names must be at least 2 different strings'),
    ({'train': (_IMAGES, _LABELS)}, 'train is tuple, not tickets_tf.data.Examples'),
    ({'test': None}, 'test is NoneType'),
    ({'train': Examples(_IMAGES / 255, _LABELS)}, r'train images must be a uint8 .*, got ndarray float64 \[6, 4'),
    ({'train': Examples(_IMAGES[..., 0], _LABELS)}, 'train images must be'),
    ({'test': Examples(_IMAGES, _LABELS.astype(np.int64))}, r'test labels must be an int32 .* got ndarray int64 \[6\]'),
    ({'test': Examples(_IMAGES, _LABELS[:5])}, r'test labels must be an int32 NumPy array \[6\]'),
    ({'test': Examples(_IMAGES[:0], _LABELS[:0])}, 'test has no examples'),
    ({'test': Examples(_IMAGES[:, :3], _LABELS)}, r'test images are \(3, 5, 1\), those of train \(4, 5, 1\)'),
    ({'validation': Examples(_IMAGES[:, :3], _LABELS)}, r'validation images are \(3, 5, 1\)'),
    ({'train': Examples(_IMAGES, _LABELS + 1)}, 'train labels reach from 1 to 4, class_names has 4 names'),
    ({'train': Examples(_IMAGES, _LABELS - 1)}, 'train labels reach from -1 to 2'),
    ({'mean': (0.5, 0.5, 0.5)}, 'mean must be 1 finite numbers'),
    ({'std': (float('nan'),)}, 'std must be 1 finite numbers'),
    ({'std': (0.0,)}, 'std must be above 0'),
    ({'augmentation': 'flip'}, "augmentation 'flip' is unknown; known: crop_flip, crop, none"),
    ({'crop_padding': -1}, 'crop_padding must be 0 or more pixels, got -1'),
])
def test_a_dataset_checks_itself(changes, message):
  with pytest.raises(UsageError, match=f"^data set 'made_up': {message}") as error:
    dataclasses.replace(_dataset(), **changes)
  assert '\n' not in str(error.value)


@pytest.mark.parametrize('arguments, message', [
    ({'image_size': -1}, '--image_size=-1: must be'),
    ({'image_size': 5}, "--image_size=5: the loader of data set 'made_up' gave images of 4x5"),
    ({'train_examples': -1}, '--train_examples=-1: must be 0'),
    ({'train_examples': 81}, r'--train_examples=81: must be 0 \(all\) to 80'),
    ({'train_examples': 73, 'validation_split': 0.1}, '--train_examples=73: .* to 72, .* that are not held out'),
    ({'validation_split': -0.1}, '--validation_split=-0.1'),
    ({'validation_split': 1.0}, '--validation_split=1.0'),
    ({'validation_split': 0.001}, '--validation_split=0.001: .* leave 0 for validation and 80'),
    ({'validation_split': 0.999}, '--validation_split=0.999: .* leave 80 for validation and 0'),
])
def test_clear_errors(arguments, message):
  with pytest.raises(UsageError, match=message) as error:
    load_dataset('made_up', **arguments)
  assert '\n' not in str(error.value)


def test_validation_set_of_the_data_sets_own(monkeypatch):
  own = dataclasses.replace(_dataset(), validation=_dataset().test)
  monkeypatch.setitem(registry.DATASETS._entries, 'own', lambda data_dir, image_size: own)
  assert len(load_dataset('own').validation) == 8
  with pytest.raises(UsageError, match='has its own validation set'):
    load_dataset('own', validation_split=0.5)


@pytest.mark.parametrize('count, expected', [(8, [2, 2, 2, 2]), (11, [3, 3, 3, 2]), (17, [5, 5, 3, 4]),
                                             (79, [39, 25, 3, 12]), (80, list(_SIZES))])
def test_train_examples_are_balanced_and_exact(count, expected):
  dataset = load_dataset('made_up', train_examples=count)
  assert np.bincount(dataset.train.labels, minlength=4).tolist() == expected
  assert len(_numbers(dataset.train)) == count
  labels = _dataset().train.labels
  assert np.array_equal(dataset.train.labels, labels[dataset.train.images[:, 0, 0, 0]])
  assert _numbers(dataset.train) == _numbers(load_dataset('made_up', train_examples=count).train), 'must be fixed'
  assert len(dataset.test) == 8


def test_validation_split_gives_the_same_share_of_every_class_and_is_disjoint():
  whole, dataset = load_dataset('made_up'), load_dataset('made_up', validation_split=0.25)
  assert len(dataset.validation) == 20 and len(dataset.train) == 60
  counts = np.bincount(dataset.validation.labels, minlength=4)
  assert np.all(np.abs(counts - 0.25 * np.array(_SIZES)) < 1)
  assert not _numbers(dataset.validation) & _numbers(dataset.train)
  assert _numbers(dataset.validation) | _numbers(dataset.train) == _numbers(whole.train)
  for part in (dataset.train, dataset.validation):
    assert np.array_equal(part.labels, whole.train.labels[part.images[:, 0, 0, 0]])


def test_train_examples_come_from_what_is_not_held_out():
  split = load_dataset('made_up', validation_split=0.25)
  both = load_dataset('made_up', validation_split=0.25, train_examples=30)
  assert _numbers(both.validation) == _numbers(split.validation)
  assert len(both.train) == 30 and _numbers(both.train) < _numbers(split.train)
