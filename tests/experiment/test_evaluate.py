"""Everything that a record says of the trained weights, computed once more."""

import dataclasses
import shutil

import numpy as np
import pytest

import tickets_tf
from tickets_tf.errors import UsageError
from tickets_tf.experiment import evaluate
from tickets_tf.runs import correct
from tickets_tf.runs import records
from tickets_tf.runs.folder import RunFolder

NAMES = ['test accuracy', 'test loss', 'test images right', 'validation images right', 'settled accuracy',
         'settled loss', 'settled: test images right', 'settled: validation images right', 'effective weights']


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
  """The folder of a run whose seeds and data are not the defaults."""
  settings = tickets_tf.Settings(
      model='resnet8', width=4, train_examples=160, validation_split=0.2, batch_size=32, epochs=2, ratio=0.8,
      pruner='dense', trained_on='half_dataset', seed=2, order_seed=5, init_seed=6, augmentation='crop',
      progress=False, tensorboard=False, output_dir=str(tmp_path_factory.mktemp('runs')))
  tickets_tf.train(settings, say=lambda line: None)
  return tickets_tf.Run(settings).folder


@pytest.fixture
def folder(finished, tmp_path):
  """A copy of it."""
  shutil.copytree(finished.path, tmp_path / 'run')
  return RunFolder(tmp_path / 'run')


def disagreeing(folder, tolerance=0.1):
  return [figure.name for figure in evaluate.evaluate(folder.path, tolerance).figures if not figure.agrees]


def test_all_of_it_agrees(finished):
  found = evaluate.evaluate(finished.path, tolerance=0.01)
  assert found.agrees and not found.left_out and [figure.name for figure in found.figures] == NAMES
  record = records.read(finished.path)
  assert record.settled_accuracy != record.final_accuracy, 'the two are told apart'
  assert [found.figures[index].found for index in (0, 4)] == [
      f'{record.final_accuracy:.2%}', f'{record.settled_accuracy:.2%}']
  assert found.figures[-1].found == f'{record.effective_weights:,}'


@pytest.mark.parametrize('name, change', [
    ('test accuracy', lambda record: {'final_accuracy': record.final_accuracy + 0.002}),
    ('test loss', lambda record: {'test_loss': record.test_loss * 1.002}),
    ('test loss', lambda record: {'test_loss': None}),
    ('settled accuracy', lambda record: {'settled_accuracy': record.settled_accuracy - 0.002}),
    ('settled loss', lambda record: {'settled_loss': record.settled_loss * 1.002}),
    ('effective weights', lambda record: {'effective_weights': record.effective_weights - 1})])
def test_a_record_that_says_another_thing_is_noticed(name, change, folder):
  record = records.read(folder.path)
  records.write(folder.path, dataclasses.replace(record, **change(record)))
  assert disagreeing(folder) == [name]
  assert disagreeing(folder, 0.3) == ([name] if name == 'effective weights' or None in change(record).values() else [])


@pytest.mark.parametrize('file, row, name', [
    ('correct', 'final', 'test images right'), ('correct', 'settled', 'settled: test images right'),
    ('correct_validation', 'final', 'validation images right'),
    ('correct_validation', 'settled', 'settled: validation images right')])
def test_other_images_that_were_right_are_noticed(file, row, name, folder):
  path, dataset = getattr(folder, file), records.read(folder.path).dataset
  kept = correct.read(path, dataset.test if file == 'correct' else dataset.validation)
  bits = getattr(kept, row)
  # As many as before, two of them others.
  flipped = [np.flatnonzero(bits)[0], np.flatnonzero(~bits)[0]]
  bits[flipped] = ~bits[flipped]
  correct.write(path, kept)
  assert disagreeing(folder) == [name]
  path.unlink()
  with pytest.raises(UsageError, match=rf'{file}\.npy: cannot be read'):
    evaluate.evaluate(folder.path)


def test_a_network_that_cannot_be_built_again_leaves_the_rest(folder, monkeypatch):
  build = evaluate.networks.models.build_model
  monkeypatch.setattr(evaluate.networks.models, 'build_model', lambda *args, width: build(*args, width=2 * width))
  found = evaluate.evaluate(folder.path)
  assert found.agrees and [figure.name for figure in found.figures] == NAMES[:4]
  assert len(found.left_out) == 1 and found.left_out[0].startswith('settled and effective weights: the network that ')
