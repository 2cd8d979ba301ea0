"""The looks of a question, and what each is charged."""

import dataclasses
import json

import pytest

from tickets_tf.errors import TicketsError
from tickets_tf.errors import UsageError
from tickets_tf.judging import look_history
from tickets_tf.judging.look_history import Look
from tickets_tf.judging.look_history import LookHistory
from tickets_tf.judging.look_history import charge
from tickets_tf.judging.look_history import planned
from tickets_tf.judging.look_history import told
from tickets_tf.judging.looks import nominal_levels

PLAN = planned((5, 8, 13, 20), nominal_levels((5, 8, 13, 20)))


def after(*seeds, history=PLAN):
  for number in seeds:
    history, _ = charge(history, number)
  return history


def test_planned_looks_take_what_the_plan_says():
  history = after(5, 8, 13, 20)
  assert [look.level for look in history.looks] == pytest.approx(list(PLAN.levels))
  assert history.spent == pytest.approx(0.05) and history.left == 0 and told(history) == ''
  assert all(look.planned for look in history.looks)


def test_a_look_that_was_left_out_leaves_its_share_to_the_next():
  history = after(8, 20)
  assert [look.level for look in history.looks] == pytest.approx(
      [PLAN.levels[0] + PLAN.levels[1], PLAN.levels[2] + PLAN.levels[3]])
  assert told(history) == ''


def test_the_same_look_again_costs_nothing():
  history = after(5, 8)
  again, look = charge(history, 5)
  assert again == history and look == history.looks[0]


def test_an_unplanned_look_takes_half_of_what_is_left_and_is_told():
  history = after(5, 6)
  left = 0.05 - PLAN.levels[0]
  assert history.looks[1] == Look(6, pytest.approx(left / 2), False)
  assert told(history).startswith('looked at 6 seeds without having planned it (planned: 5, 8, 13, 20): the intervals '
                                  'at 6 seeds hold with ')
  # What follows shares what is left as it was planned.
  later = after(8, 13, 20, history=history)
  assert later.spent == pytest.approx(0.05) and [look.planned for look in later.looks] == [True, False] + [True] * 3
  assert later.looks[2].level / later.looks[4].level == pytest.approx(PLAN.levels[1] / PLAN.levels[3])
  assert look_history.next_level(history, 8) == later.looks[2].level


def test_a_call_that_spent_all_and_goes_on_is_charged_on_top():
  fixed = planned((10,), (0.05,))
  history = after(10, 20, 40, 80, history=fixed)
  assert [look.level for look in history.looks] == pytest.approx([0.05, 0.025, 0.0125, 0.00625])
  assert [look.planned for look in history.looks] == [True, False, False, False]
  assert after(*range(10, 60), history=fixed).spent < 0.1
  assert told(after(10, 20, history=fixed)) == (
      'looked at 20 seeds without having planned it (planned: 10): the intervals at 20 seeds hold with 97.5%, those of '
      'all looks together with 92.5%')


def test_going_back_to_fewer_seeds_is_not_planned():
  for seeds in ((8, 5), (5, 10, 8)):
    history = after(*seeds)
    assert not history.looks[-1].planned and history.spent < 0.05


def test_no_order_of_looks_spends_more_than_twice_alpha():
  for seeds in ((20, 19, 18, 5, 8, 30), (6, 7, 9, 13, 20, 21), (100, 5, 8, 13, 20)):
    history = after(*seeds)
    assert history.spent < 0.1 and all(look.level > 0 for look in history.looks)


def test_the_first_plan_stays_once_somebody_has_looked():
  other = planned((10,), (0.05,))
  assert look_history.resume(None, other) == other and look_history.resume(PLAN, other) == other
  assert look_history.resume(after(5), other) == after(5)


def test_a_history_is_kept_in_a_file(tmp_path):
  path = tmp_path / 'looks.json'
  assert look_history.read(path) is None
  for history in (PLAN, after(5, 6, 8)):
    look_history.write(path, history)
    assert look_history.read(path) == history
  values = json.loads(path.read_text())
  assert next(iter(values)) == 'format' and values['looks'][1] == {
      'seeds': 6, 'level': pytest.approx((0.05 - PLAN.levels[0]) / 2), 'planned': False}
  assert [each.name for each in tmp_path.iterdir()] == ['looks.json']


@pytest.mark.parametrize('text, message', [
    ('{', 'cannot be read'), ('{"format": 9}', 'format 9: expected 1'), ('{}', 'format None'),
    ('{"format": 1, "alpha": 0.05}', 'does not hold looks')])
def test_a_file_that_cannot_be_used_is_named(text, message, tmp_path):
  path = tmp_path / 'looks.json'
  path.write_text(text)
  with pytest.raises(UsageError, match=message) as caught:
    look_history.read(path)
  assert str(path) in str(caught.value)
  with pytest.raises(TicketsError, match='cannot be written'):
    look_history.write(tmp_path / 'nowhere' / 'looks.json', PLAN)


@pytest.mark.parametrize('sizes, levels', [((5, 5), (0.1, 0.1)), ((8, 5), (0.1, 0.1)), ((5,), (0.1, 0.1)), ((), ()),
                                           ((5, 8), (0.1, 0.0)), ((5,), (0.5,))])
def test_refuses_plans_that_cannot_be(sizes, levels):
  with pytest.raises(UsageError):
    planned(sizes, levels)
  with pytest.raises(UsageError, match='0 seeds'):
    charge(PLAN, 0)


def test_a_history_is_a_frozen_value():
  assert isinstance(PLAN, LookHistory)
  with pytest.raises(dataclasses.FrozenInstanceError):
    PLAN.alpha = 1
