import importlib.util

import numpy as np
import pytest

from benchmarks import cases
from benchmarks import fresh
from benchmarks import scores
from benchmarks import selection
from benchmarks import tf_scores
from tickets_tf.errors import TicketsError


@pytest.fixture(scope='module')
def path(tmp_path_factory):
  path = tmp_path_factory.mktemp('case') / 'case.npz'
  tf_scores.make_case('resnet8', 10, 1).save(path)
  return path


def measured(path, side, score, folder):
  found = fresh.measure(path, side, score, 6, calls=1, scores_path=folder / 'scores.npz')
  assert len(found.seconds) == 1 and found.seconds[0] > 0
  with np.load(folder / 'scores.npz', allow_pickle=False) as stored:
    return [stored[name] for name in stored.files]


def test_a_case_comes_back_as_it_was_saved(path):
  case = cases.load(path)
  assert (case.family, case.depth, case.width, case.num_classes) == ('resnet', 8, 32, 10)
  assert case.images.shape == (10, 32, 32, 3) and sorted(case.labels) == list(range(10))
  assert len(case.first(3).images) == len(case.first(3).labels) == 3


def test_a_loop_over_examples_gives_the_same_score(path, tmp_path):
  own, looped = (measured(path, side, 'obd', tmp_path) for side in ('tickets_tf', 'tensorflow_loop'))
  for one, other in zip(own, looped, strict=True):
    assert np.linalg.norm(one - other) < 1e-3 * np.linalg.norm(other)


@pytest.mark.skipif(importlib.util.find_spec('torch') is None,
                    reason='PyTorch, of the extra torch-benchmark, is missing')
@pytest.mark.parametrize('score', scores.SCORES)
def test_pytorch_gives_the_same_scores(score, path, tmp_path):
  own, other = (measured(path, side, score, tmp_path) for side in ('tickets_tf', 'torch_channels_first'))
  overall = [np.concatenate([each.ravel() for each in arrays]) for arrays in (own, other)]
  assert np.corrcoef(*overall)[0, 1] > 0.99


def test_a_side_that_fails_is_named(path):
  with pytest.raises(TicketsError, match='tensorflow_loop snip: '):
    fresh.measure(path, 'tensorflow_loop', 'snip', 2)


def test_selection_is_timed_in_turn():
  found, slowest = selection.select_over_sort(size=1000, rounds=3)
  assert len(found) == 3 and all(each > 0 for each in found) and slowest > 0
