"""What two implementations of a score are given alike: a network's weights and a scoring batch, as a file of arrays."""

import dataclasses
import json

import numpy as np

from tickets_tf import files


@dataclasses.dataclass(frozen=True, eq=False)
class Case:
  """A network with its weights and a scoring batch.

  Attributes:
    family: `'resnet'` or `'vgg'`.
    depth: number of layers as the family counts them.
    width: filters of the first stage.
    num_classes: number of outputs.
    weights: dictionary from Keras' names, as in `'conv1/kernel'`, to arrays.
    images: float32 [N, height, width, channels].
    labels: int64 [N]; the classes take turns.
    uniform: float64 [N] in [0, 1), what labels are drawn by.
  """
  family: str
  depth: int
  width: int
  num_classes: int
  weights: dict
  images: np.ndarray
  labels: np.ndarray
  uniform: np.ndarray

  def first(self, count):
    """Returns the case of the first `count` examples alone."""
    return dataclasses.replace(self, **{name: getattr(self, name)[:count] for name in _PER_EXAMPLE})

  def save(self, path):
    """Writes the case to a `.npz` file."""
    with files.replacing(path) as temporary:
      np.savez(temporary, network=json.dumps([self.family, self.depth, self.width, self.num_classes]),
               **{name: getattr(self, name) for name in _PER_EXAMPLE},
               **{f'weights/{name}': value for name, value in self.weights.items()})


_PER_EXAMPLE = ('images', 'labels', 'uniform')


def load(path):
  """Reads what `Case.save` wrote."""
  with np.load(path, allow_pickle=False) as stored:
    arrays = dict(stored)
  weights = {key.removeprefix('weights/'): value for key, value in arrays.items() if key.startswith('weights/')}
  return Case(*json.loads(str(arrays['network'])), weights, *(arrays[name] for name in _PER_EXAMPLE))
