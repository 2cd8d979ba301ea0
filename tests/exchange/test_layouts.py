import numpy as np
import pytest

from tickets_tf.exchange import layouts
from tickets_tf.pruning.kernels import Kernel


@pytest.mark.parametrize('shape, torch', [
    ((3, 5, 2, 4), (4, 2, 3, 5)), ((7, 2), (2, 7)), ((3, 2, 4), (4, 2, 3)), ((3, 4, 5, 6, 7), (7, 6, 3, 4, 5))])
def test_transposes_there_and_back(shape, torch):
  kernel = Kernel('a', shape, 'conv')
  values = np.random.default_rng(0).normal(size=shape)
  there = layouts.to_torch(values)
  assert there.shape == torch and there.flags.c_contiguous and layouts.in_keras_order(torch, 'torch') == shape
  # The last index in Keras, outputs, is the first in PyTorch; inputs follow.
  index = tuple(size - 1 for size in shape)
  assert there[(index[-1], index[-2], *index[:-2])] == values[index]
  assert there[(0, 1) + (0,) * (len(shape) - 2)] == values[(0,) * (len(shape) - 2) + (1, 0)]
  assert np.array_equal(layouts.to_keras(there, kernel, 'torch'), values)
  assert np.array_equal(layouts.from_torch(there), values)
  assert np.array_equal(layouts.to_keras(values, kernel, 'keras'), values)


def test_depthwise_kernels_of_torch_have_their_channels_first():
  values = np.arange(2 * 3 * 5).reshape(5, 1, 2, 3)
  kernel = Kernel('a', (2, 3, 5, 1), 'conv')
  key = layouts.key(layouts.in_keras_order(values.shape, 'torch'), 'torch')
  assert key == layouts.key(kernel.shape, 'torch')
  assert key != layouts.key((2, 3, 5, 2), 'torch') and key != layouts.key((3, 2, 5, 1), 'torch')
  found = layouts.to_keras(values, kernel, 'torch')
  assert all(np.array_equal(found[:, :, channel, 0], values[channel, 0]) for channel in range(5))
  # Dense layers have no such ambiguity, and Keras' files none at all.
  assert layouts.key((5, 1), 'torch') != layouts.key((1, 5), 'torch')
  assert layouts.key((2, 3, 5, 1), 'keras') != layouts.key((2, 3, 1, 5), 'keras')


def test_inputs_of_a_flattened_map_are_reordered():
  height, width, channels, outputs = 2, 3, 4, 5
  kernel = Kernel('a', (height * width * channels, outputs), 'dense', flattened=(height, width, channels))
  values = np.random.default_rng(1).normal(size=(outputs, channels * height * width))
  image = np.random.default_rng(2).normal(size=(height, width, channels))
  found = image.reshape(-1) @ layouts.to_keras(values, kernel, 'torch')
  np.testing.assert_allclose(found, values @ image.transpose(2, 0, 1).reshape(-1))
  assert layouts.to_keras(values.T, kernel, 'keras').shape == kernel.shape


def test_names_axes():
  assert [layouts.letters(rank, 'torch') for rank in (2, 3, 4, 5)] == ['OI', 'OIW', 'OIHW', 'OIDHW']
  assert [layouts.letters(rank, 'keras') for rank in (2, 3, 4, 5)] == ['IO', 'WIO', 'HWIO', 'DHWIO']
