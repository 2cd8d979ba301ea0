"""Batches as a function of the step: order, augmentation, shares, resuming."""

import numpy as np
import pytest
import tensorflow as tf

from tickets_tf.data import Examples
from tickets_tf.data import Pipeline
from tickets_tf.data import normalise
from tickets_tf.errors import UsageError

# With these, normalised values are the pixels themselves.
_PLAIN = {'mean': (0.0,) * 3, 'std': (1 / 255,) * 3}


def _pipeline(data, batch_size=8, seed=0, augmentation='none', crop_padding=2, **options):
  return Pipeline(data, batch_size, seed, augmentation, crop_padding, **{**_PLAIN, **options})


def _pixels(images):
  return np.round(np.asarray(images)).astype(np.uint8)


def _originals(data, images):
  """Indices into `data` of images that were not augmented."""
  index = {image.tobytes(): k for k, image in enumerate(data.images)}
  return [index[image.tobytes()] for image in _pixels(images)]


def _collect(dataset):
  return [(images.numpy(), labels.numpy()) for images, labels in dataset]


def _same(some, others):
  return len(some) == len(others) and all(
      a.tobytes() == b.tobytes() for one, other in zip(some, others, strict=True)
      for a, b in zip(one, other, strict=True))


def test_every_example_at_most_once_an_epoch_and_another_order_each(examples):
  data = examples(30)
  pipeline = _pipeline(data, batch_size=7)
  assert pipeline.steps_per_epoch == 4 and pipeline.batch_size == 7
  epochs = []
  for epoch in range(6):
    batches = _collect(pipeline.dataset(4 * epoch, 4 * epoch + 4))
    assert [len(labels) for _, labels in batches] == [7] * 4
    order = [k for images, _ in batches for k in _originals(data, images)]
    assert len(set(order)) == 28
    epochs.append(order)
  assert len({tuple(order) for order in epochs}) == 6
  assert len({frozenset(order) for order in epochs}) > 1, 'the examples left over change'
  positions = np.array(epochs)
  assert np.all(np.ptp(positions, axis=0) > 0), 'no position holds the same example in every epoch'


def test_labels_stay_with_their_images(examples):
  data = examples(30)
  for augmentation in ('none', 'crop_flip'):
    pipeline = _pipeline(data, augmentation=augmentation, crop_padding=0)
    for images, labels in _collect(pipeline.dataset(0, 9)):
      for image, label in zip(_pixels(images), labels, strict=True):
        matches = (data.images == image).all((1, 2, 3)) | (data.images[:, :, ::-1] == image).all((1, 2, 3))
        assert matches.sum() == 1 and data.labels[matches][0] == label


def test_batches_of_sorted_classes_are_as_mixed_as_a_random_draw():
  labels = np.repeat(np.arange(10), 5000).astype(np.int32)
  data = Examples(np.zeros((50000, 1, 1, 1), np.uint8), labels)
  pipeline = _pipeline(data, batch_size=64, mean=(0.0,), std=(1.0,))
  ratios = []
  for epoch in range(2):
    batches = _collect(pipeline.dataset(781 * epoch, 781 * epoch + 781))
    counts = np.array([np.bincount(batch, minlength=10) for _, batch in batches])
    ratios.append(counts.var(axis=0).mean() / (64 * 0.1 * 0.9))
  assert 0.95 < np.mean(ratios) < 1.05


@pytest.mark.parametrize('augmentation', ['none', 'crop', 'crop_flip'])
def test_a_pure_function_of_seed_and_step(examples, augmentation):
  data = examples(30)
  # Real constants: with simple ones, rounding could not tell one order of operations from another.
  options = {'augmentation': augmentation, 'mean': (0.4914, 0.4822, 0.4465), 'std': (0.2023, 0.1994, 0.2010)}
  whole = _collect(_pipeline(data, **options).dataset(0, 9))
  assert _same(_collect(_pipeline(data, **options).dataset(5, 9)), whole[5:]), 'resumed at step 5'
  pipeline = _pipeline(data, **options)
  in_graph = tf.function(pipeline.batch)
  for step in (7, 0, 3):
    assert _same([[array.numpy() for array in pipeline.batch(step)]], whole[step:step + 1])
    assert _same([[array.numpy() for array in in_graph(tf.constant(step))]], whole[step:step + 1])
  assert not _same(_collect(_pipeline(data, seed=1, **options).dataset(0, 9)), whole)


@pytest.mark.parametrize('augmentation', ['none', 'crop', 'crop_flip'])
@pytest.mark.parametrize('parts', [2, 4])
def test_shares_are_the_whole_batch(examples, augmentation, parts):
  pipeline = _pipeline(examples(30), augmentation=augmentation)
  whole = _collect(pipeline.dataset(2, 5))
  shares = _collect(pipeline.dataset(2, 5, parts=parts))
  assert len(shares) == 3 * parts
  joined = [[np.concatenate(arrays) for arrays in zip(*shares[parts * k:parts * k + parts], strict=True)]
            for k in range(3)]
  assert _same(joined, whole)
  direct = [[array.numpy() for array in pipeline.batch(3, part, parts)] for part in range(parts)]
  assert _same(direct, shares[parts:2 * parts])
  assert not _same(direct[:1], direct[1:2])


def test_a_worker_with_some_of_the_shares(examples):
  pipeline = _pipeline(examples(30), augmentation='crop_flip')
  every = _collect(pipeline.dataset(1, 4, parts=4))
  second = _collect(pipeline.dataset(1, 4, parts=4, first_part=1, local_parts=2))
  assert _same(second, [every[4 * step + part] for step in range(3) for part in (1, 2)])
  assert _same(_collect(pipeline.dataset(1, 4, parts=4, first_part=3)), every[3::4])


def test_shapes_are_static(examples):
  images, labels = _pipeline(examples(30), augmentation='crop_flip').dataset(0, 1, parts=2).element_spec
  assert images.shape == (4, 6, 6, 3) and images.dtype == tf.float32
  assert labels.shape == (4,) and labels.dtype == tf.int32


def _crops(image, padding):
  """All crops of a padded image, by (row, column, flipped)."""
  height, width, _ = image.shape
  padded = np.zeros((height + 2 * padding, width + 2 * padding, image.shape[2]), np.uint8)
  padded[padding:padding + height, padding:padding + width] = image
  for row in range(2 * padding + 1):
    for column in range(2 * padding + 1):
      crop = padded[row:row + height, column:column + width]
      yield (row, column, False), crop.tobytes()
      yield (row, column, True), crop[:, ::-1].tobytes()


@pytest.mark.parametrize('augmentation', ['crop', 'crop_flip'])
def test_augmentation_against_brute_force(examples, augmentation):
  data = examples(20, shape=(7, 5, 3))
  plain, augmented = _pipeline(data), _pipeline(data, augmentation=augmentation)
  crops = [dict((pixels, how) for how, pixels in _crops(image, 2)) for image in data.images]
  seen = []
  for step in range(120):
    originals, images = _originals(data, plain.batch(step)[0]), _pixels(augmented.batch(step)[0])
    # A KeyError here would be an image that is no crop of its own original.
    seen.append([crops[k][image.tobytes()] for k, image in zip(originals, images, strict=True)])
  flat = [how for batch in seen for how in batch]
  rows, columns, flips = (np.array(values) for values in zip(*flat, strict=True))
  for offsets in (rows, columns):
    counts = np.bincount(offsets, minlength=5)
    assert len(counts) == 5 and counts.min() > 0.14 * len(flat) and counts.max() < 0.26 * len(flat)
  assert abs(np.corrcoef(rows, columns)[0, 1]) < 0.1
  assert len(set(zip(rows.tolist(), columns.tolist(), strict=True))) == 25
  if augmentation == 'crop':
    assert not flips.any()
  else:
    assert 0.45 < flips.mean() < 0.55 and abs(np.corrcoef(rows, flips)[0, 1]) < 0.1
  assert all(len(set(batch)) > 1 for batch in seen), 'every image its own'
  assert len({tuple(batch) for batch in seen}) == len(seen), 'every step its own'


@pytest.mark.parametrize('augmentation, padding', [('crop', 2), ('crop_flip', 0)])
def test_the_seed_decides_the_augmentation_too(examples, augmentation, padding):
  # All images are the same one, so that the order does not show.
  data = Examples(np.repeat(examples(1).images, 30, axis=0), np.zeros(30, np.int32))
  runs = [_collect(_pipeline(data, seed=seed, augmentation=augmentation, crop_padding=padding).dataset(0, 3))
          for seed in (0, 0, 1)]
  assert _same(runs[0], runs[1]) and not _same(runs[0], runs[2])


def test_crop_and_flip_are_drawn_from_streams_of_their_own(examples, monkeypatch):
  # Offsets have an odd number of values and flips have two, so the remainders of one stream would look independent.
  # Drawn from the same large range, the numbers of one stream are the same.
  uniform = tf.random.stateless_uniform
  monkeypatch.setattr(tf.random, 'stateless_uniform',
                      lambda *arguments, maxval, **named: uniform(*arguments, maxval=2**31 - 1, **named))
  drawn = _pipeline(examples(30), batch_size=30, augmentation='crop_flip').draw(0)
  offsets, flips = (set(drawn[name].numpy().ravel().tolist()) for name in ('offset', 'flip'))
  assert len(offsets) == 60 and len(flips) == 30 and not offsets & flips


def test_small_images_are_flipped_without_a_crop(examples):
  data = examples(20)
  pipeline = _pipeline(data, augmentation='crop_flip', crop_padding=0)
  images = np.concatenate([_pixels(pipeline.batch(step)[0]) for step in range(20)])
  straight = np.array([(data.images == image).all((1, 2, 3)).any() for image in images])
  flipped = np.array([(data.images[:, :, ::-1] == image).all((1, 2, 3)).any() for image in images])
  assert np.all(straight ^ flipped) and 0.3 < flipped.mean() < 0.7


def test_the_border_is_black_before_normalisation(examples):
  data = Examples(np.full((8, 6, 6, 1), 255, np.uint8), np.zeros(8, np.int32))
  pipeline = _pipeline(data, augmentation='crop', mean=(0.3,), std=(0.5,))
  values = np.unique(np.concatenate([pipeline.batch(step)[0] for step in range(4)]))
  np.testing.assert_allclose(values, [-0.6, 1.4], rtol=1e-6)


def test_normalisation_against_numpy(examples):
  data = examples(16)
  mean, std = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
  plain, pipeline = _pipeline(data), _pipeline(data, mean=mean, std=std)
  images = pipeline.batch(0)[0]
  expected = (data.images[_originals(data, plain.batch(0)[0])] / 255 - mean) / std
  assert images.dtype == tf.float32
  np.testing.assert_allclose(images, expected, rtol=1e-5, atol=1e-5)
  np.testing.assert_allclose(normalise(data.images[:3], mean, std), (data.images[:3] / 255 - mean) / std,
                             rtol=1e-5, atol=1e-5)


def test_batch_size_is_lowered_to_the_examples(examples):
  pipeline = _pipeline(examples(5), batch_size=64)
  assert pipeline.batch_size == 5 and pipeline.steps_per_epoch == 1
  assert sorted(pipeline.batch(3)[1].numpy().tolist()) == [0, 1, 2, 3, 4]


def test_images_are_not_written_into_graphs(examples):
  data = examples(5000, shape=(16, 16, 3))
  pipeline = _pipeline(data, augmentation='crop_flip')
  graph = tf.function(pipeline.batch).get_concrete_function(tf.TensorSpec([], tf.int64)).graph
  assert graph.as_graph_def().ByteSize() < 100_000 < data.images.nbytes


@pytest.mark.parametrize('arguments, message', [
    ({'batch_size': 0}, '--batch_size=0'),
    ({'augmentation': 'mixup'}, '--augmentation=mixup: unknown; known: crop_flip, crop, none'),
    ({'crop_padding': -1}, 'crop_padding must be 0 or more'),
])
def test_clear_errors(examples, arguments, message):
  with pytest.raises(UsageError, match=message):
    _pipeline(examples(30), **arguments)


def test_a_batch_that_cannot_be_shared(examples):
  pipeline = _pipeline(examples(30), batch_size=8)
  for call in (lambda: pipeline.batch(0, 0, 3), lambda: pipeline.dataset(0, 1, parts=3)):
    with pytest.raises(UsageError, match='--batch_size=8: cannot be cut into 3 equal shares'):
      call()


def test_the_first_epochs_can_have_the_seed_of_another_pipeline(examples):
  data = examples(40)
  first, later = (_pipeline(data, seed=seed, augmentation='crop_flip') for seed in (1, 2))
  both = _pipeline(data, seed=2, augmentation='crop_flip', first_seed=1, first_epochs=3)
  steps = first.steps_per_epoch
  assert _same(_collect(both.dataset(0, 3 * steps)), _collect(first.dataset(0, 3 * steps)))
  assert _same(_collect(both.dataset(3 * steps, 5 * steps)), _collect(later.dataset(3 * steps, 5 * steps)))
  assert not _same(_collect(first.dataset(3 * steps, 5 * steps)), _collect(later.dataset(3 * steps, 5 * steps)))
