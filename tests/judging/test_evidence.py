"""What comparisons are judged by: failed runs at guessing, who collapsed, and what stands in the way of a statement."""

import dataclasses

import pytest

import tickets_tf
from tests import example_records
from tests.report.sanity_verdicts import evidence as made
from tests.report.sanity_verdicts import judged
from tickets_tf.judging.evidence import evidence
from tickets_tf.judging.question import Question
from tickets_tf.runs.run import Run

RULE = Run(tickets_tf.Settings(pruner='snip', ratio=0.9))
QUESTION = Question(RULE, 'rearrange')


def records(*accuracies):
  """Returns records by run; an accuracy of (original, checked) a seed, None for a run without a record."""
  runs = [(run(seed), value) for seed, pair in enumerate(accuracies)
          for run, value in zip((QUESTION.original, QUESTION.checked), pair, strict=True)]
  return {run: example_records.record(run, settled_accuracy=value, final_accuracy=0.0)
          for run, value in runs if value is not None}


def test_the_settled_accuracy_is_judged_in_percent():
  found = evidence(QUESTION, range(2), records((0.9, 0.8), (0.91, 0.83)), [])
  assert found.original == (90.0, 91.0) and found.checked == (80.0, 83.0) and found.seeds == (0, 1)
  assert (found.rule, found.allocation, found.ratio, found.check) == ('snip', 'global', 0.9, 'rearrange')


def test_a_run_that_failed_counts_at_guessing_and_one_that_is_not_done_does_not_count():
  done = records((0.9, None), (0.91, 0.83), (None, 0.7), (0.92, None))
  found = evidence(QUESTION, range(4), done, [QUESTION.checked(0), QUESTION.original(2)])
  assert found.seeds == (0, 1, 2)
  assert found.original == (90.0, 91.0, 10.0) and found.checked == (10.0, 83.0, 70.0)
  assert found.failed == ((False, True), (False, False), (True, False))


def test_a_side_that_failed_in_every_run_is_no_evidence():
  assert evidence(QUESTION, range(2), records((0.9, None), (0.9, None)), [
      QUESTION.checked(0), QUESTION.checked(1)]) is None
  assert evidence(QUESTION, range(2), {}, []) is None


@pytest.mark.parametrize('accuracy, expected', [(9.0, True), (10.0, True), (10.5, True), (12.0, False), (90.0, False)])
def test_who_guesses_has_collapsed(accuracy, expected):
  # 10,000 images and ten classes: guesses have a deviation of 0.3 points.
  found = made(original=(90.0, 90.0, 90.0), checked=(90.0, accuracy, 90.0))
  assert found.collapsed(1, 0.01, 10.0) == (False, expected, False)
  assert found.collapsed(0, 0.01, 10.0) == (False, False, False)


def test_who_failed_or_is_cut_has_collapsed():
  found = made(failed=((True, False), (False, False), (False, False)),
               cut=((False, False), (False, True), (False, False)))
  assert found.collapsed(0, 0.01, None) == (True, False, False)
  assert found.collapsed(1, 0.01, None) == (False, True, False)


NOTHING = {'original': (90.0, 90.1, 89.9, 90.05, 89.95), 'checked': (90.02, 90.05, 89.9, 90.0, 90.0)}
NO = ((False, False),) * 5


@pytest.mark.parametrize('change, low, expected', [
    ({}, 8.0, ('worth less than d', 'equivalent')),
    ({}, 0.4, ('open',)),
    ({'failed': (*NO[1:], (False, True))}, 8.0, ('open',)),
    ({'cut': (*NO[1:], (True, False))}, 8.0, ('open',)),
    ({'cut': (*NO[1:], (False, True))}, 8.0, ('worth less than d', 'equivalent')),
    ({'missing': 1}, 8.0, ('open',)),
])
def test_nothing_is_worth_less_where_a_run_failed_an_original_is_cut_or_the_gap_is_not_shown(change, low, expected):
  found, = judged([made(**{**NOTHING, 'cut': NO, 'failed': NO, **change})], low=low)
  assert found.statements == expected
  assert found.interval.rule_family[1] < 0.5


def test_dead_originals_are_open_and_their_collapse_is_told():
  # 9 of 10 originals guess: no check can take anything from them.
  original = (10.0,) * 9 + (60.0,)
  nothing = ((False, False),) * 10
  found, = judged([made(original=original, checked=original[::-1], cut=nothing)])
  assert found.statements == ('open',) and not found.can_fail
  assert (found.collapses.original, found.collapses.checked) == (9, 9)
  assert '9 of the original tickets collapsed' in found.sentence


def test_a_rare_collapse_is_a_comparison_of_its_own():
  checked = (10.0,) * 8 + (90.0,) * 2
  found, = judged([made(original=(90.0,) * 10, checked=checked, cut=((False, False),) * 10)])
  assert found.collapses.difference == 'checked tickets collapse more often'
  assert found.collapses.p_value == pytest.approx(2 * 0.5**8)


def test_groups_of_other_originals_are_judged_apart():
  one = made(check='positions', original=(90.0, 91.0, 92.0), checked=(80.0, 81.5, 82.0))
  two = dataclasses.replace(one, check='ratios', original=one.checked, checked=(70.0, 72.0, 71.0))
  found = judged([one, two])
  assert [each.drop for each in found] == [pytest.approx(9.8333, abs=1e-3), pytest.approx(10.1667, abs=1e-3)]


def test_forecasts_are_for_what_is_open():
  found = judged([made(check='invert', original=(90.0, 91.0, 92.0), checked=(89.0, 91.5, 91.0)),
                  made(check='rearrange', original=(90.0, 91.0, 92.0), checked=(50.0, 51.0, 53.0))])
  assert found[0].statements == ('open',) and found[0].forecast is not None and found[0].forecast.limit == 20
  assert 'uses it' in found[1].statements and found[1].forecast is None
