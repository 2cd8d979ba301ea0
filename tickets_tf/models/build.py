"""Networks by name."""

from collections.abc import Callable
import inspect

import tf_keras as keras

from tickets_tf import registry
from tickets_tf.errors import UsageError
from tickets_tf.models import own


def build_model(name: str, input_shape: tuple[int, ...], num_classes: int, depth: int | None = None,
                width: int | None = None) -> keras.Model:
  """Builds a network with fresh weights.

  Args:
    name: a family in `registry.MODELS`, alone (`'resnet'`), with its depth (`'resnet32'`) or with depth and factor
      (`'wide_resnet16_8'`), or `package.module:name` of your own function `f(input_shape, num_classes)`, which may also
      take `depth` and `width`.
    input_shape: (height, width, channels) in pixels.
    num_classes: number of outputs.
    depth: number of layers as the family counts them; None: that of the name, else the family's default.
    width: filters of the first stage; None or 0: the family's default.

  Returns:
    A `tf_keras.Model` from normalised float images [N, height, width, channels] to logits [N, num_classes]; a network
    of your own is made one, see `tickets_tf.models.own.classifier`.

  Raises:
    UsageError: if there is no such family, it does not have this depth, width or input size, or your own network is
      no classifier of these images.
  """
  registry.MODELS.check(name)
  family, named_depth = registry.MODELS.split(name)
  if depth and named_depth and depth != named_depth:
    raise UsageError(f'model {name!r} has depth {named_depth}, not {depth}')
  build: Callable[..., keras.Model] = registry.MODELS.get(family)
  choices = {'depth': depth or named_depth, 'factor': registry.MODELS.factor(name), 'width': width}
  options = {key: value for key, value in choices.items() if value}
  parameters = inspect.signature(build).parameters
  unknown = set(options) - set(parameters)
  if unknown:
    raise UsageError(f'model {name!r} takes no {" or ".join(sorted(unknown))}')
  try:
    inspect.signature(build).bind(input_shape=input_shape, num_classes=num_classes, **options)
  except TypeError as error:
    raise UsageError(f'model {name!r}: expected a function f(input_shape, num_classes), found '
                     f'f({", ".join(parameters)}): {error}') from None
  model = build(input_shape=tuple(input_shape), num_classes=num_classes, **options)
  if registry.MODELS.own_code(name):
    return own.classifier(model, name, tuple(input_shape), num_classes)
  return model
