"""Recorded accuracies judged again: files of format 1 and of today's, with other margins and error rates."""

import dataclasses
import json
import pathlib

import pytest

from tests.report import sanity_verdicts
from tickets_tf.errors import UsageError
from tickets_tf.judging import verdicts
from tickets_tf.judging.margin import Margin
from tickets_tf.judging.rejudge import rejudge

GOLDEN = pathlib.Path(__file__).parents[1] / 'golden'
OLD = GOLDEN / 'verdicts_format_1.json'


def old(tmp_path, change):
  values = json.loads(OLD.read_text())
  change(values)
  path = tmp_path / 'verdicts.json'
  path.write_text(json.dumps(values))
  return path


def test_a_file_of_format_1_gets_the_intervals_of_the_independent_computation():
  reference = json.loads((GOLDEN / 'simultaneous_bounds.json').read_text())['pattern_cost_digits']
  found = rejudge(OLD)
  assert found.format == 2 and found.accuracy == 'final_accuracy' and found.margin == '0.5'
  judged = {(each.rule, each.ratio, each.check): each for each in found.judgements}
  assert len(judged) == len(reference['comparisons']) == 12
  for each in reference['comparisons']:
    judgement = judged[each['rule'], each['ratio'], each['check']]
    assert judgement.drop == pytest.approx(each['drop'], abs=1e-4)
    assert judgement.interval.rule_family == pytest.approx(each['rule_family'], abs=0.02)
    assert judgement.interval.whole_call == pytest.approx(each['whole_call'], abs=0.02)
  assert found.exploratory and 'margin of 0.5' in found.exploratory[0]


def test_random_tickets_of_the_file_are_luck_and_its_dense_network_makes_the_gap():
  values = json.loads(OLD.read_text())
  found = rejudge(OLD)
  random = next(each for each in values['judgements'] if each['rule'] == 'random' and each['ratio'] == 0.98)
  gap = next(each for each in found.gaps if each.ratio == 0.98)
  assert gap.drop == pytest.approx(values['dense']['mean'] - random['original']['mean'])
  assert {(each.rule, each.ratio) for each in found.luck} == {
      (rule, ratio) for rule in ('snip', 'lr_rewinding') for ratio in (0.9, 0.98)}
  by_ratio = {each.ratio: each.can_fail for each in found.judgements}
  # At 0.9 the dense network is not shown to be better than luck by the margin.
  assert by_ratio == {0.9: False, 0.98: True}


def test_without_luck_nothing_is_worth_less(tmp_path):
  def without(values):
    values['judgements'] = [each for each in values['judgements'] if each['rule'] != 'random']

  found = rejudge(old(tmp_path, without))
  assert not found.luck and not found.gaps and not any(each.can_fail for each in found.judgements)


def test_equal_accuracies_are_left_out_of_the_family(tmp_path):
  def equal(values):
    values['judgements'][0]['checked'] = values['judgements'][0]['original']

  found, whole = rejudge(old(tmp_path, equal)), rejudge(OLD)
  first = found.judgements[0]
  assert first.unaffected and first.statements == ('open',) and first.interval.rule_family is None
  assert 'unaffected by construction' in first.sentence
  width = [each.judgements[2].interval.whole_call[1] - each.judgements[2].interval.whole_call[0]
           for each in (found, whole)]
  assert width[0] != width[1]


def test_pairs_that_are_missing_forbid_worth_less(tmp_path):
  def drop(values):
    for each in values['judgements']:
      if (each['rule'], each['ratio']) == ('random', 0.98):
        for name in ('original', 'checked'):
          each[name]['accuracies'].pop()
        for name in ('seeds', 'proofs', 'collapsed'):
          each[name].pop()

  found = [each for each in rejudge(old(tmp_path, drop)).judgements if (each.rule, each.ratio) == ('random', 0.98)]
  assert found and all(each.missing == 1 and not each.can_fail for each in found)
  assert '1 of its runs failed' in found[0].sentence


def test_todays_file_is_judged_the_same_again(tmp_path):
  made = sanity_verdicts.verdicts(('snip', 'random'), (0.9, 0.98), ('invert', 'rearrange'), ladders=True)
  verdicts.write(tmp_path / 'verdicts.json', made)
  again = rejudge(tmp_path / 'verdicts.json')
  assert again.exploratory == () and [each.drop for each in again.judgements] == pytest.approx(
      [each.drop for each in made.judgements])
  assert [ladder.rungs for ladder in again.ladders] == [ladder.rungs for ladder in made.ladders]
  verdicts.write(tmp_path / 'verdicts.json', again)
  assert rejudge(tmp_path / 'verdicts.json') == again


def test_other_margins_and_error_rates_are_exploratory(tmp_path):
  made = sanity_verdicts.verdicts(('snip',), (0.98,), ('invert', 'rearrange'))
  verdicts.write(tmp_path / 'verdicts.json', made)
  same, strict = rejudge(tmp_path / 'verdicts.json'), rejudge(tmp_path / 'verdicts.json', Margin(0.2, True), 0.01)
  assert len(strict.exploratory) == 2 and '0.2gap' in strict.exploratory[0] and '0.01' in strict.exploratory[1]
  wide, narrow = ([each.interval.rule_family for each in found.judgements] for found in (strict, same))
  assert all(a[0] < b[0] and b[1] < a[1] for a, b in zip(wide, narrow, strict=True))
  assert strict.judgements[0].margin == pytest.approx(0.2 * strict.gaps[0].drop)


@pytest.mark.parametrize('change, message', [
    (lambda values: values.pop('judgements'), 'missing required field `judgements`'),
    (lambda values: values['judgements'][0].pop('original'), r'required field `original` - at `\$.judgements\[0\]`'),
    (lambda values: values.update(format=7), 'format 7: expected 2'),
])
def test_a_file_that_cannot_be_used_says_what_is_wrong(change, message, tmp_path):
  with pytest.raises(UsageError, match=message) as caught:
    rejudge(old(tmp_path, change))
  assert str(caught.value).startswith(f'{tmp_path}') and '\n' not in str(caught.value)


def test_controls_are_judged_again(tmp_path):
  made = sanity_verdicts.failed()
  verdicts.write(tmp_path / 'verdicts.json', made)
  assert rejudge(tmp_path / 'verdicts.json').controls.passed is False
  fine = dataclasses.replace(made.controls.judgements[0], checked=made.controls.judgements[0].original)
  verdicts.write(tmp_path / 'verdicts.json', dataclasses.replace(made, controls=dataclasses.replace(
      made.controls, judgements=(fine,))))
  assert rejudge(tmp_path / 'verdicts.json').controls.passed is True
