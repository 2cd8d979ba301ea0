"""Small made-up images for the tests of the data package."""

import numpy as np
import pytest
from PIL import Image

import tickets_tf  # noqa: F401 - before TensorFlow
from tickets_tf.data import Examples


@pytest.fixture
def write_images():
  """A function that writes {relative path: uint8 array or shape} below a folder; a shape gives random pixels."""
  generator = np.random.default_rng(0)

  def write(root, files):
    for name, pixels in files.items():
      path = root / name
      path.parent.mkdir(parents=True, exist_ok=True)
      if isinstance(pixels, tuple):
        pixels = generator.integers(0, 256, pixels, np.uint8)
      Image.fromarray(pixels).save(path, format='PNG' if path.suffix.lower() == '.png' else 'JPEG', quality=95)
    return root

  return write


@pytest.fixture
def examples():
  """A function that makes N random examples, no pixel of which is 0."""

  def make(count, shape=(6, 6, 3), num_classes=5, seed=0):
    generator = np.random.default_rng(seed)
    images = generator.integers(1, 256, (count, *shape), np.uint8)
    return Examples(images, (np.arange(count) % num_classes).astype(np.int32))

  return make
