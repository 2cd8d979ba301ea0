"""ImageNet by name: a miniature that tfds has prepared, and the words where there is none."""

import io

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from PIL import Image

from tickets_tf.data import crops
from tickets_tf.data import imagenet
from tickets_tf.data import load_dataset
from tickets_tf.data import Pipeline
from tickets_tf.data.images import resized
from tickets_tf.errors import TicketsError
from tickets_tf.errors import UsageError

SIZES = [(40, 60), (75, 50), (32, 32), (90, 41)]  # height, width
LABELS = {'train': [3, 999, 0, 3, 512, 7], 'validation': [0, 1, 2]}


@pytest.fixture(scope='module')
def pixels():
  rng = np.random.default_rng(0)
  return {split: [np.asarray(Image.fromarray(rng.integers(0, 256, (4, 4, 3), np.uint8)).resize(SIZES[k % 4][::-1]))
                  for k in range(len(labels))] for split, labels in LABELS.items()}


@pytest.fixture(scope='module')
def prepared(tmp_path_factory, pixels):
  """The folder of tfds with the miniature in it."""
  pytest.importorskip('array_record', reason='the records of ImageNet are read with array_record')
  data_dir = tmp_path_factory.mktemp('tfds')
  builder = tfds.builder('imagenet2012', data_dir=data_dir, file_format='array_record')

  def examples(split):
    for number, (image, label) in enumerate(zip(pixels[split], LABELS[split], strict=True)):
      content = io.BytesIO()
      Image.fromarray(image).save(content, 'PNG')
      yield number, {'image': content.getvalue(), 'label': label, 'file_name': f'{number}.JPEG'}

  tfds.dataset_builders.store_as_tfds_dataset(
      name='imagenet2012', version=str(builder.version), data_dir=data_dir, file_format='array_record',
      features=tfds.features.FeaturesDict({
          'image': tfds.features.Image(shape=(None, None, 3), encoding_format='jpeg'),
          'label': tfds.features.ClassLabel(names=builder.info.features['label'].names),
          'file_name': tfds.features.Text()}),
      split_datasets={split: list(examples(split)) for split in LABELS})
  return data_dir


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))


def test_facts(prepared, pixels, monkeypatch):
  pytest.importorskip('grain', reason='reading images for each batch needs grain')
  dataset = load_dataset('imagenet2012', str(prepared), image_size=28)
  assert dataset.num_classes == 1000 and dataset.class_names[0] == 'n01440764' and dataset.image_shape == (28, 28, 3)
  assert dataset.augmentation == 'resized_crop' and dataset.mean == (0.485, 0.456, 0.406)
  order = [LABELS['train'].index(label) for label in (999, 0, 512, 7)]  # labels that one image alone has
  rows = [dataset.train.labels.tolist().index(label) for label in (999, 0, 512, 7)]
  assert sorted(dataset.train.labels.tolist()) == sorted(LABELS['train'])
  assert sorted(dataset.test.labels.tolist()) == sorted(LABELS['validation'])
  for row, source in zip(rows, order, strict=True):
    image = pixels['train'][source]
    height, width, _ = image.shape
    side = crops.short_side(height, width, 28)
    assert min(side) == 32 and np.array_equal(dataset.train.images[row], crops.middle(resized(image, side), 28))
    part = resized(crops.random_part(image, 9), (28, 28))
    assert np.array_equal(dataset.train.images.read(row, crop=9), part)
  pipeline = Pipeline(dataset.train, 3, 0, dataset.augmentation, dataset.crop_padding, dataset.mean, dataset.std)
  (images, labels), = pipeline.dataset(1, 2)
  assert images.shape == (3, 28, 28, 3) and set(labels.numpy()) <= set(LABELS['train'])
  monkeypatch.setattr(imagenet, '_labels', lambda source: pytest.fail('they are remembered'))
  again = load_dataset('imagenet2012', str(prepared), validation_split=0.34)
  assert again.image_shape == (224, 224, 3) and len(again.validation) == 2 and len(again.train) == 4


def test_the_flags_must_fit(prepared, monkeypatch):
  monkeypatch.setattr(imagenet.memory, 'installed', lambda package: True)
  with pytest.raises(UsageError, match='--images_in=memory: --dataset=imagenet2012 is read from its records'):
    load_dataset('imagenet2012', str(prepared), images_in='memory')
  monkeypatch.setattr(imagenet.memory, 'installed', lambda package: False)
  with pytest.raises(UsageError, match=r'--dataset=imagenet2012: needs the package array_record, pip install "tick'):
    load_dataset('imagenet2012', str(prepared))


def test_how_to_get_it(tmp_path, monkeypatch):
  monkeypatch.setattr(imagenet.memory, 'installed', lambda package: True)
  monkeypatch.setattr(tfds.core.utils.gcs_utils, 'exists', lambda path: False)
  manual = tmp_path / 'downloads' / 'manual'
  manual.mkdir(parents=True)
  (manual / 'ILSVRC2012_img_val.tar').write_bytes(b'')
  with pytest.raises(UsageError) as error:
    load_dataset('imagenet2012', str(tmp_path))
  text = str(error.value)
  assert text.startswith(f"data set 'imagenet2012': not prepared under --data_dir={tmp_path}") and '\n' not in text
  assert 'register at image-net.org' in text and f'put them into {manual} (ILSVRC2012_img_train.tar not there)' in text
  (manual / 'ILSVRC2012_img_train.tar').write_bytes(b'no archive')
  with pytest.raises(UsageError, match=f'cannot be prepared under --data_dir={tmp_path}') as error:
    load_dataset('imagenet2012', str(tmp_path))
  assert '\n' not in str(error.value)


def test_a_damaged_record_is_named(prepared, monkeypatch):
  pytest.importorskip('grain', reason='reading images for each batch needs grain')
  dataset = load_dataset('imagenet2012', str(prepared), image_size=28)
  monkeypatch.setattr(imagenet.image_tools, 'decode_bytes', lambda content, channels: tf.io.decode_jpeg(b'x').numpy())
  with pytest.raises(TicketsError, match="data set 'imagenet2012': record 1 holds no whole image"):
    dataset.train.images[1]
