"""The classifier of a trained ticket, from whatever file holds it."""

import os
import pathlib

from tickets_tf.errors import UsageError
from tickets_tf.export.classifier import Classifier
from tickets_tf.export.folder import ExportFolder
from tickets_tf.export.saved_model import SavedModelClassifier, is_saved_model
from tickets_tf.runs.folder import RunFolder


def load_ticket(path: str | os.PathLike[str]) -> Classifier:
  """Loads the classifier of a trained ticket: `load_ticket('runs/...').predict(images)`.

  Args:
    path: a run's folder, the folder of an export, a SavedModel in one of them, or a .tflite file.

  Raises:
    UsageError: if there is no ticket, or a TFLite file is damaged.
    TicketsError: if the ticket cannot be loaded.
  """
  path = pathlib.Path(path)
  if path.is_file():
    # Imported here, because hosts that only train have no TFLite runtime.
    from tickets_tf.export.tflite_classifier import TFLiteClassifier
    return TFLiteClassifier(path)
  for folder in (path, RunFolder(path).saved_model, ExportFolder(path).saved_model):
    if is_saved_model(folder):
      return SavedModelClassifier(folder)
  raise UsageError(f'{path}: holds no ticket; give the folder of a finished run or of an export, a SavedModel in one, '
                   'or a .tflite file')
