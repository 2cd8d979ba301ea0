"""What a run ran on, for its record."""

import os
import pathlib
import platform
import subprocess
from importlib import metadata

import tensorflow as tf

_PACKAGES = ('tickets_tf', 'tensorflow', 'tf_keras', 'tensorflow-model-optimization', 'tensorflow-datasets', 'numpy')


def describe():
  """Returns versions, platform, devices and the package's commit as a dictionary of JSON values."""
  return {
      'python': platform.python_version(),
      'platform': platform.platform(),
      'packages': {name: _version(name) for name in _PACKAGES},
      'cores': os.cpu_count(),
      'devices': [device.name for device in tf.config.list_logical_devices()],
      'onednn': os.environ.get('TF_ENABLE_ONEDNN_OPTS'),
      'commit': commit(),
  }


def _version(name):
  # What was put on the path by hand has none.
  try:
    return metadata.version(name)
  except metadata.PackageNotFoundError:
    return None


def commit():
  """Returns the commit of the package where it is run from a checkout, else None."""
  here = pathlib.Path(__file__).resolve().parent
  try:
    found = subprocess.run(['git', '-C', here, 'rev-parse', 'HEAD'], capture_output=True, text=True, check=True)
  except (OSError, subprocess.CalledProcessError):
    return None
  return found.stdout.strip()
