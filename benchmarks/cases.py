"""What two implementations of a score are both given: a network's weights and a scoring batch, as a file of arrays."""

import dataclasses
import json
import os
from typing import Any

import numpy as np
import numpy.typing as npt

from tickets_tf import files


_WEIGHTS = 'weights/'  # before the names of weights in the file


@dataclasses.dataclass(frozen=True, eq=False)
class Case:
  """A network with its weights and a scoring batch.

  Attributes:
    family: `'resnet'` or `'vgg'`.
    depth: number of layers as the family counts them.
    width: filters of the first stage.
    num_classes: number of outputs.
    weights: arrays by Keras' names, as in `'conv1/kernel'`.
    images: [N, height, width, channels].
    labels: [N]; the classes take turns.
    uniform: [N] in [0, 1), random numbers that draw a label for each example.
  """
  family: str
  depth: int
  width: int
  num_classes: int
  weights: dict[str, npt.NDArray[np.float32]]
  images: npt.NDArray[np.float32]
  labels: npt.NDArray[np.int64]
  uniform: npt.NDArray[np.float64]

  def first(self, count: int) -> 'Case':
    """Returns the case with its first `count` examples only."""
    return dataclasses.replace(self, images=self.images[:count], labels=self.labels[:count],
                               uniform=self.uniform[:count])

  def save(self, path: str | os.PathLike[str]) -> None:
    """Writes the case to a `.npz` file."""
    weights: dict[str, Any] = {f'{_WEIGHTS}{name}': value for name, value in self.weights.items()}
    with files.replacing(path) as temporary:
      np.savez(temporary, network=json.dumps([self.family, self.depth, self.width, self.num_classes]),
               images=self.images, labels=self.labels, uniform=self.uniform, **weights)


def load(path: str | os.PathLike[str]) -> Case:
  """Reads what `Case.save` wrote."""
  with np.load(path, allow_pickle=False) as stored:
    arrays = dict(stored)
  weights = {key.removeprefix(_WEIGHTS): value for key, value in arrays.items() if key.startswith(_WEIGHTS)}
  family, depth, width, num_classes = json.loads(str(arrays['network']))
  return Case(family, depth, width, num_classes, weights, arrays['images'], arrays['labels'], arrays['uniform'])
