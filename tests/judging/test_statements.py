"""Words and sentences of intervals."""

import pytest

from tickets_tf.judging.statements import obstacle
from tickets_tf.judging.statements import sentence
from tickets_tf.judging.statements import statements


@pytest.mark.parametrize('interval, words', [
    ((0.1, 0.3), ('uses it', 'worth less than d', 'equivalent')),
    ((0.1, 3.0), ('uses it',)),
    ((0.6, 3.0), ('uses it', 'worth more than d')),
    ((-0.1, 0.4), ('worth less than d', 'equivalent')),
    ((-9.0, 0.4), ('worth less than d',)),
    ((-9.0, -0.1), ('worth less than d', 'better without it')),
    ((-0.3, -0.1), ('worth less than d', 'better without it', 'equivalent')),
    ((-1.0, 1.0), ('open',)),
    ((-0.5, 0.5), ('open',)),
    ((0.0, 0.5), ('open',)),
    ((-0.5, 0.0), ('worth less than d',)),
    ((0.5, 0.6), ('uses it',)),
    (None, ('open',))])
def test_words_are_read_off_the_interval(interval, words):
  assert statements(interval, 0.5) == words
  allowed = tuple(word for word in words if word not in ('worth less than d', 'equivalent')) or ('open',)
  assert statements(interval, 0.5, can_fail=False) == allowed


def test_what_could_not_fail_says_why():
  assert obstacle(0, 0, (0.6, 3.0), 0.5) == ''
  assert obstacle(5, 1, (0.6, 3.0), 0.5) == '5 of its runs failed, and 1 of the original tickets collapsed'
  for gap in ((0.5, 3.0), (-1.0, 9.0), None):
    assert obstacle(0, 0, gap, 0.5) == ('the gap between the dense network and luck is not shown to be above 0.5 '
                                        'points')


@pytest.mark.parametrize('subject, interval, settings, expected', [
    ('the labels', (-0.342, 1.599), {'together': 'all seven checks together'},
     'the labels are worth at most 1.6 points to snip, and cost it at most 0.35 (95%, all seven checks together)'),
    ('the order of its scores', (-0.3, 1.591), {'alpha': 0.1},
     'the order of its scores is worth at most 1.6 points to snip, and costs it at most 0.3 (90%)'),
    ('the positions it chose', (0.129, 1.591), {},
     'the positions it chose are worth at least 0.12 points to snip, at most 1.6 (95%)'),
    ('the labels', (-4.3, -0.019), {}, 'snip is better without the labels, by 0.01 to 4.3 points (95%)'),
    ('the labels', (0.1, 2.0), {'why_open': '2 of its runs failed'},
     'the labels are worth at least 0.1 points to snip, no upper bound is told, as 2 of its runs failed (95%)'),
    ('the labels', (-0.1, 2.0), {'why_open': '2 of its runs failed'},
     'it is open what the labels are worth to snip, as 2 of its runs failed; the interval is from -0.1 to 2 points '
     '(95%)'),
    ('which weights it keeps', (0.0, 0.0), {},
     'which weights it keeps is worth at most 0 points to snip, and costs it at most 0 (95%)'),
    ('the labels and pixels', None, {}, 'it is open what the labels and pixels are worth to snip: fewer than 3 seeds')])
def test_a_sentence_tells_both_ends(subject, interval, settings, expected):
  assert sentence('snip', subject, interval, **settings) == expected


@pytest.mark.parametrize('subject, are', [
    ('the freedom to keep single weights', 'is'), ('its difference from luck', 'is'),
    ('its choice of weights within a layer, beyond their number on paths', 'is'), ('its layer ratios', 'are'),
    ('the weights that it starts from', 'are')])
def test_a_verb_goes_with_the_head_of_its_subject(subject, are):
  assert f'{subject} {are} worth at most' in sentence('snip', subject, (-1.0, 1.0))
