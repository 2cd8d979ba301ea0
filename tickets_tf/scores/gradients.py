"""Gradients and Hessian-vector products of the loss over a scoring batch, a chunk of it in memory at a time.

Everything runs eagerly. A run computes a score once, so the first call matters, and tracing and optimising the graph of
a second derivative takes longer than computing it. For the same reason a Hessian-vector product is the gradient of a
gradient: forward over reverse (`tf.autodiff.ForwardAccumulator`) is slower in the first call and no faster in others.
"""

from collections.abc import Callable, Iterable, Sequence
import functools

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tf_keras as keras

from tickets_tf.errors import UsageError

# (images, labels, share of the batch).
Piece = tuple[np.ndarray, np.ndarray, float]


def checked_batch(images: npt.ArrayLike | None, labels: npt.ArrayLike | None) -> tuple[np.ndarray, np.ndarray]:
  """Checks a scoring batch.

  Args:
    images: floats [N, ...], at least one.
    labels: integers [N].

  Returns:
    (images float32, labels int64), NumPy arrays; they share the memory of the arguments if these have the dtypes.

  Raises:
    UsageError: if either is missing or they do not belong together.
  """
  if images is None or labels is None:
    raise UsageError('this score looks at data: expected images and labels, found '
                     + ', '.join(f'{name}=None' for name, value in (('images', images), ('labels', labels))
                                 if value is None))
  images, labels = np.asarray(images), np.asarray(labels)
  if images.dtype.kind != 'f' or images.ndim < 2 or not len(images):
    raise UsageError(f'images: expected normalised floats [N, ...], found {images.dtype} {list(images.shape)}')
  if labels.dtype.kind not in 'iu' or labels.shape != images.shape[:1] or labels.min() < 0:
    raise UsageError(f'labels: expected {len(images)} integers from 0 up, found {labels.dtype} {list(labels.shape)}')
  return images.astype(np.float32, copy=False), labels.astype(np.int64, copy=False)


def chunks(images: np.ndarray, labels: np.ndarray, size: int) -> list[Piece]:
  """Cuts a batch into the fewest parts of at most `size` images; their sizes differ by one at most.

  Args:
    images: array [N, ...].
    labels: array [N].
    size: most images in a part, at least 1.

  Returns:
    The pieces in order; the arrays are views.

  Raises:
    UsageError: if the size is below 1.
  """
  if size < 1:
    raise UsageError(f'chunk {size!r}: expected at least 1 image')
  parts = -(-len(images) // size)
  pairs = zip(np.array_split(images, parts), np.array_split(labels, parts), strict=True)
  return [(some, their, len(some) / len(images)) for some, their in pairs]


def gradient(model: keras.Model, variables: Sequence[tf.Variable], pieces: Iterable[Piece],
             temperature: float = 1.0) -> list[tf.Tensor]:
  """Computes the sum of share * gradient of the mean cross-entropy over pieces of the batch.

  Args:
    model: network to logits, called in inference mode.
    variables: variables or tensors to differentiate by.
    pieces: the batch, as `chunks` returns it.
    temperature: what the logits are divided by.

  Returns:
    Tensors of the variables' shapes; zeros if the loss does not depend on a variable.
  """
  return _sum((share, _gradient(model, variables, images, labels, temperature)) for images, labels, share in pieces)


def hessian_vector_product(model: keras.Model, variables: Sequence[tf.Variable], pieces: Iterable[Piece],
                           vectors: Sequence[tf.Tensor], temperature: float = 1.0) -> list[tf.Tensor]:
  """Computes the sum of share * H v over pieces of the batch; H is the Hessian of the mean cross-entropy.

  H is never formed: H v is the gradient of <gradient, v> (Pearlmutter 1994).

  Args:
    model: network to logits, called in inference mode.
    variables: variables to differentiate by.
    pieces: the batch, as `chunks` returns it.
    vectors: v, tensors of the variables' shapes.
    temperature: what the logits are divided by.

  Returns:
    Tensors of the variables' shapes.
  """
  return _sum((share, _recorded(model, variables, images, labels, temperature)[1](vectors))
              for images, labels, share in pieces)


def hessian_gradient_product(model: keras.Model, variables: Sequence[tf.Variable], pieces: Sequence[Piece],
                             temperature: float = 1.0) -> list[tf.Tensor]:
  """Computes `hessian_vector_product` for v = `gradient`; all pieces stay in memory and run forward only once."""
  recorded = [(share, *_recorded(model, variables, images, labels, temperature)) for images, labels, share in pieces]
  vectors = _sum((share, gradients) for share, gradients, _ in recorded)
  return _sum((share, product(vectors)) for share, _, product in recorded)


def _recorded(model: keras.Model, variables: Sequence[tf.Variable], images: np.ndarray, labels: np.ndarray,
              temperature: float) -> tuple[list[tf.Tensor], Callable[[Sequence[tf.Tensor]], list[tf.Tensor]]]:
  # The gradient of one piece, and the function v -> H v; it holds the tape and with it all activations.
  with tf.GradientTape(watch_accessed_variables=False) as tape:
    tape.watch(variables)
    gradients = _gradient(model, variables, images, labels, temperature)
  return gradients, lambda vectors: _dense(
      tape.gradient(gradients, variables, vectors, tf.UnconnectedGradients.ZERO))


def _gradient(model: keras.Model, variables: Sequence[tf.Variable], images: np.ndarray, labels: np.ndarray,
              temperature: float) -> list[tf.Tensor]:
  with tf.GradientTape(watch_accessed_variables=False) as tape:
    tape.watch(variables)
    logits = model(tf.constant(images), training=False)
    if labels.max() >= logits.shape[-1]:
      raise UsageError(f'labels: found {labels.max()}; model {model.name!r} has {logits.shape[-1]} outputs')
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, tf.cast(logits, tf.float32) / temperature)
    loss = tf.reduce_mean(losses)
  return _dense(tape.gradient(loss, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO))


def _dense(gradients: Sequence[tf.Tensor | tf.IndexedSlices]) -> list[tf.Tensor]:
  # The gradient of an embedding is a few of its rows.
  return [tf.convert_to_tensor(each) for each in gradients]


def add_up(parts: Iterable[list[tf.Tensor]]) -> list[tf.Tensor]:
  """Returns the sum of lists of tensors or arrays, element by element; at least one list."""
  return functools.reduce(lambda total, part: [one + other for one, other in zip(total, part, strict=True)], parts)


def _sum(parts: Iterable[tuple[float, Sequence[tf.Tensor]]]) -> list[tf.Tensor]:
  return add_up(list(part) if share == 1 else [share * each for each in part] for share, part in parts)
