import dataclasses
import json

import filelock
import numpy as np
import pytest
import tensorflow as tf

from tests import example_records
from tests import small_network
from tests import weights_files
import tickets_tf
from tickets_tf import training
from tickets_tf.errors import UsageError
from tickets_tf.experiment import evaluate
from tickets_tf.experiment import stages
from tickets_tf.experiment import ticket_stage
from tickets_tf.experiment import train
from tickets_tf.pruning.collapse import Collapse
from tickets_tf.pruning.mask import load_mask
from tickets_tf.runs import correct
from tickets_tf.runs import records
from tickets_tf.runs.run import Run
from tickets_tf.runs.settings import from_dict

TINY = tickets_tf.Settings(model=small_network.NAME, width=4, train_examples=160, batch_size=32, epochs=3, ratio=0.8,
                           progress=False, tensorboard=False, checkpoint_seconds=0)


@pytest.fixture(scope='module', autouse=True)
def known():
  with small_network.known():
    yield


def quiet(line):
  del line


def tiny(folder, **changes):
  return dataclasses.replace(TINY, **{'model': small_network.KNOWN, 'output_dir': str(folder), **changes})


def weights_of(settings, name='final.weights.h5'):
  return weights_files.read(Run(settings).folder.path / name)


def assert_same_bits(first, second):
  assert first.keys() == second.keys() and first
  for path, value in first.items():
    np.testing.assert_array_equal(value, second[path], err_msg=path)


@pytest.fixture(scope='module')
def unbroken(tmp_path_factory):
  settings = tiny(tmp_path_factory.mktemp('unbroken'))
  return settings, train.train(settings, quiet)


def test_what_a_run_leaves(unbroken):
  settings, record = unbroken
  folder = Run(settings).folder.path
  assert {path.name for path in folder.iterdir()} == {
      '.lock', 'settings.json', 'environment.json', 'start.weights.h5', 'proof.json', 'mask.npz', 'metrics.jsonl',
      'final.weights.h5', 'settled.npz', 'correct.npy', 'ticket', 'record.json'}
  assert record == records.read(folder)
  assert record.settings == settings == from_dict(records.read_json(folder / 'settings.json'))
  assert record.seed == 0 and record.digest in folder.name
  assert record.dataset == records.DatasetSize('digits', 160, 360, 0, 10, (8, 8, 1))
  mask = load_mask(folder / 'mask.npz')
  assert [layer.kept for layer in record.layers] == mask.counts and record.mask == mask.digest()
  assert sum(mask.counts) == int(mask.size * (1 - 0.8))
  assert all(layer.sparse_macs * layer.weights == layer.dense_macs * layer.kept
             for layer in record.layers)
  assert min(dataclasses.astuple(record.seconds)) >= 0 < record.seconds.train
  assert record.environment['packages']['tensorflow'] == tf.__version__
  lines = [json.loads(line) for line in (folder / 'metrics.jsonl').read_text().splitlines()]
  assert [line['epoch'] for line in lines] == [1, 2, 3]
  assert [line['learning_rate'] for line in lines] == [0.1, 0.01, 0.001]
  accuracies = [line['evaluation_accuracy'] for line in lines]
  assert record.best_accuracy == max(accuracies) and record.best_epoch == 1 + accuracies.index(max(accuracies))
  assert record.seconds.train == pytest.approx(sum(line['seconds'] for line in lines), abs=0.01)
  ticket = tickets_tf.load_ticket(folder)
  assert ticket.description['settings'] == dataclasses.asdict(settings) and ticket.description['mask'] == record.mask
  assert record.final_accuracy == pytest.approx(lines[-1]['evaluation_accuracy'], abs=1e-6)


def test_which_images_were_right_is_kept(unbroken):
  settings, record = unbroken
  folder = Run(settings).folder
  right = correct.read(folder.correct, 360)
  assert right.settled.mean() == record.settled_accuracy and right.final.mean() == record.final_accuracy
  assert folder.correct.stat().st_size < 300
  test = tickets_tf.data.load_dataset('digits').test
  logits = tickets_tf.load_ticket(folder.path).logits(test.images)
  assert np.count_nonzero((logits.argmax(axis=1) == test.labels) != right.final) <= 1
  losses = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(360), test.labels]
  assert record.test_loss == pytest.approx(losses.mean(), rel=1e-4)
  assert record.settled_loss is not None and record.settled_loss != record.test_loss
  assert 0 < record.effective_weights <= record.collapse.effective_kept


def test_removed_weights_are_zero_in_what_is_left(unbroken):
  settings, _ = unbroken
  mask = load_mask(Run(settings).folder.path / 'mask.npz')
  model = tickets_tf.build_model(small_network.NAME, (8, 8, 1), 10, width=4)
  from tickets_tf.training import checkpoints
  checkpoints.load_weights(model, Run(settings).folder.path / 'final.weights.h5')
  ticket = tf.saved_model.load(str(Run(settings).folder.path / 'ticket'))
  exported = {variable.name: variable.numpy() for variable in ticket.variables}
  for kernel in tickets_tf.prunable_kernels(model):
    trained = kernel.variable.numpy()
    np.testing.assert_array_equal(trained != 0, mask[kernel.name])
    np.testing.assert_array_equal(exported[kernel.variable.name], trained)


def test_the_initial_weights_are_dense_and_those_of_the_seed(unbroken, tmp_path):
  settings, _ = unbroken
  other, again = tiny(tmp_path, epochs=1), tiny(tmp_path, epochs=1, seed=1)
  for each in (other, again):
    train.find(Run(each), quiet)
  initial = weights_of(settings, 'start.weights.h5')
  assert_same_bits(initial, weights_of(other, 'start.weights.h5'))
  differ = [path for path, value in weights_of(again, 'start.weights.h5').items()
            if not np.array_equal(value, initial[path])]
  assert len(differ) == 3, 'every kernel, and nothing else'


def test_the_same_settings_give_the_same_bits(unbroken, tmp_path):
  settings, record = unbroken
  again = tiny(tmp_path)
  second = train.train(again, quiet)
  assert_same_bits(weights_of(settings), weights_of(again))
  assert record.mask == second.mask and record.final_accuracy == second.final_accuracy
  assert weights_of(settings).keys() and not np.array_equal(
      *(next(iter(weights_of(each, name).values())) for each, name in
        ((settings, 'final.weights.h5'), (settings, 'start.weights.h5'))))


@pytest.mark.parametrize('where', ['mask', 'first epoch', 'between metrics and checkpoint', 'after training', 'export'])
def test_a_run_that_breaks_goes_on_to_the_same_bits(where, unbroken, tmp_path, monkeypatch):
  class Broken(BaseException):
    """Like a signal: nothing may catch it."""

  def breaks(*_, **__):
    raise Broken

  saves = []

  def breaks_at_the_second(self, epoch):
    saves.append(epoch)
    if len(saves) == 2:
      raise Broken
    save(self, epoch)

  save = stages.checkpoints.Checkpoints.save
  with monkeypatch.context() as patch:
    {'mask': lambda: patch.setattr(ticket_stage.tickets, 'find_ticket', breaks),
     'first epoch': lambda: patch.setattr(training.callbacks.MetricsLog, 'on_epoch_end', breaks),
     'between metrics and checkpoint': lambda: patch.setattr(stages.checkpoints.Checkpoints, 'save',
                                                             breaks_at_the_second),
     'after training': lambda: patch.setattr(stages.evaluation, 'judge', breaks),
     'export': lambda: patch.setattr(stages.records, 'write', breaks)}[where]()
    with pytest.raises(Broken):
      train.train(tiny(tmp_path), quiet)
  record = train.train(tiny(tmp_path), quiet)
  assert_same_bits(weights_of(unbroken[0]), weights_of(tiny(tmp_path)))
  assert record.final_accuracy == unbroken[1].final_accuracy
  lines = (Run(tiny(tmp_path)).folder.path / 'metrics.jsonl').read_text().splitlines()
  assert [json.loads(line)['epoch'] for line in lines] == [1, 2, 3]
  assert not [path for path in Run(tiny(tmp_path)).folder.path.rglob('*.tmp.*')]


def test_a_finished_run_is_found(unbroken, monkeypatch):
  settings, record = unbroken
  monkeypatch.setattr(train, '_load_dataset', None)
  said = []
  assert train.train(settings, said.append) == record
  assert said == [f'{Run(settings).folder.path}: already done']


def test_a_record_without_weights_is_a_finished_run(tmp_path, monkeypatch):
  monkeypatch.setattr(train, '_load_dataset', None)
  run = Run(tiny(tmp_path))
  run.folder.path.mkdir()
  records.write(run.folder.path, example_records.record(run))
  assert train.train(run.settings, quiet) == example_records.record(run)


def test_work_that_another_process_has_done_meanwhile_is_not_done_again(tmp_path, monkeypatch):
  monkeypatch.setattr(stages.Stages, 'finish', lambda self: pytest.fail('the work was done'))
  run, said = Run(tiny(tmp_path)), []

  def say(line):
    said.append(line)
    records.write(run.folder.path, example_records.record(run))  # As the other process does at its end.
    other.release()

  run.folder.path.mkdir()
  other = filelock.FileLock(run.folder.lock)
  with other:
    assert train.train(run.settings, say) == example_records.record(run)
  assert said == [f'{run.folder}: another process is at work here; waiting for it']


def test_what_a_run_was_begun_on_stays(tmp_path):
  assert stages._keep(tmp_path / 'environment.json', {'commit': 'first'}) == {'commit': 'first'}
  assert stages._keep(tmp_path / 'environment.json', {'commit': 'second'}) == {'commit': 'first'}


def test_a_rule_that_does_not_prune_is_one_run_at_every_ratio(tmp_path):
  record = train.train(tiny(tmp_path, pruner='dense', ratio=0.9, epochs=1), quiet)
  assert train.train(tiny(tmp_path, pruner='dense', ratio=0.5, epochs=1, allocation='erk'), quiet) == record
  assert len(list(tmp_path.iterdir())) == 1
  assert all(layer.kept == layer.weights for layer in record.layers)
  assert record.settings.ratio == 0.0


def check_trained(settings):
  mask = load_mask(Run(settings).folder.path / 'mask.npz')
  final = tf.saved_model.load(str(Run(settings).folder.path / 'ticket'))
  zeros = sum(int(np.count_nonzero(variable.numpy() == 0)) for variable in final.variables if 'kernel' in variable.name)
  assert zeros == mask.size - mask.kept


@pytest.mark.parametrize('changes', [
    {'steps_per_execution': 3}, {'jit': True},
    {'mixed_precision': 'bfloat16'}, {'mixed_precision': 'float16'}, {'validation_split': 0.2, 'augmentation': 'none'},
    {'pruner': 'magnitude', 'allocation': 'erk', 'tensorboard': True, 'progress': True, 'model': 'vgg11'}],
    ids=lambda changes: '-'.join(changes))
def test_ways_to_train(changes, tmp_path):
  settings = tiny(tmp_path, epochs=2, **changes)
  record = train.train(settings, quiet)
  check_trained(settings)
  assert record.best_on == ('validation' if settings.validation_split else 'test')
  assert Run(settings).folder.correct_validation.exists() == bool(settings.validation_split)
  if settings.validation_split:
    right = correct.read(Run(settings).folder.correct_validation, record.dataset.validation)
    last = json.loads(Run(settings).folder.metrics.read_text().splitlines()[-1])
    assert right.final.mean() == pytest.approx(last['evaluation_accuracy'], abs=1e-6)
    assert not np.array_equal(right.final, right.settled), 'after two epochs running statistics lag behind'
  assert (Run(settings).folder.path / 'tensorboard').exists() == settings.tensorboard


def test_two_replicas_see_the_batches_of_one(unbroken, tmp_path):
  (alone, first), shared = unbroken, tiny(tmp_path, strategy='mirrored', replicas=2)
  assert train.train(shared, quiet).mask == first.mask
  check_trained(shared)
  # Batch norm takes each replica's own half, so the weights agree in their start and their data, not in their bits.
  losses = [[json.loads(line)['loss'] for line in (Run(each).folder.path / 'metrics.jsonl').read_text().splitlines()]
            for each in (alone, shared)]
  # If both replicas saw the same half of each batch, they would be three times as far apart.
  np.testing.assert_allclose(*losses, rtol=1e-3)


def test_settings_that_cannot_be_leave_nothing_behind(tmp_path):
  for changes, expected in [
      ({'strategy': 'mirrored', 'replicas': 2, 'batch_size': 31}, 'cannot be shared equally by 2 replicas'),
      ({'dataset': 'folder'}, 'needs --data_dir'),
      ({'model': 'resnet9'}, 'depth must be 6n'),
      ({'train_examples': 5000}, '--train_examples=5000')]:
    with pytest.raises(UsageError, match=expected):
      train.train(tiny(tmp_path / 'runs', **changes), quiet)
  assert not (tmp_path / 'runs').exists()


def test_a_folder_that_cannot_be_written(tmp_path):
  (tmp_path / 'file').write_text('')
  with pytest.raises(UsageError, match=r'--output_dir=.*file: cannot be written to'):
    train.train(tiny(tmp_path / 'file'), quiet)


def test_evaluate_agrees(unbroken):
  settings, record = unbroken
  found = evaluate.evaluate(Run(settings).folder.path)
  assert found.agrees and found.figures[0] == evaluate.Figure(
      'test accuracy', f'{record.final_accuracy:.2%}', f'{record.final_accuracy:.2%}', True)
  with pytest.raises(UsageError, match=r'holds no record.json'):
    evaluate.evaluate(Run(settings).folder.path.parent)


def test_a_damaged_checkpoint_is_named(tmp_path, monkeypatch):
  with monkeypatch.context() as patch:
    patch.setattr(stages.evaluation, 'judge', lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
      train.train(tiny(tmp_path, epochs=1), quiet)
  for path in (Run(tiny(tmp_path, epochs=1)).folder.path / 'checkpoints').glob('*.data*'):
    path.write_bytes(path.read_bytes()[:100])
  with pytest.raises(tickets_tf.errors.TicketsError, match=r'checkpoints.*cannot be restored'):
    train.train(tiny(tmp_path, epochs=1), quiet)


def test_what_is_on_a_path_is_in_the_record(unbroken):
  settings, record = unbroken
  mask = load_mask(Run(settings).folder.path / 'mask.npz')
  expected = tickets_tf.models.collapse(tickets_tf.build_model(small_network.NAME, (8, 8, 1), 10, width=4), mask)
  assert record.collapse == expected
  assert expected.connected and 0.8 <= expected.effective_sparsity < 1


def test_a_collapsed_ticket_is_trained_or_refused(tmp_path, monkeypatch):
  collapsed, said, warned = tiny(tmp_path, epochs=1, ratio=0.999, allocation='uniform'), [], []
  monkeypatch.setattr(stages.logging, 'warning', lambda message, *values: warned.append(message % values))
  refused = 'has collapsed: no path .* layers that kept nothing: conv1, '
  with pytest.raises(tickets_tf.errors.TicketsError, match=refused):
    train.train(dataclasses.replace(collapsed, on_collapse='fail'), said.append)
  assert not (Run(collapsed).folder.path / 'metrics.jsonl').exists()
  units = 'units are on no path from input to output (conv1 4, '
  assert any(units in line and 'effective sparsity 1.0000' in line for line in said)
  record = train.train(collapsed, said.append)
  assert warned[-1].startswith('the ticket has collapsed: no path')
  collapse = record.collapse
  assert 'conv1' in collapse.empty_layers and collapse.connected is False and collapse.effective_kept == 0


def test_a_network_whose_paths_are_unknown_has_not_collapsed():
  said = []
  stages._report_collapse(Collapse([], None, None, None, None, []), 'fail', said.append)
  assert not said


def test_a_ticket_in_one_piece_is_not_refused(tmp_path):
  said = []
  train.train(tiny(tmp_path, epochs=1, pruner='dense', on_collapse='fail'), said.append)
  assert not any('no path' in line for line in said)
