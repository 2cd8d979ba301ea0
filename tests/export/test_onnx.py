import importlib.util
import re

import numpy as np
import pytest
import tf_keras as keras
from PIL import Image

import tickets_tf
from tickets_tf.errors import TicketsError, UsageError
from tickets_tf.export import card
from tickets_tf.export import onnx_classifier
from tickets_tf.export import onnx_file
from tickets_tf.export import onnx_program
from tickets_tf.export import predict
from tickets_tf.export import saved_model
from tickets_tf.export import verify
from tickets_tf.export.export_report import ExportedSavedModel, ExportReport
from tickets_tf.export.onnx_program import OnnxProgram
from tickets_tf.export.options import Options

MISSING = [name for name in ('tf2onnx', 'onnx', 'onnxruntime') if importlib.util.find_spec(name) is None]
with_packages = pytest.mark.skipif(bool(MISSING), reason=f'{", ".join(MISSING)}, of the extra onnx, missing')


def quiet(*_):
  pass


@pytest.fixture(scope='module')
def verifier(ticket, digits):
  return verify.Verifier(ticket, digits.test, rounds=3)


@pytest.fixture(scope='module')
def written(ticket, verifier, tmp_path_factory):
  """(folder of the files, their rows)."""
  folder = tmp_path_factory.mktemp('onnx')
  return folder, onnx_file.write(ticket, verifier, folder, 100, quiet)


@pytest.fixture
def report(written):
  return ExportReport(ExportedSavedModel(1, 0.5), (), None, 0.5, 360, None, {'platform': 'x'}, onnx=written[1])


@with_packages
def test_it_computes_what_the_saved_model_does(written, ticket, digits, verifier):
  folder, (row, *_) = written
  content = (folder / 'model.onnx').read_bytes()
  images = digits.test.images[:150]  # one whole batch and a part of one
  found = OnnxProgram(content, threads=1).run(images)
  assert list(found) == ['probabilities'] and found['probabilities'].dtype == np.float32
  np.testing.assert_allclose(found['probabilities'], ticket.predict(images), atol=1e-5)
  assert OnnxProgram(content).run(images[:1])['probabilities'].shape == (1, 10)
  assert row.file == 'model.onnx' and row.kept and row.bytes == len(content) > row.gzip_bytes
  assert row.accuracy == pytest.approx(verifier.accuracy) and row.same_class == 1
  assert row.largest_logit_difference < 1e-3
  assert row.latency[0].milliseconds > 0 and row.latency[0].over_dense > 0


@with_packages
def test_removed_weights_stay_zero(written, ticket, network):
  kept = sum(np.count_nonzero(kernel) for kernel in network.get_weights() if kernel.ndim > 1)
  dense, sparse, int8 = written[1]
  assert dense.kept_weights == sparse.kept_weights == kept
  assert 0.9 * kept < int8.kept_weights <= kept, 'the smallest of those that are kept are rounded to zero'


@with_packages
def test_sparse_kernels_take_less_and_compute_the_same(written):
  import onnx
  folder, (dense, sparse, _) = written
  assert sparse.kept and sparse.bytes < 0.7 * dense.bytes and sparse.same_class == 1
  assert sparse.largest_logit_difference == dense.largest_logit_difference
  model = onnx.load(folder / sparse.file)
  onnx.checker.check_model(model)
  assert model.graph.sparse_initializer


@with_packages
def test_kernels_that_are_not_sparse_enough_stay_dense():
  import onnx
  few, many, none = (np.zeros((2, 6), np.float32) for _ in range(3))
  few[0, :4], many[0, :5] = 1, 1
  graph = onnx.helper.make_graph([], 'x', [], [], [onnx.numpy_helper.from_array(array, name) for name, array in (
      ('few', few), ('many', many), ('none', none))])
  changed = onnx_file.FORMS[1].change(onnx.helper.make_model(graph)).graph
  assert [each.name for each in changed.initializer] == ['many', 'none']
  assert [each.values.name for each in changed.sparse_initializer] == ['few']


@with_packages
def test_int8_is_kept_only_if_it_is_smaller_and_accurate(ticket, verifier, written, tmp_path, monkeypatch):
  folder, (dense, _, int8) = written
  assert int8.kept == (int8.bytes < dense.bytes) == (folder / int8.file).exists()
  padded = onnx_file.Form('model.onnx', padded_model)
  monkeypatch.setattr(onnx_file, 'FORMS', (padded, onnx_file.FORMS[2]))
  _, int8 = onnx_file.write(ticket, verifier, tmp_path, 100, quiet)
  assert int8.kept and (tmp_path / int8.file).stat().st_size == int8.bytes
  monkeypatch.setattr(onnx_file.choice, 'within', lambda rows, *_: [])
  with pytest.raises(TicketsError, match=r'^model.onnx: test accuracy .* is not within --tolerance=0.5 points of'):
    onnx_file.write(ticket, verifier, tmp_path, 0.5, quiet)


@with_packages
def test_gelu_which_onnx_lacks_is_written_by_erf(digits, tmp_path):
  layers = keras.layers
  model = keras.Sequential([layers.Flatten(input_shape=digits.image_shape), layers.Dense(8, activation='gelu'),
                            layers.Dense(10)])
  saved_model.write_saved_model(model, digits, tmp_path / 'a', {})
  ticket = saved_model.SavedModelClassifier(tmp_path / 'a')
  images = digits.test.images[:20]
  found = OnnxProgram(onnx_file.convert(ticket).SerializeToString()).run(images)['logits']
  np.testing.assert_allclose(found, ticket.logits(images), atol=1e-5)


def padded_model(model):
  """Returns the model with a long text, so that it is the larger one."""
  model.doc_string = 'x' * 100_000
  return model


@with_packages
def test_what_cannot_be_converted_or_run_is_one_line(ticket, monkeypatch):
  import tf2onnx

  def unsupported(*_, **__):
    raise KeyError('no such operator\nand a second line')

  assert onnx_program.first_line(AssertionError()) == 'AssertionError'
  monkeypatch.setattr(tf2onnx.convert, 'from_function', unsupported)
  with pytest.raises(TicketsError, match=r'^model.onnx: cannot be converted to ONNX: .*no such operator.*$'):
    onnx_file.convert(ticket)
  with pytest.raises(TicketsError, match=r'^ONNX Runtime refuses the file: .*$'):
    OnnxProgram(b'nothing')


@with_packages
def test_the_card_and_the_table_tell_of_it(written, report, ticket, digits, monkeypatch):
  folder, (row, *_) = written
  settings = dict.fromkeys(['model', 'dataset', 'pruner', 'ratio', 'seed', 'epochs'])
  text = card.model_card({**ticket.description, 'settings': settings}, report)
  for found in (text, card.table(report)):
    assert f'{row.bytes:,}' in found and '100.00%' in found and 'model_int8.onnx' in found
  monkeypatch.chdir(folder)
  names = {'images': digits.test.images[:20]}
  exec(re.search(r'```python\n(import onnxruntime.*?)```', text, re.DOTALL)[1], names)
  assert names['classes'] == ticket.classify(names['images'])


def test_a_missing_package_is_named_before_anything(monkeypatch):
  monkeypatch.setattr(onnx_program.importlib.util, 'find_spec', lambda name: None if name == 'tf2onnx' else 'there')
  expected = '--onnx: tf2onnx not installed: pip install "tickets_tf[onnx]"'
  with pytest.raises(UsageError, match=f'^{re.escape(expected)}$'):
    Options(onnx=True)


@with_packages
def test_a_form_that_cannot_be_made_is_a_line(ticket, verifier, tmp_path, monkeypatch):

  def refused(model):
    raise RuntimeError('unknown initializers\nand a second line')

  lines = []
  monkeypatch.setattr(onnx_file, 'FORMS', (onnx_file.FORMS[0], onnx_file.Form('other.onnx', refused)))
  rows = onnx_file.write(ticket, verifier, tmp_path, 100, lines.append)
  assert [row.file for row in rows] == [path.name for path in tmp_path.iterdir()] == ['model.onnx']
  assert lines[1:] == ['other.onnx: cannot be made: unknown initializers']


@with_packages
def test_a_file_classifies_images_as_the_saved_model_does(written, ticket, digits, tmp_path):
  """Whatever kind of file an image is in: what decodes it is the same."""
  found = tickets_tf.load_ticket(written[0] / 'model.onnx')
  assert found.class_names == ticket.class_names and found.image_shape == ticket.image_shape
  np.testing.assert_allclose(found.predict(digits.test.images[0]), ticket.predict(digits.test.images[0]), atol=1e-5)
  for index, pixels in enumerate(digits.test.images[:12, ..., 0]):
    image = Image.fromarray(np.kron(pixels, np.ones((4, 4), np.uint8)))
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / f'{index}.jpg', ('WEBP', 'JPEG')[index % 2], exif=exif)
    Image.fromarray(np.asarray(image, np.uint16) * 200).save(tmp_path / f'deep{index}.png')
  paths = predict.find_images([str(tmp_path)])
  onnx, expected = (list(predict.classify_files(each, paths)) for each in (found, ticket))
  assert len(paths) == 24 and len({str(each['classes']) for each in onnx}) > 12
  for one, other in zip(onnx, expected, strict=True):
    assert one['image'] == other['image'] and one['classes'][0]['class'] == other['classes'][0]['class']
    assert one['classes'][0]['probability'] == pytest.approx(other['classes'][0]['probability'], abs=1e-4)


@with_packages
def test_what_is_no_onnx_file_of_a_ticket_is_one_line(written, tmp_path):
  import onnx
  path = tmp_path / 'a.onnx'
  content = (written[0] / 'model.onnx').read_bytes()
  for bad in (b'', content[:len(content) // 2], b'\x89PNG' * 9):
    path.write_bytes(bad)
    with pytest.raises(UsageError, match=rf'^{path}: damaged, or not an .onnx file that bin/export wrote .*$'):
      tickets_tf.load_ticket(path)
  model = onnx.load_from_string(content)
  del model.metadata_props[:]
  onnx.save(model, path)
  with pytest.raises(UsageError, match=rf"^{path}: not an .onnx file .* \(its metadata has no 'ticket.json'\)$"):
    tickets_tf.load_ticket(path)


def test_a_missing_runtime_is_named(tmp_path, monkeypatch):
  monkeypatch.setattr(onnx_classifier.importlib.util, 'find_spec', lambda name: None)
  (tmp_path / 'a.onnx').touch()
  expected = f'{tmp_path}/a.onnx: ONNX files need onnxruntime, which is not installed: pip install onnxruntime'
  with pytest.raises(UsageError, match=f'^{re.escape(expected)}$'):
    tickets_tf.load_ticket(tmp_path / 'a.onnx')
