"""The parts of an image that a network of the ImageNet kind sees: a random one in training, the middle in judging."""

import math

import numpy as np
import numpy.typing as npt

_AREA = 0.08, 1.0  # smallest and largest share of the image's area
_PROPORTION = 3 / 4, 4 / 3  # width by height, narrowest and widest
_TRIES = 10
_SHORT_SIDE = 256 / 224  # of an image of which the middle is taken, by the side of that

Pixels = npt.NDArray[np.uint8]


def random_part(image: Pixels, seed: int) -> Pixels:
  """Returns a random part of an image, as large as it comes; Szegedy et al. 2015, section 6.

  Its share of the area is uniform in [0.08, 1], its proportion log-uniform in [3/4, 4/3]. The first of ten tries that
  lies in the image is taken; if none does, the largest part in the middle whose proportion is allowed.

  Args:
    image: [height, width, channels].
    seed: decides which, at least 0.

  Returns:
    A view [height', width', channels] of it.
  """
  height, width = image.shape[:2]
  rng = np.random.Generator(np.random.Philox(seed))
  areas = height * width * rng.uniform(*_AREA, _TRIES)
  proportions = np.exp(rng.uniform(math.log(_PROPORTION[0]), math.log(_PROPORTION[1]), _TRIES))
  widths, heights = (np.round(np.sqrt(each)).astype(int) for each in (areas * proportions, areas / proportions))
  inside = np.flatnonzero((widths <= width) & (heights <= height) & (widths > 0) & (heights > 0))
  if not inside.size:
    return _middle(image, min(height, round(width / _PROPORTION[0])), min(width, round(height * _PROPORTION[1])))
  down, across = int(heights[inside[0]]), int(widths[inside[0]])
  top, left = int(rng.integers(height - down + 1)), int(rng.integers(width - across + 1))
  return image[top:top + down, left:left + across]


def short_side(height: int, width: int, image_size: int) -> tuple[int, int]:
  """Returns the (height, width) to resize an image to before `middle`: its shorter side is 256/224 of `image_size`."""
  factor = round(image_size * _SHORT_SIDE) / min(height, width)
  return max(image_size, round(height * factor)), max(image_size, round(width * factor))


def middle(image: Pixels, image_size: int) -> Pixels:
  """Returns the square of `image_size` pixels in the middle of an image [height, width, channels], a view of it."""
  return _middle(image, image_size, image_size)


def _middle(image: Pixels, down: int, across: int) -> Pixels:
  top, left = (image.shape[0] - down) // 2, (image.shape[1] - across) // 2
  return image[top:top + down, left:left + across]
