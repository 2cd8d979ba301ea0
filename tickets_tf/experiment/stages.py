"""The stages of one run, each of which returns at once if its work is done."""

from collections.abc import Callable
import dataclasses
import functools
import math
import pathlib
import shutil
import time
from typing import Any

from absl import logging
import numpy as np
import tensorflow as tf
import tf_keras as keras

from tickets_tf import data
from tickets_tf import environment
from tickets_tf import export
from tickets_tf import models
from tickets_tf import registry
from tickets_tf import seeds
from tickets_tf import sparse
from tickets_tf import training
from tickets_tf.data import Dataset
from tickets_tf.errors import TicketsError
from tickets_tf.experiment import moving
from tickets_tf.experiment import networks
from tickets_tf.experiment import ticket_stage
from tickets_tf.pruning import patterns
from tickets_tf.pruning.collapse import Collapse
from tickets_tf.pruning.kernels import Kernel
from tickets_tf.pruning.mask import Mask
from tickets_tf.runs import correct
from tickets_tf.runs import records
from tickets_tf.runs.records import Record
from tickets_tf.runs.run import Run
from tickets_tf.training import checkpoints
from tickets_tf.training import evaluation
from tickets_tf.training import inference
from tickets_tf.training import hparams
from tickets_tf.training import settling


@dataclasses.dataclass(frozen=True)
class Stages:
  """What the stages of one run share.

  Attributes:
    run: the run.
    strategy: the strategy of its training.
    dataset: its data set.
    pipeline: the batches that it trains on.
    model: its network, at first at its initialisation.
    data_seconds: time that loading the data took.
    say: takes lines for the user.
  """
  run: Run
  strategy: tf.distribute.Strategy
  dataset: Dataset
  pipeline: data.Pipeline
  model: keras.Model
  data_seconds: float
  say: Callable[[str], None]

  def ticket(self) -> Mask:
    """Finds the ticket, or reads back what was found before, and puts its weights into the model."""
    _keep(self.run.folder.settings, dataclasses.asdict(self.run.settings))
    found = ticket_stage.read(self.run, self.model)
    return found or ticket_stage.find(self.run, self.dataset, self.model, self._fresh, self.say)

  def finish(self) -> None:
    """Does the stages that are left, in order; the record is the last."""
    folder, settings = self.run.folder, self.run.settings
    devices = [device.name for device in tf.config.list_logical_devices()]
    found_on = _keep(folder.environment, environment.describe(devices))
    with Stopwatch() as find_time:
      mask = self.ticket()
      collapse = models.collapse(self.model, mask)
    _report_collapse(collapse, settings.on_collapse, self.say)
    judged = self.dataset.test if self.dataset.validation is None else self.dataset.validation
    trained = training.train(self.model, mask, self.pipeline, judged, settings, folder.path, self.strategy,
                             self.run.rule.rates, moving.moving(self.run, self.pipeline), self.say)
    if trained.mask != mask:
      mask = trained.mask
      mask.save(folder.trained_mask)
      collapse = models.collapse(self.model, mask)
      _report_collapse(collapse, settings.on_collapse, self.say)
    sparse.check_removed(self.model, mask)
    with Stopwatch() as export_time:
      checkpoints.save_weights(self.model, folder.final)
      judgements = self._judgements()
      sparse.check_removed(self.model, mask)  # again, because layers have been called since
      if settings.export:
        self._write_saved_model(mask)
    seconds = records.Seconds(data=self.data_seconds, find=find_time.seconds,
                              train=round(sum(epoch.seconds for epoch in trained.epochs), 3),
                              export=export_time.seconds)
    record = self._record(mask, collapse, judgements, trained, seconds, found_on)
    if settings.tensorboard:
      hparams.write(folder.tensorboard, self.run.name, record)
    records.write(folder.path, record)
    shutil.rmtree(folder.checkpoints, ignore_errors=True)

  def _judgements(self) -> '_Judgements':
    """Judges the final weights as they are and with settled batch-norm statistics; keeps these and what was right."""
    folder, test, validation = self.run.folder, self.dataset.test, self.dataset.validation
    statistics = settling.settled_statistics(self.model, self.pipeline, settling_seed(self.run))
    settling.save(statistics, folder.settled)
    # Each image twice, with running and with settled statistics.
    logits = inference.classifier(self.model, 2 * (len(test) + len(validation or ())))
    classify = functools.partial(self._classify, logits)
    final = evaluation.judge(classify, test)
    with settling.settled(self.model, statistics):
      settled = evaluation.judge(classify, test)
    correct.write(folder.correct, correct.Correct(settled.right, final.right))
    if validation is not None:
      right = evaluation.judge(classify, validation).right
      with settling.settled(self.model, statistics):
        settled_right = evaluation.judge(classify, validation).right
      correct.write(folder.correct_validation, correct.Correct(settled_right, right))
    return _Judgements(final, settled,
                       evaluation.class_accuracies(final.predicted, test.labels, self.dataset.num_classes))

  def _write_saved_model(self, mask: Mask) -> None:
    settle = self.run.settings.settle
    statistics = settling.load(self.run.folder.settled) if settle else settling.statistics_of(self.model)
    with settling.settled(self.model, statistics):
      export.write_saved_model(self.model, self.dataset, self.run.folder.saved_model, {
          'mask': mask.digest(), 'settings': dataclasses.asdict(self.run.settings), 'settled': settle})

  def _record(self, mask: Mask, collapse: Collapse, judgements: '_Judgements', trained: training.Trained,
              seconds: records.Seconds, found_on: dict[str, Any]) -> Record:
    run, dataset = self.run, self.dataset
    best_accuracy, best = max(((epoch.evaluation_accuracy, epoch) for epoch in trained.epochs
                               if epoch.evaluation_accuracy is not None), key=lambda pair: pair[0],
                              default=(judgements.final.accuracy, None))
    height, width, channels = dataset.image_shape
    kernels = models.prunable_kernels(self.model)
    broken_by = patterns.broken_by(registry.PATTERNS.get(run.settings.pattern), mask, kernels)
    return Record(
        settings=run.settings,
        digest=run.digest,
        seed=run.settings.seed,
        order_seed=run.order_seed,
        init_seed=run.init_seed,
        rule=records.Choices.of(run.rule),
        needed=tuple(other.name for other in run.before()),
        proof=records.read_json(run.folder.proof),
        network=self.model.name,
        dataset=records.DatasetSize(dataset.name, len(dataset.train), len(dataset.test), len(dataset.validation or ()),
                                    dataset.num_classes, (height, width, channels)),
        mask=mask.digest(),
        pattern=records.PatternKept(run.settings.pattern, tuple(broken_by)),
        layers=_layers(self.model, kernels, mask),
        all_weights=sum(math.prod(weight.shape) for weight in self.model.trainable_weights),
        unpruned=dict(models.unpruned_weights(self.model)),
        collapse=collapse,
        effective_weights=models.effective_weights(self.model),
        final_accuracy=judgements.final.accuracy,
        settled_accuracy=judgements.settled.accuracy,
        test_loss=judgements.final.loss,
        settled_loss=judgements.settled.loss,
        balanced_accuracy=evaluation.balanced_accuracy(judgements.of_classes),
        class_accuracy=judgements.of_classes,
        best_accuracy=best_accuracy,
        best_epoch=best.epoch if best else 0,
        best_on='test' if best is None or dataset.validation is None else 'validation',
        seconds=seconds,
        environment=found_on,
        notes=dataset.notes,
        mask_history=tuple(trained.history),
        narrowed=networks.narrowed(run, dataset))

  def _fresh(self) -> keras.Model:
    return networks.network(self.run, self.dataset, self.strategy, 'reinitialisation')

  def _classify(self, logits: Callable[[tf.Tensor], tf.Tensor], images: np.ndarray) -> tf.Tensor:
    return logits(data.normalise(images, self.dataset.mean, self.dataset.std))


@dataclasses.dataclass(frozen=True)
class _Judgements:
  """What final weights are worth on the test set, see `Record`."""
  final: evaluation.Judged
  settled: evaluation.Judged
  of_classes: tuple[float | None, ...]


def settling_seed(run: Run) -> int:
  """Returns the seed of layers that are random while a run's batch-norm statistics are estimated."""
  return seeds.integer(run.settings.seed, 'settling')


class Stopwatch:
  """Seconds spent in a `with` block."""

  def __enter__(self) -> 'Stopwatch':
    self._start = time.monotonic()
    return self

  def __exit__(self, *_: object) -> None:
    self.seconds = round(time.monotonic() - self._start, 3)


def _report_collapse(collapse: Collapse, on_collapse: str, say: Callable[[str], None]) -> None:
  """Says what of a ticket is on no path; warns or raises TicketsError if it has collapsed."""
  units = collapse.unreachable_units or {}
  if any(units.values()):
    say(f'{sum(units.values())} units are on no path from input to output ('
        + ', '.join(f'{name} {count}' for name, count in units.items() if count)
        + f'); effective sparsity {collapse.effective_sparsity:.4f}')
  found = ['no path leads from the input to the output'] if collapse.connected is False else []
  if collapse.empty_layers:
    found.append(f'layers that kept nothing: {", ".join(collapse.empty_layers)}')
  if found and on_collapse == 'fail':
    raise TicketsError(f'the ticket has collapsed: {"; ".join(found)} (--on_collapse=warn trains it all the same)')
  if found:
    logging.warning('the ticket has collapsed: %s', '; '.join(found))


def _layers(model: keras.Model, kernels: list[Kernel], mask: Mask) -> tuple[records.Layer, ...]:
  uses = models.multiply_accumulates(kernels, [1] * len(kernels), model)
  return tuple(records.Layer(kernel.name, kernel.shape, kernel.size, kept,
                             *(None if each is None else each * count for count in (kernel.size, kept)))
               for kernel, kept, each in zip(kernels, mask.counts, uses, strict=True))


def _keep(path: pathlib.Path, value: dict[str, Any]) -> dict[str, Any]:
  if not path.exists():
    records.write_json(path, value)
  return records.read_json(path)
