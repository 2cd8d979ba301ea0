"""Networks in tfmot's own wrappers, and checkpoints, as masks."""

import json
import re
import shutil
import zipfile

import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

import tickets_tf
from tickets_tf import exchange
from tickets_tf import sparse
from tickets_tf.errors import UsageError
from tickets_tf.exchange import keras_files
from tickets_tf.exchange.checkpoint import Checkpoint
from tickets_tf.pruning.mask import load_mask
import tensorflow_model_optimization as tfmot  # after tickets_tf, which chooses Keras 2

L = keras.layers


def network():
  """Six kernels of one shape, whose names say nothing about their order; two layers have two kernels of their own."""
  inputs = keras.Input((4, 4, 4))
  x = L.Conv2D(4, 3, padding='same', name='zebra')(inputs)
  x = L.Conv2D(4, 3, padding='same')(L.BatchNormalization()(x))
  x = L.SeparableConv2D(4, 3, padding='same', name='apple')(x)
  x = keras.Sequential([keras.Input((4, 4, 4)), L.Conv2D(4, 3, padding='same'), L.ReLU()], name='inner')(x)
  x = L.Conv2D(4, 3, padding='same')(L.Conv2D(4, 3, padding='same', name='ant')(x))
  x = L.LSTM(4, name='lstm')(L.Reshape((4, 16))(x))
  return keras.Model(inputs, L.Dense(3, name='last')(x))


@pytest.fixture(scope='module', params=['all', 'some'])
def pruned(request, tmp_path_factory):
  """(folder of a network with tfmot's wrapper around all or some of its layers, and what its masks keep)."""
  keras.utils.set_random_seed(1)
  wrap = tfmot.sparsity.keras.prune_low_magnitude
  whole = network()
  model = wrap(whole) if request.param == 'all' else keras.models.clone_model(
      whole, clone_function=lambda layer: wrap(layer) if layer.name in ('ant', 'lstm') else layer)
  rng = np.random.default_rng(0)
  kept = {}
  for layer in model._flatten_layers():
    for weight, mask, _ in getattr(layer, 'pruning_vars', ()):
      mask.assign(rng.integers(0, 2, mask.shape))  # Weights are not zero where it is, as after an optimizer's step.
      kept[id(weight)] = mask.numpy() > 0
  model.compile('adam', 'mse')
  model.optimizer.build(model.trainable_variables)
  folder = tmp_path_factory.mktemp(request.param)
  model.save(folder / 'a.keras')
  model.save_weights(folder / 'a')
  tf.train.Checkpoint(network=model, optimizer=model.optimizer).save(folder / 'b')
  inner = tfmot.sparsity.keras.strip_pruning(model)
  return folder, [kept.get(id(kernel.variable), np.ones(kernel.shape, bool))
                  for kernel in tickets_tf.prunable_kernels(inner)]


@pytest.fixture(scope='module')
def kernels():
  return tickets_tf.prunable_kernels(network())


@pytest.mark.parametrize('name', ['a.keras', 'a.index', 'b-1.index'])
def test_masks_of_tfmots_wrappers(pruned, kernels, name):
  folder, kept = pruned
  lines = []
  mask = load_mask(folder / name, kernels, report=lines.append)
  assert len(mask) == 10 and 0 < mask.kept < mask.size
  assert all(map(np.array_equal, mask.arrays, kept))
  assert not any('optimizer' in line or 'not used' in line for line in lines)


def test_wrappers_of_this_package_and_weights_without_a_configuration(tmp_path):
  model = keras.Sequential([keras.Input((4, 3)), L.LSTM(2, name='b'), L.Dense(3), L.Dense(3), L.Dense(3)])
  ticket = tickets_tf.find_ticket(model, 'random', 0.5)
  wrapped = sparse.wrap(model, ticket.mask)
  wrapped.save_weights(tmp_path / 'a.weights.h5')
  tf.train.Checkpoint(wrapped).write(tmp_path / 'a')
  for name in ('a.weights.h5', 'a.index'):
    assert load_mask(tmp_path / name, tickets_tf.prunable_kernels(sparse.strip(wrapped))) == ticket.mask


def test_wrappers_of_another_version_are_not_guessed():
  shapes = {'layers/prune_low_magnitude/layer/vars/0': (2, 3), 'layers/prune_low_magnitude/vars/0': (2, 3),
            'layers/prune_low_magnitude/vars/1': (2, 3)}
  assert keras_files.named(shapes) == [(path, path) for path in shapes]


def test_an_order_inside_layers_is_not_guessed():
  config = json.dumps({'class_name': 'Functional', 'config': {'layers': [
      {'class_name': 'Custom>Own', 'config': {}}, {'class_name': 'Dense', 'config': {}}]}})
  dense, one, other = 'layers/dense/vars/0', 'layers/own/a/vars/0', 'layers/own/b/vars/0'

  def order(*paths):
    found = keras_files.in_network_order(config, [(path, path) for path in paths], {path: (2, 2) for path in paths})
    return found and [path for path, _ in found]

  assert order(dense, one) == [one, dense]
  assert order(dense, one, other) is None
  assert order(dense, 'layers/dense_1/vars/0') is None, 'the configuration does not know it'


def test_a_keras_file_is_never_executed(tmp_path, kernels):
  model = keras.Sequential([keras.Input((2,)), L.Lambda(lambda x: pytest.fail('it was called') if 0 else x),
                            L.Dense(2, name='a')])
  model.save(tmp_path / 'a.keras')
  config = json.loads(zipfile.ZipFile(tmp_path / 'a.keras').read('config.json'))
  assert 'Lambda' in json.dumps(config)
  loads = []
  original = keras.layers.Lambda.from_config
  keras.layers.Lambda.from_config = classmethod(lambda *_, **__: loads.append(1))
  try:
    assert load_mask(tmp_path / 'a.keras', tickets_tf.prunable_kernels(model)).kept == 4
  finally:
    keras.layers.Lambda.from_config = original
  assert not loads


def test_every_type_of_a_checkpoint_is_read(tmp_path):
  rng = np.random.default_rng(0)
  values = {each: rng.integers(0, 2, (3, 5)).astype(each) for each in (
      'bool', 'uint8', 'int8', 'int16', 'int32', 'int64', 'uint16', 'uint32', 'uint64', 'float16', 'float32', 'float64',
      ml_dtypes.bfloat16)}
  holder = tf.train.Checkpoint(**{np.dtype(each).name: tf.Variable(value) for each, value in values.items()},
                               text=tf.Variable('words'), many=[tf.Variable(np.full(2, number))
                                                                for number in range(300)])
  holder.write(tmp_path / 'model.ckpt')
  found = Checkpoint(tmp_path / 'model.ckpt.index')
  arrays = {entry.key.partition('/')[0]: found.read(entry) for entry in found.arrays.values()}
  assert set(arrays) == {np.dtype(each).name for each in values} | {'many'}
  for each, value in values.items():
    assert arrays[np.dtype(each).name].dtype == np.dtype(each)
    np.testing.assert_array_equal(arrays[np.dtype(each).name], value)
  many = [found.read(entry).tolist() for entry in found.arrays.values() if entry.key.startswith('many')]
  assert many == [[number, number] for number in range(300)], 'more than one block of the index'


def test_names_of_checkpoints_without_a_graph_of_objects(tmp_path):
  with tf.Graph().as_default(), tf.compat.v1.Session() as session:
    for name in ('conv1/kernel', 'conv1/kernel/Momentum', 'fc/kernel'):
      tf.compat.v1.get_variable(name, initializer=np.array([[0, 1.5], [2, 0]], np.float32))
    session.run(tf.compat.v1.global_variables_initializer())
    tf.compat.v1.train.Saver().save(session, str(tmp_path / 'old'))
  with exchange.opened(tmp_path / 'old.index') as container:
    assert sorted(array.name for array in container.arrays) == ['conv1/kernel', 'fc/kernel']


@pytest.fixture
def checkpoint(tmp_path):
  model = keras.Sequential([keras.Input((2,)), L.Dense(3, name='a')])
  tf.train.Checkpoint(model).write(tmp_path / 'c')
  return tmp_path / 'c', tickets_tf.prunable_kernels(model)


def test_damaged_checkpoints_are_one_line(checkpoint):
  path, kernels = checkpoint
  index, data = path.with_name('c.index'), path.with_name('c.data-00000-of-00001')
  whole, content = index.read_bytes(), data.read_bytes()
  load_mask(index, kernels)
  for length in range(0, len(whole), 7):
    index.write_bytes(whole[:length])
    with pytest.raises(UsageError, match=r'^mask file .*c\.index.*$'):
      load_mask(index, kernels)
  rng = np.random.default_rng(0)
  for _ in range(200):  # Other bytes are read as something, or are one line.
    changed = bytearray(whole)
    changed[rng.integers(len(whole))] = rng.integers(256)
    index.write_bytes(changed)
    try:
      load_mask(index, kernels)
    except UsageError as error:
      assert '\n' not in str(error)
  index.write_bytes(whole)
  data.write_bytes(content[:-len(content) // 2])
  with pytest.raises(UsageError, match=r'c\.data-00000-of-00001 ends before'):
    load_mask(index, kernels)
  data.unlink()
  with pytest.raises(UsageError, match=r'c\.data-00000-of-00001 is missing beside it'):
    load_mask(index, kernels)


def test_other_names_of_a_checkpoint_lead_to_its_index(checkpoint):
  path, kernels = checkpoint
  named = path.with_name('model.ckpt')
  shutil.copy(path.with_name('c.index'), f'{named}.index')
  for each in (path, path.with_name('c.data-00000-of-00001'), named):
    start = str(each).partition('.data')[0]
    expected = f"mask file '{each}': a TensorFlow checkpoint; give its index, '{start}.index'"
    with pytest.raises(UsageError, match=f'^{re.escape(expected)}$'):
      load_mask(each, kernels)
