"""TFLite files that know their ticket: what an export puts inside them, and the classifier that they are."""

import io
import json
import os
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from tickets_tf.errors import TicketsError, UsageError
from tickets_tf.export.classifier import DESCRIPTION, ENCLOSED, LABELS, Classifier
from tickets_tf.export.program import Program


class TFLiteClassifier(Classifier):
  """A trained ticket in a TFLite file that `bin/export` wrote.

  Args:
    path: the file.
    threads: threads that it may use; 0: one per core.

  Raises:
    UsageError: if the file is missing, truncated or not one that `bin/export` wrote.
  """

  def __init__(self, path: str | os.PathLike[str], threads: int = 0) -> None:
    try:
      with zipfile.ZipFile(path) as enclosed:
        names = enclosed.read(LABELS).decode().split('\n')[:-1]
        super().__init__({'class_names': names, **json.loads(enclosed.read(DESCRIPTION))})
      with open(path, 'rb') as file:
        self._program = Program(file.read(), threads)
    except OSError as error:
      raise UsageError(f'{path}: cannot be read: {error.strerror}') from error
    except (zipfile.BadZipFile, KeyError, ValueError, TicketsError) as error:
      raise UsageError(f'{path}: truncated, or not a .tflite file that bin/export wrote ({error})') from error

  def _probabilities(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    return self._program.run(images)[0]


def enclose(content: bytes, description: Mapping[str, Any]) -> bytes:
  """Returns a TFLite file with what is known of its ticket inside.

  Readers of TFLite files look only at the front, and readers of zip files only at the end. TFLite's own metadata keeps
  its associated files in the same way: `zipfile.ZipFile('x.tflite').read('labels.txt')` gives the class names. They are
  not compressed, because MediaPipe reads no others.

  Args:
    content: the TFLite file.
    description: that of a `Classifier`.
  """
  file = io.BytesIO(content)
  names = list(description['class_names'])
  labels = '\n'.join(names)
  # The names are not stored twice, unless one is of several lines.
  told = {key: description[key] for key in ENCLOSED
          if key in description and (key != 'class_names' or labels.split('\n') != names)}
  with zipfile.ZipFile(file, 'a') as enclosed:
    enclosed.writestr(LABELS, f'{labels}\n')
    enclosed.writestr(DESCRIPTION, json.dumps(told))
  return file.getvalue()
