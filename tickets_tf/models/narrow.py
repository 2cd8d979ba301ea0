"""Networks of fewer filters that are as large as a ticket of the wide one."""

import bisect
import functools
import inspect

from tickets_tf import registry
from tickets_tf.errors import UsageError
from tickets_tf.models import build
from tickets_tf.models.macs import multiply_accumulates
from tickets_tf.models.prunable import prunable_kernels
from tickets_tf.pruning import allocation as allocations
from tickets_tf.pruning.narrowed import Narrowed


@functools.lru_cache(maxsize=32)
def narrowed(name: str, input_shape: tuple[int, ...], num_classes: int, width: int, ratio: float, match: str,
             allocation: str) -> Narrowed:
  """Returns the width at which a network is as large as a ticket of it, as near as whole widths allow.

  Of two widths that are equally near, it is the smaller.

  Args:
    name: as for `build_model`; a network that takes a width.
    input_shape: (height, width, channels) in pixels.
    num_classes: number of outputs.
    width: the width of the network that the ticket is of; 0: the network's own.
    ratio: pruning ratio of the ticket, in [0, 1).
    match: `'weights'` for as many prunable weights as the ticket keeps, or `'macs'` for as many multiply-accumulates.
    allocation: name of the ticket's layer ratios, on which its multiply-accumulates depend.

  Raises:
    UsageError: if the network cannot be built, or its multiply-accumulates cannot be known.
  """
  width = width or _own_width(name)
  size = functools.partial(_size, name, input_shape, num_classes, match)
  wanted = size(width, ratio, allocation)
  above = 1 + bisect.bisect_left(range(1, width), wanted, key=size)
  found = min((max(above - 1, 1), above), key=lambda each: abs(size(each) - wanted))
  return Narrowed(found, width, match, wanted, size(found))


def _own_width(name: str) -> int:
  parameter = inspect.signature(registry.MODELS.get(registry.MODELS.split(name)[0])).parameters['width']
  if not isinstance(parameter.default, int):
    raise UsageError(f'--width=0: {name} has no width of its own; expected a number of filters')
  return parameter.default


@functools.lru_cache(maxsize=256)
def _size(name: str, input_shape: tuple[int, ...], num_classes: int, match: str, width: int, ratio: float = 0.0,
          allocation: str = 'uniform') -> int:
  """Returns the number of kept weights, or of multiply-accumulates, of a ticket of the network of a width."""
  model = build.build_model(name, input_shape, num_classes, width=width)
  kernels = prunable_kernels(model)
  if match == 'weights':
    return allocations.kept_total(kernels, ratio)
  macs = multiply_accumulates(kernels, allocations.allocate(kernels, ratio, allocation), model)
  known = [each for each in macs if each is not None]
  if len(known) < len(macs):
    raise UsageError(f'--match=macs: the multiply-accumulates of {name} cannot be known; expected --match=weights')
  return sum(known)
