import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

import tickets_tf
from tickets_tf import data
from tickets_tf import export
from tickets_tf import sparse
from tickets_tf.errors import TicketsError
from tickets_tf.errors import UsageError

BARE = '''
import sys

class Absent:
  def find_spec(self, name, path=None, target=None):
    if name.split('.')[0] in ('tickets_tf', 'tf_keras', 'tensorflow_model_optimization'):
      raise ModuleNotFoundError(f'No module named {name!r}: it is blocked', name=name)

sys.meta_path.insert(0, Absent())
import numpy as np, tensorflow as tf
folder, images, out = sys.argv[1:]
model = tf.saved_model.load(folder)
assert set(model.signatures) == {'serving_default', 'float_images', 'logits'}, set(model.signatures)
images = tf.constant(np.load(images))
floats = model.signatures['float_images'](images=tf.cast(images, tf.float32))['probabilities']
np.savez(out, **model.signatures['serving_default'](images=images), **model.signatures['logits'](images=images),
         floats=floats)
'''


@pytest.fixture(scope='module')
def exported(tmp_path_factory):
  folder = tmp_path_factory.mktemp('export')
  dataset = data.load_dataset('digits')
  model = tickets_tf.build_model('resnet8', dataset.image_shape, 10, width=4)
  model(np.random.default_rng(0).normal(size=(64, 8, 8, 1)), training=True)  # statistics that are not the initial ones
  export.write_saved_model(model, dataset, folder / 'ticket', {'mask': 'abc'})
  return folder, dataset, model


def test_it_runs_on_tensorflow_alone(exported, tmp_path):
  folder, dataset, model = exported
  images = dataset.test.images[:20]
  np.save(tmp_path / 'images.npy', images)
  subprocess.run([sys.executable, '-c', BARE, folder / 'ticket', tmp_path / 'images.npy', tmp_path / 'out.npz'],
                 check=True, cwd=tmp_path, env={key: os.environ[key] for key in os.environ if 'KERAS' not in key})
  out = np.load(tmp_path / 'out.npz')
  logits = model(data.normalise(images, dataset.mean, dataset.std), training=False).numpy()
  np.testing.assert_allclose(out['logits'], logits, rtol=1e-4, atol=1e-6)
  np.testing.assert_allclose(out['probabilities'], tf.nn.softmax(logits), rtol=1e-4)
  np.testing.assert_allclose(out['floats'], out['probabilities'], rtol=1e-5)


def test_two_lines_predict(exported):
  folder, dataset, _ = exported
  ticket = tickets_tf.load_ticket(folder)
  probabilities = ticket.predict(dataset.test.images[:7])
  assert probabilities.shape == (7, 10) and np.allclose(probabilities.sum(axis=1), 1)
  np.testing.assert_allclose(ticket.predict(dataset.test.images[0]), probabilities[0], rtol=1e-5)
  assert ticket.class_names == list(dataset.class_names)
  assert ticket.classify(dataset.test.images[0]) == dataset.class_names[probabilities[0].argmax()]
  assert ticket.classify(dataset.test.images[:2]) == [dataset.class_names[row.argmax()] for row in probabilities[:2]]


def test_images_that_do_not_fit(exported):
  ticket = tickets_tf.load_ticket(exported[0] / 'ticket')
  for images in (np.zeros((1, 8, 8, 1), np.float32), np.zeros((1, 8, 8, 3), np.uint8), np.zeros((8, 1), np.uint8)):
    with pytest.raises(UsageError, match=r'expected uint8 \[N, 8, 8, 1\]'):
      ticket.predict(images)


def test_a_folder_without_a_ticket(tmp_path):
  with pytest.raises(UsageError, match='holds no ticket'):
    tickets_tf.load_ticket(tmp_path)


def test_a_damaged_one_is_named(exported, tmp_path):
  for part in ('saved_model.pb', 'variables/variables.data-00000-of-00001', 'assets.extra/ticket.json'):
    folder = tmp_path / part.replace('/', '-')
    shutil.copytree(exported[0] / 'ticket', folder)
    (folder / part).write_bytes((folder / part).read_bytes()[:50])
    with pytest.raises(TicketsError, match=f'^{folder}.*cannot be'):
      tickets_tf.load_ticket(folder)


def test_what_is_known_of_the_ticket_is_inside(exported):
  folder, dataset, _ = exported
  description = tickets_tf.load_ticket(folder).description
  assert description['mask'] == 'abc' and description['image_shape'] == [8, 8, 1]
  assert description['preprocessing'] == {'inside': True, 'formula': '(images / 255 - mean) / std',
                                          'mean': list(dataset.mean), 'std': list(dataset.std)}


def test_later_training_changes_nothing(tmp_path):
  dataset = data.load_dataset('digits')
  model = tickets_tf.build_model('resnet8', dataset.image_shape, 10, width=4)
  wrapped = sparse.wrap(model, tickets_tf.find_ticket(model, 'random', 0.5).mask)
  export.write_saved_model(sparse.strip(wrapped), dataset, tmp_path / 'ticket', {})
  ticket = tickets_tf.load_ticket(tmp_path / 'ticket')
  before = ticket.logits(dataset.test.images[:4])
  wrapped.compile('sgd', keras.losses.SparseCategoricalCrossentropy(from_logits=True))
  wrapped.fit(dataset.train.images[:64] / 255, dataset.train.labels[:64], verbose=0)
  for each in (ticket, tickets_tf.load_ticket(tmp_path / 'ticket')):
    np.testing.assert_array_equal(each.logits(dataset.test.images[:4]), before)


def test_no_training_variable_travels(exported):
  folder, _, model = exported
  loaded = tf.saved_model.load(str(folder / 'ticket'))
  assert len(loaded.variables) == len(model.variables)
  assert not [each.name for each in loaded.variables if 'mask' in each.name or 'momentum' in each.name.lower()]
