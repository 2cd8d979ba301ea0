"""What was found in folders of images and how it is read, in lines for the user and for the record."""

import pathlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from tickets_tf.data.image_files import ImageFile
from tickets_tf.data.images import Shape

_NAMED = 8  # things named in a line before the rest is counted


def lines(root: pathlib.Path, found: Sequence[ImageFile], skipped: Mapping[str, int], shape: Shape, white: int,
          image_size: int) -> list[str]:
  """Returns lines that tell what became of every file.

  Args:
    root: the folder that paths are told from.
    found: the images that are read.
    skipped: what is not read, with its number of files.
    shape: (height, width, channels) that every image gets.
    white: the value of images of 16 bits that becomes 255.
    image_size: what was asked for; 0: the size of the first training image.
  """
  say: list[str] = [_counts(root, found, skipped)]

  def tell(which: Callable[[ImageFile], bool], what: str) -> None:
    files = [file for file in found if which(file)]
    if files:
      first = pathlib.Path(files[0].path).relative_to(root).as_posix()
      say.append(f'{len(files)} of {len(found)} images {what.format(file=first, format=files[0].format)}')

  tell(lambda file: file.misnamed, 'have the ending of another format and are read by their bytes ({file} is {format})')
  tell(lambda file: file.orientation != 1, 'are turned as their EXIF orientation says ({file})')
  if shape[2] == 3:
    tell(lambda file: file.channels == 1, 'are gray and made colour, because others are in colour ({file})')
  tell(lambda file: file.bits == 16, f'have 16 bits: their values from 0 to {white:,}, the largest in training, become '
       '0 to 255 in 256 levels, larger ones 255 ({file})')
  tell(lambda file: file.transparent, 'have transparency, which is left out ({file})')
  tell(lambda file: file.cmyk, 'have the colours of print (CMYK) and are made RGB without a colour profile ({file})')
  tell(lambda file: file.several, 'are files of several, of which the first is taken ({file})')
  return say + _sizes(found, shape, image_size)


def names(values: Sequence[str]) -> str:
  """Returns the first few values in a line, and how many more there are."""
  rest = len(values) - _NAMED
  return ', '.join(values[:_NAMED]) + (f' and {rest} more' if rest > 0 else '')


def _counts(root: pathlib.Path, found: Sequence[ImageFile], skipped: Mapping[str, int]) -> str:
  formats = Counter(file.format for file in found).most_common()
  line = f'{len(found):,} files: {", ".join(f"{count:,} {name}" for name, count in formats)}'
  if not skipped:
    return line
  left_out = [path.removeprefix(f'{root}/') + (f' ({count} files)' if path.endswith('/') else '')
              for path, count in skipped.items()]
  return f'{line}; skipped {sum(skipped.values()):,}: {names(left_out)}'


def _sizes(found: Sequence[ImageFile], shape: Shape, image_size: int) -> list[str]:
  sizes = Counter((file.height, file.width) for file in found)
  if set(sizes) == {shape[:2]}:
    return []
  told = [f'{count:,} of {height}x{width}' for (height, width), count in sizes.most_common()]
  rule = '--image_size' if image_size else 'the size of the first training image (--image_size chooses another)'
  return [f'sizes: {names(told)}; all become {shape[0]}x{shape[1]}, {rule}, stretched if their sides have another '
          'proportion']
