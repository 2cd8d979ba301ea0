import zipfile

import h5py
import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy
import tf_keras as keras

from tickets_tf import exchange
from tickets_tf.errors import UsageError
from tickets_tf.exchange import containers


def contents(path):
  with exchange.opened(path) as container:
    return container, {array.name: array.read() for array in container.arrays}


def shapes(path):
  with exchange.opened(path) as container:
    return {array.name: array.shape for array in container.arrays}


VALUES = {'b.weight': np.arange(6, dtype=np.float32).reshape(2, 3), 'a.weight': np.ones((3, 3, 1, 2), np.float16),
          'mask': np.array([[True], [False]]), 'count': np.array([3]), 'big': np.arange(4.).astype('>f8')}


def test_npz(tmp_path):
  np.savez(tmp_path / 'a.npz', **VALUES, words=np.array(['a']), pairs=np.ones(2, dtype=[('x', 'f4')]),
           complex=np.ones(2) * 1j)
  container, found = contents(tmp_path / 'a.npz')
  assert list(found) == list(VALUES)
  assert all(np.array_equal(found[name], values) for name, values in VALUES.items())
  assert [array.shape for array in container.arrays] == [values.shape for values in VALUES.values()]
  assert container.order == containers.WRITER and container.layouts == ('keras', 'torch')
  np.savez_compressed(tmp_path / 'a.npz', **dict(sorted(VALUES.items())))
  container, found = contents(tmp_path / 'a.npz')
  assert list(found) == sorted(VALUES) and container.order == containers.NONE


def test_safetensors(tmp_path):
  values = {**VALUES, 'half': np.array([0, -0.0, 1, 2]).astype(ml_dtypes.bfloat16), 'complex': np.ones(2) * 1j}
  values['complex'] = values['complex'].astype(np.complex64)
  safetensors.numpy.save_file(values, tmp_path / 'a.safetensors')
  container, found = contents(tmp_path / 'a.safetensors')
  assert set(found) == set(values) - {'complex'}
  assert all(np.array_equal(found[name], values[name]) for name in found)
  assert container.order == containers.NONE and container.layouts == ('keras', 'torch')
  assert (found['half'] != 0).tolist() == [False, False, True, True]


def test_one_array_is_read_at_a_time(tmp_path, monkeypatch):
  np.savez(tmp_path / 'a.npz', first=np.ones(3), second=np.ones(4))
  safetensors.numpy.save_file({'first': np.ones(3), 'second': np.ones(4)}, tmp_path / 'a.safetensors')
  monkeypatch.setattr(np.lib.format, 'read_array', lambda *_, **__: pytest.fail('nothing was asked for'))
  assert shapes(tmp_path / 'a.npz') == shapes(tmp_path / 'a.safetensors') == {'first': (3,), 'second': (4,)}


def network():
  keras.utils.set_random_seed(3)
  inputs = keras.Input((8, 8, 3))
  inner = keras.Sequential([keras.Input((6, 6, 4)), keras.layers.Conv2D(4, 3, name='deep')], name='inner')
  x = inner(keras.layers.Conv2D(4, 3, name='zebra')(inputs))
  x = keras.layers.Flatten()(keras.layers.SeparableConv2D(5, 3, name='apple')(x))
  model = keras.Model(inputs, keras.layers.Dense(10, name='last')(x))
  model.compile('adam', 'mse')
  model.optimizer.build(model.trainable_variables)  # Momenta are saved too, and are no weights of layers.
  return model


def test_older_files_of_keras_list_layers_in_the_order_of_the_network(tmp_path):
  model = network()
  model.save_weights(tmp_path / 'weights.h5')
  with pytest.warns(UserWarning, match='legacy'):
    model.save(tmp_path / 'model.h5')
  expected = ['zebra/zebra/kernel:0', 'inner/deep/kernel:0', 'apple/apple/depthwise_kernel:0',
              'apple/apple/pointwise_kernel:0', 'last/last/kernel:0']
  for name in ('weights.h5', 'model.h5'):
    container, found = contents(tmp_path / name)
    assert [array.name for array in container.arrays if len(array.shape) > 1] == expected
    assert np.array_equal(found['last/last/kernel:0'], model.get_layer('last').kernel.numpy())
    assert container.order == containers.NETWORK and container.layouts == ('keras',)


def test_long_lists_that_keras_cuts(tmp_path):
  names = [f'{"layer" * 40}{number:04}' for number in range(400)]
  with h5py.File(tmp_path / 'a.h5', 'w') as file:
    for part in range(0, 400, 25):  # 16 parts, of which the alphabet puts the tenth before the second.
      file.attrs[f'layer_names{part // 25}'] = [name.encode() for name in reversed(names)][part:part + 25]
    for name in names:
      group = file.create_group(name)
      group.attrs['weight_names'] = [f'{name}/kernel:0'.encode()]
      group[f'{name}/kernel:0'] = np.ones((2, 2))
  container, _ = contents(tmp_path / 'a.h5')
  assert [array.name.split('/')[0] for array in container.arrays] == names[::-1]


def test_newer_files_of_keras_number_layers(tmp_path):
  model = network()
  model.save_weights(tmp_path / 'model.weights.h5')
  model.save(tmp_path / 'model.keras')
  # As some tools leave it.
  with (zipfile.ZipFile(tmp_path / 'model.keras') as archive,
        zipfile.ZipFile(tmp_path / 'deflated.keras', 'w', zipfile.ZIP_DEFLATED) as deflated):
    for name in archive.namelist():
      deflated.writestr(name, archive.read(name))
  for name in ('model.weights.h5', 'model.keras', 'deflated.keras'):
    container, found = contents(tmp_path / name)
    assert {array.name for array in container.arrays if len(array.shape) > 1} == {
        'layers/conv2d/vars/0', 'layers/sequential/layers/conv2d/vars/0', 'layers/separable_conv2d/vars/0',
        'layers/separable_conv2d/vars/1', 'layers/dense/vars/0'}
    assert np.array_equal(found['layers/dense/vars/0'], model.get_layer('last').kernel.numpy())
    assert len(found) == 9 and container.layouts == ('keras',)
    # The configuration tells the order.
    assert container.order == (containers.NONE if name.endswith('.h5') else containers.NETWORK)
  assert [array.name for array in container.arrays if len(array.shape) > 1] == [
      'layers/conv2d/vars/0', 'layers/sequential/layers/conv2d/vars/0', 'layers/separable_conv2d/vars/0',
      'layers/separable_conv2d/vars/1', 'layers/dense/vars/0']


def test_plain_hdf5(tmp_path):
  with h5py.File(tmp_path / 'a.hdf5', 'w') as file:
    file['conv1'] = np.ones((3, 3, 1, 2))
    file['deep/conv2'] = np.ones((3, 3, 2, 2))
    file['words'] = ['a', 'b']
  assert shapes(tmp_path / 'a.hdf5') == {'conv1': (3, 3, 1, 2), 'deep/conv2': (3, 3, 2, 2)}


def test_naming_makes_one_line_that_names_the_file():
  def fail(error):
    with exchange.naming('x.npz'):
      raise error

  with pytest.raises(UsageError, match=r"mask file 'x\.npz': there is no such file"):
    fail(FileNotFoundError(2, 'No such file or directory'))
  with pytest.raises(UsageError, match=r"mask file 'x\.npz': not a mask, or damaged \(broken\)"):
    fail(RuntimeError('broken'))
  with pytest.raises(UsageError, match=r"^mask file 'x\.npz': no fit$"):
    fail(containers.Mismatch('no fit'))
