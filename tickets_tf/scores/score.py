"""What a score is, and how the weights of a network are scored."""

from collections.abc import Callable, Mapping, Sequence
import contextlib
import inspect
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import tf_keras as keras

from tickets_tf import registry
from tickets_tf import seeds
from tickets_tf.errors import UsageError
from tickets_tf.models import prunable_kernels
from tickets_tf.pruning import selection
from tickets_tf.pruning.kernels import Kernel
from tickets_tf.pruning.mask import Mask
from tickets_tf.scores import modes

# score(model, images, labels, rng, **options) -> one array or tensor per kernel, in the order and of the shapes of
# `prunable_kernels(model)`. The higher a weight's score, the sooner it is kept.
Score = Callable[..., Sequence[Any]]
_Function = TypeVar('_Function', bound=Score)


def data_free(score: _Function) -> _Function:
  """Marks a score that looks at no images and labels, so that none are drawn for it; a decorator.

  In a run it is given arrays of none, `images` of [0, height, width, channels].
  """
  vars(score)['looks_at_data'] = False
  return score


def at_ratio(score: _Function) -> _Function:
  """Marks a score that depends on how much is removed: `ratio=` is the pruning ratio of its round; a decorator."""
  vars(score)['at_ratio'] = True
  return score


def traceable(score: _Function) -> _Function:
  """Marks a score that TensorFlow can trace: it returns tensors, made of the model's weights alone; a decorator.

  If it is `data_free`, too, many rounds of it run in one graph, see `Rounds`. While it is traced, labels and `rng` are
  None and only the shape of the images counts. It can look at values if `tf.executing_eagerly()`, as it is in the first
  rounds.
  """
  vars(score)['traceable'] = True
  return score


def looks_at_data(score: str | Score) -> bool:
  """Returns whether a score, a name in `registry.SCORES` or a function, is not marked as `data_free`."""
  return registry.SCORES.looks_at_data(score)


def score_weights(model: keras.Model, score: str | Score, images: npt.ArrayLike | None = None,
                  labels: npt.ArrayLike | None = None, seed: int = 0, mask: Mask | None = None, regrow: bool = False,
                  pruning_ratio: float | None = None, **options: Any) -> list[np.ndarray]:
  """Scores every prunable weight of a network; the network is left as it was, bit for bit.

  Args:
    model: a built `tf_keras` model to logits.
    score: a name in `registry.SCORES`, `package.module:name`, or a `Score`.
    images: float32 [N, height, width, channels], normalised; scores that look at no data need none.
    labels: int [N].
    seed: the run's seed.
    mask: the weights that are left; the network is scored as if the others were not there. None: all are left.
    regrow: whether removed weights are scored by their values and the gradients at them, as in FORCE (de Jorge et al.
      2021), so that they can come back; otherwise they count as zero.
    pruning_ratio: for scores that are marked with `at_ratio`; None: as the score has it.
    **options: the score's own settings.

  Returns:
    One float array per kernel of `prunable_kernels(model)`.

  Raises:
    UsageError: if the score is unknown, does not take the options, or returns anything but an array per kernel.
    TicketsError: if a score is NaN or infinite; names the layer.
  """
  name, function = named(score)
  if pruning_ratio is not None and getattr(function, 'at_ratio', False):
    options = {'ratio': pruning_ratio, **options}
  kernels = prunable_kernels(model)
  before = [(variable, variable.read_value()) for variable in model.variables]
  try:
    with modes.full_precision(model), _sparse(model, kernels, mask, regrow):
      scores = function(model, images, labels, seeds.generator(seed, 'score', name), **options)
  except TypeError as error:
    _check_options(name, function, options, error)
    raise
  finally:
    for variable, value in before:
      variable.assign(value)
  return checked(name, scores, kernels)


def named(score: str | Score) -> tuple[str, Score]:
  """Returns the name and the function of a score, which is a name in `registry.SCORES` or a function.

  Raises:
    UsageError: if the score is unknown.
  """
  function = registry.SCORES.get(score) if isinstance(score, str) else score
  name = score if isinstance(score, str) else getattr(score, '__name__', repr(score))
  if not callable(function):
    raise UsageError(f'score {name!r}: expected a function, found {type(function).__name__}')
  return name, function


def _check_options(name: str, function: Score, options: Mapping[str, Any], error: TypeError) -> None:
  """Raises UsageError from a score's `error` if the score does not take these options, or the four arguments."""
  signature = inspect.signature(function)
  try:
    signature.bind(None, None, None, None, **options)
  except TypeError:
    own = ', '.join(list(signature.parameters)[4:]) or 'none'
    raise UsageError(f'score {name!r}: {error}; expected a function (model, images, labels, rng), '
                     f'its options: {own}') from error


def _sparse(model: keras.Model, kernels: Sequence[Kernel], mask: Mask | None,
            regrow: bool) -> contextlib.AbstractContextManager[None]:
  if mask is None:
    return contextlib.nullcontext()
  mask.check(kernels)
  if not regrow:
    for kernel in kernels:
      kernel.variable.assign(np.where(mask[kernel.name], kernel.variable.numpy(), 0))
  return modes.masked(model, kernels, mask, regrow)


def checked(name: str, scores: Sequence[npt.ArrayLike], kernels: Sequence[Kernel]) -> list[np.ndarray]:
  """Returns what a score has returned as arrays, one per kernel; raises UsageError or TicketsError if they are not."""
  try:
    arrays = [np.asarray(each) for each in scores]
  except (TypeError, ValueError) as error:
    raise UsageError(f'score {name!r}: expected one array per kernel, {len(kernels)} in all ({error})') from error
  if len(arrays) != len(kernels):
    raise UsageError(f'score {name!r} returned {len(arrays)} arrays; expected {len(kernels)}, one per kernel')
  for kernel, array in zip(kernels, arrays, strict=True):
    if array.shape != kernel.shape:
      raise UsageError(f'score {name!r}: array of shape {array.shape} for {kernel.name}; expected {kernel.shape}')
  return selection.check_scores(arrays, [kernel.name for kernel in kernels])
