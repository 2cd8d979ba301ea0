"""Networks by name, and the one answer to what may be pruned in a network."""

import inspect

from tickets_tf import registry
from tickets_tf.errors import UsageError
from tickets_tf.models.macs import multiply_accumulates
from tickets_tf.models.paths import collapse
from tickets_tf.models.paths import effective_mask
from tickets_tf.models.prunable import prunable_kernels
from tickets_tf.models.resnet import resnet
from tickets_tf.models.vgg import vgg

__all__ = ['build_model', 'collapse', 'effective_mask', 'multiply_accumulates', 'prunable_kernels', 'resnet', 'vgg']


def build_model(name, input_shape, num_classes, depth=None, width=None):
  """Builds a network with fresh weights.

  Args:
    name: a family in `registry.MODELS`, alone (`'resnet'`) or with its depth (`'resnet32'`), or
      `package.module:name` of a function `f(input_shape, num_classes)` of one's own, which may also take `depth`
      and `width`.
    input_shape: (height, width, channels) in pixels.
    num_classes: number of outputs.
    depth: number of layers as the family counts them; None: that of the name, else the family's own default.
    width: filters of the first stage; None or 0: the family's default.

  Returns:
    A `tf_keras.Model` from normalised float images [N, height, width, channels] to logits [N, num_classes].

  Raises:
    UsageError: for a name, depth, width or size that the family does not have.
  """
  registry.MODELS.check(name)
  family, named_depth = registry.MODELS.split(name)
  if depth and named_depth and depth != named_depth:
    raise UsageError(f'model {name!r} has depth {named_depth}, not {depth}')
  options = {'depth': depth or named_depth, 'width': width or None}
  build = registry.MODELS.get(family)
  options = {key: value for key, value in options.items() if value}
  unknown = set(options) - set(inspect.signature(build).parameters)
  if unknown:
    raise UsageError(f'model {name!r} takes no {" or ".join(sorted(unknown))}')
  return build(input_shape=tuple(input_shape), num_classes=num_classes, **options)
