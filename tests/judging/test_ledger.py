"""What looks cost that are kept beside the runs, whichever call made them."""

import dataclasses

import pytest

from tests.planted_runs import BASE
from tickets_tf.judging import look_history
from tickets_tf.judging.ledger import Ledger
from tickets_tf.judging.plan import Plan


@pytest.fixture
def plan(tmp_path):
  return Plan(dataclasses.replace(BASE, output_dir=str(tmp_path)), ('snip',), (0.9,), ('invert', 'rearrange'), 5)


def test_a_planned_look_costs_the_error_rate_once(plan):
  asked = plan.questions()
  for _ in range(2):
    ledger = Ledger(plan)
    assert ledger.level(asked, 5) == pytest.approx(0.05)
    assert ledger.looks(1) is None and ledger.told() == ()


def test_more_seeds_than_were_planned_cost_more_and_are_told(plan):
  asked = plan.questions()
  Ledger(plan).level(asked, 5)
  ledger = Ledger(dataclasses.replace(plan, seeds=10))
  level = ledger.level(asked, 10)
  assert level == pytest.approx(0.025)
  assert ledger.looks(1).unplanned == (10,)
  sentence, = ledger.told()
  assert sentence.startswith('looked at 10 seeds without having planned it (planned: 5)')


def test_the_question_with_the_least_left_decides(plan):
  first, second = plan.questions()
  Ledger(plan).level([first], 5)
  more = dataclasses.replace(plan, seeds=10)
  assert Ledger(more).level([second], 10) == pytest.approx(0.05)
  assert Ledger(more).level([first, second], 10) == pytest.approx(0.025)


def test_looks_of_auto_share_the_error_rate(plan):
  auto = dataclasses.replace(plan, seeds=None, max_seeds=8)
  ledger = Ledger(auto)
  levels = [ledger.level(auto.questions(), size) for size in auto.looks()]
  assert levels == pytest.approx(auto.levels()) and ledger.told() == ()
  assert ledger.looks(2).unplanned == () and ledger.looks(2).done == 2


def test_fewer_seeds_than_an_interval_needs_are_no_look(plan):
  ledger = Ledger(plan)
  assert ledger.level(plan.questions(), 2) == 0.05 and ledger.touched == {}


def test_numbers_of_seeds_that_were_passed_are_left_out(plan):
  asked = plan.questions()
  auto = dataclasses.replace(plan, seeds=None, max_seeds=20)
  assert not Ledger(auto).passed(asked, 8)
  Ledger(plan).level(asked, 5)
  Ledger(dataclasses.replace(plan, seeds=10)).level(asked, 10)
  ledger = Ledger(auto)
  assert [ledger.passed(asked, size) for size in (5, 8, 10, 13)] == [False, True, False, False]
  assert not ledger.passed([], 8)


def test_a_question_has_its_file_whichever_call_asks_it(plan):
  asked, = Plan(plan.base, ('snip',), (0.9,), ('invert',), None).questions()
  assert Ledger(plan).path(asked) == Ledger(dataclasses.replace(plan, alpha=0.1)).path(plan.questions()[0])
  other = dataclasses.replace(plan, base=dataclasses.replace(plan.base, epochs=5))
  assert Ledger(other).path(other.questions()[0]) != Ledger(plan).path(plan.questions()[0])
  Ledger(plan).level([asked], 5)
  assert [look.seeds for look in look_history.read(Ledger(plan).path(asked)).looks] == [5]
