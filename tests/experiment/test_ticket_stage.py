"""What reaches the search for a ticket from a run's settings and from the runs before it; nothing is trained here."""

import dataclasses

import numpy as np
import pytest
import safetensors.numpy

from tests import weights_files
import tickets_tf
from tickets_tf import data
from tickets_tf.errors import UsageError
from tickets_tf.experiment import networks
from tickets_tf.experiment import stages
from tickets_tf.experiment import ticket_stage
from tickets_tf.experiment import train
from tickets_tf.models import prunable_kernels
from tickets_tf.models import sparse_init
from tickets_tf.pruning.mask import load_mask
from tickets_tf.runs.run import Run


@pytest.fixture
def tiny(tmp_path):
  """A function from settings to a small run."""
  base = tickets_tf.Settings(model='resnet8', width=4, train_examples=160, batch_size=32, epochs=3, ratio=0.8,
                             progress=False, tensorboard=False, export=False, samples_per_class=2,
                             output_dir=str(tmp_path))
  return lambda **changes: Run(dataclasses.replace(base, **changes))


@pytest.fixture
def asked(monkeypatch):
  """The arguments of every search for a ticket."""
  calls, find = [], ticket_stage.tickets.find_ticket

  def watched(model, rule, ratio, images, labels, seed, **options):
    calls.append({'rule': rule, 'images': np.asarray(images), 'seed': seed, **options})
    return find(model, rule, ratio, images, labels, seed, **options)

  monkeypatch.setattr(ticket_stage.tickets, 'find_ticket', watched)
  return calls


def mask_of(run):
  train.find(run, lambda line: None)
  return load_mask(run.folder.mask)


def test_the_seed_decides_the_ticket_and_the_images_that_it_is_scored_by(tiny, asked):
  assert mask_of(tiny(pruner='random', seed=1)) != mask_of(tiny(pruner='random', seed=2))
  for seed in (1, 2):
    mask_of(tiny(pruner='snip', seed=seed))
  assert [each['seed'] for each in asked] == [1, 2, 1, 2]
  assert not np.array_equal(asked[2]['images'], asked[3]['images'])


def test_another_order_leaves_the_ticket_and_another_initialisation_the_images(tiny, asked):
  runs = [tiny(pruner='snip', **changes) for changes in ({}, {'order_seed': 5}, {'init_seed': 5})]
  plain, ordered, initialised = map(mask_of, runs)
  assert plain == ordered != initialised
  first, second, third = (weights_files.read(run.folder.start) for run in runs)
  assert all(np.array_equal(value, second[name]) for name, value in first.items())
  assert not all(np.array_equal(value, third[name]) for name, value in first.items())
  assert all(np.array_equal(asked[0]['images'], each['images']) for each in asked)


def test_regrowing_reaches_the_search(tiny, asked):
  mask_of(tiny(pruner='snip', rounds=2, regrow=True))
  mask_of(tiny(pruner='snip', rounds=2))
  assert [each['regrow'] for each in asked] == [True, False]
  assert [each['rule'].rounds for each in asked] == [2, 2]


def test_the_seed_decides_what_a_check_does():
  digits = data.load_dataset('digits', None, 0, 160)
  plain, again, other = (ticket_stage.changed_data('random_labels', digits, seed)[0].train.labels for seed in (0, 0, 1))
  np.testing.assert_array_equal(plain, again)
  assert not np.array_equal(plain, other)


def test_the_seed_decides_how_a_ticket_is_changed(tiny, tmp_path):
  mask = mask_of(tiny(pruner='magnitude'))
  mask.save(tmp_path / 'mask.npz')
  first, other = (mask_of(tiny(pruner='given', mask=str(tmp_path / 'mask.npz'), check='rearrange', seed=seed))
                  for seed in (1, 2))
  assert first != other and first.counts == other.counts == mask.counts


def test_pre_training_sees_the_data_that_its_seed_changes(tiny, monkeypatch):
  seen, pipeline = [], networks.pipeline
  monkeypatch.setattr(networks, 'pipeline', lambda run, dataset, strategy: seen.append(dataset) or pipeline(
      run, dataset, strategy))
  mask_of(tiny(pruner='dense', trained_on='random_labels', seed=3))
  digits = data.load_dataset('digits', None, 0, 160)
  np.testing.assert_array_equal(seen[0].train.labels,
                                ticket_stage.changed_data('random_labels', digits, 3)[0].train.labels)


def test_the_layout_of_a_mask_is_that_of_the_settings(tiny, tmp_path):
  mask = mask_of(tiny(pruner='magnitude'))
  path = tmp_path / 'theirs.safetensors'
  safetensors.numpy.save_file({f'{name}.weight': keep.astype(np.float32) for name, keep in mask.items()}, path)
  given = {'pruner': 'given', 'mask': str(path)}
  assert mask_of(tiny(**given)) == mask_of(tiny(**given, mask_layout='keras')) == mask
  with pytest.raises(UsageError, match=r'theirs\.safetensors'):
    mask_of(tiny(**given, mask_layout='torch'))


def test_the_mask_is_the_last_file_of_a_ticket(tiny, monkeypatch):
  written = []
  save_weights, save_mask = ticket_stage.checkpoints.save_weights, tickets_tf.Mask.save
  monkeypatch.setattr(ticket_stage.checkpoints, 'save_weights',
                      lambda model, path: written.append(path.name) or save_weights(model, path))
  monkeypatch.setattr(tickets_tf.Mask, 'save', lambda mask, path: written.append(path.name) or save_mask(mask, path))
  mask_of(tiny(pruner='random'))
  assert written == ['start.weights.h5', 'mask.npz']


def test_a_ticket_that_was_found_needs_nothing_before_it(tiny, monkeypatch):
  run = tiny(pruner='snip', check='rearrange')
  mask_of(run)
  monkeypatch.setattr(train, '_do_before', lambda *_: pytest.fail('the runs before have done their part'))
  resumed = []
  monkeypatch.setattr(stages.Stages, 'finish', lambda self: resumed.append(self.run))
  train._do(run, type(run.folder).is_done, stages.Stages.finish, lambda line: None)
  assert resumed == [run]


@pytest.mark.parametrize('deterministic', [True, False])
def test_operations_are_deterministic_if_that_is_asked_for(deterministic, tiny, monkeypatch):
  called = []
  monkeypatch.setattr(train.tf.config.experimental, 'enable_op_determinism', lambda: called.append(True))
  mask_of(tiny(pruner='random', deterministic=deterministic))
  assert called == [True] * deterministic


def test_what_xla_cannot_compile_leaves_nothing_behind(tiny, monkeypatch):
  def refuse(model, deterministic):
    raise UsageError(f'refused {model.name} {deterministic}')

  monkeypatch.setattr(train.training, 'check_jit', refuse)
  with pytest.raises(UsageError, match='refused resnet8 True'):
    mask_of(tiny(pruner='random', jit=True))
  assert not tiny(pruner='random', jit=True).folder.path.exists()
  mask_of(tiny(pruner='random'))


def test_random_tickets_take_the_layer_ratios_of_a_rule_or_a_mask(tiny):
  snip, like = tiny(pruner='snip'), tiny(pruner='random', allocation='like:snip')
  mask = mask_of(like)
  assert not snip.folder.is_trained(), 'its ticket is all that is needed'
  found = load_mask(snip.folder.mask)
  assert mask.counts == found.counts and mask != found
  assert mask.counts != mask_of(tiny(pruner='random')).counts
  of_file = tiny(pruner='magnitude', allocation=f'like:{snip.folder.mask}')
  assert mask_of(of_file).counts == found.counts
  rounds = tiny(pruner='synflow', rounds=3, allocation=f'like:{snip.folder.mask}')
  assert mask_of(rounds).counts == found.counts, 'earlier rounds keep more of every layer'
  with pytest.raises(UsageError, match=r'mask keeps .* and --ratio=0.9 keeps .*; expected a ratio of 0.80'):
    mask_of(tiny(allocation=f'like:{snip.folder.mask}', ratio=0.9))


def test_weights_are_scaled_at_the_start_alone_and_a_check_by_its_own_mask(tiny):
  plain, scaled = tiny(pruner='snip'), tiny(pruner='snip', sparse_init=True)
  checked = tiny(pruner='snip', sparse_init=True, check='rearrange')
  mask, moved = mask_of(scaled), mask_of(checked)
  assert mask == mask_of(plain) != moved, 'scores see the weights as they are drawn'
  model = networks.network(plain, data.load_dataset('digits', None, 0, 160), train.training.make_strategy(), 'any')
  kernels = prunable_kernels(model)

  def start(run):
    ticket_stage.read(run, model)
    return ticket_stage._values(model)

  initial, names = start(plain), [kernel.name for kernel in kernels]
  for run, of_mask in ((scaled, mask), (checked, moved)):
    found, expected = start(run), sparse_init.scaled(kernels, initial, of_mask)
    assert all(np.array_equal(found[name], expected[name]) for name in found)
    assert not any(np.array_equal(found[name], initial[name]) for name in names)
  assert all(np.array_equal(found[name], initial[name]) for name in found if name not in names)


@pytest.mark.parametrize('pruner', ['lr_rewinding', 'gradual'])
def test_weights_are_scaled_if_they_are_fresh_and_sparse(pruner, tiny):
  with pytest.raises(UsageError, match=f'--sparse_init: --pruner={pruner} does not start from a sparse network'):
    tiny(pruner=pruner, sparse_init=True)
  assert tiny(pruner='dense', sparse_init=True) == tiny(pruner='dense')
  assert tiny(pruner='lottery', sparse_init=True).before() == (tiny(pruner='dense'),)
