import pytest

from tickets_tf.export import startup


def test_a_file_that_cannot_be_loaded_is_not_measured():
  assert startup.measure('tflite', b'nothing') is None


def test_with_onnx_runtime():
  onnx, _ = (pytest.importorskip(package, reason='of the extra onnx') for package in ('onnx', 'onnxruntime'))
  helper, kind = onnx.helper, onnx.TensorProto.UINT8
  images, same = (helper.make_tensor_value_info(name, kind, ['N', 8, 8, 1]) for name in ('images', 'same'))
  graph = helper.make_graph([helper.make_node('Identity', ['images'], ['same'])], 'x', [images], [same])
  model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 15)], ir_version=8)
  assert startup.measure('onnx', model.SerializeToString()).milliseconds > 0
