import dataclasses
import json

import pytest

from tests import example_records
from tickets_tf.errors import UsageError
from tickets_tf.pruning import rules
from tickets_tf.runs import records
from tickets_tf.runs.run import Run
from tickets_tf.runs.settings import Settings

REQUIRED = ['format', *(field.name for field in dataclasses.fields(records.Record)
                        if field.default is dataclasses.MISSING)]


@pytest.fixture
def record():
  return example_records.record(Run(Settings(pruner='snip', ratio=0.5)))


def test_a_record_is_read_as_it_was_written(tmp_path, record):
  records.write(tmp_path, record)
  assert records.read(tmp_path) == record
  exported = dataclasses.replace(record, export={'best': 'dense_float32.tflite'})
  records.write(tmp_path, exported)
  assert records.read(tmp_path) == exported


def test_the_keys_of_a_record_are_those_of_its_format(tmp_path, record):
  records.write(tmp_path, record)
  values = json.loads((tmp_path / 'record.json').read_text())
  assert list(values) == ['format', 'settings', 'digest', 'seed', 'order_seed', 'init_seed', 'rule', 'needed', 'proof',
                          'network', 'dataset', 'mask', 'pattern', 'layers', 'all_weights', 'unpruned', 'collapse',
                          'effective_weights', 'final_accuracy', 'settled_accuracy', 'test_loss', 'settled_loss',
                          'balanced_accuracy', 'class_accuracy', 'best_accuracy', 'best_epoch', 'best_on', 'seconds',
                          'environment', 'notes']
  assert records.FORMAT == 3, 'it rises if these change'
  assert values['settings'] == dataclasses.asdict(record.settings)
  assert values['layers'][0] == {'name': 'conv1', 'shape': [3, 3, 1, 4], 'weights': 36, 'kept': 4, 'dense_macs': 2304,
                                 'sparse_macs': 256}


def test_weights_and_kept_are_sums_over_layers(record):
  layer, = record.layers
  two = dataclasses.replace(record, layers=(layer, dataclasses.replace(layer, name='fc', weights=20, kept=3)))
  assert (two.weights, two.kept) == (56, 7)


def test_functions_are_told_by_their_module_and_name():
  choices = records.Choices.of(rules.Rule(json.dumps, json.JSONDecoder.decode, 'trained', '2', 3))
  assert choices == records.Choices('json:dumps', 'json.decoder:JSONDecoder.decode', 'trained', '2', 3)


def test_numbers_that_json_does_not_know_are_never_written(tmp_path, record):
  with pytest.raises(ValueError, match='not JSON compliant'):
    records.write(tmp_path, dataclasses.replace(record, proof={'share': float('nan')}))
  assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('missing', REQUIRED)
def test_an_incomplete_record_is_one_line_that_names_what_is_missing(missing, tmp_path, record):
  values = records.to_json(record)
  del values[missing]
  (tmp_path / 'record.json').write_text(json.dumps(values))
  with pytest.raises(UsageError) as caught:
    records.read(tmp_path)
  assert str(caught.value) == (f'{tmp_path}/record.json: lacks {missing}; without this file the run is done again')


@pytest.mark.parametrize('path, value, expected', [
    (('collapse', 'empty_layers'), None, r'is no record: .*empty_layers'),
    (('layers',), [{'name': 'conv1'}], r'is no record: .*`shape`.*layers'),
    (('final_accuracy',), 'high', r'is no record: .*final_accuracy'),
    (('settings', 'epochs'), 'many', r'--epochs=many: expected int'),
    (('settings', 'epochz'), 3, r'unknown settings: epochz'),
    (('settings',), [], r'settings: expected a JSON object'),
    (('format',), 4, r"format 4 is newer than this program's, 3"),
])
def test_a_wrong_part_is_named(path, value, expected, tmp_path, record):
  values = json.loads(json.dumps(records.to_json(record)))
  part = values
  for key in path[:-1]:
    part = part[key]
  part[path[-1]] = value
  (tmp_path / 'record.json').write_text(json.dumps(values))
  with pytest.raises(UsageError, match=r'record\.json: ' + expected) as caught:
    records.read(tmp_path)
  assert '\n' not in str(caught.value)


@pytest.mark.parametrize('text', ['{"format": 1', '[]', '{}', '{"format": 99}', ''])
def test_a_damaged_record_is_named(text, tmp_path):
  (tmp_path / 'record.json').write_text(text)
  with pytest.raises(UsageError, match=r'record\.json: .*without this file the run is done again'):
    records.read(tmp_path)


def test_a_folder_without_a_record_is_named(tmp_path):
  with pytest.raises(UsageError, match=r'holds no record\.json: not the folder of a finished run'):
    records.read(tmp_path)


def test_a_record_of_an_earlier_format_is_named_as_such(tmp_path, record):
  values = records.to_json(record)
  for name in ('order_seed', 'test_loss'):
    del values[name]
  (tmp_path / 'record.json').write_text(json.dumps({**values, 'format': 2}))
  with pytest.raises(UsageError, match=r'json: format 2, from an earlier version, lacks order_seed, test_loss;'):
    records.read(tmp_path)
