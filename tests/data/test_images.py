"""Decoding, resizing and counting pixels."""

import pathlib
import struct
import types
import zlib

import numpy as np
import psutil
import pytest
import tensorflow as tf
from PIL import Image

from tickets_tf.data import image_files
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
  monkeypatch.setattr(psutil, 'virtual_memory', lambda: free)
  paths = [str(tmp_path / 'a.png')] * 1001
  with pytest.raises(UsageError, match=r'1001 images of 1024x1024x3 need 5.9 GiB .* 5.9 GiB are free.*--image_size'):
    images.decode(paths, (1024, 1024, 3))
  assert images.decode(paths, (4, 4, 3)).shape == (1001, 4, 4, 3)


def _turned(pixels, orientation):
  """The image as it should be, from its stored rows and columns: the table of EXIF, written out."""
  return {1: pixels, 2: pixels[:, ::-1], 3: pixels[::-1, ::-1], 4: pixels[::-1], 5: np.swapaxes(pixels, 0, 1),
          6: np.rot90(pixels, -1), 7: np.rot90(pixels, 2).swapaxes(0, 1), 8: np.rot90(pixels)}[orientation]


@pytest.mark.parametrize('kind', ['png', 'deep.png', 'tiff', 'gray.tiff', 'deep.tiff', 'webp', 'jpg'])
@pytest.mark.parametrize('orientation', range(1, 9))
def test_orientation_is_honoured(tmp_path, kind, orientation):
  deep, gray, path = kind.startswith('deep'), kind[0] in 'dg', tmp_path / f'a.{kind}'
  pixels = np.arange(48, dtype=np.uint16 if deep else np.uint8).reshape(6, 8) * 5
  exif = Image.Exif()
  exif[0x0112] = orientation
  image = Image.fromarray(pixels if gray else np.stack([pixels] * 3, axis=-1))
  image.save(path, exif=exif, **({'lossless': True} if kind == 'webp' else {'quality': 100} if kind == 'jpg' else {}))
  expected = _turned(pixels, orientation)
  shape = images.shape_of(path)
  assert shape == (*expected.shape, 1 if gray else 3)
  found = images.decode_files([image_files.inspect(path)], shape, 255)[0]
  np.testing.assert_allclose(found[..., 0].astype(int), expected.astype(int), atol=2 if kind == 'jpg' else 0)
  np.testing.assert_array_equal(images.load_image(path, shape, 255), found)


def test_orientation_after_the_pixels_and_damaged_exif(tmp_path):
  path = tmp_path / 'a.png'
  Image.fromarray(np.zeros((3, 5), np.uint8)).save(path)
  content = path.read_bytes()
  exif = Image.Exif()
  exif[0x0112] = 8
  body = b'eXIf' + exif.tobytes().removeprefix(b'Exif\0\0')
  chunk = struct.pack('>I', len(body) - 4) + body + struct.pack('>I', zlib.crc32(body))
  path.write_bytes(content[:-12] + chunk + content[-12:])
  assert images.shape_of(path) == (5, 3, 1)
  damaged = Image.Exif()
  damaged[0x0112] = 6
  Image.fromarray(np.zeros((3, 5), np.uint8)).save(tmp_path / 'b.jpg', exif=b'Exif\0\0II*\0' + b'\xff' * 9)
  assert images.shape_of(tmp_path / 'b.jpg') == (3, 5, 1), 'as it is'


def test_formats_and_modes(tmp_path):
  pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3)).astype(np.uint8)
  colour, gray = Image.fromarray(pixels), Image.fromarray(pixels[..., 0])
  alpha = Image.fromarray(np.concatenate([pixels, pixels[..., :1]], axis=-1))
  cases = {
      'rgb.bmp': (colour, pixels), 'gray.bmp': (gray, pixels[..., :1]), 'rgb.tif': (colour, pixels),
      'alpha.tif': (alpha, pixels), 'gray.tif': (gray, pixels[..., :1]), 'alpha.png': (alpha, pixels),
      'palette.png': (colour.quantize(16), np.asarray(colour.quantize(16).convert('RGB'))),
      'palette.gif': (colour.quantize(16), np.asarray(colour.quantize(16).convert('RGB'))),
      'bits.png': (gray.convert('1'), np.asarray(gray.convert('1').convert('L'))[..., None]),
      'bits.tif': (gray.convert('1'), np.asarray(gray.convert('1').convert('L'))[..., None]),
      'print.tif': (colour.convert('CMYK'), pixels)}
  for name, (image, expected) in cases.items():
    image.save(tmp_path / name)
    assert images.shape_of(tmp_path / name) == expected.shape, name
    np.testing.assert_array_equal(images.load_image(tmp_path / name, expected.shape), expected, err_msg=name)
    file = image_files.inspect(tmp_path / name)
    assert file.transparent == ('alpha' in name) and file.cmyk == ('print' in name) and not file.several, name
  assert images.load_image(tmp_path / 'rgb.bmp', (8, 8, 1)).tolist() == np.asarray(
      colour.convert('L'))[..., None].tolist()


def test_a_jpeg_of_print_colours(tmp_path):
  path = tmp_path / 'print.jpg'
  Image.new('RGB', (16, 16), (200, 30, 90)).convert('CMYK').save(path, quality=100)
  assert image_files.inspect(path).cmyk and images.shape_of(path) == (16, 16, 3)
  np.testing.assert_allclose(images.load_image(path, (16, 16, 3)).astype(int), np.tile([200, 30, 90], (16, 16, 1)),
                             atol=3)


def test_sixteen_bits_in_colour(tmp_path):
  path = tmp_path / 'a.png'
  pixels = np.random.default_rng(0).integers(0, 4096, (5, 7, 3)).astype(np.uint16)
  path.write_bytes(tf.io.encode_png(pixels).numpy())
  file = image_files.inspect(path)
  assert file.bits == 16 and images.largest_value([file]) == pixels.max()
  np.testing.assert_array_equal(images.load_image(path, (5, 7, 3), 4095), np.round(pixels * (255 / 4095)))


def test_the_first_of_several_images(tmp_path):
  first, second = (Image.new('P', (4, 4), shade) for shade in (1, 2))
  first.putpalette([0, 0, 0, 250, 10, 20, 1, 2, 3])
  second.putpalette([0, 0, 0, 250, 10, 20, 1, 2, 3])
  first.save(tmp_path / 'a.gif', save_all=True, append_images=[second])
  Image.new('RGB', (4, 4), (250, 10, 20)).save(tmp_path / 'a.png', save_all=True,
                                               append_images=[Image.new('RGB', (4, 4))])
  for name in ('a.gif', 'a.png'):
    assert image_files.inspect(tmp_path / name).several
    assert images.load_image(tmp_path / name, (4, 4, 3))[0, 0].tolist() == [250, 10, 20]


@pytest.mark.parametrize('name, content, message', [
    ('a.png', b'\0\0\0\x1cftypavif', 'AVIF images are not read'),
    ('a.heic', b'\0\0\0\x1cftypheic', 'HEIC images are not read'),
    ('a.jp2', b'\0\0\0\x0cjP  \r\n', 'JPEG 2000 images are not read'),
    ('a.svg', b'<?xml version="1.0"?><svg>', 'SVG images are not read'),
])
def test_images_that_are_not_read_are_refused_by_name(tmp_path, name, content, message):
  (tmp_path / name).write_bytes(content)
  with pytest.raises(UsageError, match=f'{tmp_path / name}: {message}'):
    images.load_image(tmp_path / name, (4, 4, 3))


@pytest.mark.parametrize('mode', ['F', 'I'])
def test_pixels_of_32_bits_are_refused(tmp_path, mode):
  Image.new(mode, (4, 4)).save(tmp_path / 'a.tif')
  with pytest.raises(UsageError, match=f'a.tif: a? ?TIFF of mode {mode}.* such images are not read'):
    images.load_image(tmp_path / 'a.tif', (4, 4, 1))


@pytest.mark.parametrize('kind', ['webp', 'bmp', 'tif', 'gif', 'png', 'jpg'])
@pytest.mark.parametrize('share', [0.05, 0.3, 0.8])
def test_every_truncated_file_is_named(tmp_path, kind, share):
  path = tmp_path / f'a.{kind}'
  Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32, 3)).astype(np.uint8)).save(path)
  content = path.read_bytes()
  path.write_bytes(content[:int(len(content) * share)])
  with pytest.raises(TicketsError, match=f'{path}: broken image'):
    images.load_image(path, (32, 32, 3))


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
