"""The scores of this package against the same scores written plainly in PyTorch, in turn and in fresh processes."""

import dataclasses
import importlib.util
import os
import pathlib
import tempfile

import numpy as np
import tqdm

from benchmarks import fresh
from benchmarks import ratios
from benchmarks import tf_scores
from tickets_tf import seeds
from tickets_tf.errors import TicketsError
from tickets_tf.pruning import selection

SCORES = ('snip', 'grasp', 'obd', 'synflow')
_OTHERS = ('torch_channels_first', 'torch_channels_last')
# A loop over examples takes so long that few of them stand for all.
_LOOPED = 10
# Kept share of the weights whose choice by both is compared, and how much of it has to be the same. Rounding in float32
# moves some activations across the edge of a ReLU, which changes a score by percents if there are few examples.
_DENSITY, _OVERLAP = 0.1, 0.9


@dataclasses.dataclass(frozen=True)
class ScoreComparison:
  """A score of this package against the same score in PyTorch.

  Attributes:
    first: PyTorch's time over this package's for the first call in a process, one ratio per round. PyTorch's time is
      that of the faster of its two memory layouts in the round.
    later: the same for the second call.
    overlap: the share of a ticket of density 0.1 that both choose.
    looped: whether PyTorch loops over examples, and was timed on few of them.
  """
  first: list[float]
  later: list[float]
  overlap: float
  looped: bool


def compare_with_torch(network: str, num_classes: int, score: str, samples_per_class: int = 10,
                       rounds: int = 5) -> ScoreComparison:
  """Times one score of one network.

  Args:
    network: name of a network, at its own width.
    num_classes: number of classes.
    score: a name in `SCORES`.
    samples_per_class: images of each class.
    rounds: measurements of each side, each in a fresh process.

  Raises:
    TicketsError: if PyTorch is not installed, a process fails, or the two do not agree.
  """
  if importlib.util.find_spec('torch') is None:
    raise TicketsError('PyTorch is not installed: pip install "tickets_tf[torch-benchmark]"')
  looped = score == 'obd'
  with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder) / 'case.npz'
    case = tf_scores.make_case(network, num_classes, samples_per_class)
    case.save(path)
    total = len(case.images)
    few = min(_LOOPED, total) if looped else total
    own, fastest = [], []
    for _ in tqdm.trange(rounds, desc=f'{network}, {num_classes} classes, {score}', unit='round'):
      own.append(fresh.measure(path, 'tickets_tf', score, total).seconds)
      others = [fresh.measure(path, side, score, few).seconds for side in _OTHERS]
      fastest.append([total / few * min(call) for call in zip(*others, strict=True)])
    overlap = _overlap(path, score, few, pathlib.Path(folder))
  if overlap < _OVERLAP:
    raise TicketsError(f'{score} of {network} with {num_classes} classes: PyTorch and this package choose the same '
                       f'weights in {overlap:.2%} of cases only')
  first, later = (ratios.in_turn([each[call] for each in fastest], [each[call] for each in own]) for call in (0, 1))
  return ScoreComparison(first, later, overlap, looped)


def memory(network: str, num_classes: int, score: str, samples_per_class: tuple[int, int],
           rounds: int = 5) -> list[float]:
  """Returns ratios of peak memory of a score's first call, for `samples_per_class[1]` over `samples_per_class[0]`.

  Raises:
    TicketsError: if a process fails, or the system does not tell a process's peak memory.
  """
  few, many = (number * num_classes for number in samples_per_class)
  with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder) / 'case.npz'
    tf_scores.make_case(network, num_classes, samples_per_class[1]).save(path)
    peaks = [[_peak(path, score, count) for count in (many, few)]
             for _ in tqdm.trange(rounds, desc=f'{network}, {score}', unit='round')]
  return [first / second for first, second in peaks]


def row(network: str, num_classes: int, score: str, found: ScoreComparison) -> str:
  """Returns what `compare_with_torch` found as one line of a Markdown table."""
  note = ' (a loop over examples)' if found.looped else ''
  return (f'| {network} | {num_classes} | {score}{note} | {ratios.text(found.first)} '
          f'| {ratios.text(found.later)} | {found.overlap:.2%} |')


def _peak(path: pathlib.Path, score: str, count: int) -> int:
  peak = fresh.measure(path, 'tickets_tf', score, count, calls=1).peak
  if peak is None:
    raise TicketsError('this system does not tell the peak memory of a process; Linux does')
  return peak


def _overlap(path: str | os.PathLike[str], score: str, count: int, folder: pathlib.Path) -> float:
  arrays = []
  for side in ('tickets_tf', _OTHERS[0]):
    fresh.measure(path, side, score, count, calls=1, scores_path=folder / f'{side}.npz')
    with np.load(folder / f'{side}.npz', allow_pickle=False) as stored:
      arrays.append(np.concatenate([stored[name].ravel() for name in stored.files]))
  keep = int(_DENSITY * len(arrays[0]))
  first, second = (selection.select([each], [keep], seeds.generator(0, 'select'))[0] for each in arrays)
  return float(np.count_nonzero(first & second) / keep)
