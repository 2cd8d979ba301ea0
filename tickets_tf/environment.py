"""What a run ran on, for its record."""

import os
import pathlib
import platform
import subprocess
from collections.abc import Sequence
from importlib import metadata
from typing import Any

_PACKAGES = ('tickets_tf', 'tensorflow', 'tf_keras', 'tensorflow-model-optimization', 'tensorflow-datasets', 'numpy')


def describe(devices: Sequence[str]) -> dict[str, Any]:
  """Returns versions, platform, devices and the package's commit, all of them JSON values.

  Args:
    devices: names of TensorFlow's logical devices. The caller lists them, so that this module needs no TensorFlow.
  """
  return {
      'python': platform.python_version(),
      'platform': platform.platform(),
      'packages': {name: _version(name) for name in _PACKAGES},
      'cores': os.cpu_count(),
      'devices': list(devices),
      'onednn': os.environ.get('TF_ENABLE_ONEDNN_OPTS'),
      'commit': commit(),
  }


def _version(name: str) -> str | None:
  # A package that was put on the path by hand has no version.
  try:
    return metadata.version(name)
  except metadata.PackageNotFoundError:
    return None


def commit() -> str | None:
  """Returns the commit of the package if it is run from a git checkout, else None."""
  here = pathlib.Path(__file__).resolve().parent
  try:
    found = subprocess.run(['git', '-C', here, 'rev-parse', 'HEAD'], capture_output=True, text=True, check=True)
  except (OSError, subprocess.CalledProcessError):
    return None
  return found.stdout.strip()
