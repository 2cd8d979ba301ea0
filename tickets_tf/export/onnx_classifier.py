"""ONNX files that know their ticket, and the classifiers that they are."""

import importlib.util
import json
import os
import pathlib

import numpy as np
import numpy.typing as npt

from tickets_tf.errors import TicketsError, UsageError
from tickets_tf.export.classifier import DESCRIPTION, Classifier
from tickets_tf.export.onnx_program import OnnxProgram


class OnnxClassifier(Classifier):
  """A trained ticket in an ONNX file that `bin/export` wrote, run by ONNX Runtime.

  Args:
    path: the file.
    threads: threads that it may use; 0: one per core.

  Raises:
    UsageError: if ONNX Runtime is not installed, or the file is missing, damaged or not one that `bin/export` wrote.
  """

  def __init__(self, path: str | os.PathLike[str], threads: int = 0) -> None:
    if importlib.util.find_spec('onnxruntime') is None:
      raise UsageError(f'{path}: ONNX files need onnxruntime, which is not installed: pip install onnxruntime')
    try:
      self._program = OnnxProgram(pathlib.Path(path).read_bytes(), threads)
      super().__init__(json.loads(self._program.metadata[DESCRIPTION]))
    except OSError as error:
      raise UsageError(f'{path}: cannot be read: {error.strerror}') from error
    except KeyError as error:
      raise UsageError(f'{path}: not an .onnx file that bin/export wrote (its metadata has no {error})') from error
    except (ValueError, TicketsError) as error:
      raise UsageError(f'{path}: damaged, or not an .onnx file that bin/export wrote ({error})') from error

  def _probabilities(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    return self._program.run(images)['probabilities']
