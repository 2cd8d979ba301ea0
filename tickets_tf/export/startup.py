"""What a file costs before its second inference: time to load it and infer once, and memory."""

import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

from tickets_tf.export import first_inference
from tickets_tf.export.export_report import Startup

_LOADS = 8  # the first also starts the runtime
_SECONDS = 120  # that all loads may take


def measure(runtime: str, content: bytes) -> Startup | None:
  """Loads a file and runs its first inference, again and again, in a process of its own with one thread.

  Args:
    runtime: a name in `first_inference.RUNTIMES`.
    content: the file.

  Returns:
    What was measured; None if the process ended otherwise.
  """
  with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder) / 'model'
    path.write_bytes(content)
    command = [sys.executable, first_inference.__file__, runtime, str(path), str(_LOADS)]
    try:
      done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=True)
      measured = json.loads(done.stdout.splitlines()[-1])
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
      return None
  low, middle, high = (1000 * float(each) for each in np.quantile(measured['seconds'][1:], [0.25, 0.5, 0.75]))
  return Startup(middle, (low, high), measured['peak_bytes'])
