"""Start-up and peak memory of a file, measured in the process that this script is alone in.

    python first_inference.py RUNTIME FILE LOADS

Imports nothing of this package, with which TensorFlow would come. Prints JSON: `seconds` of each load with its first
inference, and `peak_bytes`, the most memory that the first of them took beyond Python with the runtime; null if the
system is not Linux.
"""

import json
import os
import sys
import time
from collections.abc import Callable


def _tflite() -> Callable[[str], object]:
  import numpy as np
  from ai_edge_litert.interpreter import Interpreter

  def infer(path: str) -> object:
    interpreter = Interpreter(model_path=path, num_threads=1)
    interpreter.allocate_tensors()
    for each in interpreter.get_input_details():
      interpreter.set_tensor(each['index'], np.zeros(each['shape'], each['dtype']))
    interpreter.invoke()
    return interpreter

  return infer


def _onnx() -> Callable[[str], object]:
  import numpy as np
  import onnxruntime
  options = onnxruntime.SessionOptions()
  options.intra_op_num_threads = 1
  options.log_severity_level = 3  # errors

  def infer(path: str) -> object:
    session = onnxruntime.InferenceSession(path, options, providers=['CPUExecutionProvider'])
    # The number of images is open.
    images = {each.name: np.zeros([size if isinstance(size, int) else 1 for size in each.shape], np.uint8)
              for each in session.get_inputs()}
    return session, session.run(None, images)

  return infer


RUNTIMES = {'tflite': _tflite, 'onnx': _onnx}


def _memory(name: str) -> int | None:
  # Not `resource`: a process inherits the peak of the one that started it.
  try:
    with open('/proc/self/status', encoding='ascii') as file:
      return next(1024 * int(line.split()[1]) for line in file if line.startswith(name))
  except (OSError, StopIteration):
    return None


def main() -> None:
  """Measures and prints."""
  # The modules beside this script are not to be found in place of those that the runtime imports.
  here = os.path.dirname(os.path.abspath(__file__))
  sys.path[:] = [each for each in sys.path if os.path.abspath(each) != here]
  runtime, path, loads = sys.argv[1:]
  infer = RUNTIMES[runtime]()
  before, peak, seconds = _memory('VmRSS'), None, []
  for _ in range(int(loads)):
    start = time.perf_counter()
    infer(path)
    seconds.append(time.perf_counter() - start)
    peak = _memory('VmHWM') if peak is None else peak
  print(json.dumps({'seconds': seconds, 'peak_bytes': None if before is None or peak is None else peak - before}))


if __name__ == '__main__':
  main()
