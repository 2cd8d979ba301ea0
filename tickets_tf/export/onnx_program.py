"""The computation in an ONNX file, run by ONNX Runtime."""

import importlib.util
from typing import TYPE_CHECKING
from typing import Any

import numpy as np
import numpy.typing as npt

from tickets_tf.errors import TicketsError, UsageError
from tickets_tf.export.program import all_threads

if TYPE_CHECKING:
  from tickets_tf.data import Images  # It imports TensorFlow.

_PACKAGES = ('tf2onnx', 'onnx', 'onnxruntime')
_BATCH = 100  # images per call, as for TFLite
_ERRORS_ONLY = 3  # of ONNX Runtime's levels of severity


def check_installed() -> None:
  """Finds the packages that write and run ONNX files, without importing them.

  Raises:
    UsageError: if one is missing.
  """
  missing = [name for name in _PACKAGES if importlib.util.find_spec(name) is None]
  if missing:
    raise UsageError(f'--onnx: {", ".join(missing)} not installed: pip install "tickets_tf[onnx]"')


def first_line(error: Exception) -> str:
  """Returns the first line of an error's message, or the error's type if it has none."""
  return (str(error).splitlines() or [type(error).__name__])[0]


class OnnxProgram:
  """The computation in an ONNX file that takes `images`.

  Args:
    content: the file.
    threads: threads that it may use; 0: one per core.

  Attributes:
    metadata: texts by name that its writer put inside.

  Raises:
    TicketsError: if the runtime refuses it.
  """

  def __init__(self, content: bytes, threads: int = 0) -> None:
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or all_threads()
    options.log_severity_level = _ERRORS_ONLY
    try:
      self._session = onnxruntime.InferenceSession(content, options, providers=['CPUExecutionProvider'])
    except Exception as error:  # The runtime's exceptions share no other base.
      raise TicketsError(f'ONNX Runtime refuses the file: {first_line(error)}') from error
    self.metadata: dict[str, str] = self._session.get_modelmeta().custom_metadata_map
    self._outputs = [output.name for output in self._session.get_outputs()]
    self._image: npt.NDArray[np.uint8] | None = None

  def run(self, images: 'Images') -> dict[str, npt.NDArray[np.float32]]:
    """Returns every output by name, float32 [N, ...], of uint8 images [N, height, width, channels]."""
    parts: list[list[Any]] = [self._session.run(self._outputs, {'images': images[start:start + _BATCH]})
                              for start in range(0, len(images), _BATCH)]
    return {name: np.concatenate(arrays) for name, *arrays in zip(self._outputs, *parts, strict=True)}

  def prepare(self, image: npt.NDArray[np.uint8]) -> None:
    """Sets the image [height, width, channels] that every call of `invoke` computes on."""
    self._image = image[None]

  def invoke(self) -> None:
    """Computes, and does nothing else, so that latency can be measured on it."""
    self._session.run(self._outputs, {'images': self._image})
