"""Names of layers that follow from the structure of a network alone.

Keras counts the layers that nobody named over the whole process: `conv2d`, and in the next network `conv2d_1`. Here
they are counted within the layer that contains them. A name is taken for one of Keras' if it is the snake case of the
class, with or without a number.
"""

import re

import tf_keras as keras

_OF_KERAS = {'functional': 'model'}
# Keras renames the two copies of a bidirectional layer.
_DIRECTION = re.compile('(?:forward_|backward_)?')


class Names:
  """Counts the layers of one network in the order in which they are named."""

  def __init__(self) -> None:
    self._counts: dict[str, int] = {}

  def of(self, layer: keras.layers.Layer, prefix: str) -> str:
    """Returns a layer's name after `prefix`, that of the layers that contain it."""
    direction = _DIRECTION.match(layer.name)
    assert direction is not None, 'the expression matches nothing, too'
    start = direction.group()
    class_name = _snake_case(type(layer).__name__)
    base = _OF_KERAS.get(class_name, class_name)
    if not re.fullmatch(f'{re.escape(base)}(?:_[0-9]+)?', layer.name[len(start):]):
      return prefix + str(layer.name)
    name = f'{prefix}{start}{base}'
    number = self._counts[name] = self._counts.get(name, -1) + 1
    return f'{name}_{number}' if number else name


def _snake_case(name: str) -> str:
  # As Keras' `to_snake_case`, which it does not export.
  name = re.sub('([a-z])([A-Z])', r'\1_\2', re.sub('(.)([A-Z][a-z]+)', r'\1_\2', name)).lower()
  return f'private{name}' if name.startswith('_') else name
