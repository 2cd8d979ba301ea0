"""The scores of this package against the same scores written plainly in PyTorch, in turn and in fresh processes."""

import importlib.util
import pathlib
import tempfile

import numpy as np
import tqdm

from tickets_tf.pruning import selection
from tickets_tf import seeds
from benchmarks import fresh
from benchmarks import ratios
from benchmarks import tf_scores
from tickets_tf.errors import TicketsError

SCORES = ('snip', 'grasp', 'obd', 'synflow')
_OTHERS = ('torch_channels_first', 'torch_channels_last')
# A loop over examples takes so long that few of them stand for all.
_LOOPED = 10
# Kept share of the weights whose choice by both is compared, and how much of it has to be the same. Float32 lets some
# activations fall on the other side of a ReLU's edge, which moves a score by percents where the examples are few.
_DENSITY, _OVERLAP = 0.1, 0.9


def compare(network, num_classes, score, samples_per_class=10, rounds=5):
  """Times one score of one network.

  Args:
    network: name of a network, of the width that is its own.
    num_classes: number of classes.
    score: a name in `SCORES`.
    samples_per_class: images of each class.
    rounds: measurements of each side, each in a fresh process.

  Returns:
    A dictionary: `first` and `later`, the ratios of PyTorch's time (the faster of its two memory layouts in that round)
    over this package's, of the first call in a process and of the second, one per round; `overlap`, the share of a
    ticket of density 0.1 that both choose; `looped`, whether PyTorch loops over examples and was timed on few of them.

  Raises:
    TicketsError: where PyTorch is not installed, a process fails, or the two do not agree.
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
    own, others = [], []
    for _ in tqdm.trange(rounds, desc=f'{network}, {num_classes} classes, {score}', unit='round'):
      own.append(fresh.measure(path, 'tickets_tf', score, total)['seconds'])
      others.append([[total / few * seconds for seconds in fresh.measure(path, side, score, few)['seconds']]
                     for side in _OTHERS])
    overlap = _overlap(path, score, few, pathlib.Path(folder))
  fastest = [[min(call) for call in zip(*sides)] for sides in others]
  found = {name: ratios.in_turn([each[call] for each in fastest], [each[call] for each in own])
           for call, name in enumerate(('first', 'later'))}
  if overlap < _OVERLAP:
    raise TicketsError(f'{score} of {network} with {num_classes} classes: PyTorch and this package choose the same '
                       f'weights in {overlap:.2%} of cases only')
  return {**found, 'overlap': overlap, 'looped': looped}


def memory(network, num_classes, score, samples_per_class, rounds=5):
  """Returns ratios of peak memory of a score's first call, for `samples_per_class[1]` over `samples_per_class[0]`."""
  few, many = (number * num_classes for number in samples_per_class)
  with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder) / 'case.npz'
    tf_scores.make_case(network, num_classes, samples_per_class[1]).save(path)
    peaks = [[fresh.measure(path, 'tickets_tf', score, count, calls=1)['peak'] for count in (many, few)]
             for _ in tqdm.trange(rounds, desc=f'{network}, {score}', unit='round')]
  return [first / second for first, second in peaks]


def row(network, num_classes, score, found):
  """Returns what `compare` found as one line of a Markdown table."""
  note = ' (a loop over examples)' if found['looped'] else ''
  return (f'| {network} | {num_classes} | {score}{note} | {ratios.text(found["first"])} '
          f'| {ratios.text(found["later"])} | {found["overlap"]:.2%} |')


def _overlap(path, score, count, folder):
  arrays = []
  for side in ('tickets_tf', _OTHERS[0]):
    fresh.measure(path, side, score, count, calls=1, scores_path=folder / f'{side}.npz')
    with np.load(folder / f'{side}.npz', allow_pickle=False) as stored:
      arrays.append(np.concatenate([stored[name].ravel() for name in stored.files]))
  keep = int(_DENSITY * len(arrays[0]))
  first, second = (selection.select([each], [keep], seeds.generator(0, 'select'))[0] for each in arrays)
  return float(np.count_nonzero(first & second) / keep)
