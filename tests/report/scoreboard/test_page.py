"""The page of a scoreboard as a parser sees it: whole, answers first, escaped, and it needs nothing from elsewhere."""

import base64
import hashlib
import re

import pytest

from tests.report import sanity_verdicts
from tests.report.html_page import Page
from tests.report.scoreboard import boards
from tickets_tf.report import findings
from tickets_tf.report import wording
from tickets_tf.report.scoreboard import answers
from tickets_tf.report.scoreboard import cells


@pytest.fixture(scope='module')
def small():
  return boards.small()


@pytest.fixture(scope='module')
def text(small):
  return boards.html(small, drawn=False)


@pytest.fixture(scope='module')
def found(text):
  return Page(text)


def body(page):
  (_, everything), = page.find('body')
  return everything


def test_answers_come_first(found):
  heads = [each['id'] for each, _ in found.find('h2')]
  assert heads == ['answers', 'tables', 'published', 'verdicts', 'runs', 'settings', 'commands', 'left-out']
  said = body(found)
  assert said.index('3 comparisons with luck: 3 beats luck.') < said.index('Which methods are among the best?')
  assert 'beats luck: random (smart) at 0.98 [' in said
  assert said.index(f'runs/sanity-0: {findings.ALARM}') < said.index('What can be said?')


def test_every_cell_is_there_and_bold_if_among_the_best(small, found):
  tables = cells.tables(small.runs)
  assert len(tables) == 2
  for number, table in enumerate(tables):
    (_, shown), = [(at, text) for at, text in found.find('table', class_='grid')
                   if at['id'] == f'accuracies-{number}']
    assert all(wording.mean_and_deviation(cell.accuracies) in shown for cell in table.cells.values())
  bold = {text for _, text in found.find('strong')}
  best = {wording.mean_and_deviation(cell.accuracies) for table in tables for cell in table.cells.values()
          if cell.among_best}
  assert best and best <= bold
  worse = {wording.mean_and_deviation(cell.accuracies) for table in tables for cell in table.cells.values()
           if not cell.among_best} - best
  assert worse and not worse & bold


def test_every_comparison_and_run_is_there(small, found):
  rows = {number: [] for number in range(2)}
  for number, (_, verdicts) in enumerate(small.verdicts):
    (_, shown), = [each for each in found.find('table', class_='grid') if each[0]['id'] == f'comparisons-{number}']
    rows[number] = list(findings.all_judgements(verdicts))
    assert all(wording.drop(each) in shown for each in rows[number] if not each.unaffected)
    assert all(wording.words(each) in shown for each in rows[number])
  (_, shown), = [each for each in found.find('table', class_='grid') if each[0]['id'] == 'every-run']
  assert all(str(run.folder) in shown for run in small.runs)
  everything = body(found)
  assert boards.COMMAND in everything and small.verdicts[0][1].command in everything
  assert 'for seed in 0 1 2 3 4; do bin/train --' in everything and ' --dataset=cifar10 ' in everything
  assert all(name in everything and why in everything for name, why in small.left_out)


def test_among_the_best_says_who_and_who_not():
  table, = cells.tables(boards.study(('snip', 'hybrid', 'synflow'), (0.9,)))
  (ratio, said), = answers.among_best(table)
  assert ratio == 0.9 and [each.answer for each in said] == ['among the best', 'shown to be worse than the best']
  assert [name.split()[0] for each in said for name in each.of] == ['hybrid', 'snip', 'synflow']


@pytest.mark.parametrize(('methods', 'seeds', 'answer'), [
    (('snip', 'hybrid'), 2, 'nothing can be said: it takes 3 seeds of two methods, and the most seeds are 2'),
    (('snip',), 5, 'nothing can be said: snip is the only method')])
def test_what_cannot_be_said_is_said_to_be_open(methods, seeds, answer):
  table, = cells.tables(boards.study(methods, (0.9,), seeds))
  (_, said), = answers.among_best(table)
  assert [(each.kind, each.answer) for each in said] == [(wording.OPEN, answer)]


def test_methods_that_are_not_told_apart_are_no_winners():
  table, = cells.tables([boards.run(pruner, 0.9, seed, 90 + seed / 10 + (pruner == 'snip') / 100)
                         for pruner in ('snip', 'random') for seed in (0, 1, 2)])
  (_, said), = answers.among_best(table)
  assert [(each.kind, each.answer, len(each.of)) for each in said] == [(wording.OPEN, 'not told from each other', 2)]


def test_luck_is_told_by_bounds():
  made = sanity_verdicts.judged([
      sanity_verdicts.evidence('snip', 0.9, 'luck', (95.0, 95.1, 95.2), (90.0, 90.1, 90.2)),
      sanity_verdicts.evidence('grasp', 0.9, 'luck', (85.0, 85.1, 85.2), (90.0, 90.1, 90.2)),
      sanity_verdicts.evidence('obd', 0.9, 'luck', (85.0, 95.1, 92.2), (90.0, 90.1, 90.2)),
      sanity_verdicts.evidence('synflow', 0.95, 'luck', (85.0,), (90.0,))])
  said = answers.luck(sanity_verdicts.minimal(luck=tuple(made)))
  assert [(each.kind, each.answer) for each in said] == [
      (wording.USES, 'beats luck'), (wording.BETTER_WITHOUT, 'worse than luck'), (wording.OPEN, 'not told from luck')]
  assert said[0].of == (f'snip (global) at 0.9 {wording.interval(made[0])}',)
  assert said[2].of[1] == 'synflow (global) at 0.95 (no interval: fewer than 3 seeds)'


def test_nothing_found_is_a_page_too():
  found = boards.found([], left_out=[('runs', 'holds no run and no verdicts.json')])
  everything = body(Page(boards.html(found)))
  assert answers.NO_VERDICTS in everything and answers.NO_RUNS in everything
  assert 'holds no run and no verdicts.json' in everything


@pytest.mark.parametrize('stamp', ['', '0123abcd'])
def test_it_needs_nothing_from_elsewhere_and_runs_its_own_script_alone(small, stamp):
  text = boards.html(small, drawn=False, stamp=stamp)
  page = Page(text)
  (_, _), = page.find('script')
  script, = re.findall('<script>(.*)</script>', text, re.DOTALL)
  digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
  policy, = [each['content'] for each, _ in page.find('meta') if 'Content-Security-Policy' in each.values()]
  assert f"script-src 'sha256-{digest}'" in policy and "default-src 'none'" in policy
  assert not [name for _, attributes, _ in page.elements for name in attributes if name.startswith('on')]
  names = page.values('id')
  assert len(names) == len(set(names))
  outside = [target for target in page.references() if not target.startswith('#')]
  assert outside == (['data:,'] if stamp else [])
  assert {target[1:] for target in page.references() if target.startswith('#')} <= set(names)
  assert not re.search('https?:', text)
  assert ('data-stamp="0123abcd"' in text, "connect-src 'self'" in policy) == (bool(stamp), bool(stamp))


def test_everything_is_escaped():
  page = Page(boards.html(boards.evil()))
  assert not page.tags() & {'img', 'iframe', 'object'} and len(page.find('script')) == 1
  assert body(page).count('onerror') > 10 and boards.EVIL in ' '.join(page.find('title')[0][1].split())


def test_the_same_folder_gives_the_same_bytes(small, text):
  assert boards.html(small, drawn=False) == text
