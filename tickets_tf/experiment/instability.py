"""Trainings of one ticket that differ in order alone, and the accuracy along the line between their final weights."""

from collections.abc import Callable
from collections.abc import Sequence
import functools
import pathlib

import numpy as np
import tf_keras as keras

from tickets_tf import data
from tickets_tf import training
from tickets_tf.data import Dataset
from tickets_tf.errors import TicketsError
from tickets_tf.errors import UsageError
from tickets_tf.experiment import networks
from tickets_tf.experiment import stages
from tickets_tf.experiment import sweep
from tickets_tf.experiment import ticket_stage
from tickets_tf.experiment import train
from tickets_tf.judging import evidence
from tickets_tf.judging import instability as judging
from tickets_tf.judging.instability import Instability
from tickets_tf.judging.instability import Line
from tickets_tf.judging.instability import Point
from tickets_tf.runs.run import Run
from tickets_tf.runs.settings import Settings
from tickets_tf.training import checkpoints
from tickets_tf.training import evaluation
from tickets_tf.training import settling


def trainings(base: Settings, share_epochs: Sequence[int]) -> tuple[Run, dict[int, Run]]:
  """Returns the runs that are compared.

  Args:
    base: the ticket and its training. Its `order_seed` is that of the second trainings; -1: the seed after `seed`.
    share_epochs: how many epochs a second training shares with the first.

  Returns:
    The first training, all of whose orders are those of the seed, and the second for each number of shared epochs: the
    same run with another order from there on.

  Raises:
    UsageError: for settings under which shared epochs would not be the same, or orders not differ.
  """
  if not base.deterministic:
    raise UsageError('--nodeterministic: shared epochs would not be the same; expected --deterministic')
  if base.order_epoch >= 0:
    raise UsageError(f'--order_epoch={base.order_epoch}: here --share_epochs says from which epoch on orders differ')
  other = base.seed + 1 if base.order_seed < 0 else base.order_seed
  if other == base.seed:
    raise UsageError(f'--order_seed={other}: expected another seed than --seed, so that orders differ')
  first = Run(base).replace(order_seed=-1)
  epochs = judging.check_epochs(share_epochs, base.stop_epoch or base.epochs)
  return first, {share: first.replace(order_seed=other, order_epoch=share) for share in epochs}


def instability(base: Settings, share_epochs: Sequence[int], path: pathlib.Path, points: int = 11,
                tolerance: float = 2.0, parallel: int = 1, say: Callable[[str], None] = print) -> Instability:
  """Trains a ticket with orders that differ from some epoch on, and judges the lines between the final weights.

  Killed at any moment, the same call resumes: each training is a run with a folder of its own, and each line is in the
  file as soon as it is judged.

  Args:
    base: as for `trainings`.
    share_epochs: as for `trainings`.
    path: the file for all points; lines that it has already are not judged again.
    points: points of a line, its ends included.
    tolerance: the highest barrier in percent points at which two trainings count as connected; Frankle et al. take 2.
    parallel: trainings to do at a time, each in a process of its own if it is more than one.
    say: takes lines for the user.

  Raises:
    UsageError: as `trainings`, or if the file holds something else.
    TicketsError: if a training fails.
  """
  first, others = trainings(base, share_epochs)
  if points < 3:
    raise UsageError(f'--points={points}: expected at least 3, the ends of a line and one between them')
  known = {line.runs: line for line in judging.read(path).lines if len(line.points) == points} if path.exists() else {}
  training.use_threads(base.threads)
  outcome = sweep.run_all([run.settings for run in (first, *others.values())], parallel, say=say,
                          progress=base.progress)
  if outcome.failures:
    run, problem = next(iter(outcome.failures.items()))
    raise TicketsError(f'{run.name}: {problem}')
  judge = _Judge(first, points, say)
  order_seed = next(iter(others.values())).settings.order_seed
  guessing = evidence.guessing(outcome.records[first])
  for other in others.values():
    names = (first.name, other.name)
    if names not in known:
      known[names] = judge.line(other)
      judging.write(path, Instability(first.name, order_seed, tolerance, tuple(known.values()), guessing))
  found = Instability(first.name, order_seed, tolerance,
                      tuple(known[first.name, other.name] for other in others.values()), guessing)
  judging.write(path, found)
  return found


class _Judge:
  """Judges lines from the weights of one run to those of others of the same network.

  Args:
    first: the run.
    points: points of a line.
    say: takes lines for the user.
  """

  def __init__(self, first: Run, points: int, say: Callable[[str], None]) -> None:
    self._first, self._points, self._say = first, points, say

  def line(self, second: Run) -> Line:
    """Judges the line to another run; both are trained again if their weights are missing."""
    self._say(f'judging {self._points} points between {self._first.name} and {second.name}')
    model = networks.network(self._first, self._dataset, training.make_strategy('one_device'),
                             networks.INITIALISATION)
    ends = []
    for run in (self._first, second):
      train.with_weights(run, self._say)
      checkpoints.load_weights(model, run.folder.final)
      ends.append(model.get_weights())
    found = []
    for position in np.linspace(0, 1, self._points).tolist():
      model.set_weights([_between(one, other, position) for one, other in zip(*ends, strict=True)])
      found.append(self._judged(model, position))
    return Line(max(second.settings.order_epoch, 0), (self._first.name, second.name), tuple(found))

  @functools.cached_property
  def _dataset(self) -> Dataset:
    used = self._first.settings
    return data.load_dataset(used.dataset, used.data_dir or None, used.image_size, used.train_examples,
                             used.validation_split, used.images_in, used.image_memory)

  @functools.cached_property
  def _pipeline(self) -> data.Pipeline:
    used = self._first.settings
    seen, _ = ticket_stage.changed_data(used.trained_on, self._dataset, used.seed)
    return networks.pipeline(self._first, seen, training.make_strategy('one_device'))

  def _judged(self, model: keras.Model, position: float) -> Point:
    statistics = settling.settled_statistics(model, self._pipeline, stages.settling_seed(self._first))
    mean, std = self._dataset.mean, self._dataset.std
    with settling.settled(model, statistics):
      judged = evaluation.judge(lambda images: model(data.normalise(images, mean, std), training=False),
                                self._dataset.test)
    return Point(round(position, 6), judged.accuracy, judged.loss)


def _between(first: np.ndarray, second: np.ndarray, position: float) -> np.ndarray:
  if not np.issubdtype(first.dtype, np.floating):
    return first
  return ((1 - position) * first + position * second).astype(first.dtype)
