import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

import tickets_tf
from tickets_tf import data
from tickets_tf import export
from tickets_tf.errors import UsageError

BARE = '''
import os, sys
import numpy as np, tensorflow as tf
folder, images, out = sys.argv[1:]
model = tf.saved_model.load(folder)
assert not [name for name in sys.modules if name.split('.')[0] in ('tickets_tf', 'tf_keras', 'tensorflow_model_optimization')]
assert {'serving_default', 'logits'} <= set(model.signatures), set(model.signatures)
images = tf.constant(np.load(images))
np.savez(out, **model.signatures['serving_default'](images=images), **model.signatures['logits'](images=images))
'''


@pytest.fixture(scope='module')
def exported(tmp_path_factory):
  folder = tmp_path_factory.mktemp('export')
  dataset = data.load_dataset('digits')
  model = tickets_tf.build_model('resnet8', dataset.image_shape, 10, width=4)
  model(np.random.default_rng(0).normal(size=(64, 8, 8, 1)), training=True)  # statistics that are not the initial ones
  export.export_saved_model(model, dataset, folder / 'ticket', {'mask': 'abc'})
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


def test_no_training_variable_travels(exported):
  folder, _, model = exported
  loaded = tf.saved_model.load(str(folder / 'ticket'))
  assert len(loaded.variables) == len(model.variables)
  assert not [each.name for each in loaded.variables if 'mask' in each.name or 'momentum' in each.name.lower()]
