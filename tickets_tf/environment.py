"""What a run ran on, for its record."""

import os
import pathlib
import platform
import subprocess
from collections.abc import Sequence
from importlib import metadata
from typing import Any

_PACKAGES = ('tickets_tf', 'tensorflow', 'tf_keras', 'tensorflow-model-optimization', 'tensorflow-datasets', 'numpy')


def describe(devices: Sequence[str], packages: Sequence[str] = ()) -> dict[str, Any]:
  """Returns versions, platform, devices and the package's commit, all of them JSON values.

  Args:
    devices: names of TensorFlow's logical devices. The caller lists them, so that this module needs no TensorFlow.
    packages: names of further packages to give the version of.
  """
  return {
      'python': platform.python_version(),
      'platform': platform.platform(),
      'packages': {name: _version(name) for name in (*_PACKAGES, *packages)},
      'processor': processor(),
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


def processor() -> str:
  """Returns the model of the processor, or its architecture if the system does not tell more."""
  try:
    lines = pathlib.Path('/proc/cpuinfo').read_text(encoding='utf-8', errors='replace').splitlines()
  except OSError:  # of Linux alone
    lines = []
  named = [line.partition(':')[2].strip() for line in lines if line.lower().startswith(('model name', 'hardware'))]
  return next(filter(None, named), '') or platform.processor() or platform.machine()


def load_per_core() -> float | None:
  """Returns the load average of the last minute over the number of cores; None where the system has none."""
  try:
    return round(os.getloadavg()[0] / (os.cpu_count() or 1), 2)
  except (AttributeError, OSError):
    return None


def commit() -> str | None:
  """Returns the commit of the package if it is run from a git checkout, else None."""
  here = pathlib.Path(__file__).resolve().parent
  try:
    found = subprocess.run(['git', '-C', here, 'rev-parse', 'HEAD'], capture_output=True, text=True, check=True)
  except (OSError, subprocess.CalledProcessError):
    return None
  return found.stdout.strip()
