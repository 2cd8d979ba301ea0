"""What all tests share: two logical CPUs, so that MirroredStrategy can be tested on any machine, and small networks."""

import os

import numpy as np
import pytest


def pytest_xdist_auto_num_workers():
  # Each has a TensorFlow of its own in memory, so not more than four.
  return min(4, len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1)


def pytest_configure(config):
  if config.getoption('numprocesses', 0) and not hasattr(config, 'workerinput'):
    return  # This process gives tests to others and runs none.
  from tickets_tf import collecting  # Sets the environment, so before TensorFlow.
  with collecting.paused():
    import tensorflow as tf
    import tickets_tf.experiment.train  # noqa: F401
  cpu = tf.config.list_physical_devices('CPU')[0]
  tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)


@pytest.fixture
def small_model():
  """A ResNet8 of width 4 on 8x8x3 images, the same weights in every test."""
  import tickets_tf
  import tf_keras as keras
  keras.utils.set_random_seed(1)
  return tickets_tf.build_model('resnet8', (8, 8, 3), 10, width=4)


@pytest.fixture
def small_batch():
  """64 float images 8x8x3 and labels of 10 classes."""
  rng = np.random.default_rng(2)
  return rng.normal(size=(64, 8, 8, 3)).astype(np.float32), rng.integers(0, 10, 64).astype(np.int32)
