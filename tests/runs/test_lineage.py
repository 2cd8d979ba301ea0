import dataclasses

import pytest

from tickets_tf.runs import lineage
from tickets_tf.pruning import rules
from tickets_tf.errors import UsageError
from tickets_tf.runs.settings import Settings

BASE = Settings(epochs=8, ratio=0.9, seed=3)


def change(**changes):
  return dataclasses.replace(BASE, **changes)


def dense(**changes):
  return lineage.canonical(change(pruner='dense', **changes))


def test_canonical_settings_name_the_same_run_once():
  for one, other in [
      (change(pruner='snip', allocation='global', scored_at='init', rewound_to='init', rounds=1),
       change(pruner='snip')),
      (change(pruner='snip', rewind_epoch=5), change(pruner='snip')),
      (change(pruner='weight_rewinding', rewind_epoch=5, rewound_to='2'),
       change(pruner='weight_rewinding', rewound_to='2')),
      (change(pruner='dense', ratio=0.5, rounds=3, samples_per_class=2, score_options='chunk=3'),
       change(pruner='dense'))]:
    assert lineage.canonical(one) == lineage.canonical(other)
  for one, other in [
      (change(pruner='snip', rounds=2), change(pruner='snip')),
      (change(pruner='weight_rewinding', rewind_epoch=5), change(pruner='weight_rewinding')),
      (change(pruner='dense', trained_on='random_labels'), change(pruner='dense')),
      (change(pruner='synflow', rounds=1), change(pruner='synflow'))]:
    assert lineage.canonical(one) != lineage.canonical(other)
  assert lineage.canonical(lineage.canonical(change(pruner='dense'))) == dense()


def test_rules_that_see_the_initialisation_need_nothing():
  for pruner in ('random', 'magnitude', 'snip', 'grasp', 'synflow', 'dense'):
    assert lineage.needed(lineage.canonical(change(pruner=pruner))) == []


def test_one_dense_training_serves_all_that_train_first():
  for pruner, ratio in (('lottery', 0.9), ('lr_rewinding', 0.98), ('obd', 0.5), ('hybrid', 0.9)):
    assert lineage.needed(change(pruner=pruner, ratio=ratio, samples_per_class=3)) == [dense()]
  assert lineage.needed(change(pruner='lottery', seed=4)) == [dense(seed=4)]


def test_epochs_that_weights_are_taken_from():
  assert lineage.needed(change(pruner='weight_rewinding', rewind_epoch=2)) == [dense(), dense(stop_epoch=2)]
  assert lineage.needed(change(pruner='snip', scored_at='3')) == [dense(stop_epoch=3)]
  assert lineage.needed(change(pruner='snip', scored_at='8', rewound_to='8')) == [dense()], 'the last epoch is the end'
  assert lineage.needed(change(pruner='snip', scored_at='0', rewound_to='0')) == []
  assert lineage.needed(change(pruner='random', rewound_to='5')) == [dense(stop_epoch=5)]


def test_rounds_that_train_are_runs_of_their_own():
  last = change(pruner='lottery', rounds=3, ratio=1 - 0.8**3)
  second, = lineage.needed(last)
  first, = lineage.needed(second)
  assert [second.ratio, first.ratio] == pytest.approx([1 - 0.8**2, 1 - 0.8])
  assert second.rounds == 2 and first.rounds == 0, 'one round is the rule\'s own'
  assert lineage.needed(first) == [dense()]
  # The ladder is the same one, however far it goes down.
  assert lineage.needed(change(pruner='lottery', rounds=2, ratio=1 - 0.8**2))[0] == first
  assert lineage.needed(change(pruner='lottery', rounds=3, scored_at='2', ratio=1 - 0.8**3))[0].stop_epoch == 2


def test_rounds_at_the_initialisation_need_nothing():
  assert lineage.needed(change(pruner='snip', rounds=5)) == []


def test_checks_of_the_data_reach_the_pre_training_and_those_of_the_ticket_do_not():
  assert lineage.needed(change(pruner='lottery', check='random_labels')) == [dense(trained_on='random_labels')]
  assert lineage.needed(change(pruner='lottery', check='rearrange')) == [dense()]
  assert lineage.needed(change(pruner='snip', check='random_labels')) == []
  before, = lineage.needed(change(pruner='lottery', check='random_labels', rounds=2))
  assert before.check == before.trained_on == 'random_labels' and before.rounds == 0
  rewound = lineage.needed(change(pruner='weight_rewinding', check='half_dataset'))
  assert [each.trained_on for each in rewound] == ['half_dataset'] * 2


@pytest.mark.parametrize('changes, expected', [
    ({'pruner': 'dense', 'check': 'rearrange'}, 'removes nothing that could be checked'),
    ({'pruner': 'given', 'mask': 'x.npz', 'check': 'random_labels'}, 'the mask of --mask is given'),
    ({'trained_on': 'rearrange'}, '--trained_on=rearrange: expected a check that changes the data'),
])
def test_what_does_not_go_together(changes, expected):
  with pytest.raises(UsageError, match=expected):
    lineage.canonical(change(**changes))


def test_the_density_falls_geometrically():
  assert rules.round_ratios(0.75, 2) == [0.5, 0.75]
  ratios = rules.round_ratios(0.95, 100)
  assert len(ratios) == 100 and ratios[-1] == 0.95
  assert all((1 - after) / (1 - before) == pytest.approx(0.05**0.01) for before, after in zip(ratios, ratios[1:]))
  assert rules.round_ratios(0.3, 1) == [0.3]
