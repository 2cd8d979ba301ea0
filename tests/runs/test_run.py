import dataclasses
import itertools
import pathlib

import pytest

from tickets_tf import registry
from tickets_tf.checks import Check
from tickets_tf.errors import UsageError
from tickets_tf.pruning import rules
from tickets_tf.runs.run import Run
from tickets_tf.runs.settings import Settings

BASE = Settings(epochs=8, ratio=0.9, seed=3)


def change(**changes):
  return dataclasses.replace(BASE, **changes)


def dense(**changes):
  return Run(change(pruner='dense', **changes))


def before(**changes):
  return list(Run(change(**changes)).before())


def test_canonical_settings_name_the_same_run_once():
  for one, other in [
      (change(pruner='snip', allocation='global', scored_at='init', rewound_to='init', rounds=1),
       change(pruner='snip')),
      (change(pruner='snip', rewind_epoch=5), change(pruner='snip')),
      (change(pruner='weight_rewinding', rewind_epoch=5, rewound_to='2'),
       change(pruner='weight_rewinding', rewound_to='2')),
      (change(pruner='dense', ratio=0.5, rounds=3, samples_per_class=2, score_options='chunk=3'),
       change(pruner='dense')),
      (change(pruner='snip', match='macs'), change(pruner='snip')),
      (change(pruner='dense', compact_training='on'), change(pruner='dense')),
      (change(pruner='narrow', ratio=0.5, rounds=3, allocation='erk'), change(pruner='narrow', ratio=0.5))]:
    assert Run(one) == Run(other) and Run(one).name == Run(other).name
  for one, other in [
      (change(pruner='snip', rounds=2), change(pruner='snip')),
      (change(pruner='weight_rewinding', rewind_epoch=5), change(pruner='weight_rewinding')),
      (change(pruner='dense', trained_on='random_labels'), change(pruner='dense')),
      (change(pruner='narrow', ratio=0.5), change(pruner='narrow', ratio=0.6)),
      (change(pruner='narrow', match='macs'), change(pruner='narrow')),
      (change(pruner='snip', compact_training='on'), change(pruner='snip')),
      (change(pruner='synflow', rounds=1), change(pruner='synflow'))]:
    assert Run(one) != Run(other) and Run(one).name != Run(other).name
  assert Run(dense().settings) == dense()


def test_rules_that_see_the_initialisation_need_nothing():
  for pruner in ('random', 'magnitude', 'snip', 'grasp', 'synflow', 'dense'):
    assert before(pruner=pruner) == []


def test_one_dense_training_serves_all_that_train_first():
  for pruner, ratio in (('lottery', 0.9), ('lr_rewinding', 0.98), ('obd', 0.5), ('hybrid', 0.9)):
    assert before(pruner=pruner, ratio=ratio, samples_per_class=3) == [dense()]
  assert before(pruner='lottery', seed=4) == [dense(seed=4)]


def test_epochs_that_weights_are_taken_from():
  assert before(pruner='weight_rewinding', rewind_epoch=2) == [dense(), dense(stop_epoch=2)]
  assert before(pruner='snip', scored_at='3') == [dense(stop_epoch=3)]
  assert before(pruner='snip', scored_at='8', rewound_to='8') == [dense()], 'the last epoch is the end'
  assert before(pruner='snip', scored_at='0', rewound_to='0') == []
  assert before(pruner='random', rewound_to='5') == [dense(stop_epoch=5)]


def test_rounds_that_train_are_runs_of_their_own():
  last = Run(change(pruner='lottery', rounds=3, ratio=1 - 0.8**3))
  second, = last.before()
  first, = second.before()
  assert [second.settings.ratio, first.settings.ratio] == pytest.approx([1 - 0.8**2, 1 - 0.8])
  assert second.settings.rounds == 2 and first.settings.rounds == 0, 'one round is the rule\'s own'
  assert first.before() == (dense(),)
  # The ladder is the same one, however far it goes down.
  assert before(pruner='lottery', rounds=2, ratio=1 - 0.8**2)[0] == first
  assert before(pruner='lottery', rounds=3, scored_at='2', ratio=1 - 0.8**3)[0].settings.stop_epoch == 2
  # Also if its ratios are as a user writes them: 1 - 0.9**4, after which floating point gives 0.27100000000000013.
  assert before(pruner='lottery', rounds=4, ratio=0.3439) == [Run(change(pruner='lottery', rounds=3, ratio=0.271))]


def test_rounds_at_the_initialisation_need_nothing():
  assert before(pruner='snip', rounds=5) == []


def test_checks_of_the_data_reach_the_pre_training_and_those_of_the_ticket_do_not():
  assert before(pruner='lottery', check='random_labels') == [dense(trained_on='random_labels')]
  assert before(pruner='lottery', check='rearrange') == [Run(change(pruner='lottery'))]
  assert before(pruner='snip', check='random_labels') == []
  first, = before(pruner='lottery', check='random_labels', rounds=2)
  assert first.settings.check == first.settings.trained_on == 'random_labels' and first.settings.rounds == 0
  rewound = before(pruner='weight_rewinding', check='half_dataset')
  assert [each.settings.trained_on for each in rewound] == ['half_dataset'] * 2


def test_a_checked_ticket_needs_the_original_and_what_it_was_chosen_from():
  lottery, first = Run(change(pruner='lottery', rounds=2)), Run(change(pruner='lottery', rounds=2)).scored
  for check in ('invert', 'rearrange', 'reinitialise'):
    assert before(pruner='lottery', rounds=2, check=check) == [lottery, first], 'what the first round has kept'
    assert before(pruner='snip', rounds=2, check=check) == [Run(change(pruner='snip', rounds=2))], 'all weights'
  assert before(pruner='lottery', check='invert') == [Run(change(pruner='lottery')), dense()], 'scores'
  assert Run(change(pruner='lottery', check='invert')).chosen_from is None, 'all weights'
  assert Run(change(pruner='lottery', rounds=2)).chosen_from == first == Run(
      change(pruner='lottery', rounds=2, check='invert')).chosen_from


def test_rounds_that_a_rule_has_of_its_own_are_rounds_too(monkeypatch):
  monkeypatch.setitem(rules.RULES._entries, 'slow', rules.Rule('magnitude', 'global', 'trained', 'init', rounds=3))
  assert before(pruner='slow', check='invert') == [Run(change(pruner='slow')), Run(change(pruner='slow')).scored]


def test_a_check_of_a_pattern_needs_the_rounds_under_it():
  searched = Run(change(pruner='lottery', rounds=3, pattern='1x4'))
  assert before(pruner='lottery', rounds=3, check='pattern_1x4') == [
      Run(change(pruner='lottery', rounds=3)), searched.scored]
  assert Run(change(pruner='lottery', rounds=3, check='pattern_1x4')).searched == searched
  assert searched.scored.settings.pattern == '1x4'
  assert before(pruner='lottery', check='pattern_2_4') == [Run(change(pruner='lottery')), dense()]
  assert before(pruner='synflow', check='pattern_2_4') == [Run(change(pruner='synflow'))]
  assert Run(change(pruner='lottery', check='rearrange')).searched is None is Run(change(pruner='lottery')).searched


def test_a_run_of_raw_settings_is_that_of_their_canonical_form():
  run = Run(Settings(pruner='snip', allocation='global'))
  assert run == Run(Settings(pruner='snip')) and run.settings.allocation == ''
  assert run.folder == Run(Settings(pruner='snip')).folder
  assert Run(change(pruner='snip')).replace(allocation='global') == Run(change(pruner='snip'))
  assert not hasattr(Settings, 'folder'), 'raw settings name no folder'


def test_each_training_that_leads_to_a_ticket_has_an_order_of_its_own():
  third = Run(change(pruner='lottery', rounds=3))
  second, = third.before()
  first, = second.before()
  seeds = [run.order_seed for run in (dense(), first, second, third)]
  assert [run.phase for run in (dense(), first, second, third)] == [0, 1, 2, 3] and len(set(seeds)) == 4
  narrow = Run(change(pruner='narrow'))
  assert (narrow.before(), narrow.order_seed) == ((), first.order_seed), 'it sees the order of the tickets beside it'
  assert all(run.first_order_seed == seed for run, seed in zip((dense(), first, second, third), seeds, strict=True))
  # Tickets that are compared see one order: those of all rules of one round, and original and checked ticket.
  for pruner in ('snip', 'random', 'synflow', 'lottery', 'lr_rewinding', 'weight_rewinding'):
    assert Run(change(pruner=pruner)).order_seed == first.order_seed == BASE.seed
  for check in ('rearrange', 'random_labels', 'reinitialise'):
    assert third.replace(check=check).order_seed == third.order_seed
  assert Run(change(pruner='snip', rounds=5)).phase == 1, 'no training between its rounds'
  assert dense(stop_epoch=2).order_seed == dense(trained_on='random_labels').order_seed == dense().order_seed


def test_order_and_initialisation_have_seeds_of_their_own_if_asked():
  plain = Run(change(pruner='lottery'))
  ordered, initialised = plain.replace(order_seed=7), plain.replace(init_seed=7)
  assert ordered.order_seed == 7 != plain.order_seed and ordered.init_seed == plain.init_seed == BASE.seed
  assert initialised.init_seed == 7 and initialised.order_seed == plain.order_seed
  assert len({run.name for run in (plain, ordered, initialised)}) == 3
  assert '-seed3-order7-' in ordered.name and '-seed3-init7-' in initialised.name
  assert ordered.before() == (dense(order_seed=7),) and initialised.before() == (dense(init_seed=7),)
  assert plain.replace(order_seed=3, init_seed=3) == plain, 'the seed of the run is none of its own'
  assert plain.name == 'digits-resnet20-lottery-0.9-seed3-844fae0e', 'names of runs without them stay'


def test_an_order_can_begin_at_an_epoch_and_leave_all_before_as_it_was():
  plain = Run(change(pruner='lottery', rounds=2))
  later = plain.replace(order_seed=7, order_epoch=2)
  assert later.first_order_seed == plain.order_seed != later.order_seed == plain.replace(order_seed=7).order_seed
  assert later.before() == plain.before()
  assert plain.replace(order_seed=3, order_epoch=2) == plain
  assert plain.replace(order_seed=7, order_epoch=2, stop_epoch=2) == plain.replace(stop_epoch=2)
  rewound = Run(change(pruner='weight_rewinding'))
  assert rewound.replace(order_seed=7, order_epoch=0).before() == rewound.before()
  with pytest.raises(UsageError, match='--order_epoch=2: goes with --order_seed'):
    plain.replace(order_epoch=2)


@pytest.mark.parametrize('changes, expected', [
    ({'pruner': 'dense', 'check': 'rearrange'}, 'removes nothing that could be checked'),
    ({'pruner': 'narrow', 'check': 'rearrange'}, 'removes nothing that could be checked'),
    ({'pruner': 'narrow', 'model': 'json:dumps'}, '--pruner=narrow: json:dumps takes no width'),
    ({'pruner': 'given', 'mask': 'x.npz', 'check': 'random_labels'}, 'the mask of --mask is given'),
    ({'trained_on': 'rearrange'}, '--trained_on=rearrange: expected a check that changes the data'),
    ({'check': 'json:dumps'}, '--check=json:dumps: expected a tickets_tf.checks.Check at the seam data or ticket'),
    ({'check': 'odd'}, '--check=odd: expected a tickets_tf.checks.Check at the seam data or ticket'),
])
def test_what_does_not_go_together(changes, expected, monkeypatch):
  monkeypatch.setitem(registry.CHECKS._entries, 'odd', Check('weights', lambda *_: None, '?', '', ''))
  with pytest.raises(UsageError, match=expected):
    Run(change(**changes))


def test_weights_of_an_epoch_that_is_never_trained_cannot_be_taken():
  with pytest.raises(UsageError, match='--rewind_epoch=30: expected a number of epochs up to 8'):
    before(pruner='weight_rewinding', rewind_epoch=30)


def test_a_given_mask_has_its_own_ratio_and_can_start_from_trained_weights(tmp_path):
  given = {'pruner': 'given', 'mask': str(tmp_path / 'mask.npz')}
  (tmp_path / 'mask.npz').write_bytes(b'mask')
  assert Run(change(**given, ratio=0.5)) == Run(change(**given, ratio=0.9))
  assert before(**given) == [] and before(**given, rewound_to='2') == [dense(stop_epoch=2)]


def test_weights_from_a_file_count_by_what_is_in_it_and_all_runs_start_from_them(tmp_path):
  path = tmp_path / 'a.weights.h5'
  with pytest.raises(UsageError, match=r'--weights=.*a.weights.h5: cannot be read: No such file'):
    _ = Run(change(weights=str(path))).digest
  path.write_bytes(b'one')
  one = Run(change(weights=str(path))).digest
  path.write_bytes(b'other')
  assert len({one, Run(change(weights=str(path))).digest, Run(change()).digest}) == 3
  assert before(pruner='lottery', weights=str(path)) == [dense(weights=str(path))]


def test_the_density_falls_geometrically():
  assert rules.round_ratios(0.75, 2) == [0.5, 0.75]
  ratios = rules.round_ratios(0.95, 100)
  assert len(ratios) == 100 and ratios[-1] == 0.95
  assert all((1 - after) / (1 - before) == pytest.approx(0.05**0.01) for before, after in itertools.pairwise(ratios))
  assert rules.round_ratios(0.3, 1) == [0.3]


def test_the_digest_depends_on_what_changes_the_outcome_alone(monkeypatch):
  monkeypatch.delenv('TF_NUM_INTRAOP_THREADS', raising=False)
  plain = Run(Settings())
  assert plain.digest == '44136fa3', 'a new setting renames no old run'
  assert plain.replace(seed=3, ratio=0.9, pruner='snip', jit=True, epochs=8).digest == '163a48d7'
  assert plain.replace(output_dir='elsewhere', progress=False, tensorboard=False, export=False, checkpoint_seconds=0.0,
                       on_collapse='fail').digest == plain.digest
  changes = ({}, {'seed': 1}, {'ratio': 0.9}, {'data_dir': 'x'}, {'jit': True})
  assert len({plain.replace(**change).digest for change in changes}) == 5


def test_the_name_is_one_readable_folder():
  name = Run(Settings(pruner='json:dumps', seed=3, ratio=0.98)).name
  assert name.startswith('digits-resnet20-json.dumps-0.98-seed3-')
  assert '/' not in name and ':' not in name


def test_the_folder_can_lie_in_the_users_home(monkeypatch):
  monkeypatch.setenv('HOME', '/home/me')
  run = Run(Settings(output_dir='~/runs'))
  assert run.folder.path == pathlib.Path('/home/me/runs') / run.name


def test_a_mask_counts_by_what_is_in_its_file(tmp_path):
  path = tmp_path / 'mask.npz'
  path.write_bytes(b'one')
  settings = Settings(pruner='given', mask=str(path))
  first = Run(settings).digest
  path.write_bytes(b'other')
  assert Run(settings).digest != first
  path.unlink()
  with pytest.raises(UsageError, match=r'--mask=.*mask.npz: cannot be read: No such file'):
    _ = Run(settings).folder


def test_threads_of_the_environment_are_part_of_the_name(monkeypatch):
  monkeypatch.delenv('TF_NUM_INTRAOP_THREADS', raising=False)
  plain = Run(Settings())
  monkeypatch.setenv('TF_NUM_INTRAOP_THREADS', '1')
  assert Run(Settings()).settings.threads == 1 and Run(Settings()).name == Run(Settings(threads=1)).name != plain.name
  assert Run(Settings(threads=3)).settings.threads == 3, 'the flag decides'
  monkeypatch.setenv('TF_NUM_INTRAOP_THREADS', 'many')
  with pytest.raises(UsageError, match='TF_NUM_INTRAOP_THREADS=many: expected a number of threads'):
    Run(Settings())


def test_the_run_whose_layer_ratios_are_taken_comes_before():
  like = change(pruner='random', allocation='like:snip', allocation_options='', pattern='1x4', samples_per_class=2)
  snip = change(pruner='snip', samples_per_class=2)
  assert Run(like).before() == (Run(snip),)
  assert Run(dataclasses.replace(like, check='rearrange')).before() == (Run(like),)
  labels = dataclasses.replace(like, check='random_labels')
  assert Run(labels).before() == (Run(dataclasses.replace(snip, check='random_labels')),), 'its ratios see the labels'
  hybrid = Run(change(pruner='hybrid', allocation='like:lottery'))
  assert hybrid.before() == (dense(), Run(change(pruner='lottery')))
  assert len({Run(change(allocation=f'like:{rule}')).name for rule in ('snip', 'grasp')} | {Run(BASE).name}) == 3


@pytest.mark.parametrize('liked, expected', [
    ('snop', "--allocation=like:snop: unknown pruner 'snop' .did you mean 'snip'?"),
    ('dense', '--allocation=like:dense: expected a rule that has layer ratios of its own'),
    ('given', '--allocation=like:given: expected a rule that has layer ratios of its own'),
    ('', "unknown allocation 'like:': expected like:RULE or like:MASKFILE"),
])
def test_layer_ratios_that_nothing_has(liked, expected):
  with pytest.raises(UsageError, match=expected):
    Run(change(allocation=f'like:{liked}'))


def test_names_know_the_mask_whose_layer_ratios_are_taken(tmp_path):
  path = tmp_path / 'm.npz'
  names = []
  for content in (b'one', b'other', b'one'):
    path.write_bytes(content)
    names.append(Run(change(allocation=f'like:{path}')).name)
  assert names[0] == names[2] != names[1]
  path.unlink()
  with pytest.raises(UsageError, match=r'--allocation=like:.*m.npz: cannot be read'):
    Run(change(allocation=f'like:{path}')).digest  # noqa: B018  # The name is made when it is asked for.
  assert Run(change(allocation=f'like:{path}')).before() == ()


def test_names_know_the_code_of_the_rule_whose_layer_ratios_are_taken(tmp_path, monkeypatch):
  monkeypatch.syspath_prepend(tmp_path)
  path = tmp_path / 'ratios_of_mine.py'
  names = []
  for number in (1, 2, 1):
    path.write_text(f'def score(model, images, labels, rng):\n  return {number}\n')
    names.append(Run(change(allocation='like:ratios_of_mine:score')).name)
  assert names[0] == names[2] != names[1]


@pytest.mark.parametrize('changes, epochs', [
    ({'pruner': 'snip'}, 20),
    ({'pruner': 'dense'}, 20),
    ({'pruner': 'lr_rewinding'}, 40),
    ({'pruner': 'lr_rewinding', 'rounds': 3}, 80),
    ({'pruner': 'weight_rewinding', 'rewind_epoch': 5}, 40),
    ({'pruner': 'lottery', 'scored_at': '5'}, 25),
    ({'pruner': 'lr_rewinding', 'check': 'rearrange'}, 40),
    ({'pruner': 'random', 'allocation': 'like:lottery'}, 40),
    ({'pruner': 'rigl'}, 20),
    ({'pruner': 'random', 'allocation': 'like:rigl'}, 40),
])
def test_epochs_of_all_trainings_of_a_ticket(changes, epochs):
  """The dense network's first epochs are part of its training; of what a ticket is like, a ticket is enough."""
  assert Run(Settings(epochs=20, **changes)).epochs_in_all == epochs
