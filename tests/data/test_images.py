"""Decoding, resizing and counting pixels."""

import pathlib
import types

import numpy as np
import pytest
from PIL import Image

from tickets_tf.data import images
from tickets_tf.errors import TicketsError
from tickets_tf.errors import UsageError


def test_order_and_pixels(tmp_path, write_images):
  rng = np.random.default_rng(0)
  pixels = rng.integers(0, 256, (1300, 4, 5, 3), np.uint8)  # more than one block
  write_images(tmp_path, {f'{k:04}.png': image for k, image in enumerate(pixels)})
  paths = sorted(str(path) for path in tmp_path.iterdir())
  decoded = images.decode(paths, (4, 5, 3))
  assert decoded.dtype == np.uint8 and np.array_equal(decoded, pixels)
  assert np.array_equal(images.decode(paths[::-1], (4, 5, 3)), pixels[::-1])


def test_jpeg_agrees_with_pillow(tmp_path, write_images):
  smooth = np.add.outer(np.arange(32), np.arange(32))[..., None] * np.array([1, 2, 3])
  write_images(tmp_path, {'a.JPEG': smooth.astype(np.uint8)})
  decoded = images.decode([str(tmp_path / 'a.JPEG')], (32, 32, 3))[0]
  np.testing.assert_allclose(decoded.astype(int), np.asarray(Image.open(tmp_path / 'a.JPEG')).astype(int), atol=1)


def test_gray_becomes_colour_and_colour_gray(tmp_path, write_images):
  write_images(tmp_path, {'gray.png': (4, 4), 'colour.png': (4, 4, 3), 'gray.jpg': (4, 4), 'colour.jpg': (4, 4, 3),
                          'alpha.png': (4, 4, 4), 'gray_alpha.png': (4, 4, 2)})
  paths = [str(path) for path in sorted(tmp_path.iterdir())]
  assert [images.shape_of(path)[2] for path in paths] == [3, 3, 3, 1, 1, 1]
  colour, gray = images.decode(paths, (4, 4, 3)), images.decode(paths, (4, 4, 1))
  for path, as_colour, as_gray in zip(paths, colour, gray, strict=True):
    if pathlib.Path(path).name.startswith('gray'):
      assert np.array_equal(as_colour, np.repeat(as_gray, 3, axis=-1))
  original = np.asarray(Image.open(tmp_path / 'gray.png'))
  assert np.array_equal(gray[paths.index(str(tmp_path / 'gray.png'))][..., 0], original)


def test_other_sizes_are_resized_and_rounded(tmp_path, write_images):
  write_images(tmp_path, {'a.png': (8, 8, 3), 'b.png': np.kron(np.array([[10, 21], [30, 40]], np.uint8),
                                                                np.ones((8, 8), np.uint8)),
                          'c.png': np.full((3, 50), 77, np.uint8)})
  paths = [str(path) for path in sorted(tmp_path.iterdir())]
  decoded = images.decode(paths, (8, 8, 3))
  assert decoded.shape == (3, 8, 8, 3)
  assert np.array_equal(decoded[0], np.asarray(Image.open(paths[0]))), 'the size that fits stays as it is'
  assert decoded[1, 0, 0, 0] == 10 and decoded[1, -1, -1, 0] == 40
  assert np.all(decoded[2] == 77)
  # Halving with antialiasing weighs more than the 2 nearest pixels: a fine grating becomes nearly flat.
  grating = np.tile(np.array([0, 0, 255], np.uint8), (1, 48, 16))[..., None]
  assert np.ptp(images.resize(grating, 12)[:, :, 2:-2].astype(int)) < 100
  row = np.array([[[[0], [101]], [[0], [101]]]], np.uint8)
  assert images.resize(row, 4)[0, 0, :, 0].tolist() == [0, 25, 76, 101], 'rounded, not cut'
  assert images.resize(row, 0) is row and images.resize(row, 2) is row


@pytest.mark.parametrize('make', ['truncated', 'half_png', 'empty', 'text', 'gone'])
def test_a_broken_image_is_named(tmp_path, write_images, make):
  write_images(tmp_path, {f'{k}.jpg': (32, 32, 3) for k in range(20)})
  write_images(tmp_path, {'png.png': (32, 32, 3)})
  paths = [str(tmp_path / f'{k}.jpg') for k in range(20)]
  bad = tmp_path / '13.jpg'
  if make == 'truncated':
    bad.write_bytes(bad.read_bytes()[:-200])
  elif make == 'half_png':
    bad.write_bytes((tmp_path / 'png.png').read_bytes()[:1000])
  elif make == 'empty':
    bad.write_bytes(b'')
  elif make == 'text':
    bad.write_text('not an image')
  else:
    bad.unlink()
  with pytest.raises(TicketsError, match=str(bad)) as error:
    images.decode(paths, (32, 32, 3))
  assert not isinstance(error.value, UsageError) and '\n' not in str(error.value)
  assert ('No such file' if make == 'gone' else 'broken image') in str(error.value)
  with pytest.raises(TicketsError, match=str(bad)):
    images.shape_of(str(bad))


def test_too_large_for_memory(tmp_path, write_images, monkeypatch):
  write_images(tmp_path, {'a.png': (4, 4)})
  free = types.SimpleNamespace(available=2 * 1000 * 1024 * 1024 * 3)
  monkeypatch.setattr(images.psutil, 'virtual_memory', lambda: free)
  paths = [str(tmp_path / 'a.png')] * 1001
  with pytest.raises(UsageError, match=r'1001 images of 1024x1024x3 need 5.9 GiB .* 5.9 GiB are free.*--image_size'):
    images.decode(paths, (1024, 1024, 3))
  assert images.decode(paths, (4, 4, 3)).shape == (1001, 4, 4, 3)


def test_pixel_statistics():
  rng = np.random.default_rng(0)
  pixels = np.stack([rng.integers(0, 256, (1500, 3, 4)), rng.integers(100, 120, (1500, 3, 4))], -1).astype(np.uint8)
  mean, std = images.pixel_statistics(pixels)
  assert all(isinstance(value, float) for value in mean + std)
  np.testing.assert_allclose(mean, (pixels / 255).mean((0, 1, 2)), rtol=1e-12)
  np.testing.assert_allclose(std, (pixels / 255).std((0, 1, 2)), rtol=1e-12)


@pytest.mark.parametrize('shape, padding', [((8, 8, 1), 1), ((16, 16, 3), 2), ((31, 40, 3), 3), ((32, 32, 3), 4),
                                            ((64, 64, 3), 4), ((7, 7, 3), 0)])
def test_padding(shape, padding):
  assert images.padding_for(shape) == padding
