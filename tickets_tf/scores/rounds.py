"""Scores of one network under one mask after another, as rounds of pruning need them."""

from collections.abc import Callable, Iterator, Sequence
import contextlib
from typing import Any

from absl import logging
import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tf_keras as keras

from tickets_tf.models import prunable_kernels
from tickets_tf.pruning.mask import Mask
from tickets_tf.scores import modes
from tickets_tf.scores.score import Score
from tickets_tf.scores.score import checked
from tickets_tf.scores.score import looks_at_data
from tickets_tf.scores.score import named
from tickets_tf.scores.score import score_weights

# Tracing takes as long as a few rounds.
_FEWEST = 8
# How far a traced score may be from the plain one, of the largest score of a kernel.
_ROUNDING = 1e-5


class Rounds:
  """Scores a network again and again, under one mask after another; its weights stay as they are between the calls.

  Every call gives what `score_weights` gives. A score that looks at no data and is marked `traceable` is traced into a
  graph in the second round: each later round is one call of it, in which the mask is all that changes. The second
  round is scored both ways. If the graph gives something else, or TensorFlow cannot trace the score of this network,
  every round is scored by itself.

  Args:
    model: a built `tf_keras` model to logits.
    score: as for `score_weights`.
    rounds: how many rounds there will be; for few of them nothing is traced.
    seed: the run's seed.
    regrow: as for `score_weights`.
    **options: the score's own settings.
  """

  def __init__(self, model: keras.Model, score: str | Score, rounds: int, seed: int = 0, regrow: bool = False,
               **options: Any) -> None:
    self._model, self._score, self._seed, self._regrow, self._options = model, score, seed, regrow, options
    _, function = named(score)
    self._may_trace = (rounds >= _FEWEST and getattr(function, 'traceable', False) and not looks_at_data(score)
                       and not getattr(function, 'at_ratio', False))
    self._calls = 0
    self._graph: _Graph | None = None

  def __call__(self, images: npt.ArrayLike | None, labels: npt.ArrayLike | None, mask: Mask | None,
               pruning_ratio: float) -> list[np.ndarray]:
    """Returns the scores of a round, one array per kernel; arguments and errors are those of `score_weights`."""
    self._calls += 1
    if self._graph is not None and mask is not None:
      return self._graph(mask)
    scores = score_weights(self._model, self._score, images, labels, self._seed, mask, self._regrow, pruning_ratio,
                           **self._options)
    if self._may_trace and mask is not None and self._calls == 2:
      self._graph = self._agreeing(images, mask, scores)
    return scores

  def _agreeing(self, images: npt.ArrayLike | None, mask: Mask, expected: Sequence[np.ndarray]) -> '_Graph | None':
    """Returns a graph that gives these scores, or None."""
    name, _ = named(self._score)
    try:
      graph = _Graph(self._model, self._score, images, self._regrow, self._options)
      if all(map(_agree, graph(mask), expected)):
        return graph
      logging.info('score %s: in a graph it is another one for model %s, so every round is scored by itself', name,
                   self._model.name)
    except Exception as error:  # Whatever a layer of a user's own cannot do in a graph: without one it could.
      logging.info('score %s cannot be traced for model %s, so every round is scored by itself: %s', name,
                   self._model.name, error)
    return None


class _Graph:
  """A score of one network as a graph: a function of the mask."""

  def __init__(self, model: keras.Model, score: str | Score, images: npt.ArrayLike | None, regrow: bool,
               options: dict[str, Any]) -> None:
    self._name, function = named(score)
    self._kernels = kernels = prunable_kernels(model)
    self._regrow = regrow
    self._weights = [kernel.variable.read_value() for kernel in kernels]

    def scores_of(*keeps: tf.Tensor) -> list[tf.Tensor]:
      kept = {kernel.name: keep for kernel, keep in zip(kernels, keeps, strict=True)}
      with modes.full_precision(model), modes.masked(model, kernels, kept, regrow):
        return [tf.convert_to_tensor(each) for each in function(model, images, None, None, **options)]

    # A traced function runs as a graph although functions are run eagerly while the network is in another mode.
    self._traced: Callable[..., Sequence[tf.Tensor]] = tf.function(scores_of, autograph=False).get_concrete_function(
        *[tf.TensorSpec(kernel.shape, tf.bool) for kernel in kernels])

  def __call__(self, mask: Mask) -> list[np.ndarray]:
    mask.check(self._kernels)
    keeps = [tf.constant(array) for array in mask.arrays]
    with modes.no_tensor_float(), self._removed(keeps):
      found = self._traced(*keeps)
    return checked(self._name, found, self._kernels)

  @contextlib.contextmanager
  def _removed(self, keeps: Sequence[tf.Tensor]) -> Iterator[None]:
    # As `score_weights` does it: a score may read the variables themselves.
    if self._regrow:
      yield
      return
    try:
      for kernel, weights, keep in zip(self._kernels, self._weights, keeps, strict=True):
        kernel.variable.assign(tf.where(keep, weights, tf.zeros([], weights.dtype)))
      yield
    finally:
      for kernel, weights in zip(self._kernels, self._weights, strict=True):
        kernel.variable.assign(weights)


def _agree(one: np.ndarray, other: np.ndarray) -> bool:
  return not one.size or float(np.abs(one - other).max()) <= _ROUNDING * float(np.abs(other).max())
