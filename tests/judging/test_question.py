"""What two tickets are compared, and which of them are the same by construction."""

import pytest

from tests.planted_runs import BASE
from tickets_tf.judging.question import Question
from tickets_tf.runs.run import Run


def rule(pruner, **changes):
  return Run(BASE).replace(pruner=pruner, **changes)


@pytest.mark.parametrize('pruner, changes, check, expected', [
    ('random', {}, 'random_labels', True),
    ('magnitude', {}, 'half_dataset', True),
    ('synflow', {}, 'random_pixels', True),
    ('random', {}, 'rearrange', False),
    ('snip', {}, 'random_labels', False),
    ('random', {'scored_at': 'trained'}, 'random_labels', False),
    ('random', {'rewound_to': '2'}, 'random_labels', False),
    ('hybrid', {}, 'random_labels', False),
])
def test_what_sees_no_data_is_the_same_by_construction(pruner, changes, check, expected):
  assert Question(rule(pruner, **changes), check).by_construction is expected


def test_random_tickets_of_one_seed_are_the_same_and_of_two_are_not():
  assert Question(rule('random'), 'seeds', rule('random')).by_construction
  assert not Question(rule('random'), 'seeds', rule('random'), shift=1000).by_construction
  assert not Question(rule('snip'), 'luck', rule('random')).by_construction


def test_tickets_are_those_of_the_seed():
  question = Question(rule('snip', seed=9), 'luck', rule('random', seed=8), shift=1000)
  assert (question.original(2), question.checked(2)) == (rule('snip', seed=2), rule('random', seed=1002))
  assert Question(rule('snip'), 'invert').checked(2) == rule('snip', seed=2, check='invert')


def test_questions_say_what_they_ask():
  check = Question(rule('snip'), 'random_labels')
  assert check.question.endswith('?') and check.subject == 'the labels'
  luck = Question(rule('snip'), 'luck', rule('random'))
  assert 'random tickets' in luck.question and luck.ratio == 0.9
  assert Question(rule('dense'), 'luck', rule('random')).ratio == 0.9, 'the dense network has none of its own'


@pytest.mark.parametrize('pruner, expected', [
    ('lottery', 'its layer ratios'), ('hybrid', 'its layer ratios with the trained weights that it starts from')])
def test_the_step_to_luck_holds_trained_weights_too(pruner, expected):
  assert Question(rule(pruner, check='rearrange'), 'ratios', rule('random')).subject == expected
