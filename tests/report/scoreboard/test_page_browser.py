"""The page of a scoreboard in a real browser: on a phone and a desk, light and dark, by keyboard, and served."""

import os
import threading

import pytest

from tests.report.browsers import BROWSER
from tests.report.browsers import BROWSERS
from tests.report.browsers import contrast
from tests.report.scoreboard import boards
from tickets_tf.report.scoreboard import serve

playwright = pytest.importorskip('playwright.sync_api',
                                 reason='playwright is not installed: pip install -e ".[browser]"')
# What sticks out of the window but for what is in a region that scrolls, and every text with its colours.
MEASURE = '''() => {
  const shown = [...document.querySelectorAll('body *')].filter(each => each.checkVisibility());
  const outside = shown.filter(each => !each.closest('.unseen, .skip, .wide *') && (
    each.getBoundingClientRect().right > innerWidth + 1 || each.getBoundingClientRect().left < -1));
  const paper = element => {
    for (let each = element; each; each = each.parentElement) {
      const colour = getComputedStyle(each).backgroundColor;
      if (!colour.endsWith(', 0)') && colour !== 'transparent') return colour;
    }
    return 'rgb(255, 255, 255)';
  };
  const texts = shown.filter(each => [...each.childNodes].some(node => node.nodeType === 3 && node.data.trim()));
  const regions = [...document.querySelectorAll('.wide')];
  return {
    width: document.documentElement.scrollWidth, outside: outside.map(each => each.outerHTML.slice(0, 120)),
    colours: [...new Set(texts.map(each => JSON.stringify([
      each instanceof SVGElement ? getComputedStyle(each).fill : getComputedStyle(each).color, paper(each)])))].map(
        JSON.parse),
    outline: getComputedStyle(document.documentElement).getPropertyValue('--uses'),
    regions: regions.length, unreachable: regions.filter(each => each.tabIndex !== 0 || !each.ariaLabel).length,
    resources: performance.getEntriesByType('resource').length,
  };
}'''
ROWS = 'table => [...table.tBodies[0].rows].filter(row => !row.hidden).map(row => row.cells[0].textContent)'


@pytest.fixture(scope='module')
def browser():
  with playwright.sync_playwright() as driver:
    try:
      # As root, as in most containers, it starts only without its sandbox.
      opened = driver.chromium.launch(executable_path=BROWSER, args=['--no-sandbox'] if os.geteuid() == 0 else [])
    except playwright.Error:
      pytest.skip(f'no browser is installed: none of {", ".join(BROWSERS)}, and not that of `playwright install`')
    yield opened
    opened.close()


@pytest.fixture(scope='module')
def files(tmp_path_factory):
  """Two pages as files: one of a small study, one of what is an attack on its reader."""
  folder = tmp_path_factory.mktemp('pages')
  for name in ('small', 'evil'):
    (folder / f'{name}.html').write_text(boards.html(getattr(boards, name)()), encoding='utf-8')
  return folder


@pytest.fixture
def opened(browser, files):
  """A function that opens a page and returns it with the list of what its console says."""
  contexts = []

  def open_page(name='small', width=1280, where=None, **settings):
    contexts.append(browser.new_context(viewport={'width': width, 'height': 800}, **settings))
    page, said = contexts[-1].new_page(), []
    page.on('console', lambda message: said.append(message.text))
    page.on('pageerror', lambda error: said.append(str(error)))
    page.on('dialog', lambda dialog: said.append(dialog.message))
    page.goto(where or (files / f'{name}.html').as_uri())
    return page, said

  yield open_page
  for each in contexts:
    each.close()


@pytest.mark.parametrize(('name', 'width', 'scheme'), [
    ('small', 1280, 'light'), ('small', 375, 'light'), ('small', 1280, 'dark'), ('small', 375, 'dark'),
    ('evil', 375, 'dark')])
def test_it_fits_and_can_be_read(name, width, scheme, opened):
  page, said = opened(name, width, color_scheme=scheme)
  page.evaluate('document.querySelectorAll("details").forEach(each => { each.open = true; })')
  found = page.evaluate(MEASURE)
  assert found['width'] <= width and found['outside'] == []
  assert found['regions'] >= 3 and found['unreachable'] == 0 and found['resources'] == 0
  assert len(found['colours']) >= 4
  low = [each for each in found['colours'] if contrast(*each) < 4.5]
  assert not low
  assert said == [] and page.title().startswith(('CONTROLS FAILED. Scoreboard', 'Scoreboard'))


def test_the_skip_link_is_first_and_seen(opened):
  page, _ = opened()
  page.keyboard.press('Tab')
  assert page.evaluate('document.activeElement.className') == 'skip'
  assert page.evaluate('document.activeElement.getBoundingClientRect().top') >= 0
  page.keyboard.press('Enter')
  assert page.evaluate('[location.hash, document.activeElement.id]') == ['#answers', 'answers']


def test_a_table_is_sorted_and_filtered_by_keyboard(opened):
  page, said = opened()
  table, count = page.locator('#accuracies-0'), page.locator('.tools').first.locator('[role=status]')
  every = table.evaluate(ROWS)
  page.focus('#filter-accuracies-0')
  page.keyboard.type('SN')
  assert table.evaluate(ROWS) == ['snip'] and count.inner_text() == '1 of 7 methods'
  page.keyboard.press('Escape')
  assert table.evaluate(ROWS) == every and count.inner_text() == '7 of 7 methods'
  for _ in range(4):  # The region that scrolls, then a button in each column.
    page.keyboard.press('Tab')
  assert page.evaluate('document.activeElement.id') == 'sort-accuracies-0-2'
  outline = page.evaluate('(style => [style.outlineStyle, parseFloat(style.outlineWidth), style.outlineColor])'
                          '(getComputedStyle(document.activeElement))')
  assert outline[0] == 'solid' and outline[1] >= 2 and contrast(outline[2], 'rgb(255, 255, 255)') > 3
  head = table.locator('thead th').nth(2)
  page.keyboard.press('Enter')
  falling = ['hybrid', 'lottery', 'random', 'snip', 'grasp', 'synflow', 'dense']
  assert head.get_attribute('aria-sort') == 'descending' and table.evaluate(ROWS) == falling
  assert count.inner_text() == '7 of 7 methods, sorted by 0.9, descending'
  page.keyboard.press('Space')  # What has no value stays last.
  assert head.get_attribute('aria-sort') == 'ascending' and table.evaluate(ROWS) == [*falling[-2::-1], 'dense']
  page.keyboard.press('Enter')
  assert head.get_attribute('aria-sort') is None and table.evaluate(ROWS) == every
  assert said == []


def test_it_can_be_read_without_scripts(opened):
  page, said = opened(java_script_enabled=False)
  assert page.locator('#accuracies-0').is_visible() and page.locator('figure svg').first.is_visible()
  assert page.locator('input, button').count() == 0 and said == []
  page.locator('#all-runs summary').click()
  assert page.locator('#every-run').is_visible()


def test_names_do_no_harm_and_no_other_script_runs(opened):
  page, said = opened('evil')
  assert page.locator('img').count() == 0 and page.title() != 'evil' and said == []
  # Even if a name had become a script, the page's policy would not let it run.
  page.evaluate('document.body.append(Object.assign(document.createElement("script"), {textContent: "ran = 1"}))')
  assert page.evaluate('window.ran') is None


def test_a_served_page_loads_itself_again_and_keeps_its_place(opened):
  of = {'stamp': 'one'}

  class Watched:
    def stamp(self):
      return of['stamp']

    def page(self):
      return boards.html(boards.found(boards.study(seeds=3)), drawn=False, stamp=of['stamp'])

  with serve.server(0, Watched()) as serving:
    threading.Thread(target=serving.serve_forever, daemon=True).start()
    page, said = opened(where=f'http://127.0.0.1:{serving.server_port}/')
    page.fill('#filter-accuracies-0', 'sn')
    page.click('#sort-accuracies-0-2')
    page.evaluate('document.getElementById("commands-0").open = true')
    page.focus('#filter-accuracies-0')
    page.evaluate('scrollTo(0, 300)')
    of['stamp'] = 'two'
    page.wait_for_selector('html[data-stamp="two"]', timeout=30000)
    assert page.locator('#accuracies-0').evaluate(ROWS) == ['snip']
    assert page.locator('#accuracies-0 thead th').nth(2).get_attribute('aria-sort') == 'descending'
    assert page.evaluate('[document.activeElement.id, scrollY, document.getElementById("commands-0").open]') == [
        'filter-accuracies-0', 300, True]
    assert said == []
    serving.shutdown()
  page.wait_for_selector('.lost', timeout=30000)
  assert page.locator('#served').inner_text().startswith('bin/report no longer answers')
