"""The computation in a TFLite file, run by ai_edge_litert."""

import os
from typing import TYPE_CHECKING
from typing import Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert import interpreter

from tickets_tf import notes
from tickets_tf.errors import TicketsError

if TYPE_CHECKING:
  from tickets_tf.data import Images  # It imports TensorFlow.

_BATCH = 100  # images per call: enough to keep the threads busy, while the activations stay small


class Program:
  """The computation in a TFLite file.

  Args:
    content: the file.
    threads: threads that it may use; 0: one per core.

  Attributes:
    image_shape: (height, width, channels) of the images that it takes.

  Raises:
    TicketsError: if the runtime refuses it.
  """

  def __init__(self, content: bytes, threads: int = 0) -> None:
    self._content, self._threads = content, threads or all_threads()
    self._batch = _BATCH
    self._load()
    self.image_shape: tuple[int, ...] = tuple(self._input['shape'][1:].tolist())

  def _load(self) -> None:
    with notes.dropped():
      try:
        self._interpreter = interpreter.Interpreter(model_content=self._content, num_threads=self._threads)
        self._interpreter.allocate_tensors()
      except (ValueError, RuntimeError) as error:
        raise TicketsError(f'ai_edge_litert refuses the file: {str(error).splitlines()[0]}') from error
    self._input, = self._interpreter.get_input_details()
    self._outputs = self._interpreter.get_output_details()

  def run(self, images: 'Images') -> list[npt.NDArray[np.float32]]:
    """Returns what the file computes, in floating point even if the file is quantised.

    Args:
      images: uint8 [N, height, width, channels].

    Returns:
      One float32 array [N, ...] for each output.
    """
    self._fit(min(self._batch, len(images)))
    parts = [self._run_batch(images[start:start + self._batch]) for start in range(0, len(images), self._batch)]
    return [np.concatenate(output) for output in zip(*parts, strict=True)]

  def prepare(self, image: npt.NDArray[np.uint8]) -> None:
    """Sets the image [height, width, channels] that every call of `invoke` computes on."""
    self._fit(1)
    self._set(image[None])

  def invoke(self) -> None:
    """Computes, and does nothing else, so that latency can be measured on it."""
    self._interpreter.invoke()

  def _run_batch(self, images: npt.NDArray[np.uint8]) -> list[npt.NDArray[np.float32]]:
    self._set(images)
    self._interpreter.invoke()
    return [_dequantised(self._interpreter.get_tensor(output['index']), output['quantization'])
            for output in self._outputs]

  def _set(self, images: npt.NDArray[np.uint8]) -> None:
    self._fit(len(images))
    self._interpreter.set_tensor(self._input['index'], images)

  def _fit(self, count: int) -> None:
    """Makes the program take so many images at a time; if the runtime cannot, it takes them one by one from now on."""
    if count == self._interpreter.get_input_details()[0]['shape'][0]:
      return
    try:
      with notes.dropped():
        self._interpreter.resize_tensor_input(self._input['index'], (count, *self.image_shape))
        self._interpreter.allocate_tensors()
    except RuntimeError:  # XNNPACK cannot reshape some operators, such as those of one-dimensional convolutions.
      self._load()
      self._batch = 1


def _dequantised(values: npt.NDArray[Any], quantization: tuple[float, int]) -> npt.NDArray[np.float32]:
  scale, zero_point = quantization
  if not scale:  # the tensor is not quantised
    return values
  return (scale * (values.astype(np.int32) - zero_point)).astype(np.float32)


def all_threads() -> int:
  """Returns the number of cores that this process may use."""
  return len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1
