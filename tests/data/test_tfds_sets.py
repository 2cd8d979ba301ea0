"""CIFAR through tfds: a stand-in, a really prepared miniature, and no network."""

import numpy as np
import pytest
import requests
import tensorflow_datasets as tfds

from tickets_tf.data import load_dataset
from tickets_tf.data import tfds_sets
from tickets_tf.errors import TicketsError
from tickets_tf.errors import UsageError


@pytest.mark.parametrize('name, classes, mean, std', [
    ('cifar10', 10, (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
    ('cifar100', 100, (0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761)),
])
def test_facts(monkeypatch, tmp_path, name, classes, mean, std):
  monkeypatch.setattr(tfds_sets, '_check_connection', lambda builder: None)
  with tfds.testing.mock_data(num_examples=1100):
    dataset = load_dataset(name, str(tmp_path))
    first = next(iter(tfds.as_numpy(tfds.load(name, split='train', data_dir=str(tmp_path)))))
  assert dataset.image_shape == (32, 32, 3) and dataset.num_classes == classes
  assert dataset.mean == mean and dataset.std == std
  assert dataset.augmentation == 'crop_flip' and dataset.crop_padding == 4
  assert len(dataset.train) == 1100 and dataset.train.labels.dtype == np.int32
  assert np.array_equal(dataset.train.images[0], first['image']) and dataset.train.labels[0] == first['label']
  assert len(set(dataset.train.labels.tolist())) == classes, 'the fine labels'


@pytest.fixture
def no_network(monkeypatch):
  """Nothing answers; a download that is tried all the same fails the test."""

  def unreachable(*args, **kwargs):
    raise requests.ConnectionError('Name or service not known')

  def download(*args, **kwargs):
    pytest.fail('tried to download')

  monkeypatch.setattr(requests, 'head', unreachable)
  monkeypatch.setattr(tfds.download.DownloadManager, 'download_and_extract', download)
  monkeypatch.setattr(tfds.core.utils.gcs_utils, 'exists', lambda path: False)


def test_prepared_data_need_no_network(monkeypatch, tmp_path, no_network):
  source = tmp_path / 'source' / 'cifar-10-batches-bin'
  source.mkdir(parents=True)
  names = [f'class_{label}' for label in range(10)]
  (source / 'batches.meta.txt').write_text('\n'.join(names))
  rng = np.random.default_rng(0)
  images = rng.integers(0, 256, (30, 32, 32, 3), np.uint8)
  labels = np.arange(30) % 10
  for part, file in enumerate([f'data_batch_{k}.bin' for k in range(1, 6)] + ['test_batch.bin']):
    rows = range(5 * part, 5 * part + 5)
    (source / file).write_bytes(b''.join(bytes([labels[k]]) + images[k].transpose(2, 0, 1).tobytes() for k in rows))
  data_dir = str(tmp_path / 'tfds')
  with monkeypatch.context() as patch:
    patch.setattr(tfds.download.DownloadManager, 'download_and_extract', lambda self, url: str(source.parent))
    patch.setattr(requests, 'head', lambda *args, **kwargs: None)
    load_dataset('cifar10', data_dir)

  dataset = load_dataset('cifar10', data_dir)
  known = {image.tobytes(): label for image, label in zip(images, labels, strict=True)}
  assert dataset.class_names == tuple(names)
  assert len(dataset.train) == 25 and len(dataset.test) == 5
  for part in (dataset.train, dataset.test):
    assert [known[image.tobytes()] for image in part.images] == part.labels.tolist()
  assert set(image.tobytes() for image in dataset.test.images) == set(image.tobytes() for image in images[25:])
  resized = load_dataset('cifar10', data_dir, image_size=16)
  assert resized.image_shape == (16, 16, 3) and resized.crop_padding == 2

  record = next((tmp_path / 'tfds' / 'cifar10').rglob('*train*.tfrecord*'))
  record.write_bytes(record.read_bytes()[:-50])
  with pytest.raises(TicketsError, match=r"'cifar10': the prepared data cannot be read .*; delete .*tfds/cifar10"):
    load_dataset('cifar10', data_dir)


def test_no_network(tmp_path, no_network):
  message = r"'cifar10': not prepared under --data_dir=.*empty, .*no connection to"
  with pytest.raises(UsageError, match=message) as error:
    load_dataset('cifar10', str(tmp_path / 'empty'))
  assert '\n' not in str(error.value) and '--dataset=folder' in str(error.value)
  assert not (tmp_path / 'empty').exists(), 'nothing may be left behind'


def test_a_downloaded_archive_needs_no_network(monkeypatch, tmp_path, no_network):
  archive = tmp_path / 'downloads' / 'cifar10' / 'cs.toronto.edu_kriz_cifar-10-binaryODHP.tar.gz'
  archive.parent.mkdir(parents=True)
  archive.write_bytes(b'')
  prepared = []
  monkeypatch.setattr(tfds.core.DatasetBuilder, 'download_and_prepare', lambda self: prepared.append(self.name))
  tfds_sets._prepare('cifar10', str(tmp_path))
  assert prepared == ['cifar10']


@pytest.mark.parametrize('failure', [OSError('No space left\non device'), PermissionError('no'), ValueError('sum')])
def test_a_failed_download(monkeypatch, tmp_path, failure):
  monkeypatch.setattr(tfds_sets, '_check_connection', lambda builder: None)

  def fail(self, **kwargs):
    raise failure

  monkeypatch.setattr(tfds.core.DatasetBuilder, 'download_and_prepare', fail)
  with pytest.raises(UsageError, match=f'cannot be downloaded .{type(failure).__name__}') as error:
    load_dataset('cifar100', str(tmp_path))
  assert '\n' not in str(error.value) and f'--data_dir={tmp_path}' in str(error.value)
