"""The TFLite files of an export: all forms are tried, and those kept that are asked for."""

import dataclasses
import pathlib
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from tickets_tf import data
from tickets_tf import seeds
from tickets_tf.errors import TicketsError, UsageError
from tickets_tf.export import choice
from tickets_tf.export import tflite
from tickets_tf.export import verify
from tickets_tf.export.export_report import ExportedFile, FailedFile
from tickets_tf.export.options import Options
from tickets_tf.export.saved_model import SavedModelClassifier
from tickets_tf.export.size import Reference

_CALIBRATION_IMAGES = 200


def write(classifier: SavedModelClassifier, dataset: data.Dataset, verifier: verify.Verifier,
          reference: Reference | None, folder: pathlib.Path, options: Options,
          say: Callable[[str], object]) -> tuple[tuple[ExportedFile, ...], tuple[FailedFile, ...]]:
  """Writes and verifies the TFLite files, the dense fallback first.

  Args:
    classifier: the ticket's SavedModel.
    dataset: the ticket's data set; its training images are for calibration.
    verifier: knows the test set.
    reference: what there is to know of the network; None if that is not known.
    folder: where to write.
    options: how to export.
    say: takes lines for the user.

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
      row = verifier.verify(variant.file, content, content if fallback else dense)
      known = reference.bytes(variant.bits, variant.other_bits) if reference and variant.bits else None
      rows.append(dataclasses.replace(row, reference_bytes=known, integers=variant.integers))
      dense = content if fallback else dense
    except UsageError:
      raise
    except TicketsError as error:
      reason = str(error).removeprefix(f'{variant.name}: ').removeprefix(f'{variant.file}: ')
      failed.append(FailedFile(variant.file, reason))
      continue
    (folder / variant.file).write_bytes(content)
  return tuple(rows), tuple(failed)


def keep_best(rows: Sequence[ExportedFile], accuracy: float, folder: pathlib.Path,
              options: Options) -> tuple[tuple[ExportedFile, ...], str | None, tuple[str, ...]]:
  """Deletes the files that are not asked for.

  Args:
    rows: what `write` wrote.
    accuracy: test accuracy of the SavedModel, in [0, 1].
    folder: where the files are.
    options: how to export.

  Returns:
    (the rows, which now tell what is kept; the best file, None if there are no files; the front).

  Raises:
    TicketsError: if no file is within the tolerance.
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


def _calibration_images(examples: data.Examples, seed: int) -> npt.NDArray[np.uint8]:
  count = min(_CALIBRATION_IMAGES, len(examples))
  return examples.images[seeds.generator(seed, 'calibration').choice(len(examples), count, replace=False)]
