"""What two implementations of a training step are both given."""

import dataclasses

import numpy as np
import numpy.typing as npt


@dataclasses.dataclass(frozen=True)
class TrainingCase:
  """A network, how it is trained, and on what.

  Attributes:
    network: name of a ResNet or VGG, as in `'resnet32'`.
    width: filters of the first stage.
    image: (height, width, channels).
    ratio: pruning ratio of the random ticket that is trained.
    batch_size: images per step.
    threads: CPU threads of one operation.
    dtype: `'float32'`, or `'bfloat16'` for computing in 16 bits with weights in 32.
  """
  network: str
  width: int
  image: tuple[int, int, int]
  ratio: float = 0.95
  batch_size: int = 64
  threads: int = 1
  dtype: str = 'float32'

  @property
  def name(self) -> str:
    """What tables call the network."""
    return f'{self.network}, width {self.width}, {self.image[0]}x{self.image[1]}'

  def batch(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Returns random normalised images [batch_size, *image] and labels [batch_size] of ten classes."""
    rng = np.random.default_rng(0)
    images = rng.normal(size=(self.batch_size, *self.image)).astype(np.float32)
    return images, rng.integers(0, 10, self.batch_size)


# From the largest images to the smallest network: what bounds a step differs.
CASES: dict[str, TrainingCase] = {
    'resnet32': TrainingCase('resnet32', 32, (32, 32, 3)),
    'vgg19': TrainingCase('vgg19', 64, (32, 32, 3)),
    'resnet8': TrainingCase('resnet8', 32, (32, 32, 3)),
    'digits': TrainingCase('resnet20', 16, (8, 8, 1)),
}
