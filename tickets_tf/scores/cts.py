"""Concrete ticket search: a weight matters as much as a search over whole masks keeps it."""

from collections.abc import Callable, Sequence
import math

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tf_keras as keras

from tickets_tf.errors import UsageError
from tickets_tf.models import prunable_kernels
from tickets_tf.scores import modes
from tickets_tf.scores.gradients import checked_batch
from tickets_tf.scores.gradients import chunks
from tickets_tf.scores.score import at_ratio

_Array = npt.NDArray[np.float32]
# (images, labels, log-probabilities of the dense network) -> gradients by the kernels.
_Gradients = Callable[..., Sequence[tf.Tensor]]

# Constants of the authors' code.
_MORE = 1.1  # The search aims at that much more than the kept weights; the highest of them are kept.
_SMOOTHING = 0.01  # of the weight of the sparsity's gradient
_SCALE = 100.0  # of the objective, and of the error of the sparsity
_CHUNK = 100  # images in memory at a time for the dense network's outputs


@at_ratio
def cts(model: keras.Model, images: npt.ArrayLike | None, labels: npt.ArrayLike | None, rng: np.random.Generator,
        ratio: float = 0.95, objective: str = 'kl', steps: int = 2000, batch: int = 512, temperature: float = 2 / 3,
        learning_rate: float = 0.1) -> list[np.ndarray]:
  """Scores by the log-odds of keeping a weight that concrete ticket search ends with (Arora and Teuscher 2025).

  Each weight has a gate sigmoid(a + l / temperature), l being logistic noise: a sample of the binary Concrete
  distribution. Adam moves the log-odds a so that the gated network comes near to the dense one (`objective='kl'`: the
  divergence KL(sparse || dense) of its outputs) or classifies right (`'loss'`: cross-entropy). GradBalance adds the
  gradient of the expected number of kept weights, at the norm of the objective's gradient, as long as it is above the
  aim. Weights do not change. Batch norm is in inference mode.

  Batch, number of steps (20 epochs of CIFAR-10) and all constants are those of the authors' code. They search over
  augmented training images, all of them; here it is the scoring batch, as `--samples_per_class` has it.

  Args:
    model: a built `tf_keras` model to logits.
    images: float32 [N, ...], normalised.
    labels: int [N].
    rng: draws the noise and the batches.
    ratio: pruning ratio of the ticket; a run gives its own.
    objective: `'kl'` or `'loss'`.
    steps: number of steps of the search.
    batch: most images of a step.
    temperature: of the Concrete distribution.
    learning_rate: of Adam.

  Returns:
    One float32 array per kernel.

  Raises:
    UsageError: if images or labels are missing or do not fit, or for an option that cannot be used.
  """
  if objective not in ('kl', 'loss'):
    raise UsageError(f"objective {objective!r}: expected 'kl' or 'loss'")
  inputs, classes = checked_batch(images, labels)
  variables = [kernel.variable for kernel in prunable_kernels(model)]
  weights = [variable.numpy() for variable in variables]
  with modes.moving_statistics(model):
    dense = np.concatenate([tf.nn.log_softmax(model(tf.constant(piece), training=False)).numpy()
                            for piece, _, _ in chunks(inputs, classes, _CHUNK)])
    gradients = _gradients(model, variables, objective, min(batch, len(inputs)), inputs, dense)
    search = _Search(_flat(weights), 1 - ratio, learning_rate)
    for _ in range(steps):
      chosen = rng.choice(len(inputs), min(batch, len(inputs)), replace=False)
      gates = search.gates(rng, temperature)
      for variable, value in zip(variables, _split(_flat(weights) * gates, weights), strict=True):
        variable.assign(value)
      found = gradients(tf.constant(inputs[chosen]), tf.constant(classes[chosen]), tf.constant(dense[chosen]))
      search.step(gates, _flat([each.numpy() for each in found]))
  return _split(search.odds, weights)


class _Search:
  """The log-odds of all weights, and Adam's moments (Kingma and Ba 2015)."""

  def __init__(self, weights: _Array, density: float, learning_rate: float) -> None:
    self._weights, self._learning_rate = weights, learning_rate
    density = min(max(density, 1e-6), 1 - 1e-6)  # At a ratio of 0 the odds would be infinite.
    self._aim = _MORE * density * weights.size
    self.odds = np.full(weights.size, math.log(density / (1 - density)), np.float32)
    self._mean, self._square = np.zeros_like(self.odds), np.zeros_like(self.odds)
    self._balance: float | None = None
    self._steps = 0

  def gates(self, rng: np.random.Generator, temperature: float) -> _Array:
    """Returns a sample of the gates."""
    return _sigmoid(self.odds + rng.logistic(size=self.odds.size).astype(np.float32) / np.float32(temperature))

  def step(self, gates: _Array, gradient: _Array) -> None:
    """Moves the log-odds by the gradient of the objective by the gated weights."""
    task = _SCALE * gradient * self._weights * gates * (1 - gates)
    kept = _sigmoid(self.odds)
    sparsity = _SCALE / self._aim * kept * (1 - kept)
    target = float(_norm(task) / max(_norm(sparsity), 1e-12)) if kept.sum(dtype=np.float64) >= self._aim else 0.0
    before = target if self._balance is None else self._balance
    self._balance = before + _SMOOTHING * (target - before)
    total = task + np.float32(self._balance) * sparsity
    self._steps += 1
    self._mean += 0.1 * (total - self._mean)
    self._square += 0.001 * (total**2 - self._square)
    mean, square = self._mean / (1 - 0.9**self._steps), self._square / (1 - 0.999**self._steps)
    self.odds -= np.float32(self._learning_rate) * mean / (np.sqrt(square) + 1e-8)


def _gradients(model: keras.Model, variables: Sequence[tf.Variable], objective: str, batch: int, inputs: np.ndarray,
               dense: np.ndarray) -> _Gradients:
  """Returns the function of a batch that gives the objective's gradients; compiled, as it is called so often."""
  def of_batch(images: tf.Tensor, labels: tf.Tensor, of_dense: tf.Tensor) -> list[tf.Tensor]:
    with tf.GradientTape(watch_accessed_variables=False) as tape:
      tape.watch(variables)
      logits = tf.cast(model(images, training=False), tf.float32)
      own = tf.nn.log_softmax(logits)
      losses = (tf.reduce_sum(tf.exp(own) * (own - of_dense), axis=1) if objective == 'kl'
                else tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
      loss = tf.reduce_mean(losses)
    found = tape.gradient(loss, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    return [tf.convert_to_tensor(each) for each in found]

  # A traced function runs as a graph although functions are run eagerly while the network is in another mode.
  traced: _Gradients = tf.function(of_batch, autograph=False).get_concrete_function(
      tf.TensorSpec((batch, *inputs.shape[1:]), tf.float32), tf.TensorSpec(batch, tf.int64),
      tf.TensorSpec((batch, *dense.shape[1:]), tf.float32))
  return traced


def _flat(arrays: Sequence[np.ndarray]) -> _Array:
  return np.concatenate([array.ravel() for array in arrays]).astype(np.float32, copy=False)


def _split(flat: _Array, like: Sequence[np.ndarray]) -> list[np.ndarray]:
  ends = np.cumsum([array.size for array in like])[:-1]
  return [part.reshape(array.shape) for part, array in zip(np.split(flat, ends), like, strict=True)]


def _sigmoid(values: _Array) -> _Array:
  return np.asarray(0.5 * (1 + np.tanh(0.5 * values)), np.float32)  # It cannot overflow.


def _norm(values: _Array) -> float:
  return float(np.linalg.norm(values.astype(np.float64)))
