"""The page as a real browser shows it, wide and narrow, light and dark."""

import base64
import html
import json
import os
import re
import subprocess

import numpy as np
from PIL import Image
import pytest

from tests.report import sanity_verdicts
from tests.report.browsers import BROWSER
from tests.report.browsers import BROWSERS
from tests.report.browsers import channels
from tests.report.browsers import contrast
from tickets_tf.report import page

pytestmark = pytest.mark.skipif(BROWSER is None, reason=f'no browser is installed: none of {", ".join(BROWSERS)}')
# Chromium's windows are at least 500 pixels wide, the frames in them are not.
FRAME = ('<!DOCTYPE html><meta charset="utf-8"><body style="margin:0">'
         '<iframe style="border:0" width="{}" height="900" srcdoc="{}"></iframe><script>{}</script>')
MEASURE = '''
window.onload = () => {
  const frame = document.querySelector('iframe').contentWindow, page = frame.document;
  const box = element => element.getBoundingClientRect();
  const shown = [...page.querySelectorAll('svg')];
  const outside = shown.flatMap(svg => [...svg.querySelectorAll('text')].filter(text => {
    const [inner, outer] = [box(text), box(svg)];
    return inner.left < outer.left - 1 || inner.right > outer.right + 1 || inner.bottom > outer.bottom + 1;
  }).map(text => text.textContent));
  const names = [...page.querySelectorAll('.overview thead th')].map(box);
  document.body.innerHTML = '<pre>' + btoa(JSON.stringify({
    width: page.documentElement.scrollWidth, height: page.documentElement.scrollHeight, plots: shown.map(
      svg => [box(svg).width, box(svg).height]), outside: outside.map(escape),
    overlaps: names.filter((name, index) => index && name.left < names[index - 1].right - 1).length,
    requests: frame.performance.getEntriesByType('resource').length,
    paper: frame.getComputedStyle(page.body).backgroundColor,
    fills: [...new Set(shown.flatMap(svg => [...svg.querySelectorAll('text')].map(
      text => frame.getComputedStyle(text).fill)))]})) + '</pre>';
};
'''


def browse(folder, source, *arguments, dark=False):
  """Opens a page and returns what the browser printed."""
  path = folder / 'opened.html'
  path.write_text(source, encoding='utf-8')
  # As root, as in most containers, it starts only without its sandbox.
  sandbox = ['--no-sandbox'] if os.geteuid() == 0 else []
  done = subprocess.run(
      [BROWSER, '--headless', *sandbox, '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-sync',
       '--disable-background-networking', '--disable-component-update', '--hide-scrollbars', '--window-size=1280,900',
       f'--user-data-dir={folder / "browser"}', f'--blink-settings=preferredColorScheme={0 if dark else 1}',
       *arguments, path.as_uri()], capture_output=True, text=True, timeout=120)
  assert done.returncode == 0, done.stderr
  return done.stdout


def measure(folder, source, width, dark=False):
  """Returns what `MEASURE` finds on a page in a window of that width in pixels."""
  printed = browse(folder, FRAME.format(width, html.escape(source), MEASURE), '--dump-dom', dark=dark)
  return json.loads(base64.b64decode(re.search('<pre>(.*?)</pre>', printed)[1]))


def screenshot(folder, source, dark):
  """Returns the top of a page as uint8 [900, 1280, 3]."""
  browse(folder, source, f'--screenshot={folder / "shot.png"}', dark=dark)
  return np.asarray(Image.open(folder / 'shot.png').convert('RGB'))


@pytest.fixture(scope='module')
def source():
  verdicts = sanity_verdicts.with_judgement(sanity_verdicts.failed(), 4, statements=('equivalent', 'worth less than d'))
  return page.html(sanity_verdicts.with_judgement(verdicts, 5, statements=('better without it',)))


@pytest.mark.parametrize('width', [1280, 800, 390, 320])
def test_it_fits_a_window_of_any_width(width, source, tmp_path):
  found = measure(tmp_path, source, width)
  assert found['width'] <= width
  assert len(found['plots']) == 11 and all(w > min(width, 400) * 0.8 and h > 60 for w, h in found['plots'])
  assert found['outside'] == [] and found['overlaps'] == 0
  assert found['requests'] == 0


def test_names_of_any_length_fit_a_phone(tmp_path):
  verdicts = sanity_verdicts.verdicts(('my_package.my_pruning_methods:score_by_gradient',), (0.9,), (
      'FLIP_EVERY_SECOND_IMAGE_OF_THE_DATA', 'rearrange'), seeds=3, command='bin/sanity_check ' + 'x' * 300)
  verdicts.settings['data_dir'] = '/data' * 30
  found = measure(tmp_path, page.html(verdicts), 390)
  assert found['width'] <= 390 and found['outside'] == []


def test_light_and_dark_have_their_own_paper_and_ink(source, tmp_path):
  light, dark = (measure(tmp_path, source, 1280, dark) for dark in (False, True))
  assert light['paper'] == 'rgb(255, 255, 255)' and max(channels(dark['paper'])) < 50
  assert len(light['fills']) >= 5 and not set(light['fills']) & set(dark['fills'])
  for found in (light, dark):
    # WCAG's contrast for text.
    assert all(contrast(fill, found['paper']) > 4.5 for fill in found['fills'])


@pytest.mark.parametrize('dark', [False, True])
def test_failed_controls_are_seen_first(dark, source, tmp_path):
  top = screenshot(tmp_path, source, dark)[:120].astype(int)
  red = (top[..., 0] > 140) & (top[..., 0] > top[..., 1] + 70)
  assert red.mean() > 0.2
  calm = page.html(sanity_verdicts.minimal())
  top = screenshot(tmp_path, calm, dark)[:120].astype(int)
  assert not ((top[..., 0] > 140) & (top[..., 0] > top[..., 1] + 70)).any() and top.std() > 10
