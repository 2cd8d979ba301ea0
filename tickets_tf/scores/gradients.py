"""Gradients and Hessian-vector products of the loss over a scoring batch, a chunk of it in memory at a time.

Everything runs eagerly. A score is computed once a run, so its first call counts, and to trace and optimise the graph
of a second derivative takes longer than to compute it. For the same reason a Hessian-vector product is the gradient of
a gradient: forward over reverse (`tf.autodiff.ForwardAccumulator`) costs the same later and more the first time.
"""

import functools

import numpy as np
import tensorflow as tf

from tickets_tf.errors import UsageError


def checked_batch(images, labels):
  """Checks a scoring batch.

  Args:
    images: floats [N, ...], at least one.
    labels: integers [N].

  Returns:
    (images float32, labels int64), NumPy arrays that share the memory of what came where they can.

  Raises:
    UsageError: where either is missing or they do not belong together.
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


def chunks(images, labels, size):
  """Cuts a batch into the fewest parts of at most `size` images, as equal as can be: of one or two sizes.

  Args:
    images: array [N, ...].
    labels: array [N].
    size: most images in a part, at least 1.

  Returns:
    A list of (images, labels, share of the batch); the arrays are views.

  Raises:
    UsageError: where the size is below 1.
  """
  if size < 1:
    raise UsageError(f'chunk {size!r}: expected at least 1 image')
  parts = -(-len(images) // size)
  return [(some, their, len(some) / len(images))
          for some, their in zip(np.array_split(images, parts), np.array_split(labels, parts))]


def gradient(model, variables, pieces, temperature=1.0):
  """Computes the sum of share * gradient of the mean cross-entropy over pieces of the batch.

  Args:
    model: network to logits, called in inference mode.
    variables: list of variables or tensors to differentiate by.
    pieces: list of (images, labels, share), as `chunks` gives.
    temperature: what the logits are divided by.

  Returns:
    A list of tensors of the variables' shapes; zeros where the loss does not depend on a variable.
  """
  return _sum((share, _gradient(model, variables, images, labels, temperature)) for images, labels, share in pieces)


def hessian_vector_product(model, variables, pieces, vectors, temperature=1.0):
  """Computes the sum of share * H v over pieces of the batch, H being the Hessian of the mean cross-entropy.

  H is never formed: H v is the gradient of <gradient, v> (Pearlmutter 1994).

  Args:
    model: network to logits, called in inference mode.
    variables: list of variables to differentiate by.
    pieces: list of (images, labels, share), as `chunks` gives.
    vectors: v, a list of tensors of the variables' shapes.
    temperature: what the logits are divided by.

  Returns:
    A list of tensors of the variables' shapes.
  """
  return _sum((share, _recorded(model, variables, images, labels, temperature)[1](vectors))
              for images, labels, share in pieces)


def hessian_gradient_product(model, variables, pieces, temperature=1.0):
  """Computes `hessian_vector_product` for v = `gradient`, with all pieces in memory: they go forward once."""
  shares = [share for *_, share in pieces]
  gradients, products = zip(*(_recorded(model, variables, images, labels, temperature)
                              for images, labels, _ in pieces))
  vectors = _sum(zip(shares, gradients))
  return _sum((share, product(vectors)) for share, product in zip(shares, products))


def _recorded(model, variables, images, labels, temperature):
  # The gradient of one piece, and the function v -> H v, which holds all that it was computed from.
  with tf.GradientTape(watch_accessed_variables=False) as tape:
    tape.watch(variables)
    gradients = _gradient(model, variables, images, labels, temperature)
  return gradients, lambda vectors: tape.gradient(gradients, variables, vectors, tf.UnconnectedGradients.ZERO)


def _gradient(model, variables, images, labels, temperature):
  with tf.GradientTape(watch_accessed_variables=False) as tape:
    tape.watch(variables)
    logits = model(tf.constant(images), training=False)
    if labels.max() >= logits.shape[-1]:
      raise UsageError(f'labels: found {labels.max()}; model {model.name!r} has {logits.shape[-1]} outputs')
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, tf.cast(logits, tf.float32) / temperature)
    loss = tf.reduce_mean(losses)
  return tape.gradient(loss, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)


def add_up(parts):
  """Returns the sum of lists of tensors or arrays, element by element; at least one list."""
  return functools.reduce(lambda total, part: [one + other for one, other in zip(total, part)], parts)


def _sum(parts):
  return add_up([share * each for each in part] for share, part in parts)
