"""Plots of a report: drawn where the numbers are, in the page's own colours and type."""

import dataclasses
import math
import re

import numpy as np
import pytest

from tests.report import sanity_verdicts
from tests.report.html_page import Page
from tickets_tf.judging.verdicts import Intervals
from tickets_tf.judging.verdicts import KeepRatios
from tickets_tf.report import page
from tickets_tf.report import plots


@pytest.fixture(scope='module')
def judgements():
  return sanity_verdicts.verdicts(('lottery',), (0.9,), ('random_labels', 'rearrange'), seeds=4).judgements


def test_a_forest_has_drops_intervals_and_the_margin_where_they_are(judgements):
  axis = plots.scale(judgements)
  found = Page(plots.forest([(each.check, each) for each in judgements], axis, 'x'))

  def place(value):
    low, value, high = (math.asinh(each / 0.5) for each in (axis.low, value, axis.high))
    return (value - low) / (high - low)

  bands = [_span(each) for _, each, _ in found.elements if 'var(--band)' in each.get('style', '')]
  assert len(bands) == 2 and bands[0] == bands[1]
  scale, shift = np.polyfit([place(-0.5), place(0.5)], bands[0], 1)
  lines = [_span(each) for tag, each, _ in found.elements if tag == 'path' and re.search(
      r'stroke: var\(--(uses|open|equivalent|less|without)\)', each.get('style', ''))]
  spots = [each[0] for each in _spots(found)]
  for judgement in judgements:
    assert any(abs(spot - (scale * place(judgement.drop) + shift)) < 0.01 for spot in spots)
    for interval in (judgement.interval.rule_family, judgement.interval.whole_call):
      wanted = [scale * place(value) + shift for value in interval]
      assert any(np.allclose(line, wanted, atol=0.01) for line in lines)


def test_the_interval_of_the_rule_is_the_thicker_one(judgements):
  found = Page(plots.forest([('a', judgements[1])], plots.scale(judgements), 'x'))
  widths = [(float(re.search(r'stroke-width: ([\d.]+)', each['style'])[1]), np.ptp(_span(each)))
            for tag, each, _ in found.elements if tag == 'path' and 'stroke: var(--uses)' in each.get('style', '')]
  (thin, wide), (thick, narrow) = sorted(widths)
  assert thin < thick and wide > narrow


def test_the_scale_holds_all_values_and_no_gap(judgements):
  axis = plots.scale(judgements)
  ends = [end for each in judgements for end in each.interval.whole_call]
  assert axis.low < min(ends) and max(ends) < axis.high and axis.low <= -1 and axis.high >= 1 and axis.margin == 0.5
  far = dataclasses.replace(judgements[0], interval=Intervals((None, 3.0), (-1e6, 1e6)), drop=None)
  assert plots.scale([far]) == plots.Scale(0.5, -100, 100)
  assert plots.scale([]) == plots.Scale(1.0, -2.6, 2.6)


def test_a_waterfall_falls_from_rung_to_rung():
  ladder = sanity_verdicts.failed().ladders[0]
  found = Page(plots.waterfall(ladder, [each.subject for each in ladder.steps], 'x'))
  bars = [_span(each) for tag, each, _ in found.elements
          if tag == 'path' and 'fill: var(--uses)' in each.get('style', '') and ' z' in each['d']]
  (first,), (last,) = [spot for spot in _spots(found) if len(spot) == 1][-2:]
  scale, shift = np.polyfit([ladder.rungs[0].mean, ladder.rungs[-1].mean], [first, last], 1)
  assert len(bars) == 3
  for bar, step in zip(bars, ladder.steps, strict=True):
    wanted = sorted(scale * value + shift for value in (step.original.mean, step.checked.mean))
    assert np.allclose(bar, wanted, atol=0.5)
  names = [text for _, text in found.find('text')]
  assert {'original', 'uniform', 'its positions', 'its layer ratios', 'smart layer ratios'} <= set(names)


def test_a_layer_left_empty_is_a_cross_on_the_edge():
  profile = KeepRatios('snip', 'global', 0.98, ('a', 'b', 'c'), (0.5, 0.0, 0.01))
  spots = _spots(Page(plots.keep_ratios([profile], 'x')))
  left = min(x for each in spots for x in each)  # The first tick.
  assert spots.count([left]) == 2 and sum(len(each) == 2 and left < min(each) for each in spots) == 1
  spots = _spots(Page(plots.keep_ratios([dataclasses.replace(profile, original=(0.5, 0.1, 0.01))], 'x')))
  assert spots.count([left]) == 1 and sum(len(each) == 3 and left < min(each) for each in spots) == 1


def test_a_long_network_names_some_of_its_layers():
  layers = tuple(f'layer{index}' for index in range(150))
  found = Page(plots.keep_ratios([KeepRatios('snip', 'global', 0.9, layers, (0.1,) * 150)], 'x'))
  named = [text for _, text in found.find('text') if text.startswith('layer')]
  assert named[:2] == ['layer0', 'layer4'] and len(named) == 38


def test_plots_take_their_colours_and_type_from_the_page():
  source = page.html(sanity_verdicts.failed())
  names = set(re.findall(r'--([\w-]+):', source))
  found = Page(source)
  assert len(found.find('style')) == 1
  for text in found.values('style'):
    assert not re.search('#[0-9a-f]{3,}|font-family|DejaVu', text), text
    assert set(re.findall(r'var\(--([\w-]+)\)', text)) <= names


def test_letters_of_any_script_and_signs_of_mathtext_are_text():
  verdicts = sanity_verdicts.verdicts(('snip',), (0.9,), ('ラベル', 'a$b$_c'), seeds=3)
  found = Page(page.html(verdicts))
  assert {'ラベル', 'a$b$_c'} <= {text for _, text in found.find('text')}


def _span(attributes):
  """Returns the smallest and the largest x of a path."""
  ends = [float(x) for x in re.findall(r'[ML] (-?[\d.]+) ', attributes['d'])]
  return [min(ends), max(ends)]


def _spots(found):
  """Returns the x of the points of a plot, one list for each thing drawn."""
  spots = []
  for tag, attributes, _ in found.elements:
    if tag == 'g':
      spots.append([])
    elif tag == 'use':
      spots[-1].append(float(attributes['x']))
  return [each for each in spots if each]
