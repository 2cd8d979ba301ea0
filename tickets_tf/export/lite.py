"""TFLite files of tickets, run by ai_edge_litert."""

import io
import json
import os
import zipfile

import numpy as np
from ai_edge_litert import interpreter

from tickets_tf import notes
from tickets_tf.errors import TicketsError
from tickets_tf.errors import UsageError
from tickets_tf.export import ticket

LABELS = 'labels.txt'
_ENCLOSED = ('class_names', 'image_shape', 'preprocessing', 'mask')
_BATCH = 100  # images per call: enough to keep the threads busy, while the activations stay small


class Program:
  """The computation in a TFLite file.

  Args:
    content: the file, bytes.
    threads: threads that it may use; 0: one per core.

  Raises:
    TicketsError: where the runtime refuses it.
  """

  def __init__(self, content, threads=0):
    with notes.dropped():
      try:
        self._interpreter = interpreter.Interpreter(model_content=content, num_threads=threads or all_threads())
        self._interpreter.allocate_tensors()
      except (ValueError, RuntimeError) as error:
        raise TicketsError(f'ai_edge_litert refuses it: {str(error).splitlines()[0]}') from error
    self._input, = self._interpreter.get_input_details()
    self._outputs = self._interpreter.get_output_details()
    self.image_shape = tuple(self._input['shape'][1:].tolist())

  def run(self, images):
    """Returns what the file computes, in floating point where the file is quantised.

    Args:
      images: uint8 [N, height, width, channels].

    Returns:
      A list of float32 arrays [N, ...], one for each output.
    """
    parts = [self._run_batch(images[start:start + _BATCH]) for start in range(0, len(images), _BATCH)]
    return [np.concatenate(output) for output in zip(*parts)]

  def prepare(self, image):
    """Sets one uint8 image [height, width, channels] as what `invoke` computes on, over and over."""
    self._set(image[None])

  def invoke(self):
    """Computes, and nothing else: what latency is measured on."""
    self._interpreter.invoke()

  def _run_batch(self, images):
    self._set(images)
    self._interpreter.invoke()
    return [_dequantised(self._interpreter.get_tensor(output['index']), output['quantization'])
            for output in self._outputs]

  def _set(self, images):
    if len(images) != self._interpreter.get_input_details()[0]['shape'][0]:
      self._interpreter.resize_tensor_input(self._input['index'], images.shape)
      self._interpreter.allocate_tensors()
    self._interpreter.set_tensor(self._input['index'], images)


def _dequantised(values, quantization):
  scale, zero_point = quantization
  if not scale:  # of a tensor that is not quantised
    return values
  return (scale * (values.astype(np.int32) - zero_point)).astype(np.float32)


class LiteTicket(ticket.Classifier):
  """A trained ticket in a TFLite file that `bin/export` wrote.

  Args:
    path: the file.
    threads: threads that it may use; 0: one per core.

  Raises:
    UsageError: where the file is missing, truncated or not one that `bin/export` wrote.
  """

  def __init__(self, path, threads=0):
    try:
      with zipfile.ZipFile(path) as enclosed:
        super().__init__(json.loads(enclosed.read(ticket.DESCRIPTION)))
      with open(path, 'rb') as file:
        self._program = Program(file.read(), threads)
    except OSError as error:
      raise UsageError(f'{path}: cannot be read: {error.strerror}') from error
    except (zipfile.BadZipFile, KeyError, ValueError, TicketsError) as error:
      raise UsageError(f'{path}: truncated, or not a .tflite file that bin/export wrote ({error})') from error

  def _probabilities(self, images):
    return self._program.run(images)[0]


def enclose(content, description):
  """Returns a TFLite file with what is known of its ticket inside.

  The readers of TFLite files look at the front alone, and those of zip files at the end alone, which is how TFLite's
  own metadata keeps its associated files: `zipfile.ZipFile('x.tflite').read('labels.txt')` gives the class names.

  Args:
    content: the TFLite file, bytes.
    description: that of a `Classifier`.

  Returns:
    bytes.
  """
  file = io.BytesIO(content)
  with zipfile.ZipFile(file, 'a', zipfile.ZIP_DEFLATED) as enclosed:
    enclosed.writestr(LABELS, '\n'.join(description['class_names']) + '\n')
    enclosed.writestr(ticket.DESCRIPTION,
                      json.dumps({key: description[key] for key in _ENCLOSED if key in description}))
  return file.getvalue()


def all_threads():
  """Returns the number of cores that this process may use."""
  return len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()
