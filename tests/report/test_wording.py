"""What a report says: every word with its bounds, warnings where they matter, and nothing that misleads."""

import dataclasses
import html
import re

import pytest

from tests.report import sanity_verdicts
from tests.report.html_page import Page
from tickets_tf import report
from tickets_tf.judging.seeds_needed import SeedsNeeded
from tickets_tf.judging.verdicts import Controls
from tickets_tf.judging.verdicts import Images
from tickets_tf.judging.verdicts import Intervals
from tickets_tf.judging.verdicts import Looks
from tickets_tf.report import findings
from tickets_tf.report import method
from tickets_tf.report import page
from tickets_tf.report import sanity
from tickets_tf.report import wording

GOOD, BETTER, LESS = (90.0, 90.2, 89.9, 90.1), (92.1, 91.9, 92.0, 92.2), (84.0, 84.2, 83.9, 84.1)


def texts(verdicts):
  """Returns what the terminal, report.md and report.html say, each as plain text."""
  (_, body), = Page(page.html(verdicts)).find('body')
  return report.sanity_table(verdicts), html.unescape(sanity.markdown(verdicts).replace('\\', '')), body


def judged(**more):
  (judgement,) = sanity_verdicts.judged([sanity_verdicts.evidence(**more)])
  return judgement


def one(judgement, **more):
  """Returns `Verdicts` of a single judgement."""
  return dataclasses.replace(sanity_verdicts.minimal(), judgements=(judgement,), seeds=judgement.seeds, **more)


def test_nothing_reads_an_open_comparison_as_a_no():
  for case in (sanity_verdicts.verdicts(('snip', 'random'), (0.9,)), sanity_verdicts.minimal(),
               sanity_verdicts.undecided(), sanity_verdicts.failed()):
    for text in texts(case):
      assert not re.search(r'does not (use|need)|no difference|insensitive|undecided|no effect|as in the paper|'
                           r'\bpass(es|ed)?\b|\bfails\b|p equivalent|p drop', text, re.IGNORECASE)


def test_an_open_comparison_is_told_as_open_with_its_bounds():
  judgement = judged(original=(90.0, 94.0, 92.0), checked=(91.0, 90.0, 93.0))
  assert wording.kind(judgement) == wording.OPEN and wording.words(judgement) == 'open'
  for text in texts(one(judgement)):
    assert 'open' in text and wording.interval(judgement) in text
  assert 'The seeds so far do not tell; that is no finding.' in page.html(one(judgement))


@pytest.mark.parametrize('checked, kind, words', [
    (LESS, wording.USES, 'uses it, worth more than 0.5'), (BETTER, wording.BETTER_WITHOUT, 'better without it')])
def test_words_are_told_with_their_margin_and_a_drop_never_without_its_interval(checked, kind, words):
  judgement = judged(original=GOOD, checked=checked)
  assert wording.kind(judgement) == kind and wording.words(judgement).startswith(words)
  assert wording.drop(judgement) == f'{judgement.drop:.2f} {wording.interval(judgement)}'
  for text in texts(one(judgement))[:2]:
    assert wording.drop(judgement) in text and text.count(wording.number(judgement.drop)) == text.count(
        wording.drop(judgement)), 'an estimate stands alone'


def test_the_words_of_both_families_are_told_apart():
  judgement = dataclasses.replace(judged(), interval=Intervals((0.5, 2.0), (-0.5, 3.0)))
  for text in texts(one(judgement))[1:]:
    assert '[0.50, 2.00]' in text and '[-0.50, 3.00]' in text and 'all of the rule' in text and 'whole call' in text


def test_the_key_says_what_each_word_tests():
  key = dict(method.key())
  assert 'L > 0' in key[wording.USES] and 'L > d' in key[wording.USES] and 'U < 0' in key[wording.BETTER_WITHOUT]
  assert 'U < d' in key[wording.WORTH_LESS] and 'L > \N{MINUS SIGN}d and U < d' in key[wording.EQUIVALENT]
  assert set(key) == set(wording.NAMES) == set(wording.MARKS)
  for text in texts(sanity_verdicts.undecided())[1:]:
    assert all(meaning.split(': ')[1] in text for meaning in key.values())


@pytest.mark.parametrize('interval, said', [
    ((1.2, 3.4), 'beats luck by [1.20, 3.40] points'), ((-3.4, -1.2), 'worse than luck by [1.20, 3.40] points'),
    ((-0.3, 0.75), 'no better than luck by more than 0.75 points, and no worse by more than 0.30'),
    (None, 'not known to beat luck or not: 3 seeds, fewer than 3, have no interval')])
def test_the_headline_is_luck(interval, said):
  judgement = dataclasses.replace(judged(check='luck'), interval=Intervals(interval, interval))
  assert findings.headline(judgement) == said
  for text in texts(one(judgement, luck=(judgement,))):
    before, _, after = text.partition('Does it beat luck?')
    assert said in after.split('rearrange')[0].split('What does it use?')[0] and said not in before


def test_a_report_without_luck_says_that_nothing_tells_whether_it_is_beaten():
  verdicts = sanity_verdicts.minimal()
  assert all('nothing here says whether a rule beats luck' in ' '.join(text.split()) for text in texts(verdicts))
  verdicts = sanity_verdicts.failed()
  assert not any('nothing here says whether' in text for text in texts(verdicts))


def test_what_could_not_have_failed_is_said_once_for_each_ratio():
  verdicts = sanity_verdicts.verdicts(('snip', 'lottery'), (0.9, 0.98), seeds=4, low=0.1)
  gaps = (dataclasses.replace(verdicts.gaps[0], interval=Intervals((0.1, 1.3), (0.0, 1.4))), verdicts.gaps[1])
  verdicts = dataclasses.replace(verdicts, gaps=gaps)
  for text in texts(verdicts):
    text = ' '.join(text.split())
    assert text.count('At ratio 0.9 the dense network is above luck by [0.10, 1.30] points. That is not shown to be '
                      'above the margin of 0.5: at this ratio nothing could have failed') == 1
    assert text.count('At ratio 0.98 the dense network') == 1 and text.count('could have been seen') == 1
    assert 'less than 0.5' not in text
  assert all(text.count('is not known at ratio 0.95') == 1 for text in texts(sanity_verdicts.minimal()))


def test_dead_tickets_are_told_as_dead():
  dead = (10.0, 10.1, 9.9, 10.0)
  judgement = judged(original=dead, checked=dead, cut=((True, True),) * 4)
  assert not {'worth less', 'equivalent'} & set(wording.words(judgement).split(' than ')[0].split(', '))
  assert wording.kind(judgement) == wording.OPEN
  for text in texts(one(judgement)):
    assert 'no path leads through the original or the checked network in 4 of 4 seeds' in text
    assert 'collapsed: 4 of 4 originals, 4 of 4 checked' in text


def test_failed_runs_are_counted_at_guessing_and_said():
  judgement = judged(original=GOOD, checked=(90.0, 90.1, 10.0, 10.0),
                     failed=((False, False),) * 2 + ((False, True),) * 2)
  assert wording.kind(judgement) == wording.OPEN
  for text in texts(one(judgement, failures=('digits-x: scores of conv1: NaN',))):
    assert '2 of 4 checked runs failed and count at guessing (10%)' in text
    assert 'digits-x: scores of conv1: NaN' in text.split('Does it beat luck?')[0]


def test_rare_collapses_are_a_comparison_of_their_own():
  judgement = judged(original=GOOD, checked=(90.0, 90.1, 90.2, 10.0))
  verdicts = one(judgement)
  assert findings.collapses(verdicts) == [
      ('snip (global)', '0.9', 'rearrange', '0 of 4 [0, 60]%', '1 of 4 [1, 81]%', 'open')]
  for text in texts(verdicts)[1:]:
    assert 'How often tickets collapse' in text and '1 of 4' in text
  assert 'collapsed: 0 of 4 originals, 1 of 4 checked' in texts(verdicts)[0]
  assert not any('How often tickets collapse' in text for text in texts(one(judged())))


def test_what_is_the_same_by_construction_is_no_finding():
  judgement = judged(rule='random', check='random_labels', checked=(90.0, 90.5, 91.0), identical=True)
  verdicts = one(judgement)
  assert wording.kind(judgement) == wording.UNAFFECTED
  assert findings.tally(verdicts.judgements) == '1 comparison: unaffected by construction 1'
  for text in texts(verdicts):
    assert 'in no family, and no finding' in text and 'unaffected by construction' in text and '0.00 [' not in text
  found = Page(page.html(verdicts))
  assert not [label for label in found.values('aria-label') if label.startswith('Plot of drops')]


def test_what_was_chosen_later_and_unplanned_looks_come_first():
  looks = Looks('pocock', (5, 8), (0.03, 0.02), 2, unplanned=(12,))
  verdicts = sanity_verdicts.minimal(looks=looks, exploratory=('the margin of 0.5 was chosen later',),
                                     accuracy='final_accuracy')
  for text in texts(verdicts):
    top = text.split('Does it beat luck?')[0]
    assert 'the look at 12 seeds was not planned' in top and 'the margin of 0.5 was chosen later' in top
    assert 'Exploratory' in top and 'Unplanned look' in top and 'no accuracy of settled weights' in top
  assert findings.notices(sanity_verdicts.minimal()) == []


def test_failed_controls_cannot_be_overlooked():
  verdicts = sanity_verdicts.failed()
  finding = verdicts.controls.findings[0]
  lines = report.sanity_table(verdicts).splitlines()
  assert lines[1].startswith(findings.ALARM) and finding in lines[2] and lines[-1].startswith(findings.ALARM)
  found = Page(page.html(verdicts))
  assert found.find('title')[0][1].startswith('CONTROLS FAILED')
  assert found.find('body')[0][1].startswith(findings.ALARM)
  assert found.find('p', role='alert') and finding in found.find('section', class_='failed')[0][1]
  assert all(findings.ALARM in text for _, text in found.find('section', class_='rule'))
  text = sanity.markdown(verdicts)
  assert findings.ALARM in text.splitlines()[2] and finding in text.replace('\\', '').split('## Does it beat luck?')[0]


@pytest.mark.parametrize('controls, said', [
    (None, 'No planted controls were run'), (Controls(True, (), ()), 'came out as they must'),
    (Controls(None, (), ()), 'Some planted controls are open')])
def test_controls_that_did_not_fail_raise_no_alarm(controls, said):
  for text in texts(sanity_verdicts.minimal(controls=controls)):
    assert 'FAILED' not in text and said in text


def test_controls_are_told_apart_from_what_was_asked():
  verdicts = sanity_verdicts.failed()
  *asked, control = wording.by_rule(verdicts)
  assert control.name == 'planted control random (smart)' and [each.check for each in control.judgements] == ['seeds']
  assert sum(len(rule.judgements) for rule in asked) == len(verdicts.judgements)
  assert findings.tally(verdicts.judgements).startswith(f'{len(verdicts.judgements)} comparisons: ')
  assert 'planted control' in wording.remarks(control.judgements[0], None)


def test_ladders_tell_what_each_step_is_worth():
  verdicts = sanity_verdicts.failed()
  ladder = verdicts.ladders[0]
  assert findings.steps(ladder)[0] == 'its positions: original to rearrange'
  for text in texts(verdicts):
    for step, judgement in zip(findings.steps(ladder), ladder.steps, strict=True):
      assert step in text and wording.drop(judgement) in text
    assert 'nearest to those of erk' in text
  plots = [label for label in Page(page.html(verdicts)).values('aria-label') if ' is made of: ' in label]
  assert len(plots) == len(verdicts.ladders) and wording.drop(ladder.steps[1]) in plots[0]


def test_a_rule_is_summed_up_by_what_is_said_of_it():
  judgements = sanity_verdicts.judged([
      sanity_verdicts.evidence(check='invert', original=GOOD, checked=LESS),
      sanity_verdicts.evidence(check='rearrange', original=GOOD, checked=(70.0, 95.0, 92.0, 80.0))])
  (uses, said), (still_open, counted) = findings.by_kind(judgements)
  assert (uses, still_open) == (wording.USES, wording.OPEN)
  assert said == f'uses it: invert at 0.9 {wording.interval(judgements[0])}'
  assert counted == 'open: 1 of 2 comparisons'


def test_fewer_than_three_seeds_have_no_interval():
  verdicts = sanity_verdicts.minimal()
  judgement, = verdicts.judgements
  line = next(line for line in report.sanity_table(verdicts).splitlines() if 'random_labels  1' in line)
  assert line.split()[:4] == ['random_labels', '1', *(
      wording.number(value) for value in (judgement.original.mean, judgement.checked.mean))]
  assert line.endswith('no interval  open')
  (_, text), = Page(page.html(verdicts)).find('tbody', id='judgement-0')
  assert 'fewer than 3 seeds have no interval' in text and '±' not in text and '[' not in text


def test_looks_are_told_with_their_levels():
  verdicts = sanity_verdicts.undecided()
  assert 'up to 3 looks, at 3, 5, 8 seeds; 1 done' in page.html(verdicts)
  assert all(verdicts.stopped in text for text in texts(verdicts))
  assert ' looks' not in ' '.join(method.paragraphs(sanity_verdicts.minimal()))


@pytest.mark.parametrize('fewest, most, said', [
    (8, 20, '8 to 20 seeds'), (8, None, '8 seeds at best, perhaps not within --max_seeds=50'),
    (None, None, 'not within --max_seeds=50')])
def test_a_forecast_is_a_range(fewest, most, said):
  judgement = dataclasses.replace(judged(original=(90.0, 94.0, 92.0), checked=(91.0, 90.0, 93.0)),
                                  forecast=SeedsNeeded(fewest, most, 50))
  for text in texts(one(judgement)):
    assert f'seeds for a statement: {said}' in text


@pytest.mark.parametrize('margin, said', [('0.5', '0.5 points'),
                                          ('0.2gap', '0.2 of the gap between the dense network and luck')])
def test_a_margin_has_its_unit(margin, said):
  assert method.margin(dataclasses.replace(sanity_verdicts.minimal(), margin=margin)) == said


def test_rules_are_told_apart_by_their_allocation_and_ratios_rise():
  verdicts = sanity_verdicts.verdicts(('snip',), (0.98, 0.9), ('invert', 'rearrange'))
  verdicts = sanity_verdicts.with_judgement(verdicts, 0, allocation='erk')
  verdicts = sanity_verdicts.with_profile(verdicts, 0, allocation='erk')
  erk, plain = wording.by_rule(verdicts)
  assert (erk.name, plain.name) == ('snip (erk)', 'snip (global)')
  assert list(plain.ratios) == [0.9, 0.98] and list(erk.ratios) == [0.98]
  assert [each.number for each in plain.ratios[0.9]] == [2, 3]
  assert [profile.ratio for profile in erk.profiles] == [0.98]


@pytest.mark.parametrize('value, expected', [(0.125, '0.12'), (-0.001, '0.00'), (-1.5, '-1.50'), (None, '\N{EN DASH}')])
def test_numbers_have_two_decimals(value, expected):
  assert wording.number(value) == expected


@pytest.mark.parametrize('low, high, expected', [
    (0.129, 0.121, ('0.12', '0.13')), (-0.121, -0.129, ('-0.13', '-0.12')), (0.29, 0.29, ('0.29', '0.29')),
    (-0.001, -0.001, ('-0.01', '0.00')), (None, None, ('\N{EN DASH}', '\N{EN DASH}'))])
def test_ends_of_intervals_are_rounded_outwards(low, high, expected):
  assert wording.ends(low, high) == expected


def test_means_over_ratios_and_a_list_for_exploring_are_sections_of_their_own():
  verdicts = sanity_verdicts.verdicts(('lottery',), (0.9, 0.95), ('invert', 'rearrange'))
  rows = findings.over_ratios(verdicts)
  assert [row[:3] for row in rows] == [('lottery (global_convolutions)', check, '0.9, 0.95')
                                       for check in ('invert', 'rearrange')]
  for text in texts(verdicts)[1:]:
    assert 'Over all ratios' in text and all(cell in text for row in rows for cell in row)
    assert 'For exploring' not in text
  still_open = dataclasses.replace(verdicts, judgements=tuple(
      dataclasses.replace(each, statements=('open',)) for each in verdicts.judgements))
  for text in texts(still_open)[1:]:
    assert 'Exploratory, and no statement: open comparisons' in text.split('For exploring')[1]


def test_what_test_images_make_of_a_number_is_told():
  plain = judged(original=GOOD, checked=LESS)
  images = Images((0.5, 0.4, 0.3), (0.6, 0.5, 0.33), 0.2, Intervals((3.0, 9.0), (2.0, 10.0)))
  judgement = dataclasses.replace(plain, images=images)
  for text in texts(one(judgement)):
    assert 'with new test images too [3.00, 9.00]' in text
    assert 'deviation of the originals 0.50: 0.40 by the finite test set, 0.30 between trainings' in text
  assert 'Jordan' in texts(one(judgement))[1] and not any('Jordan' in text for text in texts(one(plain)))
