"""The classifier of a trained ticket, from whatever file holds it."""

import os
import pathlib
from collections.abc import Callable

from tickets_tf.errors import UsageError
from tickets_tf.export.classifier import Classifier
from tickets_tf.export.folder import ExportFolder
from tickets_tf.export.onnx_classifier import OnnxClassifier
from tickets_tf.export.saved_model import SavedModelClassifier, is_saved_model
from tickets_tf.runs.folder import RunFolder


def load_ticket(path: str | os.PathLike[str]) -> Classifier:
  """Loads the classifier of a trained ticket: `load_ticket('runs/...').predict(images)`.

  Args:
    path: a run's folder, the folder of an export, a SavedModel in one of them, or a .tflite or .onnx file.

  Raises:
    UsageError: if there is no ticket, or a TFLite or ONNX file is damaged or lacks its runtime.
    TicketsError: if the ticket cannot be loaded.
  """
  path = pathlib.Path(path)
  if path.is_file():
    return _FILES.get(path.suffix.lower(), _tflite)(path)
  for folder in (path, RunFolder(path).saved_model, ExportFolder(path).saved_model):
    if is_saved_model(folder):
      return SavedModelClassifier(folder)
  raise UsageError(f'{path}: holds no ticket; give the folder of a finished run or of an export, a SavedModel in one, '
                   'or a .tflite or .onnx file')


def _tflite(path: pathlib.Path) -> Classifier:
  # Imported here, because hosts that only train have no TFLite runtime.
  from tickets_tf.export.tflite_classifier import TFLiteClassifier
  return TFLiteClassifier(path)


def _keras(path: pathlib.Path) -> Classifier:
  raise UsageError(f'{path}: a file for Keras, which keras.models.load_model reads; give the SavedModel, a .tflite or '
                   'an .onnx file of the export')


_FILES: dict[str, Callable[[pathlib.Path], Classifier]] = {
    '.h5': _keras, '.keras': _keras, '.onnx': OnnxClassifier, '.tflite': _tflite}
