"""A ticket as a folder of files that an engineer can ship, each proven on the test set."""

import dataclasses
import math
import os
import pathlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from tickets_tf import data
from tickets_tf import environment
from tickets_tf import files
from tickets_tf import models
from tickets_tf import sparse
from tickets_tf.errors import TicketsError, UsageError
from tickets_tf.export import card
from tickets_tf.export import fold
from tickets_tf.export import keras_file
from tickets_tf.export import onnx_file
from tickets_tf.export import same_data
from tickets_tf.export import saved_model
from tickets_tf.export import serving
from tickets_tf.export import size
from tickets_tf.export import tflite_files
from tickets_tf.export import verify
from tickets_tf.export.export_report import ExportedOnnx, ExportedSavedModel, ExportReport
from tickets_tf.export.folder import ExportFolder
from tickets_tf.export.options import Options
from tickets_tf.export.saved_model import SavedModelClassifier
from tickets_tf.judging import collapses
from tickets_tf.models.compaction import Compaction, compact
from tickets_tf.pruning import patterns
from tickets_tf.pruning.mask import Mask, load_mask
from tickets_tf.registry import PATTERNS
from tickets_tf.runs import records
from tickets_tf.runs.folder import RunFolder
from tickets_tf.runs.settings import Settings
from tickets_tf.runs.settings import from_dict
from tickets_tf.training import checkpoints
from tickets_tf.training import settling

_RUNTIMES = ('ai-edge-litert', 'onnxruntime')
_DEFAULT = Options()

Say = Callable[[str], object]


def export_run(folder: str | os.PathLike[str], output: str | os.PathLike[str] | None = None,
               options: Options = _DEFAULT, say: Say = print) -> ExportReport:
  """Exports the ticket that a run trained, and adds the report to the run's record.

  Args:
    folder: the folder of a finished run.
    output: the folder to write, whole or not at all; an earlier export there is replaced. None: `export` in the run's.
    options: how to export.
    say: takes lines for the user.

  Raises:
    UsageError: if the run has not finished, or `output` holds other things.
    TicketsError: if something cannot be built, written or run.
  """
  run = RunFolder(pathlib.Path(folder))
  record = records.read(run.path)
  output = _free(output or run.export)
  dataset = _dataset(record.settings, options)
  told = records.to_json(dataclasses.replace(record, export=None))
  if options.data_dir:
    known = saved_model.describe(run.saved_model) if saved_model.is_saved_model(run.saved_model) else {}
    same_data.check(dataset, {**known, 'settings': told['settings'], 'record': told}, options.data_dir)
  network, compaction = _network(run, record, dataset, options)
  extra = {'mask': record.mask, 'layers': _layers(network, record.settings.pattern, say),
           'compaction': dataclasses.asdict(compaction) if compaction else None,
           'settings': told.pop('settings'), 'record': told, 'settled': options.settle}

  def write(path: pathlib.Path) -> None:
    saved_model.write_saved_model(network, dataset, path, extra)
    if options.keras:
      keras_file.write(*_trained(run, record, dataset, options), dataset, ExportFolder(path.parent), say)

  report = _bundle(write, dataset, output, options, say)
  records.write(run.path, dataclasses.replace(record, export={'folder': str(output), **report.to_json()}))
  _serve(output, options, say)
  return report


def export_saved_model(folder: str | os.PathLike[str], output: str | os.PathLike[str] | None = None,
                       options: Options = _DEFAULT, say: Say = print) -> ExportReport:
  """Exports a ticket that is a SavedModel already.

  Args:
    folder: the SavedModel, as `export_run` or a run left it.
    output: as for `export_run`; None: `export` beside the SavedModel.
    options: how to export.
    say: takes lines for the user.

  Raises:
    UsageError: if `folder` is not the SavedModel of a ticket, or `output` holds other things.
    TicketsError: if something cannot be built, written or run.
  """
  folder = pathlib.Path(folder)
  if not saved_model.is_saved_model(folder):
    raise UsageError(f'--saved_model={folder}: not the SavedModel of a ticket')
  for name in ('compact', 'settle', 'keras'):
    if getattr(options, name):
      raise UsageError(f'--{name}: works on the network of a --run, not on a --saved_model')
  output = _free(output or RunFolder(folder.absolute().parent).export)
  if output in folder.absolute().parents:
    raise UsageError(f'--output={output}: holds the SavedModel that is to be exported')
  classifier = SavedModelClassifier(folder)
  if 'float_images' not in classifier.signatures:
    raise UsageError(f'--saved_model={folder}: an earlier version wrote it, without what a TFLite file needs; '
                     'use --run')
  _check_removed(folder, classifier.description.get('layers', ()))
  dataset = _dataset(from_dict(classifier.description['settings']), options)
  if options.data_dir:
    same_data.check(dataset, classifier.description, options.data_dir)
  report = _bundle(lambda path: shutil.copytree(folder, path), dataset, output, options, say)
  _serve(output, options, say)
  return report


def _check_removed(folder: pathlib.Path, layers: Sequence[Mapping[str, Any]]) -> None:
  # Counts the weights of a SavedModel, whose arrays have no names of layers, by the shapes of its kernels.
  reader = tf.train.load_checkpoint(str(folder / 'variables' / 'variables'))
  shapes = reader.get_variable_to_shape_map()
  for shape in {tuple(layer['shape']) for layer in layers}:
    kept = [layer['kept'] for layer in layers if tuple(layer['shape']) == shape]
    found = [int(np.count_nonzero(reader.get_tensor(key))) for key, each in shapes.items() if tuple(each) == shape]
    if len(found) == len(kept) and sum(found) > sum(kept):
      raise TicketsError(f'--saved_model={folder}: {sum(found) - sum(kept)} weights of kernels of shape {list(shape)} '
                         'that the mask removes are not zero')


def _free(output: str | os.PathLike[str]) -> pathlib.Path:
  output = pathlib.Path(output).absolute()
  report = ExportFolder(output).report
  if output.exists() and not report.is_file() and not (output.is_dir() and not any(output.iterdir())):
    raise UsageError(f'--output={output}: exists and holds no {report.name}; give a folder that is new, empty or an '
                     'earlier export')
  return output


def _dataset(used: Settings, options: Options) -> data.Dataset:
  return data.load_dataset(used.dataset, options.data_dir or used.data_dir or None, used.image_size,
                           used.train_examples, used.validation_split, used.images_in, used.image_memory)


def _trained(run: RunFolder, record: records.Record, dataset: data.Dataset,
             options: Options) -> tuple[keras.Model, Mask]:
  """Returns the network of a run, as trained, and its mask."""
  width = record.narrowed.width if record.narrowed else record.settings.width
  network = models.build_model(record.settings.model, dataset.image_shape, dataset.num_classes, width=width)
  checkpoints.load_weights(network, run.final)
  mask = load_mask(run.final_mask)
  sparse.check_removed(network, mask)
  if options.settle:
    settling.set_statistics(network, settling.load(run.settled))
  return network, mask


def _network(run: RunFolder, record: records.Record, dataset: data.Dataset,
             options: Options) -> tuple[keras.Model, Compaction | None]:
  """Returns the trained network of a run with batch norm folded, and what compaction removed."""
  network, mask = _trained(run, record, dataset, options)
  if not options.compact:
    return fold.fold_batch_norm(network), None
  smaller = compact(network, mask)
  return fold.fold_batch_norm(smaller), Compaction.between(network, smaller)


def _layers(network: keras.Model, pattern: str, say: Say) -> list[dict[str, Any]]:
  try:
    found = PATTERNS.get(pattern)
  except UsageError as error:
    found = patterns.UNSTRUCTURED
    say(f'sizes are compared with a reference that knows no pattern: {error}')
  return size.describe_layers(models.prunable_kernels(network), found)


def _bundle(write: Callable[[pathlib.Path], object], dataset: data.Dataset, output: pathlib.Path, options: Options,
            say: Say) -> ExportReport:
  """Fills the folder of an export.

  Args:
    write: writes the SavedModel to a path.
    dataset: the ticket's data set.
    output: the folder.
    options: how to export.
    say: takes lines for the user.
  """
  with files.replacing(output) as temporary:
    temporary.mkdir(parents=True)
    folder = ExportFolder(temporary)
    load = environment.load_per_core()
    write(folder.saved_model)
    classifier = SavedModelClassifier(folder.saved_model)
    if tuple(classifier.class_names) != tuple(dataset.class_names) or classifier.image_shape != dataset.image_shape:
      raise UsageError(f'{same_data.named(dataset, classifier.description, options.data_dir)} has other classes or '
                       'images than the ticket was trained on')
    verifier = verify.Verifier(classifier, dataset.test, options.rounds, dataset.validation)
    same_data.check_accuracy(verifier.accuracy, dataset, classifier.description, options.data_dir)
    reference = _reference(classifier)
    rows, failed = tflite_files.write(classifier, dataset, verifier, reference, temporary, options, say)
    rows, best, front = tflite_files.keep_best(rows, verifier.accuracy, temporary, options)
    onnx: tuple[ExportedOnnx, ...] = ()
    if options.onnx:
      try:
        onnx = onnx_file.write(classifier, verifier, temporary, options.tolerance, say, reference)
      except TicketsError as error:
        failed = (*failed, onnx_file.failed(error))
    report = ExportReport(
        saved_model=ExportedSavedModel(_folder_bytes(folder.saved_model), verifier.accuracy, verifier.class_right),
        tflite=rows,
        best=best,
        tolerance=options.tolerance,
        test_examples=len(dataset.test),
        reference=reference,
        environment=environment.describe([device.name for device in tf.config.list_logical_devices()], _RUNTIMES),
        onnx=onnx,
        best_by=options.best,
        front=front,
        failed=failed,
        chosen_on='test' if dataset.validation is None else 'validation',
        chosen_examples=len(dataset.validation or dataset.test),
        interval=collapses.rate(sum(verifier.class_right), len(dataset.test)),
        class_examples=verifier.class_examples,
        load_per_core=(load, environment.load_per_core()),
        licence=options.licence,
        keras=tuple(path.name for path in folder.of_keras if path.exists()))
    files.write_text(folder.labels, '\n'.join(classifier.class_names) + '\n')
    files.write_text(folder.card, card.model_card(classifier.description, report))
    records.write_json(folder.report, report.to_json())
  return report


def _serve(output: pathlib.Path, options: Options, say: Say) -> None:
  if options.serving:
    say(f'SavedModel for TensorFlow Serving: {serving.add_version(ExportFolder(output).saved_model, options.serving)}')


def _reference(classifier: SavedModelClassifier) -> size.Reference | None:
  layers = classifier.description.get('layers')
  if not layers:
    return None
  return size.reference(layers, sum(math.prod(variable.shape) for variable in classifier.trackable.variables))


def _folder_bytes(folder: pathlib.Path) -> int:
  return sum(path.stat().st_size for path in folder.rglob('*') if path.is_file())
