import pathlib
import shutil

import numpy as np
import pytest
import tensorflow as tf

from tickets_tf.errors import TicketsError, UsageError
from tickets_tf.export import fold
from tickets_tf.export import saved_model
from tickets_tf.export import serving
from tickets_tf.export.options import Options


@pytest.fixture(scope='module')
def folder(network, digits, tmp_path_factory):
  """A SavedModel."""
  path = tmp_path_factory.mktemp('serving') / 'saved_model'
  saved_model.write_saved_model(fold.fold_batch_norm(network), digits, path, {})
  return path


def test_tensorflow_alone_loads_it(folder, ticket, digits, tmp_path):
  version = serving.add_version(folder, tmp_path / 'models' / 'digits')
  assert version == tmp_path / 'models' / 'digits' / '1'
  loaded = tf.saved_model.load(str(version))
  images = digits.test.images[:20]
  found = loaded.signatures['serving_default'](images=tf.constant(images))['probabilities']
  np.testing.assert_allclose(found, ticket.predict(images), atol=1e-6)


def test_versions_count_on_and_nothing_is_overwritten(folder, tmp_path):
  (tmp_path / '1').mkdir()
  (tmp_path / '1' / 'mine').write_text('')
  (tmp_path / '7').mkdir()
  (tmp_path / 'models.config').write_text('')
  assert [serving.add_version(folder, tmp_path).name for _ in range(2)] == ['8', '9']
  assert [path.name for path in (tmp_path / '1').iterdir()] == ['mine'] and not list((tmp_path / '7').iterdir())
  assert sorted(path.name for path in tmp_path.iterdir()) == ['1', '7', '8', '9', 'models.config']


def test_a_number_that_another_program_takes_meanwhile(folder, tmp_path, monkeypatch):
  rename = pathlib.Path.rename

  def later(path, target):
    if target.name == '1':
      shutil.copytree(folder, target)
    return rename(path, target)

  monkeypatch.setattr(pathlib.Path, 'rename', later)
  assert serving.add_version(folder, tmp_path).name == '2'


def test_a_version_is_whole_or_absent(folder, tmp_path, monkeypatch):

  def full(source, target):
    pathlib.Path(target).mkdir()
    raise OSError(28, 'No space left on device')

  monkeypatch.setattr(serving.shutil, 'copytree', full)
  with pytest.raises(TicketsError, match=rf'^--serving={tmp_path}: cannot be written: No space left on device$'):
    serving.add_version(folder, tmp_path)
  assert not list(tmp_path.iterdir())


def test_what_cannot_be_a_folder_of_versions(folder, tmp_path):
  (tmp_path / 'file').write_text('')
  with pytest.raises(UsageError, match=r'^--serving=.*/file: is no folder$'):
    Options(serving=str(tmp_path / 'file'))
  with pytest.raises(UsageError, match=r'^--serving=.*/saved_model: is a SavedModel; give the folder above'):
    Options(serving=str(folder))
