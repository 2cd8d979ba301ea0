"""What a finished run's record says, computed once more from the SavedModel that the run left."""

from collections.abc import Iterator
import dataclasses
import pathlib
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tf_keras as keras

from tickets_tf import data
from tickets_tf import export
from tickets_tf import models
from tickets_tf import training
from tickets_tf.data import Dataset
from tickets_tf.data import Examples
from tickets_tf.errors import TicketsError
from tickets_tf.errors import UsageError
from tickets_tf.experiment import networks
from tickets_tf.experiment import stages
from tickets_tf.experiment import ticket_stage
from tickets_tf.export.saved_model import SavedModelClassifier
from tickets_tf.runs import correct
from tickets_tf.runs import records
from tickets_tf.runs.folder import RunFolder
from tickets_tf.runs.records import Record
from tickets_tf.runs.run import Run
from tickets_tf.training import evaluation
from tickets_tf.training import settling
from tickets_tf.training.evaluation import Judged


@dataclasses.dataclass(frozen=True)
class Figure:
  """One figure, computed once more.

  Attributes:
    name: what it is.
    found: what the SavedModel gives, as text.
    recorded: what the record says.
    agrees: whether the two are equal within the tolerance.
  """
  name: str
  found: str
  recorded: str
  agrees: bool


@dataclasses.dataclass(frozen=True)
class Evaluation:
  """What could be computed again, and one line for each part that could not."""
  figures: tuple[Figure, ...]
  left_out: tuple[str, ...]

  @property
  def agrees(self) -> bool:
    """Whether every figure agrees."""
    return all(figure.agrees for figure in self.figures)


def evaluate(folder: str | pathlib.Path, tolerance: float = 0.1) -> Evaluation:
  """Computes accuracies, losses, the images that are right and the effective weights from a run's SavedModel.

  Args:
    folder: the run's folder.
    tolerance: by how many percent points accuracies may differ; so many percent of the images may be right in one and
      wrong in the other, and losses may differ by that share of themselves, or of 1 if they are smaller.

  Raises:
    UsageError: if the folder holds no finished run, or the data cannot be had.
    TicketsError: if the SavedModel cannot be loaded.
  """
  record = records.read(folder)
  ticket = export.load_ticket(folder)
  if not isinstance(ticket, SavedModelClassifier):
    raise UsageError(f'{folder}: expected the folder of a run')
  run = Run(record.settings)
  used = run.settings
  dataset = data.load_dataset(used.dataset, used.data_dir or None, used.image_size, used.train_examples,
                              used.validation_split, used.images_in, used.image_memory)
  comparison = _Comparison(record, RunFolder(pathlib.Path(folder)), dataset, tolerance / 100)
  figures: list[Figure] = []
  left_out: list[str] = []
  if ticket.description.get('settled'):
    left_out.append('the final weights with running statistics: the SavedModel has settled ones')
    figures += comparison.settled(ticket.logits)
  else:
    figures += comparison.final(ticket.logits)
  try:
    model = _network(run, dataset, ticket.trackable.variables)
  except (TicketsError, UsageError) as error:
    left_out.append(f'settled and effective weights: {error}')
    return Evaluation(tuple(figures), tuple(left_out))
  if not ticket.description.get('settled'):
    figures += _settled_again(comparison, run, model)
  figures.append(comparison.exact('effective weights', models.effective_weights(model), record.effective_weights))
  return Evaluation(tuple(figures), tuple(left_out))


@dataclasses.dataclass(frozen=True)
class _Comparison:
  """What figures are compared with: the record and files of a run, its images, and a tolerance as a share."""
  record: Record
  folder: RunFolder
  dataset: Dataset
  tolerance: float

  def final(self, logits: evaluation.Classify) -> Iterator[Figure]:
    """Compares the final weights as they are."""
    judged = evaluation.judge(logits, self.dataset.test)
    yield self._accuracy('test accuracy', judged, self.record.final_accuracy)
    yield self._loss('test loss', judged, self.record.test_loss)
    yield from self._right('', logits, judged)

  def settled(self, logits: evaluation.Classify) -> Iterator[Figure]:
    """Compares the weights with settled batch-norm statistics."""
    judged = evaluation.judge(logits, self.dataset.test)
    yield self._accuracy('settled accuracy', judged, self.record.settled_accuracy)
    yield self._loss('settled loss', judged, self.record.settled_loss)
    yield from self._right('settled: ', logits, judged)

  def exact(self, name: str, found: int | None, recorded: int | None) -> Figure:
    """Compares two numbers that must be equal."""
    computed, told = ('unknown' if value is None else f'{value:,}' for value in (found, recorded))
    return Figure(name, computed, told, found == recorded)

  def _accuracy(self, name: str, judged: Judged, recorded: float) -> Figure:
    # A difference of just the tolerance passes, whatever its last bit.
    agrees = abs(judged.accuracy - recorded) <= self.tolerance + 1e-9
    return Figure(name, f'{judged.accuracy:.2%}', f'{recorded:.2%}', agrees)

  def _loss(self, name: str, judged: Judged, recorded: float | None) -> Figure:
    if judged.loss is None or recorded is None:
      agrees = judged.loss is recorded
    else:
      agrees = abs(judged.loss - recorded) <= self.tolerance * max(recorded, 1)
    found, told = ('not finite' if loss is None else f'{loss:.4f}' for loss in (judged.loss, recorded))
    return Figure(name, found, told, agrees)

  def _right(self, prefix: str, logits: evaluation.Classify, judged: Judged) -> Iterator[Figure]:
    is_settled = bool(prefix)
    yield self._bits(f'{prefix}test images right', judged.right, self.folder.correct, is_settled)
    validation: Examples | None = self.dataset.validation
    if validation is not None:
      right = evaluation.judge(logits, validation).right
      yield self._bits(f'{prefix}validation images right', right, self.folder.correct_validation, is_settled)

  def _bits(self, name: str, right: npt.NDArray[np.bool_], path: pathlib.Path, is_settled: bool) -> Figure:
    kept = correct.read(path, len(right))
    recorded = kept.settled if is_settled else kept.final
    differing = int(np.count_nonzero(right != recorded))
    return Figure(name, f'{np.count_nonzero(right):,} of {len(right):,}',
                  f'{np.count_nonzero(recorded):,}, {differing} other ones' if differing else
                  f'{np.count_nonzero(recorded):,}, the same ones', differing <= self.tolerance * len(right) + 1e-9)


def _network(run: Run, dataset: Dataset, variables: list[tf.Variable]) -> keras.Model:
  """Returns the run's network with the values of a SavedModel; raises UsageError if it cannot be built again."""
  model = networks.network(run, dataset, training.make_strategy('one_device'), networks.INITIALISATION)
  values: dict[str, Any] = {variable.name: variable for variable in variables}
  for weight in model.weights:
    if weight.name not in values or values[weight.name].shape != weight.shape:
      raise UsageError(f'the network that {run.settings.model} builds has other variables, as {weight.name}')
    weight.assign(values[weight.name])
  if len({weight.name for weight in model.weights}) < len(model.weights):
    raise UsageError(f'variables of {run.settings.model} share a name')
  return model


def _settled_again(comparison: _Comparison, run: Run, model: keras.Model) -> Iterator[Figure]:
  seen, _ = ticket_stage.changed_data(run.settings.trained_on, comparison.dataset, run.settings.seed)
  pipeline = networks.pipeline(run, seen, training.make_strategy('one_device'))
  statistics = settling.settled_statistics(model, pipeline, stages.settling_seed(run))
  with settling.settled(model, statistics):
    yield from comparison.settled(lambda images: model(
        data.normalise(images, comparison.dataset.mean, comparison.dataset.std), training=False))
