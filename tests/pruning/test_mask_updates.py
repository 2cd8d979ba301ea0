"""Mask updates: which weights go and come back, when, and what every entry of the table keeps."""

import pathlib

import numpy as np
import pytest

from tickets_tf import registry
from tickets_tf.errors import UsageError
from tickets_tf.pruning import mask_updates
from tickets_tf.pruning import selection
from tickets_tf.pruning.mask import Mask
from tickets_tf.pruning.mask_updates import Moment
from tickets_tf.pruning.mask_updates import Timing

GOLDEN = pathlib.Path(__file__).parents[1] / 'golden' / 'rigl_updates.npz'
SHAPES = {'first': (3, 3, 2, 4), 'second': (3, 3, 4, 6), 'last': (24, 5)}


def moment(ratio=0.8, passed=0.2, seed=0, density=0.5):
  """A network of three layers whose scores are its weights."""
  rng = np.random.default_rng(7)
  mask = Mask((name, selection.highest(rng.random(shape), int(density * np.prod(shape)), rng))
              for name, shape in SHAPES.items())
  weights = {name: rng.normal(size=shape) * mask[name] for name, shape in SHAPES.items()}
  others = {score: [rng.random(shape) for shape in SHAPES.values()] for score in ('gradient', 'random')}

  def scores(name):
    return [np.abs(each) for each in weights.values()] if name == 'magnitude' else others[name]

  def ticket(ratio):
    kept = int(sum(map(np.size, weights.values())) * (1 - ratio))
    values = np.concatenate([np.abs(each).ravel() for each in weights.values()])
    least = np.sort(values)[-kept]
    return Mask((name, np.abs(each) >= least) for name, each in weights.items())

  return Moment(mask, ratio, passed, ticket, scores, np.random.default_rng(seed))


@pytest.mark.parametrize('name', [name for name in registry.MASK_UPDATES.names() if name != 'fixed'])
def test_every_entry_keeps_what_the_schedule_asks_for(name):
  update = registry.MASK_UPDATES.get(name)
  now = moment(ratio=0.8 if update.starts_dense else 0.5)
  before = Mask((name, keep.copy()) for name, keep in now.mask.items())
  after = update.change(now)
  assert after.kept == int(after.size * (1 - now.ratio)) and after.names == before.names
  assert now.mask == before and update.moves and update.what
  assert after == update.change(moment(ratio=now.ratio)), 'same seed, same mask'
  grown = any(np.any(after[name] & ~before[name]) for name in SHAPES)
  assert grown == update.grows
  if update.grows:
    assert after.counts == before.counts, 'every layer keeps its number of weights'


def test_fixed_does_not_move():
  assert not mask_updates.FIXED.moves and mask_updates.FIXED.first_ratio(0.9) == 0.9
  assert mask_updates.GRADUAL.first_ratio(0.9) == 0 and mask_updates.RIGL.first_ratio(0.9) == 0.9


def test_the_sets_of_rigl_are_those_of_the_published_code():
  """The weights that the authors' updater drops and grows, and the shares of their cosine schedule."""
  golden = np.load(GOLDEN)
  for key in {name[:2] for name in golden.files if name.endswith('_mask')}:
    mask, after = golden[f'{key}_mask'], golden[f'{key}_after']
    scores = {'magnitude': [np.abs(golden[f'{key}_weights'])], 'gradient': [np.abs(golden[f'{key}_gradient'])]}
    # At the first update the share is the whole one.
    now = Moment(Mask([('layer', mask)]), 0.5, 0.0, None, scores.get, np.random.default_rng(0))
    found = mask_updates.RIGL.change(now, share=float(golden[f'{key}_share']))['layer']
    assert np.array_equal(found, after) and not np.array_equal(found, mask)
    assert not golden[f'{key}_weights_after'][found & ~mask].any(), 'the authors let them come back at zero too'
  timing = Timing(0, 75000, 100)
  steps = golden['cosine_steps']
  # The share can be read off the number of weights that are exchanged.
  layer = Mask([('layer', np.arange(20000) < 10000)])
  scores = {'magnitude': [np.arange(20000.)], 'gradient': [np.arange(20000.)]}
  moved = [np.count_nonzero(mask_updates.RIGL.change(
      Moment(layer, 0.5, timing.passed(step), None, scores.get, np.random.default_rng(0)))['layer'] & ~layer['layer'])
           for step in steps]
  assert np.allclose(np.array(moved) / 10000, golden['cosine_shares'], atol=1.01e-4)


def test_what_grows_depends_on_the_score():
  assert mask_updates.SET.change(moment()) != mask_updates.RIGL.change(moment())


@pytest.mark.parametrize('time, steps', [('2.5', 25), ('0', 0), ('100steps', 100), ('0.29', 2), ('3', 30)])
def test_times(time, steps):
  assert mask_updates.in_steps(time, 10) == steps
  mask_updates.check_time('update_every', time)


@pytest.mark.parametrize('time', ['', 'x', '-1', '1e3', 'steps', '2.5steps', '1 step'])
def test_what_is_no_time(time):
  with pytest.raises(UsageError, match=f'--update_every={time}: expected a number of epochs, as in 2.5, or of steps'):
    mask_updates.check_time('update_every', time)


def test_the_last_update_is_whole_periods_after_the_first():
  assert mask_updates.timing('0', '', '1', 20, 22) == Timing(0, 330, 22)
  assert mask_updates.timing('10steps', '100steps', '40steps', 20, 22) == Timing(10, 90, 40)
  assert Timing(10, 90, 40).passed(50) == 0.5


@pytest.mark.parametrize('begin, end, every, message', [
    ('0', '20', '1', r'--update_end=20: expected a time before the end of the 20 epochs'),
    ('0', '', '16', r'--update_every=16: expected at least two mask updates from step 0 .*to step 330'),
    ('0', '', '0', r'--update_every=0: expected at least two'),
])
def test_no_room_for_updates(begin, end, every, message):
  with pytest.raises(UsageError, match=message):
    mask_updates.timing(begin, end, every, 20, 22)


def test_options_of_an_update():
  mask_updates.RIGL.check_options('update_options=share=0.1', {'share': 0.1})
  with pytest.raises(UsageError, match="--update_options=x=1: unknown option 'x'; known: grow, share"):
    mask_updates.RIGL.check_options('update_options=x=1', {'x': 1})
  with pytest.raises(UsageError, match='--update_options=share=2: expected a number from 0 to 1'):
    mask_updates.RIGL.change(moment(), share=2)
