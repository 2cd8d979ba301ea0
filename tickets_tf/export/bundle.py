"""A ticket as a folder of files that an engineer can ship, each proven on the test set."""

import dataclasses
import os
import pathlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tf_keras as keras

from tickets_tf import data
from tickets_tf import environment
from tickets_tf import files
from tickets_tf import models
from tickets_tf import seeds
from tickets_tf import sparse
from tickets_tf.errors import TicketsError, UsageError
from tickets_tf.export import card
from tickets_tf.export import choice
from tickets_tf.export import fold
from tickets_tf.export import onnx_file
from tickets_tf.export import same_data
from tickets_tf.export import saved_model
from tickets_tf.export import serving
from tickets_tf.export import size
from tickets_tf.export import tflite
from tickets_tf.export import verify
from tickets_tf.export.compaction import Compaction, compact
from tickets_tf.export.export_report import ExportedFile, ExportedSavedModel, ExportReport, FailedFile
from tickets_tf.export.folder import ExportFolder
from tickets_tf.export.options import Options
from tickets_tf.export.saved_model import SavedModelClassifier
from tickets_tf.judging import collapses
from tickets_tf.pruning.mask import load_mask
from tickets_tf.runs import records
from tickets_tf.runs.folder import RunFolder
from tickets_tf.runs.settings import Settings
from tickets_tf.runs.settings import from_dict
from tickets_tf.training import checkpoints
from tickets_tf.training import settling

_CALIBRATION_IMAGES = 200
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
  network, compaction = _network(run, record.settings, dataset, options)
  extra = {'mask': record.mask, 'layers': _layers(network),
           'compaction': dataclasses.asdict(compaction) if compaction else None,
           'settings': told.pop('settings'), 'record': told, 'settled': options.settle}

  def write(path: pathlib.Path) -> None:
    saved_model.write_saved_model(network, dataset, path, extra)

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
  for name in ('compact', 'settle'):
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
                           used.train_examples, used.validation_split)


def _network(run: RunFolder, used: Settings, dataset: data.Dataset,
             options: Options) -> tuple[keras.Model, Compaction | None]:
  """Returns the trained network of a run with batch norm folded, and what compaction removed."""
  network = models.build_model(used.model, dataset.image_shape, dataset.num_classes, width=used.width)
  checkpoints.load_weights(network, run.final)
  mask = load_mask(run.mask)
  sparse.check_removed(network, mask)
  if options.settle:
    settling.set_statistics(network, settling.load(run.settled))
  if not options.compact:
    return fold.fold_batch_norm(network), None
  smaller = compact(network, mask)
  return fold.fold_batch_norm(smaller), Compaction.between(network, smaller)


def _layers(network: keras.Model) -> list[dict[str, Any]]:
  return [{'name': kernel.name, 'shape': list(kernel.shape), 'kept': int((kernel.variable.numpy() != 0).sum())}
          for kernel in models.prunable_kernels(network)]


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
    write(folder.saved_model)
    classifier = SavedModelClassifier(folder.saved_model)
    if tuple(classifier.class_names) != tuple(dataset.class_names) or classifier.image_shape != dataset.image_shape:
      raise UsageError(f'{same_data.named(dataset, classifier.description, options.data_dir)} has other classes or '
                       'images than the ticket was trained on')
    verifier = verify.Verifier(classifier, dataset.test, options.rounds, dataset.validation)
    same_data.check_accuracy(verifier.accuracy, dataset, classifier.description, options.data_dir)
    rows, failed = _tflite_files(classifier, dataset, verifier, temporary, options, say)
    rows, best, front = _keep_best(rows, verifier.accuracy, temporary, options)
    onnx = onnx_file.write(classifier, verifier, temporary, options.tolerance, say) if options.onnx else ()
    report = ExportReport(
        saved_model=ExportedSavedModel(_folder_bytes(folder.saved_model), verifier.accuracy),
        tflite=rows,
        best=best,
        tolerance=options.tolerance,
        test_examples=len(dataset.test),
        limit_bytes=_limit(classifier.description),
        environment=environment.describe([device.name for device in tf.config.list_logical_devices()]),
        onnx=onnx,
        best_by=options.best,
        front=front,
        failed=failed,
        chosen_on='test' if dataset.validation is None else 'validation',
        chosen_examples=len(dataset.validation or dataset.test),
        interval=collapses.rate(round(verifier.accuracy * len(dataset.test)), len(dataset.test)))
    files.write_text(folder.labels, '\n'.join(classifier.class_names) + '\n')
    files.write_text(folder.card, card.model_card(classifier.description, report))
    records.write_json(folder.report, report.to_json())
  return report


def _serve(output: pathlib.Path, options: Options, say: Say) -> None:
  if options.serving:
    say(f'SavedModel for TensorFlow Serving: {serving.add_version(ExportFolder(output).saved_model, options.serving)}')


def _tflite_files(classifier: SavedModelClassifier, dataset: data.Dataset, verifier: verify.Verifier,
                  folder: pathlib.Path, options: Options,
                  say: Say) -> tuple[tuple[ExportedFile, ...], tuple[FailedFile, ...]]:
  """Writes and verifies the TFLite files, the dense fallback first.

  Returns:
    (the files; those that could not be made).
  """
  rows: list[ExportedFile] = []
  failed: list[FailedFile] = []
  if options.tflite == 'none':
    return (), ()
  calibration = _calibration_images(dataset.train, classifier.description['settings']['seed'])
  dense: bytes | None = None
  for variant in options.forms():
    say(f'{variant.name}: converting it, and running it on {len(dataset.test):,} test images')
    try:
      content = tflite.convert(classifier, variant, calibration)
      fallback = variant.name == tflite.FALLBACK
      rows.append(verifier.verify(variant.file, content, content if fallback else dense))
      dense = content if fallback else dense
    except UsageError:
      raise
    except TicketsError as error:
      reason = str(error).removeprefix(f'{variant.name}: ').removeprefix(f'{variant.file}: ')
      failed.append(FailedFile(variant.file, reason))
      continue
    (folder / variant.file).write_bytes(content)
  return tuple(rows), tuple(failed)


def _calibration_images(examples: data.Examples, seed: int) -> npt.NDArray[np.uint8]:
  count = min(_CALIBRATION_IMAGES, len(examples))
  return examples.take(seeds.generator(seed, 'calibration').choice(len(examples), count, replace=False)).images


def _keep_best(rows: Sequence[ExportedFile], accuracy: float, folder: pathlib.Path,
               options: Options) -> tuple[tuple[ExportedFile, ...], str | None, tuple[str, ...]]:
  """Deletes the files that are not asked for.

  Returns:
    (the rows, which now tell what is kept; the best file, None if there are no files; the front).
  """
  if not rows:
    return (), None, ()
  good = choice.within(rows, accuracy, options.tolerance)
  if not good:
    raise TicketsError(f'no TFLite file is within --tolerance={options.tolerance:g} points of the SavedModel, '
                       f'{accuracy:.2%}: ' + ', '.join(f'{row.file} {row.accuracy:.2%}' for row in rows))
  best = min(good, key=choice.find(options.best)).file
  front = choice.front(good)
  wanted = {best, tflite.VARIANTS[tflite.FALLBACK].file, *front}
  rows = tuple(dataclasses.replace(row, kept=options.tflite == 'all' or row.file in wanted) for row in rows)
  for row in rows:
    if not row.kept:
      (folder / row.file).unlink()
  return rows, best, front


def _limit(description: Mapping[str, Any]) -> float | None:
  layers = description.get('layers')
  if not layers:
    return None
  return size.information_limit([layer['shape'] for layer in layers], [layer['kept'] for layer in layers])


def _folder_bytes(folder: pathlib.Path) -> int:
  return sum(path.stat().st_size for path in folder.rglob('*') if path.is_file())
