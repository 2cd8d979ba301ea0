"""The scale of a sparse network's weights by the kept inputs of each unit."""

import numpy as np
import tf_keras as keras

from tickets_tf.models import prunable_kernels
from tickets_tf.models import sparse_init
from tickets_tf.pruning.mask import Mask

L = keras.layers


def test_each_unit_is_scaled_by_the_inputs_that_it_kept():
  model = keras.Sequential([keras.Input((6, 6, 4)), L.Conv2D(5, 3, name='conv'), L.Flatten(), L.Dense(3, name='dense')])
  kernels = prunable_kernels(model)
  rng = np.random.default_rng(0)
  arrays = [rng.random(kernel.shape) < 0.3 for kernel in kernels]
  arrays[0][..., 2], arrays[0][..., 3], arrays[1][:, 1] = False, True, False
  mask = Mask.from_arrays(kernels, arrays)
  weights = {'other': np.ones(3), **{kernel.name: rng.normal(size=kernel.shape).astype(np.float32)
                                     for kernel in kernels}}
  found = sparse_init.scaled(kernels, weights, mask)
  assert found['other'] is weights['other'] and list(found) == list(weights)
  for kernel, keep in zip(kernels, arrays, strict=True):
    for unit in range(kernel.shape[-1]):
      kept, every = keep[..., unit].sum(), keep[..., unit].size
      expected = weights[kernel.name][..., unit] * (np.sqrt(every / kept) if kept else 1)
      np.testing.assert_allclose(found[kernel.name][..., unit], expected, rtol=1e-6)
    assert found[kernel.name].dtype == np.float32
  assert np.array_equal(found['conv'][..., 3], weights['conv'][..., 3]), 'a unit that kept all inputs'


def test_the_input_of_a_unit_has_the_variance_that_it_has_in_the_dense_network():
  model = keras.Sequential([keras.Input((400,)), L.Dense(300, kernel_initializer='he_normal')])
  kernel, = prunable_kernels(model)
  rng = np.random.default_rng(1)
  # Units keep from 2% to 40% of their inputs.
  keep = rng.random(kernel.shape) < np.linspace(0.02, 0.4, 300)
  weights = {kernel.name: kernel.variable.numpy()}
  images = rng.normal(size=(500, 400)).astype(np.float32)
  dense, sparse, scaled = (np.square(images @ values).mean() for values in (
      weights[kernel.name], weights[kernel.name] * keep,
      sparse_init.scaled([kernel], weights, Mask.from_arrays([kernel], [keep]))[kernel.name] * keep))
  assert abs(scaled / dense - 1) < 0.05 and sparse / dense < 0.3


def test_a_unit_is_what_one_output_sums_over():
  layers = {'depthwise': L.DepthwiseConv2D(3, depth_multiplier=2, name='depthwise'),
            'separable': L.SeparableConv2D(6, 3, name='separable'),
            'transposed': L.Conv2DTranspose(4, 3, name='transposed')}
  model = keras.Sequential([keras.Input((9, 9, 4)), *layers.values()])
  kernels = prunable_kernels(model)
  mask = Mask.from_arrays(kernels, [np.random.default_rng(2).random(kernel.shape) < 0.5 for kernel in kernels])
  shapes = {name: scale.shape for name, scale in sparse_init.unit_scales(kernels, mask).items()}
  assert shapes == {'depthwise': (1, 1, 4, 2), 'separable/0': (1, 1, 8, 1), 'separable/1': (1, 1, 1, 6),
                    'transposed': (1, 1, 4, 1)}
  embedded = keras.Sequential([keras.Input((5,)), L.Embedding(7, 3)])
  kernel, = prunable_kernels(embedded)
  assert sparse_init.unit_scales([kernel], Mask.from_arrays([kernel], [np.eye(7, 3) > 0]))[kernel.name] == 1
