"""What an image file is: format, size, colour, depth and orientation, by its bytes and without decoding its pixels."""

import dataclasses
import os
import struct
import warnings
from collections.abc import Iterator
from typing import BinaryIO

from PIL import Image

from tickets_tf.errors import TicketsError
from tickets_tf.errors import UsageError

FORMATS = ('JPEG', 'PNG', 'WebP', 'BMP', 'TIFF', 'GIF')  # those that are read
SUFFIXES = ('.jpg', '.jpeg', '.png', '.webp', '.bmp', '.tif', '.tiff', '.gif')
_SUFFIXES_OF = {'JPEG': ('.jpg', '.jpeg'), 'TIFF': ('.tif', '.tiff')}
_HEAD = 512  # bytes that tell the format
_BOXES = {b'avif': 'AVIF', b'avis': 'AVIF', b'heic': 'HEIC', b'heix': 'HEIC', b'hevc': 'HEIC', b'mif1': 'HEIC',
          b'msf1': 'HEIC'}
_STARTS = (
    (b'\xff\xd8\xff', 'JPEG'), (b'\x89PNG\r\n\x1a\n', 'PNG'), (b'GIF87a', 'GIF'), (b'GIF89a', 'GIF'),
    (b'II*\0', 'TIFF'), (b'MM\0*', 'TIFF'), (b'II+\0', 'TIFF'), (b'MM\0+', 'TIFF'),
    (b'\0\0\0\x0cjP  ', 'JPEG 2000'), (b'\xff\x4f\xff\x51', 'JPEG 2000'), (b'\0\0\0\x0cJXL ', 'JPEG XL'),
    (b'\xff\x0a', 'JPEG XL'), (b'8BPS', 'Photoshop'), (b'\x76\x2f\x31\x01', 'OpenEXR'), (b'<svg', 'SVG'))
_BITMAP_HEADERS = (12, 40, 52, 56, 64, 108, 124)  # sizes of the second header of a BMP file
_ORIENTATION = 0x0112  # tag of EXIF and TIFF
_BITS, _PHOTOMETRIC, _WIDTH, _HEIGHT = 258, 262, 256, 257  # tags of TIFF
_GRAY_MODES, _DEEP_MODES = ('1', 'L', 'LA', 'I;16', 'I;16B', 'I;16L', 'I;16N'), ('I;16', 'I;16B', 'I;16L', 'I;16N')
_COLOUR_MODES = ('P', 'PA', 'RGB', 'RGBA', 'RGBX', 'CMYK', 'YCbCr')


@dataclasses.dataclass(frozen=True)
class ImageFile:
  """An image file that is read.

  Attributes:
    path: the file.
    format: one of `FORMATS`.
    height: in pixels, after the image is turned as its orientation says.
    width: likewise.
    channels: 1 for a gray image, with or without transparency, else 3.
    bits: 16 if its values have more than 8 bits, else 8.
    orientation: that of EXIF, 1 to 8; 1: the image is as it should be.
    transparent: whether it has transparency, which is left out.
    cmyk: whether its colours are those of print.
    several: whether it holds several images, of which the first is taken.
  """
  path: str
  format: str
  height: int
  width: int
  channels: int
  bits: int = 8
  orientation: int = 1
  transparent: bool = False
  cmyk: bool = False
  several: bool = False

  @property
  def misnamed(self) -> bool:
    """Whether the ending of its name is that of another format."""
    suffix = os.path.splitext(self.path)[1].lower()
    return suffix in SUFFIXES and suffix not in _SUFFIXES_OF.get(self.format, (f'.{self.format.lower()}',))


def format_of(path: str | os.PathLike[str]) -> str:
  """Returns the name of the format of an image file by its first bytes; empty if they are those of no image.

  Raises:
    TicketsError: if the file cannot be read.
  """
  with _opened(path) as file:
    return _format(file.read(_HEAD))


def inspect(path: str | os.PathLike[str]) -> ImageFile:
  """Returns what an image file is, from its headers.

  Raises:
    TicketsError: if the file cannot be read or is no image; it names the file.
    UsageError: if it is an image of a kind that is not read; it names the file and the kind.
  """
  path = os.fspath(path)
  with _opened(path) as file:
    name = _format(file.read(_HEAD))
    if not name:
      raise TicketsError(f'{path}: broken image: its bytes are those of no image ({", ".join(FORMATS)} are read)')
    if name not in FORMATS:
      raise UsageError(f'{path}: {name} images are not read; convert it to PNG or JPEG')
    reader = {'JPEG': _inspect_jpeg, 'PNG': _inspect_png}.get(name, _inspect_other)
    try:
      return reader(path, name, file)
    except TicketsError:
      raise
    except Exception as error:  # readers of image formats raise whatever a broken file leads them to
      raise broken(path, name) from error


def broken(path: str, format_name: str) -> TicketsError:
  """Returns the error for a file whose image cannot be decoded."""
  return TicketsError(f'{path}: broken image: not a whole {format_name} file')


def _opened(path: str | os.PathLike[str]) -> BinaryIO:
  try:
    return open(path, 'rb')
  except OSError as error:
    raise TicketsError(f'{path}: {error.strerror}') from error


def _format(head: bytes) -> str:
  if head[:4] == b'RIFF' and head[8:12] == b'WEBP':
    return 'WebP'
  if head[:2] == b'BM' and len(head) >= 18 and struct.unpack('<I', head[14:18])[0] in _BITMAP_HEADERS:
    return 'BMP'
  if head[4:8] == b'ftyp':
    return _BOXES.get(head[8:12], '')
  if head[128:132] == b'DICM':
    return 'DICOM'
  if head[:5] == b'<?xml' and b'<svg' in head:
    return 'SVG'
  return next((name for start, name in _STARTS if head.startswith(start)), '')


def _refused(path: str, what: str) -> UsageError:
  return UsageError(f'{path}: {what}: such images are not read; convert it to an 8-bit or 16-bit PNG')


def _inspect_jpeg(path: str, name: str, file: BinaryIO) -> ImageFile:
  exif = b''
  for marker, length in _segments(file):
    if 0xc0 <= marker <= 0xcf and marker not in (0xc4, 0xc8, 0xcc):  # a frame header
      precision, height, width, components = struct.unpack('>BHHB', file.read(6))
      if precision != 8:
        raise _refused(path, f'a JPEG of {precision} bits')
      orientation = _orientation(exif)
      height, width = _turned(height, width, orientation)
      return ImageFile(path, name, height, width, 1 if components == 1 else 3, orientation=orientation,
                       cmyk=components == 4)
    if marker == 0xe1 and not exif:
      content = file.read(length)
      exif = content if content.startswith(b'Exif\0\0') else b''
  raise ValueError('no frame header')


def _segments(file: BinaryIO) -> Iterator[tuple[int, int]]:
  """Yields marker and length of the segments of a JPEG file, which is then at the segment's content."""
  position = 2
  while True:
    file.seek(position)
    start, marker = struct.unpack('BB', file.read(2))
    if start != 0xff or marker == 0xda:  # the pixels begin
      return
    if marker == 0xff:  # a fill byte
      position += 1
    elif marker == 0x01 or 0xd0 <= marker <= 0xd7:  # without content
      position += 2
    else:
      length, = struct.unpack('>H', file.read(2))
      position += 2 + length
      yield marker, length - 2


def _inspect_png(path: str, name: str, file: BinaryIO) -> ImageFile:
  exif, chunks, position = b'', set(), 8
  file.seek(16)
  width, height, bits, colour = struct.unpack('>IIBB', file.read(10))
  while True:
    file.seek(position)
    header = file.read(8)
    if len(header) < 8 or header[4:] == b'IEND':
      break
    length, chunk = struct.unpack('>I4s', header)
    chunks.add(chunk)
    exif = file.read(length) if chunk == b'eXIf' else exif
    position += 12 + length
  orientation = _orientation(exif)
  height, width = _turned(height, width, orientation)
  return ImageFile(path, name, height, width, 1 if colour in (0, 4) else 3, 16 if bits == 16 else 8, orientation,
                   transparent=colour in (4, 6) or b'tRNS' in chunks, several=b'acTL' in chunks)


def _inspect_other(path: str, name: str, file: BinaryIO) -> ImageFile:
  file.seek(0)
  with Image.open(file, formats=[name.upper()]) as image:
    mode, tags = image.mode, getattr(image, 'tag_v2', {})
    width, height = tags.get(_WIDTH, image.width), tags.get(_HEIGHT, image.height)
    orientation = tags.get(_ORIENTATION) or image.getexif().get(_ORIENTATION, 1)
    deep = mode in _DEEP_MODES
    if mode not in _GRAY_MODES + _COLOUR_MODES:
      raise _refused(path, f'{name} of mode {mode}, whose values are no whole numbers of 8 or 16 bits')
    if not deep and max(tags.get(_BITS, (8,))) > 8:
      raise _refused(path, f'{name} of {max(tags[_BITS])} bits in colour')
    if deep and tags.get(_PHOTOMETRIC) == 0:
      raise _refused(path, f'{name} of 16 bits in which 0 is white')
    height, width = _turned(height, width, orientation)
    return ImageFile(path, name, height, width, 1 if mode in _GRAY_MODES else 3, 16 if deep else 8,
                     orientation if 1 <= orientation <= 8 else 1, image.has_transparency_data, mode == 'CMYK',
                     getattr(image, 'is_animated', False))


def _orientation(exif: bytes) -> int:
  if not exif:
    return 1
  tags = Image.Exif()
  try:
    with warnings.catch_warnings():
      warnings.simplefilter('ignore')
      tags.load(exif)
      found = tags.get(_ORIENTATION, 1)
  except Exception:  # damaged EXIF; the pixels are whole
    return 1
  return found if found in range(1, 9) else 1


def _turned(height: int, width: int, orientation: int) -> tuple[int, int]:
  return (width, height) if orientation in (5, 6, 7, 8) else (height, width)
