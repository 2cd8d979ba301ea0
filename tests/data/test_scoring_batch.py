"""The class-balanced scoring batch."""

import numpy as np
import pytest

from tickets_tf.data import scoring_batches
from tickets_tf.data import scoring_images
from tickets_tf.errors import UsageError


def test_balanced_interleaved_and_without_replacement(examples):
  data = examples(60)
  data = data.take(np.random.default_rng(0).permutation(60))
  indices = scoring_batches(data, 5, 6, seed=3)
  assert len(indices) == 30 and len(set(indices.tolist())) == 30
  labels = data.labels[indices]
  for start in range(26):
    assert sorted(labels[start:start + 5]) == [0, 1, 2, 3, 4]
  assert np.array_equal(np.bincount(labels[:15]), np.bincount(labels[15:]))


def test_the_seed_decides(examples):
  data = examples(60)
  assert np.array_equal(scoring_batches(data, 5, 6, seed=3), scoring_batches(data, 5, 6, seed=3))
  assert not np.array_equal(scoring_batches(data, 5, 6, seed=3), scoring_batches(data, 5, 6, seed=4))
  everything = scoring_batches(data, 5, 12, seed=3)
  assert sorted(everything.tolist()) == list(range(60))
  assert not np.array_equal(everything, np.arange(60)), 'in a random order within the classes'


@pytest.mark.parametrize('names, shown', [(None, '4'), (('a', 'b', 'c', 'd', 'owl'), 'owl')])
def test_a_smaller_class_gives_what_it_has(examples, names, shown):
  data, lines = examples(14), []
  assert len(scoring_batches(data, 5, 2, seed=0, say=lines.append)) == 10 and not lines
  indices = scoring_batches(data, 5, 3, seed=0, class_names=names, say=lines.append)
  assert sorted(indices.tolist()) == list(range(14))
  assert lines == ['--samples_per_class=3: these classes have fewer training images, and the score sees all of them: '
                   f'{shown} 2']
  assert np.bincount(data.labels[scoring_batches(data, 6, 1, seed=0)], minlength=6).tolist() == [1, 1, 1, 1, 1, 0]
  with pytest.raises(UsageError, match='--samples_per_class=0'):
    scoring_batches(data, 5, 0, seed=0)


def test_a_smaller_class_is_in_both_halves(examples):
  data = examples(40, num_classes=2)
  data = data.take(np.concatenate([np.arange(0, 40, 2), [1, 3, 5, 7]]))
  labels = data.labels[scoring_batches(data, 2, 20, seed=0)]
  assert np.bincount(labels).tolist() == [20, 4] == (2 * np.bincount(labels[:12])).tolist()


def test_images_are_normalised_and_not_augmented(examples):
  data = examples(30)
  indices = scoring_batches(data, 5, 3, seed=0)
  images, labels = scoring_images(data, indices, (0.4, 0.5, 0.6), (0.2, 0.3, 0.1))
  expected = (data.images[indices] / 255 - [0.4, 0.5, 0.6]) / [0.2, 0.3, 0.1]
  assert images.dtype == 'float32' and labels.dtype == 'int32'
  np.testing.assert_allclose(images, expected, rtol=1e-5, atol=1e-5)
  assert np.array_equal(labels, data.labels[indices])


def test_each_number_is_a_batch_of_its_own(examples):
  data = examples(200)
  batches = [scoring_batches(data, 5, 6, seed=3, number=number) for number in (1, 2, 3)]
  np.testing.assert_array_equal(batches[0], scoring_batches(data, 5, 6, seed=3))
  for batch in batches:
    np.testing.assert_array_equal(np.bincount(data.labels[batch]), [6] * 5)
  assert len({tuple(sorted(batch)) for batch in batches}) == 3
