import io
import json
import zipfile

import numpy as np
import pytest
from ai_edge_litert import interpreter
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import encode, number_types, packer, table

from tickets_tf.errors import UsageError
from tickets_tf.export import flatbuffer
from tickets_tf.export import tflite
from tickets_tf.export import tflite_metadata
from tickets_tf.export.program import Program
from tickets_tf.export.tflite_classifier import TFLiteClassifier, enclose

NAMES = list(tflite.VARIANTS)


def tensors(content):
  model = flatbuffer.read(content)
  return model, model.subgraphs[0].tensors


def test_the_variants():
  assert NAMES == ['dense_float32', 'dense_float16', 'dense_int8', 'dense_dynamic', 'dense_int4', 'sparse_float32',
                   'sparse_float16', 'sparse_int8', 'sparse_weights8']
  assert NAMES[0] == tflite.FALLBACK, 'latency is measured against the first'


@pytest.mark.parametrize('name', NAMES)
def test_it_computes_what_the_saved_model_does(name, contents, ticket, digits):
  images = digits.test.images[:150]  # one whole batch and a part of one
  expected = ticket.predict(images)
  found, = Program(contents[name]).run(images)
  assert found.shape == expected.shape and found.dtype == np.float32
  tolerance = {'float32': 1e-5, 'float16': 1e-2, 'int8': 0.2, 'dynamic': 1e-3, 'int4': 1e-2,
               'weights8': 1e-3}[tflite.VARIANTS[name].numbers]
  np.testing.assert_allclose(found, expected, atol=tolerance)
  assert np.abs(found - expected).max() > (0 if name.endswith('32') else tolerance / 1000), 'no 16 or 8 bits in it'
  np.testing.assert_array_equal(Program(contents[name], threads=1).run(images[:1])[0].shape, (1, 10))


@pytest.mark.parametrize('name', NAMES)
def test_it_is_what_its_name_says(name, contents):
  variant = tflite.VARIANTS[name]
  runtime = interpreter.Interpreter(model_content=contents[name])
  (inputs,), (outputs,) = runtime.get_input_details(), runtime.get_output_details()
  assert runtime.get_signature_list() == {'serving_default': {'inputs': ['images'], 'outputs': ['probabilities']}}
  assert list(inputs['shape']) == [1, 8, 8, 1] and inputs['dtype'] == np.uint8
  operators = flatbuffer.operators(contents[name])
  assert ('DENSIFY' in operators) == variant.sparse
  assert 'SOFTMAX' in operators and 'CONV_2D' in operators
  _, found = tensors(contents[name])
  types = {tensor.type for tensor in found}
  integers = {schema.TensorType.INT8, schema.TensorType.INT32, schema.TensorType.UINT8}
  if variant.numbers == 'int8':
    assert inputs['quantization'] == (1.0, 0), 'a byte means itself'
    assert outputs['dtype'] == np.uint8 and outputs['quantization'] == (1 / 256, 0)
    assert types <= integers and not {'CAST', 'DEQUANTIZE'} & set(operators)
  else:
    assert outputs['dtype'] == np.float32
    assert (schema.TensorType.FLOAT16 in types) == (variant.numbers == 'float16')
    assert (schema.TensorType.INT8 in types) == (variant.numbers in ('dynamic', 'weights8'))
    assert (schema.TensorType.INT4 in types) == (variant.numbers == 'int4')
    assert ('DEQUANTIZE' in operators) == (variant.numbers in ('float16', 'weights8'))


def test_bytes_mean_themselves_where_no_image_has_black_and_white(ticket, digits):
  gray = np.clip(digits.train.images[:20], 60, 200)
  before = gray.copy()
  content = tflite.convert(ticket, tflite.VARIANTS['dense_int8'], gray)
  assert interpreter.Interpreter(model_content=content).get_input_details()[0]['quantization'] == (1.0, 0)
  np.testing.assert_array_equal(gray, before)


def test_sizes_order_as_they_must(contents):
  bytes_of = {name: len(content) for name, content in contents.items()}
  assert bytes_of['dense_int8'] < bytes_of['dense_float16'] < bytes_of['dense_float32']
  assert bytes_of['sparse_float32'] < bytes_of['dense_float32'] / 1.5
  for numbers in ('float32', 'float16', 'int8'):
    assert bytes_of[f'sparse_{numbers}'] < bytes_of[f'dense_{numbers}'], 'kernels are sparse where that takes less'


@pytest.mark.parametrize('name', NAMES)
def test_buffers_are_aligned(name, contents):
  content = np.frombuffer(contents[name], np.uint8)
  model = schema.Model.GetRootAs(contents[name])
  buffers = [model.Buffers(index).DataAsNumpy() for index in range(model.BuffersLength())]
  offsets = [each.ctypes.data - content.ctypes.data for each in buffers if isinstance(each, np.ndarray)]
  assert len(offsets) > 10 and not [offset for offset in offsets if offset % 16]


@pytest.mark.parametrize('name', NAMES)
def test_tensors_have_short_names_that_differ(name, contents):
  _, found = tensors(contents[name])
  names = [tensor.name for tensor in found]
  assert len(set(names)) == len(names) and max(map(len, names)) < 40
  assert any(name.startswith(b'stage2_block1') for name in names)


def test_dense_layers_of_sparse_int8_are_stored_densely(contents):
  model, found = tensors(contents['sparse_int8'])
  graph, = model.subgraphs
  codes = flatbuffer.operators(contents['sparse_int8'])
  weights = found[graph.operators[codes.index('FULLY_CONNECTED')].inputs[1]]
  assert weights.type == schema.TensorType.INT8 and weights.sparsity is None
  values = model.buffers[weights.buffer].data.view(np.int8)
  assert values.size == np.prod(weights.shape) == 160 and 0 < np.count_nonzero(values) < 80
  assert 0 < codes.count('DENSIFY') < flatbuffer.operators(contents['sparse_float32']).count('DENSIFY') < codes.count(
      'CONV_2D') == 9, 'small kernels take less as they are, of one byte a weight above all'


def test_removed_weights_are_zero(contents, network):
  """The kernels as the runtime sees them have the zeros of the network."""
  dense = {name: content for name, content in contents.items() if name in ('dense_float32', 'dense_int8')}
  for name, content in dense.items():
    model, found = tensors(content)
    dtype = np.float32 if name == 'dense_float32' else np.int8
    kernels = [model.buffers[found[operator.inputs[1]].buffer].data.view(dtype)
               for code, operator in zip(flatbuffer.operators(content), model.subgraphs[0].operators, strict=True)
               if code in ('CONV_2D', 'FULLY_CONNECTED')]
    expected = [layer.kernel.numpy() for layer in network.layers if hasattr(layer, 'kernel')]
    assert sum(kernel.size for kernel in kernels) == sum(kernel.size for kernel in expected)
    kept = sum(np.count_nonzero(kernel) for kernel in expected)
    nonzero = sum(np.count_nonzero(kernel) for kernel in kernels)
    assert nonzero == kept if dtype == np.float32 else kept * 0.9 < nonzero <= kept


def test_logits_can_be_seen(contents, ticket, digits):
  images = digits.test.images[:20]
  for name, content in contents.items():
    probabilities, logits = Program(flatbuffer.with_logits(content)).run(images)
    assert len(Program(content).run(images)) == 1
    tolerance = {'float32': 1e-4, 'float16': 0.1, 'int8': 2, 'dynamic': 0.02, 'int4': 0.2,
                 'weights8': 0.02}[tflite.VARIANTS[name].numbers]
    np.testing.assert_allclose(logits, ticket.logits(images), atol=tolerance)
    softmax = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(probabilities, softmax, atol=0.01)


def test_labels_are_inside(contents, digits):
  with zipfile.ZipFile(io.BytesIO(contents['sparse_float16'])) as enclosed:
    assert enclosed.read('labels.txt').decode().splitlines() == list(digits.class_names)
    assert set(json.loads(enclosed.read('ticket.json'))) == {'image_shape', 'preprocessing', 'mask'}
    assert {each.compress_type for each in enclosed.infolist()} == {zipfile.ZIP_STORED}, 'MediaPipe reads no others'


def test_a_name_of_two_lines_is_kept(contents, tmp_path):
  (tmp_path / 'x.tflite').write_bytes(contents['sparse_int8'])
  named = {**TFLiteClassifier(tmp_path / 'x.tflite').description, 'class_names': ['a\nb', '', 'c']}
  end = contents['sparse_int8'].index(b'PK\x03\x04')
  (tmp_path / 'y.tflite').write_bytes(enclose(contents['sparse_int8'][:end], named))
  assert TFLiteClassifier(tmp_path / 'y.tflite').class_names == ['a\nb', '', 'c']


class Fields:
  """A table of a flatbuffer, read by the numbers of its fields in TensorFlow's metadata_schema.fbs."""

  def __init__(self, table):
    self._table = table

  def _offset(self, number):
    return self._table.Offset(4 + 2 * number)

  def text(self, number):
    return self._table.String(self._table.Pos + self._offset(number)).decode()

  def byte(self, number):
    return self._table.Get(number_types.Uint8Flags, self._table.Pos + self._offset(number))

  def table(self, number):
    return Fields(table.Table(self._table.Bytes, self._table.Indirect(self._table.Pos + self._offset(number))))

  def tables(self, number):
    start = self._table.Vector(self._offset(number))
    return [Fields(table.Table(self._table.Bytes, self._table.Indirect(start + 4 * index)))
            for index in range(self._table.VectorLen(self._offset(number)))]

  def floats(self, number):
    return self._table.GetVectorAsNumpy(number_types.Float32Flags, self._offset(number)).tolist()


@pytest.mark.parametrize('name', NAMES)
def test_standard_metadata(name, contents):
  model = flatbuffer.read(contents[name])
  entry, = (each for each in model.metadata if each.name == b'TFLITE_METADATA')
  content = bytes(model.buffers[entry.buffer].data)
  assert content[4:8] == b'M001' and len(content) < 600
  root = Fields(table.Table(content, encode.Get(packer.uoffset, content, 0)))
  assert root.text(0) and root.text(7) == '1.0.0'
  graph, = root.tables(3)
  (image,), (probabilities,) = graph.tables(2), graph.tables(3)
  assert (image.text(0), probabilities.text(0)) == ('image', 'probability')
  assert image.table(3).byte(0) == 2 and image.table(3).table(1).byte(0) == 2, 'an image in shades of grey'
  unit, = image.tables(4)
  assert unit.byte(0) == 1, 'of the kind that normalises'
  assert (unit.table(1).floats(0), unit.table(1).floats(1)) == ([0], [1]), 'the file normalises by itself'
  assert (image.table(5).floats(0), image.table(5).floats(1)) == ([255], [0])
  assert probabilities.table(3).byte(0) == 1
  labels, = probabilities.tables(6)
  assert (labels.text(0), labels.byte(2)) == ('labels.txt', 2), 'the names of the values of the output'


@pytest.mark.parametrize('channels, kind, color', [(3, 2, 1), (1, 2, 2), (4, 1, None)])
def test_metadata_of_other_images(channels, kind, color):
  model = schema.ModelT()
  model.buffers = [schema.BufferT()]
  tflite_metadata.add(model, {'image_shape': [4, 4, channels]})
  content = bytes(model.buffers[model.metadata[0].buffer].data)
  root = Fields(table.Table(content, encode.Get(packer.uoffset, content, 0)))
  what = root.tables(3)[0].tables(2)[0].table(3)
  assert what.byte(0) == kind and (color is None or what.table(1).byte(0) == color)


def test_a_file_predicts(contents, digits, ticket, tmp_path):
  (tmp_path / 'x.tflite').write_bytes(contents['sparse_float32'])
  loaded = TFLiteClassifier(tmp_path / 'x.tflite')
  np.testing.assert_allclose(loaded.predict(digits.test.images[:3]), ticket.predict(digits.test.images[:3]), atol=1e-5)
  np.testing.assert_allclose(loaded.predict(digits.test.images[0]), ticket.predict(digits.test.images[0]), atol=1e-5)
  assert loaded.classify(digits.test.images[:9]) == ticket.classify(digits.test.images[:9])
  assert loaded.class_names == list(digits.class_names) and loaded.image_shape == (8, 8, 1)


def test_every_truncation_is_named(contents, tmp_path):
  content = contents['sparse_int8']
  path = tmp_path / 'x.tflite'
  for length in (0, 1, 4, 100, len(content) // 2, len(content) - 300, len(content) - 1):
    path.write_bytes(content[:length])
    with pytest.raises(UsageError, match=f'^{path}: truncated, or not a .tflite file'):
      TFLiteClassifier(path)
  path.write_bytes(content[100:])  # the end is whole, the front is not
  with pytest.raises(UsageError, match=f'^{path}: truncated, or not a .tflite file'):
    TFLiteClassifier(path)
  with pytest.raises(UsageError, match=r'nowhere\.tflite: cannot be read: No such file'):
    TFLiteClassifier(tmp_path / 'nowhere.tflite')
