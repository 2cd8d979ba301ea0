"""Scores: how much each weight matters. One file per score; higher = keep.

A score is a function `score(model, images, labels, rng, **options)` that returns one array per prunable kernel, in the
order and of the shapes of `prunable_kernels(model)`.
"""

import contextlib
import inspect

import numpy as np

from tickets_tf.pruning import selection
from tickets_tf import registry
from tickets_tf import seeds
from tickets_tf.errors import UsageError
from tickets_tf.models import prunable_kernels
from tickets_tf.scores import modes

__all__ = ['score_weights']


def score_weights(model, score, images=None, labels=None, seed=0, mask=None, regrow=False, **options):
  """Scores every prunable weight of a network; the network is left as it was, bit by bit.

  Args:
    model: a built `tf_keras` model to logits.
    score: a name in `registry.SCORES`, `package.module:name`, or a function (see the top of this module).
    images: float32 [N, height, width, channels], normalised; scores that look at no data need none.
    labels: int [N].
    seed: the run's seed.
    mask: a `Mask` of what is left of the network, which is scored as if the rest were not there; None: all is.
    regrow: whether removed weights are scored by what they were and by the gradient at them, as in FORCE (de Jorge et
      al. 2021), so that they can come back; else they count as zero.
    **options: the score's own settings.

  Returns:
    A list of float arrays, one per kernel of `prunable_kernels(model)`.

  Raises:
    UsageError: where the score is not known, or returns something of another shape.
    TicketsError: where a score is NaN or infinite; names the layer.
  """
  function = registry.SCORES.get(score) if isinstance(score, str) else score
  name = score if isinstance(score, str) else getattr(score, '__name__', repr(score))
  if not callable(function):
    raise UsageError(f'score {name!r}: expected a function, found {type(function).__name__}')
  kernels = prunable_kernels(model)
  before = [variable.numpy() for variable in model.variables]
  try:
    with modes.full_precision(model), _sparse(model, kernels, mask, regrow):
      scores = function(model, images, labels, seeds.generator(seed, 'score', name), **options)
  except TypeError as error:
    signature = inspect.signature(function)
    try:
      signature.bind(model, images, labels, None, **options)
    except TypeError:
      own = ', '.join(list(signature.parameters)[4:]) or 'none'
      raise UsageError(f'score {name!r}: {error}; expected a function (model, images, labels, rng), '
                       f'its options: {own}') from error
    raise
  finally:
    for variable, value in zip(model.variables, before):
      variable.assign(value)
  return _checked(name, scores, kernels)


def _sparse(model, kernels, mask, regrow):
  if mask is None:
    return contextlib.nullcontext()
  mask.check(kernels)
  if not regrow:
    for kernel in kernels:
      kernel.variable.assign(np.where(mask[kernel.name], kernel.variable.numpy(), 0))
  return modes.masked(model, kernels, mask, regrow)


def _checked(name, scores, kernels):
  try:
    scores = [np.asarray(each) for each in scores]
  except (TypeError, ValueError) as error:
    raise UsageError(f'score {name!r}: expected one array per kernel, {len(kernels)} in all ({error})') from error
  if len(scores) != len(kernels):
    raise UsageError(f'score {name!r} returned {len(scores)} arrays; expected {len(kernels)}, one per kernel')
  for kernel, each in zip(kernels, scores):
    if each.shape != kernel.shape:
      raise UsageError(f'score {name!r}: array of shape {each.shape} for {kernel.name}; expected {kernel.shape}')
  return selection.check_scores(scores, [kernel.name for kernel in kernels])
