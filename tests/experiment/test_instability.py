"""Two trainings of one ticket that differ in order alone, and the line between them."""

import dataclasses
import json

import numpy as np
import pytest

from tests import small_network
from tests import weights_files
import tickets_tf
from tickets_tf.errors import TicketsError
from tickets_tf.errors import UsageError
from tickets_tf.experiment import instability
from tickets_tf.experiment import train
from tickets_tf.pruning.mask import load_mask
from tickets_tf.runs import records
from tickets_tf.runs.run import Run

TINY = tickets_tf.Settings(pruner='lottery', model=small_network.NAME, width=4, train_examples=160, batch_size=32,
                           epochs=3, ratio=0.8, progress=False, tensorboard=False, export=False)


def judged(settings, path, **options):
  return instability.instability(settings, (0, 2), path / 'instability.json', points=3, say=lambda line: None,
                                 **options)


@pytest.fixture(scope='module')
def done(tmp_path_factory):
  """(folder, settings, what was found, first run, the others by shared epochs)."""
  path = tmp_path_factory.mktemp('instability')
  settings = dataclasses.replace(TINY, output_dir=str(path / 'runs'))
  found = judged(settings, path)
  return path, settings, found, *instability.trainings(settings, (0, 2))


def losses(run):
  return [json.loads(line)['loss'] for line in run.folder.metrics.read_text().splitlines()]


def test_the_trainings_differ_in_the_order_alone_and_from_the_epoch_on_that_is_asked(done):
  _, settings, _, first, others = done
  assert first == Run(settings), 'the first training is the ordinary run'
  start, mask = weights_files.read(first.folder.start), load_mask(first.folder.mask)
  for share, other in others.items():
    assert other.before() == first.before() == (Run(settings).scored,), 'the dense network is trained once'
    for name, value in weights_files.read(other.folder.start).items():
      np.testing.assert_array_equal(value, start[name])
    assert load_mask(other.folder.mask) == mask
    same = [one == two for one, two in zip(losses(first), losses(other), strict=True)]
    assert same == [True] * share + [False] * (3 - share)
    record = records.read(other.folder.path)
    assert record.order_seed == 1 and record.init_seed == records.read(first.folder.path).init_seed == 0


def test_the_ends_of_a_line_are_the_trainings(done):
  _, _, found, first, others = done
  assert [line.share_epochs for line in found.lines] == [0, 2] and (found.ticket, found.order_seed) == (first.name, 1)
  for line in found.lines:
    assert line.runs == (first.name, others[line.share_epochs].name)
    assert [point.position for point in line.points] == [0, 0.5, 1]
    assert line.ends[0] == records.read(first.folder.path).settled_accuracy
    assert line.points[0].loss == pytest.approx(records.read(first.folder.path).settled_loss, rel=1e-5)
  # After shared epochs statistics are settled on the same batches.
  last = records.read(others[2].folder.path)
  assert found.lines[1].ends[1] == last.settled_accuracy
  assert found.lines[1].points[-1].loss == pytest.approx(last.settled_loss, rel=1e-5)


def test_a_point_is_the_mean_of_the_weights_with_statistics_of_its_own(done, tmp_path, monkeypatch):
  _, _, found, first, others = done
  seen, settled = [], instability.settling.settled_statistics

  def watched(model, pipeline, seed):
    seen.append(model.get_weights())
    return settled(model, pipeline, seed)

  monkeypatch.setattr(instability.settling, 'settled_statistics', watched)
  judge = instability._Judge(first, 3, lambda line: None)
  assert judge.line(others[0]) == found.lines[0]
  for one, between, other in zip(*seen, strict=True):
    np.testing.assert_allclose(between, (one + other) / 2, rtol=1e-6, atol=1e-7)


def test_what_is_done_is_found_and_what_is_not_is_resumed(done, monkeypatch):
  path, settings, found, _, others = done
  file = path / 'instability.json'
  before = json.loads(file.read_text())
  with monkeypatch.context() as patch:
    patch.setattr(instability._Judge, 'line', lambda *_: pytest.fail('it is judged'))
    patch.setattr(train, '_load_dataset', lambda *_: pytest.fail('it is trained'))
    assert judged(settings, path) == found
  # Killed before the second line; meanwhile weights of a training were lost.
  file.write_text(json.dumps({**before, 'lines': before['lines'][:1]}))
  others[2].folder.final.unlink()
  asked, line = [], instability._Judge.line
  monkeypatch.setattr(instability._Judge, 'line', lambda self, second: asked.append(second) or line(self, second))
  assert judged(settings, path) == found and asked == [others[2]]
  assert json.loads(file.read_text()) == before


@pytest.mark.parametrize('changes, message', [
    ({'deterministic': False}, '--nodeterministic: shared epochs would not be the same'),
    ({'order_seed': 5, 'order_epoch': 1}, '--order_epoch=1: here --share_epochs says'),
    ({'order_seed': 0}, '--order_seed=0: expected another seed than --seed'),
    ({'stop_epoch': 2}, '--share_epochs=0,2: expected numbers of at least 0 and less than --epochs, 2')])
def test_settings_that_cannot_be_leave_nothing(changes, message, tmp_path):
  with pytest.raises(UsageError, match=message):
    judged(dataclasses.replace(TINY, output_dir=str(tmp_path / 'runs'), **changes), tmp_path)
  assert not list(tmp_path.iterdir())


def test_an_order_seed_is_that_of_the_second_trainings():
  first, others = instability.trainings(dataclasses.replace(TINY, order_seed=7), (1,))
  assert first == Run(TINY) and others == {1: Run(dataclasses.replace(TINY, order_seed=7, order_epoch=1))}


def test_a_training_that_fails_is_named(tmp_path, monkeypatch):
  monkeypatch.setattr(instability.sweep.workers, 'do', lambda settings: 'it broke')
  with pytest.raises(TicketsError, match=r'dense-.*: it broke'):
    judged(dataclasses.replace(TINY, output_dir=str(tmp_path / 'runs')), tmp_path)
