import dataclasses
import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import tickets_tf
from tickets_tf import data
from tickets_tf.errors import TicketsError
from tickets_tf.errors import UsageError
from tickets_tf.experiment import train
from tickets_tf.export import bundle
from tickets_tf.export import card
from tickets_tf.export import onnx_program
from tickets_tf.export import predict
from tickets_tf.export import size
from tickets_tf.export import tflite
from tickets_tf.export.export_report import ExportedFile, FailedFile, Latency, SparseLayers
from tickets_tf.export.saved_model import SavedModelClassifier
from tickets_tf.export.tflite_classifier import TFLiteClassifier
from tickets_tf.pruning.mask import load_mask
from tickets_tf.runs import records
from tickets_tf.runs.folder import RunFolder
from tickets_tf.runs.run import Run

TINY = dict(model='resnet8', width=4, train_examples=160, batch_size=32, epochs=2, ratio=0.9, progress=False,
            tensorboard=False)
FEW = bundle.Options(variants=('sparse_float32', 'sparse_int8'), rounds=5)
# Rows of a table: bytes, accuracy, by file.
TABLE = {'dense_float32.tflite': (900, 0.900), 'dense_int8.tflite': (300, 0.8951),
         'sparse_float16.tflite': (200, 0.894)}


def quiet(*_):
  pass


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
  """A finished run's (folder, record before any export)."""
  settings = tickets_tf.Settings(output_dir=str(tmp_path_factory.mktemp('runs')), **TINY)
  return Run(settings).folder.path, train.train(settings, quiet)


@pytest.fixture(scope='module')
def exported(finished):
  """(folder of the export, its report)."""
  return finished[0] / 'export', bundle.export_run(finished[0], options=FEW, say=quiet)


def test_what_an_export_leaves(exported, finished):
  folder, report = exported
  kept = {row.file for row in report.tflite if row.kept}
  assert {path.name for path in folder.iterdir()} == {'saved_model', 'labels.txt', 'README.md', 'export.json', *kept}
  assert kept == {'dense_float32.tflite', report.best, *report.front}
  assert [row.file for row in report.tflite] == ['dense_float32.tflite', 'sparse_float32.tflite', 'sparse_int8.tflite']
  assert (folder / 'labels.txt').read_text().split() == [str(digit) for digit in range(10)]
  for row in report.tflite:
    if row.kept:
      assert (folder / row.file).stat().st_size == row.bytes
  assert report.to_json() == records.read_json(folder / 'export.json')
  assert (report.chosen_on, report.chosen_examples, report.best_by) == ('test', 360, 'size')
  low, high = report.interval
  assert low < report.saved_model.accuracy < high and f'interval {low:.2%} to {high:.2%}' in (
      folder / 'README.md').read_text()
  assert report.saved_model.accuracy == pytest.approx(finished[1].final_accuracy)


def test_the_keys_of_the_report(exported):
  """Other programs read them."""
  report = json.loads((exported[0] / 'export.json').read_text())
  assert list(report) == ['saved_model', 'tflite', 'best', 'tolerance', 'test_examples', 'reference', 'environment',
                          'onnx', 'best_by', 'front', 'failed', 'chosen_on', 'chosen_examples', 'interval',
                          'class_examples', 'load_per_core', 'licence', 'keras']
  assert list(report['saved_model']) == ['bytes', 'accuracy', 'class_right']
  assert list(report['reference']) == ['kept', 'position_bits', 'others']
  assert list(report['tflite'][0]) == ['file', 'bytes', 'gzip_bytes', 'accuracy', 'largest_logit_difference', 'latency',
                                       'operators', 'sparse_layers', 'kept', 'loss', 'reference_bytes', 'startup',
                                       'class_right', 'integers']
  assert list(report['tflite'][0]['latency'][0]) == ['threads', 'milliseconds', 'over_dense', 'milliseconds_quartiles',
                                                     'over_dense_quartiles']
  assert list(report['tflite'][0]['startup']) == ['milliseconds', 'quartiles', 'peak_bytes']
  assert list(report['tflite'][0]['sparse_layers']) == ['as_they_are', 'made_dense']
  assert 'CONV_2D' in report['tflite'][0]['operators']
  assert {'python', 'platform', 'processor'} <= set(report['environment'])
  assert report['environment']['packages']['ai-edge-litert']


def test_the_record_learns_of_it_and_is_otherwise_as_it_was(exported, finished):
  folder, report = exported
  record = records.read(finished[0])
  assert record.export == {'folder': str(folder), **report.to_json()}
  assert dataclasses.replace(record, export=None) == finished[1]


def test_the_saved_model_knows_its_record(exported, finished):
  description = SavedModelClassifier(exported[0] / 'saved_model').description
  record = finished[1]
  assert description['mask'] == record.mask and description['settings'] == dataclasses.asdict(record.settings)
  expected = json.loads(json.dumps(records.to_json(record)))
  assert {**description['record'], 'settings': description['settings']} == expected
  assert [layer['kept'] for layer in description['layers']] == [layer.kept for layer in record.layers]
  others = sum(layer.shape[-1] for layer in record.layers)  # biases, into which batch norm is folded
  without_bits = [{'shape': layer.shape, 'kept': layer.kept} for layer in record.layers]
  known = size.reference(without_bits, record.weights + others)
  assert exported[1].reference == dataclasses.replace(known, position_bits=pytest.approx(known.position_bits, abs=0.1))
  dense, _, int8 = exported[1].tflite
  assert dense.reference_bytes == exported[1].reference.bytes()
  assert int8.reference_bytes == exported[1].reference.bytes(8) == dense.reference_bytes - 3 * record.kept
  assert int8.integers and not dense.integers


def test_the_saved_model_has_no_batch_norm_and_the_weights_of_the_run(exported, finished):
  folded, trained = (tf.saved_model.load(str(path)) for path in (exported[0] / 'saved_model', finished[0] / 'ticket'))
  assert len(folded.variables) == 20 and not [each for each in folded.variables if 'norm' in each.name]
  images = data.load_dataset('digits').test.images[:50]
  expected, found = (each.signatures['logits'](images=images)['logits'] for each in (trained, folded))
  np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_removed_weights_of_a_saved_model_are_counted(exported, tmp_path):
  folder = tmp_path / 'saved_model'
  shutil.copytree(exported[0] / 'saved_model', folder)
  path = folder / 'assets.extra' / 'ticket.json'
  description = json.loads(path.read_text())
  layer = description['layers'][-1]
  layer['kept'] -= 1
  path.write_text(json.dumps(description))
  with pytest.raises(TicketsError, match=r'^--saved_model=.*: 1 weights of kernels of shape .* are not zero'):
    bundle.export_saved_model(folder, tmp_path / 'out', say=quiet)
  assert not (tmp_path / 'out').exists()


def test_a_saved_model_is_exported_as_a_run_is(exported, finished, tmp_path):
  options = bundle.Options(variants=('sparse_float32',), rounds=5, tflite='all')
  again = bundle.export_saved_model(exported[0] / 'saved_model', tmp_path / 'again', options, quiet)
  assert again.reference == exported[1].reference
  # Without int8, the third file of the first export.
  for first, second in zip(exported[1].tflite[:2], again.tflite, strict=True):
    for key in ('file', 'bytes', 'accuracy', 'operators'):
      assert getattr(first, key) == getattr(second, key)
  unfolded = bundle.export_saved_model(finished[0] / 'ticket', tmp_path / 'unfolded', options, quiet)
  assert unfolded.reference is None and {path.name for path in (tmp_path / 'unfolded').iterdir()} == {
      'saved_model', 'labels.txt', 'README.md', 'export.json', 'dense_float32.tflite', 'sparse_float32.tflite'}
  assert '| - |' in (tmp_path / 'unfolded' / 'README.md').read_text()


def test_no_tflite_at_all(finished, tmp_path):
  report = bundle.export_run(finished[0], tmp_path / 'out', bundle.Options(tflite='none'), quiet)
  assert {path.name for path in (tmp_path / 'out').iterdir()} == {'saved_model', 'labels.txt', 'README.md',
                                                                   'export.json'}
  assert report.best is None and 'tflite' not in (tmp_path / 'out' / 'README.md').read_text()
  assert card.table(report).startswith('SavedModel: ') and len(card.table(report).splitlines()) == 1


def test_a_version_for_tensorflow_serving(finished, tmp_path):
  lines = []
  options = bundle.Options(tflite='none', serving=str(tmp_path / 'digits'))
  bundle.export_run(finished[0], tmp_path / 'out', options, lines.append)
  assert lines == [f'SavedModel for TensorFlow Serving: {tmp_path}/digits/1']
  assert SavedModelClassifier(tmp_path / 'digits' / '1').class_names


def test_files_for_keras_3_are_in_report_and_card(finished, tmp_path):
  pytest.importorskip('keras', minversion='3', reason='Keras 3 is not installed')
  folder = tmp_path / 'out'
  report = bundle.export_run(finished[0], folder, bundle.Options(tflite='none', keras=True), quiet)
  assert report.keras == ('ticket.keras', 'ticket.weights.h5', 'ticket.masks.npz')
  assert all((folder / name).stat().st_size for name in report.keras)
  assert '- `ticket.keras`, `ticket.weights.h5`, `ticket.masks.npz`: for Keras 3' in (folder / 'README.md').read_text()
  assert load_mask(folder / 'ticket.masks.npz', tickets_tf.prunable_kernels(tickets_tf.build_model(
      finished[1].settings.model, (8, 8, 1), 10, width=finished[1].settings.width))) == load_mask(
          RunFolder(finished[0]).mask)


def test_a_failed_onnx_file_is_a_line_and_the_others_are_written(finished, tmp_path, monkeypatch):

  def failing(*_, **__):
    raise TicketsError('model.onnx: cannot be converted to ONNX: no such operator')

  monkeypatch.setattr(bundle.onnx_file, 'write', failing)
  monkeypatch.setattr(onnx_program, 'check_installed', lambda: None)
  report = bundle.export_run(finished[0], tmp_path / 'out', bundle.Options(tflite='none', onnx=True, rounds=5), quiet)
  assert [(each.file, each.reason) for each in report.failed] == [
      ('model.onnx', 'cannot be converted to ONNX: no such operator')]
  assert not report.onnx and (tmp_path / 'out' / 'README.md').exists()
  assert 'model.onnx: cannot be converted to ONNX: no such operator' in card.table(report)


def test_onnx_beside_the_others(finished, tmp_path):
  for package in ('tf2onnx', 'onnx', 'onnxruntime'):
    pytest.importorskip(package, reason='of the extra onnx')
  report = bundle.export_run(finished[0], tmp_path / 'out', bundle.Options(tflite='none', onnx=True, rounds=5), quiet)
  kept = [row.file for row in report.onnx if row.kept]
  assert kept[0] == 'model.onnx' and kept == [row.file for row in report.onnx if (tmp_path / 'out' / row.file).exists()]
  assert report.onnx[0].kept_weights == finished[1].kept
  assert records.read(finished[0]).export['onnx'][0]['file'] == 'model.onnx'


class Measured:
  """In place of the verifier: numbers out of TABLE, in its order."""
  accuracy = 0.9
  class_right, class_examples = (32,) * 10, (36,) * 10

  def __init__(self, *_):
    self._rows = iter(TABLE.values())

  def verify(self, file, content, dense):
    del content, dense
    bytes_, accuracy = next(self._rows)
    return ExportedFile(file, bytes_, 1, accuracy, 0.0, (), (), SparseLayers(0, 0), class_right=self.class_right)


@pytest.mark.parametrize('tflite, tolerance, best, kept', [
    ('best', 0.5, 'dense_int8.tflite', ['dense_float32.tflite', 'dense_int8.tflite']),
    ('best', 0.6, 'sparse_float16.tflite', ['dense_float32.tflite', 'sparse_float16.tflite']),
    ('best', 0.1, 'dense_float32.tflite', ['dense_float32.tflite']),
    ('best', 0, 'dense_float32.tflite', ['dense_float32.tflite']),
    ('all', 0.5, 'dense_int8.tflite', list(TABLE)),
])
def test_the_best_is_the_smallest_within_the_tolerance(tflite, tolerance, best, kept, finished, tmp_path, monkeypatch):
  monkeypatch.setattr(bundle.verify, 'Verifier', Measured)
  monkeypatch.setattr('tickets_tf.export.tflite.convert', lambda ticket, variant, calibration: variant.name.encode())
  monkeypatch.setattr(bundle.same_data, 'check_accuracy', quiet)
  variants = tuple(name.removesuffix('.tflite') for name in TABLE)
  report = bundle.export_run(finished[0], tmp_path / 'out',
                             bundle.Options(tflite, tolerance, variants), quiet)
  assert report.best == best
  assert sorted(path.name for path in (tmp_path / 'out').glob('*.tflite')) == sorted(kept)
  assert [row.file for row in report.tflite if row.kept] == kept


def test_a_form_that_cannot_be_made_is_a_line_and_the_others_are_written(exported, finished, tmp_path, monkeypatch):
  content, verify_ = (exported[0] / 'dense_float32.tflite').read_bytes(), bundle.verify.Verifier.verify

  def convert(ticket, variant, calibration):
    if variant.name == 'sparse_int8':
      raise TicketsError('sparse_int8: cannot be converted to TFLite: it is broken')
    return content

  def verify(self, file, content, dense):
    if file == 'dense_float32.tflite':
      raise TicketsError('ai_edge_litert refuses the file: because')
    return verify_(self, file, content, dense)

  monkeypatch.setattr('tickets_tf.export.tflite.convert', convert)
  monkeypatch.setattr(bundle.verify.Verifier, 'verify', verify)
  report = bundle.export_run(finished[0], tmp_path / 'out', FEW, quiet)
  assert report.failed == (FailedFile('dense_float32.tflite', 'ai_edge_litert refuses the file: because'),
                           FailedFile('sparse_int8.tflite', 'cannot be converted to TFLite: it is broken'))
  assert [row.file for row in report.tflite] == ['sparse_float32.tflite'] and report.best == 'sparse_float32.tflite'
  assert report.tflite[0].latency[0].over_dense is None, 'there is no dense file'
  table = card.table(report)
  assert 'sparse_int8.tflite: cannot be converted to TFLite: it is broken' in table.splitlines()
  assert 'over dense' not in table
  assert 'sparse_int8.tflite: cannot be converted' in (tmp_path / 'out' / 'README.md').read_text()
  assert {path.name for path in (tmp_path / 'out').glob('*.tflite')} == {'sparse_float32.tflite'}


@pytest.mark.parametrize('tolerance', [float('nan'), float('inf'), -1, float('-inf')])
def test_tolerances_that_are_none(tolerance):
  with pytest.raises(UsageError, match=rf'^--tolerance={tolerance}: must be a number of points of test accuracy, at '):
    bundle.Options(tolerance=tolerance)


def test_a_measure_that_is_none():
  with pytest.raises(UsageError, match=r"^--best=speed: unknown measure 'speed'.*; known: size, gzip, latency, size"):
    bundle.Options(best='speed')


def test_another_data_dir_is_named(finished, exported, tmp_path, monkeypatch):
  load = data.load_dataset

  def other(name, data_dir, *arguments):
    found = load(name, None, *arguments)
    return dataclasses.replace(found, test=found.test.take(slice(100))) if data_dir else found

  monkeypatch.setattr(bundle.data, 'load_dataset', other)
  options = bundle.Options(data_dir='/elsewhere', tolerance=100)
  for call, path in ((bundle.export_run, finished[0]), (bundle.export_saved_model, exported[0] / 'saved_model')):
    with pytest.raises(UsageError, match=r'^--data_dir=/elsewhere.*: has number of test images 100, but the run had '
                                         '360; give the data set of the run$'):
      call(path, tmp_path / 'out', options, quiet)
  assert not list(tmp_path.iterdir())


def test_another_data_dir_of_equal_size_is_named(finished, exported, tmp_path, monkeypatch):
  load, options = data.load_dataset, bundle.Options(data_dir='/elsewhere')
  monkeypatch.setattr(bundle.data, 'load_dataset', lambda name, data_dir, *arguments: dataclasses.replace(
      load(name, None, *arguments), mean=(0.125,)))
  with pytest.raises(UsageError, match=r'^--data_dir=/elsewhere.*: has mean 0\.125, but the run had 0\.3'):
    bundle.export_saved_model(exported[0] / 'saved_model', tmp_path / 'out', options, quiet)


@pytest.mark.parametrize('best, file', [('size', 'sparse_float16'), ('latency', 'sparse_float32')])
def test_the_file_that_was_asked_for_and_the_front_are_kept(best, file, finished, tmp_path, monkeypatch):
  measured = {'dense_float32.tflite': (900, 1, 1.0), 'dense_float16.tflite': (500, 5, 1.0),
              'sparse_float32.tflite': (300, 3, 0.29), 'sparse_float16.tflite': (200, 2, 1.0)}

  class Timed(Measured):
    def verify(self, file, content, dense):
      bytes_, gzip_bytes, over_dense = measured[file]
      return ExportedFile(file, bytes_, gzip_bytes, 0.9, 0.0, (Latency(1, 1.0, over_dense),), (), SparseLayers(0, 0),
                          class_right=self.class_right)

  unknown = dataclasses.replace(tflite.VARIANTS['sparse_float16'], bits=None)
  monkeypatch.setitem(tflite.VARIANTS, 'sparse_float16', unknown)
  monkeypatch.setattr(bundle.verify, 'Verifier', Timed)
  monkeypatch.setattr('tickets_tf.export.tflite.convert', lambda ticket, variant, calibration: variant.name.encode())
  monkeypatch.setattr(bundle.same_data, 'check_accuracy', quiet)
  variants = tuple(name.removesuffix('.tflite') for name in measured)
  report = bundle.export_run(finished[0], tmp_path / 'out', bundle.Options(variants=variants, best=best), quiet)
  assert report.best == f'{file}.tflite' and report.front == ('sparse_float16.tflite', 'sparse_float32.tflite')
  assert [row.file for row in report.tflite if row.kept] == ['dense_float32.tflite', 'sparse_float32.tflite',
                                                             'sparse_float16.tflite']
  assert [line.split()[-2] for line in card.table(report).splitlines()[1:5]] == ['-', '-', 'yes', 'yes']
  assert [row.reference_bytes is None for row in report.tflite] == [False, False, False, True], 'bits are not known'


def test_a_pattern_that_is_gone_is_told():
  network, lines = tickets_tf.build_model('resnet8', (8, 8, 1), 10, width=1), []
  layers = bundle._layers(network, 'gone:PATTERN', lines.append)
  assert layers == bundle._layers(network, 'unstructured', lines.append) and len(lines) == 1
  assert lines[0].startswith('sizes are compared with a reference that knows no pattern: ') and 'gone' in lines[0]


def test_nothing_within_the_tolerance(finished, tmp_path, monkeypatch):
  monkeypatch.setattr(bundle.verify, 'Verifier', Measured)
  monkeypatch.setattr(Measured, 'accuracy', 0.95)
  monkeypatch.setattr(bundle.same_data, 'check_accuracy', quiet)
  monkeypatch.setattr('tickets_tf.export.tflite.convert', lambda ticket, variant, calibration: b'')
  with pytest.raises(TicketsError, match=re.escape('no TFLite file is within --tolerance=0.5 points of the SavedModel, '
                                                   '95.00%: dense_float32.tflite 90.00%, dense_int8')):
    bundle.export_run(finished[0], tmp_path / 'out',
                      bundle.Options(variants=('dense_int8', 'sparse_float16')), quiet)
  assert not list(tmp_path.iterdir())


def test_an_export_that_fails_leaves_the_earlier_one(exported, finished, monkeypatch):
  folder, _ = exported
  before = {path: path.read_bytes() for path in folder.rglob('*') if path.is_file()}
  record = (finished[0] / 'record.json').read_bytes()

  def full(*_):
    raise OSError(28, 'No space left on device')

  monkeypatch.setattr(bundle.card, 'model_card', full)
  with pytest.raises(TicketsError, match=f'^{folder}: cannot be written: No space left on device$'):
    bundle.export_run(finished[0], options=bundle.Options(tflite='none'), say=quiet)
  assert before == {path: path.read_bytes() for path in folder.rglob('*') if path.is_file()}
  assert record == (finished[0] / 'record.json').read_bytes()
  assert not [path for path in finished[0].iterdir() if '.tmp.' in path.name]


def test_weights_that_are_not_the_runs(finished, tmp_path):
  folder = tmp_path / 'run'
  shutil.copytree(finished[0], folder, ignore=shutil.ignore_patterns('export'))
  shutil.copy(folder / 'start.weights.h5', folder / 'final.weights.h5')
  with pytest.raises(TicketsError, match=r'weights that the mask removes are not zero: .* of layer'):
    bundle.export_run(folder, options=FEW, say=quiet)
  shutil.copy(finished[0] / 'final.weights.h5', folder / 'final.weights.h5')
  record = records.read(folder)
  records.write(folder, dataclasses.replace(record, final_accuracy=record.final_accuracy + 0.5))
  with pytest.raises(TicketsError, match=r'the SavedModel has test accuracy .*, the record says .*'):
    bundle.export_run(folder, options=FEW, say=quiet)
  assert not (folder / 'export').exists()


def test_bad_input(finished, exported, tmp_path):
  folder, _ = finished
  (tmp_path / 'mine').write_text('')
  cases = [
      (lambda: bundle.export_run(tmp_path), 'holds no record.json: not the folder of a finished run'),
      (lambda: bundle.export_run(folder, tmp_path), f'--output={tmp_path}: exists and holds no export.json'),
      (lambda: bundle.export_run(folder, tmp_path / 'mine'), f'--output={tmp_path}/mine: exists and holds no'),
      (lambda: bundle.export_saved_model(tmp_path), f'--saved_model={tmp_path}: not the SavedModel of a ticket'),
      (lambda: bundle.export_saved_model(exported[0] / 'saved_model', exported[0]),
       'holds the SavedModel that is to be exported'),
      (lambda: bundle.export_saved_model(folder / 'ticket', tmp_path / 'x', bundle.Options(compact=True)),
       '--compact: '),
      (lambda: bundle.Options(variants=('int8',)), "--variants=int8: unknown TFLite variant 'int8' (did you "
       "mean 'dense_int8'?); known: dense_float32, "),
  ]
  for call, expected in cases:
    with pytest.raises(UsageError, match=re.escape(expected)):
      call()
  assert {path.name for path in tmp_path.iterdir()} == {'mine'}


def test_compaction_cuts_channels_and_keeps_the_function(finished, tmp_path):
  report = bundle.export_run(finished[0], tmp_path / 'out', bundle.Options(tflite='none', compact=True), quiet)
  description = SavedModelClassifier(tmp_path / 'out' / 'saved_model').description
  before, after = description['compaction']['weights']
  assert before > after == sum(np.prod(layer['shape']) for layer in description['layers'])
  assert report.saved_model.accuracy == pytest.approx(finished[1].final_accuracy, abs=0.003)
  assert '| channels without weights | removed |' in (tmp_path / 'out' / 'README.md').read_text()


SNIPPET = '''
import sys

class Absent:
  def find_spec(self, name, path=None, target=None):
    if name.split('.')[0] in ('tickets_tf', 'tensorflow', 'tf_keras', 'keras'):
      raise ModuleNotFoundError(f'No module named {name!r}: it is blocked', name=name)

sys.meta_path.insert(0, Absent())
'''


def save_digit(pixels, stem, index):
  """Saves an image without loss, or as the same gray in colour, in one of the formats that people have."""
  image, deep, exif = Image.fromarray(pixels), Image.fromarray(pixels.astype(np.uint16) * 257), Image.Exif()
  exif[0x0112] = 6
  ways = (('.png', image, {}), ('.png', deep, {}), ('.bmp', image, {}), ('.gif', image, {}),
          ('.jpg', image.convert('CMYK'), {'quality': 100}), ('.webp', image, {'lossless': True}),
          ('.png', image.convert('LA'), {}), ('.png', image, {'exif': exif}), ('.tif', deep, {}))
  suffix, saved, options = ways[index % len(ways)]
  saved.save(stem.with_suffix(suffix), **options)
  return stem.with_suffix(suffix)


@pytest.mark.parametrize('best', [None, 'sparse_int8'])
def test_the_code_in_the_model_card_works(best, exported, finished, tmp_path):
  folder, report = exported
  if best:
    folder = tmp_path / 'export'
    report = bundle.export_run(finished[0], folder, bundle.Options(variants=(best,), tolerance=100, rounds=5), quiet)
    assert report.best == f'{best}.tflite'
  digits = data.load_dataset('digits')
  paths = [str(save_digit(digits.test.images[index, ..., 0], tmp_path / str(index), index)) for index in range(10)]
  readme = (folder / 'README.md').read_text()
  reading, code = (re.search(rf'```python\n({start}.*?)```', readme, re.DOTALL)[1]
                   for start in ('import numpy', 'import zipfile'))
  (tmp_path / 'snippet.py').write_text(
      f'{SNIPPET}\n{reading}\n{code}\nfor path in sys.argv[1:]: print(*predict(path))')
  done = subprocess.run([sys.executable, tmp_path / 'snippet.py', *paths], cwd=folder, capture_output=True, text=True)
  assert done.returncode == 0, done.stderr
  expected = list(predict.classify_files(TFLiteClassifier(folder / report.best), paths))
  found = [line.split() for line in done.stdout.splitlines()]
  assert [each['classes'][0]['class'] for each in expected] == [name for name, _ in found]
  np.testing.assert_allclose([float(value) for _, value in found],
                             [each['classes'][0]['probability'] for each in expected], rtol=1e-5)
  assert {'```cpp', '```kotlin'} <= set(readme.splitlines()) and f'{report.test_examples} images' in readme


def test_the_card_tells_the_numbers(exported, finished):
  folder, report = exported
  readme = (folder / 'README.md').read_text()
  table = card.table(report)
  for row in report.tflite:
    for text in (readme, table):
      assert f'{row.bytes:,}' in text and f'{row.accuracy:.2%}' in text and row.file in text
  assert f'SavedModel: {report.saved_model.bytes:,} bytes' in table and table.endswith(report.best)
  layers = report.tflite[1].sparse_layers
  assert layers.made_dense > 4 > layers.as_they_are, 'convolutions gain size alone'
  for text in (readme, table):
    assert f'{layers.as_they_are} of {layers.stored} layers' in text
  record = finished[1]
  assert f'{record.kept:,} of {record.weights:,}, sparsity 90.' in readme and record.mask in readme
  assert '{' not in re.sub(r'```.*?```', '', readme, flags=re.DOTALL), 'something of the template is left'
