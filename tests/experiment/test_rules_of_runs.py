"""Rules that train before they score, rounds, and checks, as whole runs on small real data."""

import dataclasses
import shutil

import numpy as np
import pytest

from tests import small_network
from tests import weights_files
import tickets_tf
from tickets_tf import data
from tickets_tf.runs.run import Run
from tickets_tf.runs import records
from tickets_tf.experiment import ticket_stage
from tickets_tf.experiment import train as experiment
from tickets_tf.export import bundle
from tickets_tf.models import prunable_kernels
from tickets_tf.errors import TicketsError
from tickets_tf.errors import UsageError
from tickets_tf.pruning.mask import load_mask
from tickets_tf.scores import rounds as scores_of_rounds

TINY = tickets_tf.Settings(model=small_network.NAME, width=4, train_examples=160, batch_size=32, epochs=3, ratio=0.8,
                           progress=False, tensorboard=False, export=False, samples_per_class=2)


@pytest.fixture(scope='module')
def tiny(tmp_path_factory):
  """A function from changes to the settings of a run; all runs of this file share what they can."""
  folder = str(tmp_path_factory.mktemp('runs'))
  with small_network.known():
    yield lambda **changes: dataclasses.replace(TINY, **{'model': small_network.KNOWN, 'output_dir': folder, **changes})


def train(settings):
  return experiment.train(settings, lambda line: None)


def weights(settings, name='final.weights.h5'):
  return weights_files.read(Run(settings).folder.path / name)


def mask_of(settings):
  return load_mask(Run(settings).folder.path / 'mask.npz')


def equal(first, second):
  return all(np.array_equal(value, second[path]) for path, value in first.items())


def test_rewinding_takes_back_every_variable(tiny):
  dense = tiny(pruner='dense')
  for pruner, source, name in [('lottery', dense, 'start.weights.h5'), ('lr_rewinding', dense, 'final.weights.h5'),
                               ('weight_rewinding', tiny(pruner='dense', stop_epoch=1), 'final.weights.h5')]:
    train(tiny(pruner=pruner))
    start = weights(tiny(pruner=pruner), 'start.weights.h5')
    assert equal(start, weights(source, name)), pruner
    assert len(start) == 12, 'three kernels, a bias, and four arrays of each batch norm, its statistics included'
  lottery = mask_of(tiny(pruner='lottery'))
  assert lottery == mask_of(tiny(pruner='lr_rewinding')) == mask_of(tiny(pruner='weight_rewinding'))
  assert not equal(weights(dense), weights(dense, 'start.weights.h5'))


def test_a_ticket_that_was_scored_late_can_be_rewound_to_epoch_0(tiny):
  settings = tiny(pruner='lottery', rewound_to='0', ratio=0.7)
  experiment.find(Run(settings), lambda line: None)
  assert equal(weights(settings, 'start.weights.h5'), weights(tiny(pruner='dense'), 'start.weights.h5'))


def test_stopping_early_is_the_start_of_the_whole_training(tiny):
  train(tiny(pruner='dense', stop_epoch=1))
  train(tiny(pruner='dense'))
  first, whole = ([line.split(', "seconds"')[0] for line in
                   (Run(each).folder.path / 'metrics.jsonl').read_text().splitlines()]
                  for each in (tiny(pruner='dense', stop_epoch=1), tiny(pruner='dense')))
  assert len(first) == 1 and len(whole) == 3 and first == whole[:1]


def test_the_learning_rate_starts_again(tiny):
  record = train(tiny(pruner='lr_rewinding'))
  import json
  lines = (Run(tiny(pruner='lr_rewinding')).folder.path / 'metrics.jsonl').read_text().splitlines()
  assert [json.loads(line)['learning_rate'] for line in lines] == [0.1, 0.01, 0.001]
  assert record.needed == (Run(tiny(pruner='dense')).name,)
  assert record.rule == records.Choices('magnitude', 'global_convolutions', 'trained', 'none', 1)


def test_a_trained_score_sees_the_trained_weights(tiny):
  train(tiny(pruner='hybrid'))
  trained, mask = weights(tiny(pruner='dense')), mask_of(tiny(pruner='hybrid'))
  model = tickets_tf.build_model(small_network.NAME, (8, 8, 1), 10, width=4)
  tickets_tf.training.checkpoints.load_weights(model, Run(tiny(pruner='dense')).folder.path / 'final.weights.h5')
  for kernel in tickets_tf.prunable_kernels(model):
    size, keep = np.abs(kernel.variable.numpy()), mask[kernel.name]
    if not keep.all():
      assert size[keep].min() >= size[~keep].max(), kernel.name
  assert trained and mask.kept == int(mask.size * (1 - 0.8))


def test_the_dense_network_is_trained_once(tiny, monkeypatch):
  train(tiny(pruner='lottery'))
  trained = []
  fit = experiment.training.train
  monkeypatch.setattr(experiment.training, 'train', lambda *args: trained.append(args[4].pruner) or fit(*args))
  train(tiny(pruner='lottery', ratio=0.6))
  train(tiny(pruner='obd', ratio=0.6))
  assert trained == ['lottery', 'obd']


def test_rounds_train_prune_and_rewind(tiny, monkeypatch):
  asked, find = [], ticket_stage.tickets.find_ticket
  monkeypatch.setattr(ticket_stage.tickets, 'find_ticket',
                      lambda model, rule, *args, **options: asked.append((rule.rounds, options['start'])) or find(
                          model, rule, *args, **options))
  last = tiny(pruner='lottery', rounds=2)
  train(last)
  first, = Run(last).before()
  assert asked[-1] == (1, mask_of(first.settings)), 'one more round, from what the round before kept'
  before, after = mask_of(first.settings), mask_of(last)
  assert (before.kept, after.kept) == (int(before.size * (1 - first.settings.ratio)), int(before.size * (1 - 0.8)))
  assert not any(np.any(new & ~old) for new, old in zip(after.arrays, before.arrays, strict=True))
  assert equal(weights(last, 'start.weights.h5'), weights(tiny(pruner='dense'), 'start.weights.h5'))
  train(tiny(pruner='lottery'))
  assert after != mask_of(tiny(pruner='lottery')), 'the weights between were trained again'


@pytest.mark.parametrize('pruner', ['snip', 'lottery'])
@pytest.mark.parametrize('check', ['random_labels', 'random_pixels', 'half_dataset'])
def test_checks_of_the_data_change_what_the_rule_sees_and_not_the_training(check, pruner, tiny):
  record, original = train(tiny(pruner=pruner, check=check)), train(tiny(pruner=pruner))
  assert record.proof and record.needed == (() if pruner == 'snip' else (
      Run(tiny(pruner='dense', trained_on=check)).name,))
  if pruner == 'snip':
    assert record.mask != original.mask
  else:  # So short a training need not change the order of the weights' sizes.
    assert not equal(weights(tiny(pruner='dense', trained_on=check)), weights(tiny(pruner='dense')))
  assert [layer.weights for layer in record.layers] == [layer.weights for layer in original.layers]
  assert sum(layer.kept for layer in record.layers) == sum(layer.kept for layer in original.layers)
  # Both start from the same initialisation, and learn from the true data.
  assert equal(weights(tiny(pruner=pruner, check=check), 'start.weights.h5'),
               weights(tiny(pruner=pruner), 'start.weights.h5'))
  assert record.dataset.train == 160


def test_a_rule_that_looks_at_nothing_finds_the_same_ticket(tiny):
  original = train(tiny(pruner='random'))
  checked = train(tiny(pruner='random', check='random_pixels'))
  assert original.mask == checked.mask and original.final_accuracy == checked.final_accuracy
  assert equal(weights(tiny(pruner='random')), weights(tiny(pruner='random', check='random_pixels')))


def test_pre_training_on_random_labels_learns_nothing_of_the_true_ones(tiny):
  train(tiny(pruner='lr_rewinding', check='random_labels'))
  dense = records.read(Run(tiny(pruner='dense', trained_on='random_labels')).folder.path)
  assert dense.settings.trained_on == 'random_labels' and dense.final_accuracy < 0.3
  assert equal(weights(tiny(pruner='lr_rewinding', check='random_labels'), 'start.weights.h5'),
               weights(tiny(pruner='dense', trained_on='random_labels')))


@pytest.mark.parametrize('check', ['rearrange', 'shuffle_weights', 'reinitialise', 'invert'])
def test_checks_of_the_ticket_change_one_thing(check, tiny):
  for pruner in ('snip', 'lr_rewinding'):
    original, checked = tiny(pruner=pruner), tiny(pruner=pruner, check=check)
    record = train(checked)
    train(original)
    before, after = mask_of(original), mask_of(checked)
    assert before.counts == after.counts and record.proof
    assert (before == after) == (check in ('shuffle_weights', 'reinitialise'))
    start, changed = weights(original, 'start.weights.h5'), weights(checked, 'start.weights.h5')
    assert equal(start, changed) == (check in ('rearrange', 'invert'))
    differ = {path for path, value in start.items() if not np.array_equal(value, changed[path])}
    assert len(differ) in (0, 3), 'kernels alone'


def test_a_checked_ticket_starts_from_all_weights_that_the_original_starts_from(tiny):
  # The scores of lottery tickets are those of trained weights, and the ticket starts from the initialisation.
  original, checked = tiny(pruner='lottery'), tiny(pruner='lottery', check='invert')
  train(checked)
  assert equal(weights(original, 'start.weights.h5'), weights(checked, 'start.weights.h5'))
  assert not equal(weights(original, 'start.weights.h5'), weights(tiny(pruner='dense')))
  assert mask_of(original) != mask_of(checked)


@pytest.mark.parametrize('changes, rounds_before', [
    ({'pruner': 'obd', 'scored_at': 'init', 'rewound_to': '1'}, None), ({'pruner': 'obd'}, 0),
    ({'pruner': 'obd', 'rounds': 2}, 1)])
def test_the_scores_of_a_check_are_those_that_the_rule_chose_by(changes, rounds_before, tiny, monkeypatch):
  scored, score_weights = [], ticket_stage.scoring.score_weights

  def watched(model, score, images, labels, seed, *args, **options):
    scored.append((model.get_weights(), score, seed, options))
    return score_weights(model, score, images, labels, seed, *args, **options)

  for place in (ticket_stage.scoring, scores_of_rounds):
    monkeypatch.setattr(place, 'score_weights', watched)
  settings = tiny(**changes, check='invert', seed=2, epochs=1, score_options='curvature=empirical')
  experiment.find(Run(settings), lambda line: None)
  model = tickets_tf.build_model(small_network.NAME, (8, 8, 1), 10, width=4)
  scored_run = Run(settings).original.scored
  assert (scored_run and scored_run.phase) == rounds_before
  tickets_tf.training.checkpoints.load_weights(
      model, scored_run.folder.final if scored_run else Run(settings).replace(pruner='dense', check='').folder.start)
  found, score, seed, options = scored[-1]
  if not rounds_before:
    assert len(scored) == 2 and all(map(np.array_equal, found, scored[0][0])), 'as the original'
  assert all(map(np.array_equal, found, model.get_weights()))
  assert (score, seed, options) == ('obd', 2, {'curvature': 'empirical'})


def test_a_check_finds_what_its_original_was_chosen_from_also_if_its_weights_are_missing(tiny, tmp_path):
  settings = dataclasses.replace(tiny(pruner='lottery', rounds=2, epochs=1), output_dir=str(tmp_path))
  train(settings)
  first = Run(settings).scored.folder
  first.final.unlink()
  record = train(dataclasses.replace(settings, check='invert'))
  assert record.needed == (Run(settings).name, first.path.name) and first.final.exists()


def test_random_labels_come_with_the_images_that_the_original_is_scored_by(tiny, monkeypatch):
  seen, find = [], ticket_stage.tickets.find_ticket

  def watched(model, rule, ratio, images, labels, *args, **kwargs):
    seen.append((images, labels))
    return find(model, rule, ratio, images, labels, *args, **kwargs)

  monkeypatch.setattr(ticket_stage.tickets, 'find_ticket', watched)
  for check in ('', 'random_labels'):
    experiment.find(Run(tiny(pruner='snip', check=check, seed=11)), lambda line: None)
  (images, labels), (images_of_checked, labels_of_checked) = seen
  np.testing.assert_array_equal(images, images_of_checked)
  assert np.bincount(labels, minlength=10).tolist() == [2] * 10, 'as many of each true class'
  assert np.any(np.asarray(labels) != np.asarray(labels_of_checked))


def test_the_best_epoch_is_chosen_on_held_out_images_if_there_are_any(tiny, monkeypatch):
  judged_on, fit = [], experiment.training.train

  def watched(model, mask, pipeline, judged, *args):
    judged_on.append((judged, pipeline))
    return fit(model, mask, pipeline, judged, *args)

  monkeypatch.setattr(experiment.training, 'train', watched)
  settings = tiny(pruner='random', validation_split=0.25, train_examples=0, epochs=1)
  record = train(settings)
  (judged, pipeline), = judged_on
  assert record.best_on == 'validation' and len(judged) == record.dataset.validation
  assert len(judged) not in (record.dataset.test, record.dataset.train)
  held_out, trained_on = ({image.tobytes() for image in each.images} for each in (judged, pipeline.examples))
  assert not held_out & trained_on
  assert (record.best_accuracy * len(judged)) == pytest.approx(round(record.best_accuracy * len(judged)), abs=1e-2)
  # The final accuracy is that on the test set all the same.
  model = tickets_tf.build_model(small_network.NAME, (8, 8, 1), 10, width=4)
  tickets_tf.training.checkpoints.load_weights(model, Run(settings).folder.final)
  digits = data.load_dataset('digits', None)
  logits = model(data.normalise(digits.test.images, digits.mean, digits.std), training=False)
  assert record.final_accuracy == pytest.approx(np.mean(np.argmax(logits, axis=1) == digits.test.labels), abs=1e-6)


def test_the_original_is_found_and_not_trained_for_its_checks(tiny):
  settings = tiny(pruner='grasp', check='rearrange')
  train(settings)
  folder = Run(settings).original.folder.path
  assert (folder / 'mask.npz').exists() and not (folder / 'metrics.jsonl').exists()
  assert train(Run(settings).original.settings).mask == load_mask(folder / 'mask.npz').digest()


def test_a_mask_from_a_file(tiny, tmp_path):
  record = train(tiny(pruner='magnitude'))
  for path in (tmp_path / 'mask.npz', tmp_path / 'mask.safetensors'):
    mask_of(tiny(pruner='magnitude')).save(path)
    given = train(tiny(pruner='given', mask=str(path)))
    assert given.mask == record.mask and given.final_accuracy == record.final_accuracy
  checked = train(tiny(pruner='given', mask=str(path), check='rearrange'))
  assert checked.mask != record.mask
  with pytest.raises(TicketsError, match='a mask from a file has none'):
    train(tiny(pruner='given', mask=str(path), check='invert'))


def test_options_reach_score_and_allocation(tiny):
  fisher, empirical = (train(tiny(pruner='obd', scored_at='init', rewound_to='init', score_options=options)).mask
                       for options in ('', 'curvature=empirical'))
  assert fisher != empirical
  record = train(tiny(pruner='random', allocation_options='linear_keep_ratio=0.1'))
  assert record.layers[-1].kept == int(0.1 * record.layers[-1].weights)
  with pytest.raises(TicketsError, match='curvature \'wrong\': expected one of'):
    train(tiny(pruner='obd', score_options='curvature=wrong'))


def test_what_was_trained_before_leaves_no_trace(tiny, tmp_path):
  experiment.training.loop._compiled.clear()
  fresh = dataclasses.replace(tiny(pruner='random', seed=9), output_dir=str(tmp_path))
  train(fresh)
  experiment.training.loop._compiled.clear()
  train(tiny(pruner='dense', seed=3))
  assert len(experiment.training.loop._compiled) == 1
  train(tiny(pruner='random', seed=9))
  assert equal(weights(fresh), weights(tiny(pruner='random', seed=9)))


def test_a_small_dense_network_is_as_large_as_the_ticket(tiny):
  lines = []
  settings = tiny(pruner='narrow', epochs=1)
  record = experiment.train(settings, lines.append)
  found, folder = record.narrowed, Run(settings).folder
  assert (found.of_width, found.match) == (4, 'weights') and found.width < 4
  assert record.kept == record.weights == found.found and found.told() in lines
  assert record.layers[0].shape[-1] == found.width and any(f'of width {found.width} ' in line for line in lines)
  assert records.to_json(record)['narrowed'] == dataclasses.asdict(found) and records.read(folder.path) == record
  exported, _ = bundle._network(folder, record, bundle._dataset(settings, bundle.Options()), bundle.Options())
  assert sum(kernel.size for kernel in prunable_kernels(exported)) == found.found


@pytest.mark.parametrize('pattern', ['1x4', '2:4'])
def test_a_pattern_holds_through_rounds_training_and_checks(tiny, pattern):
  patterned = tiny(pruner='lr_rewinding', pattern=pattern, rounds=2)
  record = train(patterned)
  free = train(tiny(pruner='lr_rewinding'))
  assert record.needed != free.needed and record.pattern.name == pattern
  whole = [layer.name for layer in record.layers if layer.kept > layer.weights / 2]
  assert set(record.pattern.broken_by) <= set(whole if pattern == '2:4' else [])
  assert free.pattern == records.PatternKept('unstructured', ())
  rearranged = train(dataclasses.replace(patterned, check='rearrange'))
  assert rearranged.pattern == record.pattern and rearranged.mask != record.mask
  assert Run(tiny(pruner='dense', pattern=pattern)) == Run(tiny(pruner='dense'))


def test_a_given_mask_takes_no_pattern(tiny, tmp_path):
  mask_of(tiny(pruner='lottery')).save(tmp_path / 'mask.npz')
  with pytest.raises(UsageError, match='--pattern=2:4: the mask of --mask is given'):
    Run(tiny(pruner='given', mask=str(tmp_path / 'mask.npz'), pattern='2:4'))


def test_records_without_weights_are_enough_to_go_on_from(tiny, tmp_path):
  here, there = (dataclasses.replace(tiny(pruner='lr_rewinding', seed=5), output_dir=str(tmp_path / name))
                 for name in ('here', 'there'))
  dense, checked = ({'pruner': 'dense'}, {'check': 'rearrange'})
  train(here)
  shutil.copytree(tmp_path / 'here', tmp_path / 'there', ignore=shutil.ignore_patterns('*.h5'))
  train(dataclasses.replace(here, **checked))
  train(dataclasses.replace(there, **checked))
  for changes in (dense, checked):
    assert equal(weights(dataclasses.replace(here, **changes)), weights(dataclasses.replace(there, **changes)))
  assert not (Run(there).folder.path / 'final.weights.h5').exists(), 'nothing goes on from it'
