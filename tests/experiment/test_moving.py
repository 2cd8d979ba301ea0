"""Runs whose mask changes in training: what is promised after each change, killed runs, replicas, and the record."""

import functools
import json

import numpy as np
import pytest

from tests import small_network
import tickets_tf
from tickets_tf.errors import UsageError
from tickets_tf.pruning.mask import load_mask
from tickets_tf.pruning.mask_updates import Timing
from tickets_tf.runs import records
from tickets_tf.runs.run import Run
from tickets_tf.training import callbacks

RATIO = 0.9
MOVING = pytest.mark.parametrize('pruner', ['gradual', 'set', 'rigl'])


@pytest.fixture(scope='module', autouse=True)
def known():
  with small_network.known():
    yield


def tiny(folder, **changes):
  """Five epochs of five steps; the mask changes before each, and within epochs, until step 18."""
  return tickets_tf.Settings(**{
      'model': small_network.KNOWN, 'width': 4, 'train_examples': 160, 'batch_size': 32, 'epochs': 5,
      'ratio': RATIO, 'update_every': '3steps', 'progress': False, 'tensorboard': False, 'export': False,
      'checkpoint_seconds': 0.0, 'output_dir': str(folder), **changes})


def silently(settings):
  return tickets_tf.train(settings, say=lambda line: None)


@pytest.fixture(scope='module')
def made(tmp_path_factory):
  """A function from a rule's name to the record of its run, and the run."""
  @functools.cache
  def of(pruner):
    settings = tiny(tmp_path_factory.mktemp('moving'), pruner=pruner, tensorboard=pruner == 'gradual')
    return silently(settings), Run(settings)

  return of


@MOVING
def test_the_promised_weights_are_kept_after_every_change(pruner, made):
  record, run = made(pruner)
  size = record.weights
  assert [change.step for change in record.mask_history] == [0, 3, 6, 9, 12, 15, 18]
  assert record.kept == int(size * (1 - RATIO)) and record.mask_history[-1].kept == tuple(
      layer.kept for layer in record.layers)
  update = run.rule.update
  for change in record.mask_history:
    ratio = RATIO + (update.first_ratio(RATIO) - RATIO) * (1 - change.step / 18)**3
    assert sum(change.kept) == pytest.approx(size * (1 - ratio), abs=1)
    assert change.removed == change.grown or not update.grows
  grown = [change.grown for change in record.mask_history]
  assert (grown[0] > 0) == update.grows and grown[-1] == 0, 'at the last step the share is zero'
  assert sum(record.mask_history[-1].kept) == int(size * (1 - RATIO)), 'exactly'


@MOVING
def test_what_a_run_leaves(pruner, made):
  record, run = made(pruner)
  final, first = load_mask(run.folder.final_mask), load_mask(run.folder.mask)
  assert run.folder.final_mask == run.folder.trained_mask and final.digest() == record.mask != first.digest()
  assert first.kept == (first.size if run.rule.update.starts_dense else final.kept)
  assert record.rule.mask_updates == run.settings.pruner and not run.folder.checkpoints.exists()
  assert records.read(run.folder.path) == record
  lines = [json.loads(line) for line in run.folder.mask_history.read_text().splitlines()]
  assert [line['step'] for line in lines] == [change.step for change in record.mask_history]


def test_tfmot_shows_the_sparsity_of_every_epoch(made):
  import tensorflow as tf
  record, run = made('gradual')
  found = {}
  for path in (run.folder.tensorboard / 'metrics').iterdir():
    for event in tf.compat.v1.train.summary_iterator(str(path)):
      found |= {(value.tag, event.step): float(tf.make_ndarray(value.tensor)) for value in event.summary.value
                if value.tag.endswith('conv2/mask:0/sparsity')}
  # At the start of an epoch the mask is still the one that the epoch before was trained with.
  kept = {0: 288, **{epoch * 5: [change.kept[1] for change in record.mask_history if change.step < epoch * 5][-1]
                     for epoch in range(1, 5)}}
  assert {step: round(288 * (1 - sparsity)) for (_, step), sparsity in found.items()} == kept


@MOVING
def test_killed_it_resumes_to_the_same_bits(pruner, made, tmp_path, monkeypatch):
  class Killed(BaseException):
    pass

  record, _ = made(pruner)
  end = callbacks.SaveCheckpoint.on_epoch_end

  def killed_in_the_third(self, epoch, logs=None):
    if epoch == 2:
      raise Killed
    end(self, epoch, logs)

  settings = tiny(tmp_path, pruner=pruner)
  with monkeypatch.context() as patch:
    patch.setattr(callbacks.SaveCheckpoint, 'on_epoch_end', killed_in_the_third)
    with pytest.raises(Killed):
      silently(settings)
  resumed = silently(settings)
  assert (resumed.mask, resumed.mask_history) == (record.mask, record.mask_history)
  assert resumed.test_loss == record.test_loss and resumed.final_accuracy == record.final_accuracy


def test_two_replicas_and_calls_of_many_steps_keep_the_same_numbers(made, tmp_path):
  """Sums differ in their last bits, so that single weights may change places."""
  record, _ = made('rigl')
  for number, changes in enumerate(({'strategy': 'mirrored', 'replicas': 2},
                                    {'jit': True, 'steps_per_execution': 5, 'update_every': '5steps'})):
    other = silently(tiny(tmp_path / str(number), pruner='rigl', **changes))
    assert other.kept == record.kept and all(sum(each.kept) == record.kept for each in other.mask_history)
    assert other.mask_history[0].grown == record.mask_history[0].grown


def test_random_tickets_with_the_layer_ratios_of_a_mask_that_moved(made):
  record, run = made('gradual')
  other = silently(tiny(run.settings.output_dir, pruner='random', allocation='like:gradual'))
  assert [layer.kept for layer in other.layers] == [layer.kept for layer in record.layers]
  assert other.mask != record.mask and not other.mask_history


def test_a_step_within_a_call_is_refused(tmp_path):
  settings = tiny(tmp_path, pruner='rigl', steps_per_execution=2)
  with pytest.raises(UsageError, match='--steps_per_execution=2: the mask changes before step 3 of an epoch'):
    silently(settings)
  assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('changes, message', [
    ({'check': 'rearrange'}, r'--check=rearrange: .*--allocation=like:rigl'),
    ({'rounds': 3}, r'--rounds=3: the mask changes in rounds of its own \(--mask_updates=rigl\); expected --rounds=1'),
    ({'pattern': '1x4'}, r'--pattern=1x4: weights that come back \(--mask_updates=rigl\) keep no pattern'),
    ({'update_options': 'much=1'}, r"--update_options=much=1: unknown option 'much'; known: grow, share"),
])
def test_what_does_not_go_together(changes, message, tmp_path):
  with pytest.raises(UsageError, match=message):
    Run(tiny(tmp_path, pruner='rigl', **changes))


def test_times_are_part_of_a_run_only_if_its_mask_changes(tmp_path):
  assert Run(tiny(tmp_path, pruner='snip')) == Run(tiny(tmp_path, pruner='snip', update_every='1'))
  assert Run(tiny(tmp_path, pruner='rigl')) != Run(tiny(tmp_path, pruner='rigl', update_every='1'))
  assert Run(tiny(tmp_path, pruner='static', mask_updates='rigl')).rule.update.grows


def test_gradual_pruning_has_the_masks_of_tfmot(small_model):
  """Layer by layer, at every step of the schedule; weights stay as they are, so that both see the same."""
  import tensorflow as tf
  import tensorflow_model_optimization as tfmot
  from tensorflow_model_optimization.python.core.sparsity.keras import pruning_impl

  from tickets_tf import sparse
  from tickets_tf.experiment import tickets
  timing, ratio = Timing(2, 11, 3), 0.9
  schedule = sparse.update_schedule(timing, 0.0, ratio)
  theirs = tfmot.sparsity.keras.PolynomialDecay(0.0, ratio, 2, 11, frequency=3)
  assert schedule.get_config() == theirs.get_config()
  kernels = tickets_tf.prunable_kernels(small_model)
  mask = tickets_tf.Mask.dense(kernels)
  for step in range(14):
    due, asked = schedule(tf.constant(step, tf.int64))
    assert bool(due) == (step in (2, 5, 8, 11))
    if not due:
      continue
    mask = tickets.find_ticket(small_model, 'magnitude', float(asked), allocation='per_layer', start=mask).mask
    for kernel in kernels:
      weight, held = tf.Variable(kernel.variable), tf.Variable(tf.ones(kernel.shape))
      threshold = tf.Variable(0.0)
      pruning_impl.Pruning(lambda step=step: tf.constant(step, tf.int64), [(weight, held, threshold)], theirs, [1, 1],
                           'AVG').conditional_mask_update()
      differ = np.count_nonzero((held.numpy() > 0) != mask[kernel.name])
      assert differ <= 1, 'tfmot rounds in each layer; the total here is exact'
  assert mask.kept == int(mask.size * (1 - float(asked)))
