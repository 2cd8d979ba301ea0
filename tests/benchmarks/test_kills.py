"""Two sweeps on one folder, of which a random one is killed again and again; bin/benchmark kills does it more often."""

import dataclasses
import json
import shutil

import pytest

from benchmarks import kills
from tickets_tf.errors import TicketsError

KILLS = 30


@pytest.fixture(scope='module')
def killed(tmp_path_factory):
  """(What was killed, the folder of the sweep in peace)."""
  folder = tmp_path_factory.mktemp('kills')
  base = dataclasses.replace(kills.BASE, epochs=2, tensorboard=False)
  return kills.study(base, ['random', 'lottery'], KILLS, folder, seed=1, longest=0.3, late=5), folder / 'peace'


def test_nothing_is_lost_torn_or_different(killed):
  tally, peace = killed
  assert tally.kills == KILLS and tally.sweeps
  assert tally.before + tally.ticket + tally.training + tally.between == KILLS
  assert tally.ticket + tally.training, 'runs were killed in the middle'
  assert len(list(peace.glob('*/record.json'))) == 3


def change_a_figure(run):
  record = json.loads((run / 'record.json').read_text())
  (run / 'record.json').write_text(json.dumps({**record, 'final_accuracy': record['final_accuracy'] + 1e-9}))


@pytest.mark.parametrize('spoil', [
    shutil.rmtree, lambda run: shutil.copytree(run, run.with_name('twice')), change_a_figure,
    lambda run: (run / 'record.json').unlink(), lambda run: (run / '.0.tmp.mask.npz').touch(),
    lambda run: (run / 'metrics.jsonl').write_bytes((run / 'metrics.jsonl').read_bytes()[:-9]),
    lambda run: shutil.copy(run / 'start.weights.h5', run / 'final.weights.h5'),
    lambda run: (run / 'mask.npz').write_bytes((run / 'mask.npz').read_bytes()[:-9])],
    ids=['lost', 'twice', 'another figure', 'no record', 'half written', 'torn line', 'other weights', 'torn mask'])
def test_a_difference_is_found(spoil, killed, tmp_path):
  shutil.copytree(killed[1], tmp_path / 'runs')
  kills.compare(killed[1], tmp_path / 'runs')
  spoil(next((tmp_path / 'runs').iterdir()))
  with pytest.raises(TicketsError, match=r'not as in peace|is torn|expected the runs'):
    kills.compare(killed[1], tmp_path / 'runs')
