"""A ticket in Keras 3: loaded, and trained on with the callback of docs/export.md; also see test_to_keras3.py."""

import pathlib
import re

import numpy as np
import pytest
import tf_keras

import tickets_tf
from tickets_tf import data
from tickets_tf.errors import UsageError
from tickets_tf.export import bundle
from tickets_tf.export import keras_file
from tickets_tf.export.folder import ExportFolder
from tickets_tf.export.options import Options
from tickets_tf.pruning.mask import Mask, load_mask

keras = pytest.importorskip('keras', minversion='3', reason='Keras 3 is not installed')
DOCS = pathlib.Path(__file__).parents[2] / 'docs' / 'export.md'


@pytest.fixture(scope='module')
def network(digits):
  """Nothing in it is what a fresh network has."""
  layers = tf_keras.layers
  model = tf_keras.Sequential([layers.Conv2D(4, 3, 2, input_shape=digits.image_shape), layers.BatchNormalization(),
                               layers.ReLU(), layers.Flatten(), layers.Dense(10, name='classifier')])
  rng = np.random.default_rng(0)
  model.set_weights([rng.uniform(0.5, 1.5, each.shape) * rng.choice([0, 1], each.shape) if each.ndim > 1 else
                     rng.uniform(0.5, 2, each.shape) for each in model.get_weights()])
  return model


@pytest.fixture(scope='module')
def mask(network):
  return Mask((kernel.name, kernel.variable.numpy() != 0) for kernel in tickets_tf.prunable_kernels(network))


@pytest.fixture(scope='module')
def written(network, mask, digits, tmp_path_factory):
  """(folder, lines told)."""
  folder, lines = ExportFolder(tmp_path_factory.mktemp('keras')), []
  keras_file.write(network, mask, digits, folder, lines.append)
  return folder, lines


def test_keras_3_loads_it_and_computes_the_same(written, network, digits):
  folder, (line,) = written
  assert re.fullmatch(r'ticket\.keras, ticket\.weights\.h5, ticket\.masks\.npz: the network as trained for Keras 3; '
                      r'the logits of 100 test images differ by at most \d\.\de[+-]\d\d', line)
  model = keras.models.load_model(folder.keras)
  assert type(model).__module__.startswith('keras.src.')
  images = digits.test.images[-50:]
  expected = network(data.normalise(images, digits.mean, digits.std), training=False).numpy()
  limit = 1e-5 * np.abs(expected).max()
  np.testing.assert_allclose(model.predict(images, verbose=0), expected, rtol=0, atol=limit)
  model.set_weights([np.zeros_like(each) for each in model.get_weights()])
  model.load_weights(folder.keras_weights)
  np.testing.assert_allclose(model.predict(images, verbose=0), expected, rtol=0, atol=limit)


def test_it_is_no_classifier_of_this_package(written):
  for path in (written[0].keras, written[0].keras_weights):
    with pytest.raises(UsageError, match=f'^{path}: a file for Keras, which keras.models.load_model reads; give the '):
      tickets_tf.load_ticket(path)


def test_the_masks_are_read_again(written, network, mask):
  folder, _ = written
  assert load_mask(folder.keras_masks, tickets_tf.prunable_kernels(network)) == mask
  assert load_mask(folder.keras, tickets_tf.prunable_kernels(network)) == mask


def fitted(model, digits, callbacks, steps=2):
  before = {weight.path: keras.ops.convert_to_numpy(weight) for weight in model.trainable_weights}
  # Without a graph, because compiling one takes longer than these steps.
  model.compile('adam', keras.losses.SparseCategoricalCrossentropy(from_logits=True), run_eagerly=True)
  images, labels = digits.train.images[:4 * steps], digits.train.labels[:4 * steps]
  model.fit(images, labels, batch_size=4, verbose=0, callbacks=callbacks)
  return before, {weight.path: keras.ops.convert_to_numpy(weight) for weight in model.trainable_weights}


def test_the_callback_of_the_docs_keeps_the_mask(written, digits, mask):
  folder, _ = written
  scope = {}
  exec(re.search(r'```python\n(import keras\n.*?)```', DOCS.read_text(), re.DOTALL)[1], scope)
  masks = dict(np.load(folder.keras_masks))
  assert [array.tolist() for array in masks.values()] == [array.tolist() for array in mask.values()]
  before, after = fitted(keras.models.load_model(folder.keras), digits, [scope['KeepMask'](folder.keras_masks)])
  assert set(masks) < set(after)
  for path, kept in masks.items():
    assert not before[path][~kept].any() and not after[path][~kept].any()
  assert all((before[path] != after[path]).any() for path in masks)
  _, without = fitted(keras.models.load_model(folder.keras), digits, [], steps=1)
  assert any(without[path][~kept].any() for path, kept in masks.items()), 'it is the callback that does it'
  with pytest.raises(ValueError, match='masks of weights that are not in this model'):
    fitted(keras.Sequential([keras.Input(digits.image_shape), keras.layers.Flatten(), keras.layers.Dense(10)]), digits,
           [scope['KeepMask'](folder.keras_masks)])


def test_what_keras_3_lacks_is_named_and_nothing_is_written(digits, tmp_path):
  layers = tf_keras.layers
  model = tf_keras.Sequential([layers.Flatten(input_shape=digits.image_shape), layers.Lambda(lambda x: x, name='mine'),
                               layers.Dense(10)])
  with pytest.raises(UsageError, match=r"^--keras: the layer 'mine' \(Lambda\) has no twin in Keras 3$"):
    keras_file.write(model, Mask.dense(tickets_tf.prunable_kernels(model)), digits, ExportFolder(tmp_path), print)
  assert not list(tmp_path.iterdir())


def test_weights_of_one_path_are_refused(digits, tmp_path):
  layers = tf_keras.layers

  def inner(name):
    return tf_keras.Sequential([layers.Dense(64, input_shape=(64,), name='a')], name)

  model = tf_keras.Sequential([layers.Flatten(input_shape=digits.image_shape), inner('one'), inner('two'),
                               layers.Dense(10)])
  with pytest.raises(UsageError, match=r"^--keras: two weights are called 'a/kernel' in Keras 3; give the "):
    keras_file.write(model, Mask.dense(tickets_tf.prunable_kernels(model)), digits, ExportFolder(tmp_path), print)


def test_a_saved_model_has_no_network_to_train_on(tmp_path, monkeypatch):
  monkeypatch.setattr(bundle.saved_model, 'is_saved_model', lambda folder: True)
  with pytest.raises(UsageError, match=r'^--keras: works on the network of a --run, not on a --saved_model$'):
    bundle.export_saved_model(tmp_path, options=Options(keras=True))
