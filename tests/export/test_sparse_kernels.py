import numpy as np
import pytest
from ai_edge_litert import interpreter

import tf_keras as keras
from tickets_tf.export import flatbuffer
from tickets_tf.export import fold
from tickets_tf.export import saved_model
from tickets_tf.export import sparse_encoding
from tickets_tf.export import tflite
from tickets_tf.export.program import Program

RNG = np.random.default_rng(0)


def scattered(shape, density, dtype=np.int8):
  kernel = np.zeros(shape, dtype)
  kernel[RNG.random(shape) < density] = 3
  return kernel


def in_blocks(shape, density):
  return np.repeat(scattered((*shape[:-1], shape[-1] // 4), density), 4, axis=-1)


def one_channel(shape):
  kernel = np.zeros(shape, np.int8)
  kernel[:, 1] = RNG.integers(1, 9, kernel[:, 1].shape)
  return kernel


KERNELS = {
    'scattered': scattered((32, 3, 3, 32), 0.1),
    'few': scattered((64, 3, 3, 64), 0.01, np.float32),
    'fewer outputs than inputs': scattered((64, 1, 1, 32), 0.1, np.float16),
    'more inputs than a byte counts': scattered((12, 900), 0.05),
    'blocks': in_blocks((32, 3, 3, 32), 0.1),
    'one channel': one_channel((40, 52)),
    'nothing': np.zeros((64, 1, 1, 64), np.int8),
}


def decode(sparsity, values, shape):
  """Returns the dense kernel of this shape that a file stores as positions and values."""
  rank = len(shape)
  coordinates = np.zeros((1, 0), np.int64)  # of what is stored, a column for each level
  for level in sparsity.dimMetadata:
    if level.format == flatbuffer.schema.DimensionType.DENSE:
      counts = np.full(len(coordinates), level.denseSize)
      column = np.tile(np.arange(level.denseSize), len(coordinates))
    else:
      counts = np.diff(np.asarray(level.arraySegments.values, np.int64))
      column = np.asarray(level.arrayIndices.values, np.int64)
    coordinates = np.column_stack([np.repeat(coordinates, counts, axis=0), column])
  by_dimension = coordinates[:, np.argsort(sparsity.traversalOrder)]
  places = by_dimension[:, :rank]
  for number, dimension in enumerate(sparsity.blockMap if sparsity.blockMap is not None else ()):
    # The levels of blocks are the last, in the order of the map.
    places[:, dimension] *= sparsity.dimMetadata[rank + number].denseSize
    places[:, dimension] += coordinates[:, rank + number]
  kernel = np.zeros(shape, values.dtype)
  kernel[tuple(places.T)] = values
  return kernel


@pytest.mark.parametrize('name', KERNELS)
def test_what_is_encoded_is_decoded(name):
  kernel = KERNELS[name]
  sizes = [(size, encoding) for block in (1, 4) for encoding, size in sparse_encoding._sizes(kernel, block)]
  best = sparse_encoding.smallest(kernel)
  assert best == min(sizes, key=lambda each: each[0])[1]
  for size, encoding in [*sizes[::97], *((size, each) for size, each in sizes if each == best)]:
    sparsity, values = sparse_encoding.encode(kernel, encoding)
    np.testing.assert_array_equal(decode(sparsity, values, kernel.shape), kernel)
    levels = [level for level in sparsity.dimMetadata if level.format]
    assert size == values.nbytes + sum(level.arraySegments.values.nbytes + level.arrayIndices.values.nbytes
                                       for level in levels)


def test_the_smallest_encoding():
  assert sparse_encoding.smallest(KERNELS['scattered']).block == 1
  blocks = sparse_encoding.smallest(KERNELS['blocks'])
  assert blocks.block == 4
  sparsity, values = sparse_encoding.encode(KERNELS['blocks'], blocks)
  assert list(sparsity.blockMap) == [3] and values.size == np.count_nonzero(KERNELS['blocks'])
  # Fewer rows, one for each input, begin somewhere.
  assert sparse_encoding.smallest(KERNELS['fewer outputs than inputs']).order[-1] == 0
  for dense in (scattered((32, 3, 3, 32), 0.7), scattered((4, 3, 3, 4), 0.1)):
    assert sparse_encoding.smallest(dense) is None


def without_delegates(content, images):
  """What the runtime's own operators compute, without XNNPACK."""
  runtime = interpreter.Interpreter(
      model_content=content,
      experimental_op_resolver_type=interpreter.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
  runtime.allocate_tensors()
  found = []
  for image in images:
    runtime.set_tensor(runtime.get_input_details()[0]['index'], image[None])
    runtime.invoke()
    found.append(runtime.get_tensor(runtime.get_output_details()[0]['index'])[0])
  return np.array(found)


@pytest.fixture(scope='module')
def network():
  """A network with kernels large enough to be sparse; one of them is sparse in blocks of 4 inputs."""
  keras.utils.set_random_seed(1)
  images = x = keras.Input((8, 8, 1))
  for name in ('first', 'scattered', 'blocks'):
    x = keras.layers.Conv2D(32, 3, padding='same', activation='relu', name=name)(x)
  x = keras.layers.Dense(8)(keras.layers.GlobalAveragePooling2D()(x))
  # The converter's blocks of 16 inputs would lose this kernel.
  x = keras.layers.Dense(64, name='eight_inputs')(x)
  model = keras.Model(images, keras.layers.Dense(10)(x))
  for name in ('scattered', 'blocks'):
    kernel, bias = model.get_layer(name).get_weights()
    kept = np.moveaxis(KERNELS[name] != 0, 0, 3)  # as TFLite stores it, output channels come first
    model.get_layer(name).set_weights([kernel * kept, bias + 0.1])
  kernel, bias = model.get_layer('eight_inputs').get_weights()
  model.get_layer('eight_inputs').set_weights([10 * kernel * (RNG.random(kernel.shape) < 0.2), bias])
  return model


@pytest.fixture(scope='module')
def wide(network, digits, tmp_path_factory):
  """Files of the network, and its SavedModel loaded."""
  folder = tmp_path_factory.mktemp('wide') / 'ticket'
  saved_model.write_saved_model(fold.fold_batch_norm(network), digits, folder, {})
  ticket = saved_model.SavedModelClassifier(folder)
  return {name: tflite.convert(ticket, tflite.VARIANTS[name], digits.train.images[:5])
          for name in ('dense_int8', 'sparse_int8', 'dense_int4', 'sparse_weights8')} | {'ticket': ticket}


def test_sparse_files_compute_what_dense_ones_do(wide, digits):
  """To the bit, with XNNPACK and without."""
  images = digits.test.images[:20]
  dense, sparse = wide['dense_int8'], wide['sparse_int8']
  assert flatbuffer.sparse_layers(sparse).made_dense == 2 and len(sparse) < len(dense) / 2
  np.testing.assert_array_equal(Program(sparse).run(images)[0], Program(dense).run(images)[0])
  np.testing.assert_array_equal(without_delegates(sparse, images), without_delegates(dense, images))
  graph, = flatbuffer.read(sparse).subgraphs
  blocks = {tensor.name.split(b':')[0]: list(tensor.sparsity.blockMap) for tensor in graph.tensors
            if tensor.sparsity is not None}
  assert blocks == {b'scattered': [], b'blocks': [3]}, 'the dimension of the inputs'


def test_what_no_operator_reads_is_left_out(wide):
  for name in ('dense_int8', 'sparse_int8', 'sparse_weights8'):
    model = flatbuffer.read(wide[name])
    graph, = model.subgraphs
    sides = [(graph.tensors[operator.inputs[0]], graph.tensors[operator.outputs[0]]) for operator in graph.operators
             if flatbuffer.code(model, operator) == flatbuffer.schema.BuiltinOperator.DENSIFY]
    assert all(packed.quantization is None for packed, _ in sides)
    if name == 'sparse_int8':
      assert sides and all(len(unpacked.quantization.scale) == unpacked.shape[0] for _, unpacked in sides)
    read = {*graph.inputs, *graph.outputs}.union(*({*each.inputs, *each.outputs} for each in graph.operators))
    assert read - {-1} == {*range(len(graph.tensors))}
    assert {0, *(tensor.buffer for tensor in graph.tensors), *(each.buffer for each in model.metadata)} == {
        *range(len(model.buffers))}


def test_equal_vectors_are_written_once(wide):
  content = wide['sparse_int8']
  zero_points = np.zeros(32, np.int64).tobytes()
  assert content.count((32).to_bytes(4, 'little') + zero_points) == 1, 'those of all kernels with 32 channels'
  model = flatbuffer.read(content)
  again = flatbuffer.read(flatbuffer.write(model))
  for before, after in zip(model.subgraphs[0].tensors, again.subgraphs[0].tensors, strict=True):
    assert (before.name, list(before.shape)) == (after.name, list(after.shape))
    np.testing.assert_array_equal(model.buffers[before.buffer].data, again.buffers[after.buffer].data)


def unpacked(name, tensor, values):
  """A kernel in floating point from its whole numbers: of int4 two are in a byte, the first in the lower bits."""
  if name == 'dense_int4':
    values = np.stack([values & 15, values >> 4], axis=-1).astype(np.int8).ravel()
    values = np.where(values > 7, values - 16, values)
  else:
    values = values.view(np.int8)
  return values.reshape(tensor.shape) * np.asarray(tensor.quantization.scale)[:, None, None, None]


@pytest.mark.parametrize('name, bits', [('dense_int4', 4), ('sparse_weights8', 8)])
def test_weights_of_few_bits(name, bits, wide, network, digits):
  model = flatbuffer.read(wide[name])
  graph, = model.subgraphs
  makers = {operator.outputs[0]: operator for operator in graph.operators}
  found = {}
  for index, tensor in enumerate(graph.tensors):
    if tensor.quantization is not None and np.size(tensor.quantization.scale) == tensor.shape[-1] == 32:
      packed = graph.tensors[makers[index].inputs[0]] if index in makers else tensor
      values = model.buffers[packed.buffer].data
      if packed.sparsity is not None:
        values = decode(packed.sparsity, values, packed.shape)
      found[tensor.name.split(b':')[0].decode()] = unpacked(name, tensor, values)
  assert found.keys() == {'scattered', 'blocks'}
  for layer, kernel in found.items():
    expected = np.moveaxis(network.get_layer(layer).get_weights()[0], 3, 0)
    assert not kernel[expected == 0].any(), 'removed weights stay zero'
    half_a_step = np.abs(expected).max(axis=(1, 2, 3), keepdims=True) / (2 ** (bits - 1) - 1) / 2
    # The weights of 4 bits come from those of 8, half a step of which is 7 / 127 of theirs.
    assert np.all(np.abs(kernel - expected) <= (1.06 if bits == 4 else 1.001) * half_a_step)
    assert np.abs(kernel - expected).max() > 0.8 * half_a_step.max(), 'other numbers than these'
  images = digits.test.images[:20]
  probabilities, = Program(wide[name]).run(images)
  np.testing.assert_allclose(probabilities, wide['ticket'].predict(images), atol=0.05 if bits == 4 else 0.003)
  np.testing.assert_allclose(without_delegates(wide[name], images), probabilities, atol=1e-5)
