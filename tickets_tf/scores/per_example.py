"""Squares of per-example gradients, summed over examples, without a loop over examples.

A kernel's gradient for one example follows from what went into its layer and the gradient at what came out. The network
runs forward once and backward once per vector (a class, or a drawn label) on all examples of a chunk; the rest are
matrix products within each layer. A convolution is a dense layer on patches; any other layer is differentiated by
itself, vectorised over examples.
"""

import functools
import math

import numpy as np
import tensorflow as tf
import tf_keras as keras

from tickets_tf.errors import UsageError
from tickets_tf.scores import modes
from tickets_tf.scores.gradients import add_up

# What one layer may take apart at a time, in floats of 4 bytes: 128 MiB.
_FLOATS = 2**25
# Multiply-adds that take as long as writing and reading back one float beyond the cache: 50 on two kinds of CPU.
_MEMORY_COST = 50


class SquaredGradients:
  """Sums the squared per-example gradients of a network.

  Args:
    model: network to logits, called in inference mode.
    kernels: list of `Kernel` with live layers.
  """

  def __init__(self, model, kernels):
    self._model = model
    self._kernels = kernels
    owned = {}
    for kernel in kernels:
      owned.setdefault(kernel.layer, []).append(kernel)
    self._layers = [_kind(layer)(layer, own) for layer, own in owned.items()]

  def __call__(self, images, vectors_of):
    """Sums the squared gradients of <vector, logits of one example> over vectors and examples.

    Args:
      images: float32 array [B, ...].
      vectors_of: function from logits [B, classes] to vectors [V, B, classes].

    Returns:
      A list of tensors of the kernels' shapes; zeros where a kernel takes no part.

    Raises:
      UsageError: where a layer mixes examples or takes anything but one tensor, or where none is reached.
    """
    tape, calls, logits = self._recorded(images)
    if not calls:
      raise UsageError(f'model {self._model.name!r}: no layer to prune was reached when the model was called; what '
                       'keras.models.load_model made a graph of cannot be scored: build the model from its code')
    sources = [outputs for _, _, outputs in calls]
    gradients = [tape.gradient(logits, sources, vector, tf.UnconnectedGradients.ZERO)
                 for vector in tf.unstack(vectors_of(logits))]
    del tape
    passes = {layer: [] for layer in self._layers}
    for (layer, inputs, _), by_outputs in zip(calls, zip(*gradients)):
      passes[layer].append((inputs, tf.stack(by_outputs)))
    del calls, sources, gradients
    squares = {}
    for layer, own in passes.items():
      if own:
        squares.update(zip(layer.names, _in_parts(layer, own)))
      own.clear()
    return [tf.reshape(squares[kernel.name], kernel.shape) if kernel.name in squares else tf.zeros(kernel.shape)
            for kernel in self._kernels]

  def _recorded(self, images):
    """Returns a tape of the network on images, (layer, inputs, outputs) of every call of a layer, and the logits."""
    calls = []
    with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
      def record(layer, inputs, outputs):
        _check_rows(layer, inputs, outputs, len(images))
        tape.watch(outputs)
        calls.append((layer, inputs, outputs))
        return outputs

      with modes.replaced([layer.recording(functools.partial(record, layer)) for layer in self._layers]):
        logits = self._model(tf.constant(images), training=False)
    return tape, calls, logits


class _Layer:
  """Any layer from one tensor to one tensor: differentiated by itself for each example, vectorised.

  Args:
    layer: the live layer.
    kernels: its kernels.
  """

  def __init__(self, layer, kernels):
    self.layer = layer
    self.names = [kernel.name for kernel in kernels]
    self._variables = [kernel.variable for kernel in kernels]
    self._vectorised = tf.function(lambda *examples: tf.vectorized_map(self._gradients, examples))

  def recording(self, record):
    """Returns (object, attribute, value) that makes the layer pass its inputs and outputs to `record`."""
    call = self.layer.call

    @functools.wraps(call)
    def recorded_call(*args, **kwargs):
      inputs = args[0] if len(args) == 1 else args
      return record(inputs, call(*args, **kwargs))

    return self.layer, 'call', recorded_call

  def floats(self, vectors, inputs, gradients):
    """Returns the size of what `squares` holds for one example, in floats."""
    del inputs, gradients
    return vectors * sum(math.prod(variable.shape) for variable in self._variables)

  def squares(self, inputs, gradients):
    """Returns the squared gradient of every kernel, summed over vectors and examples.

    Args:
      inputs: list of tensors [B, ...], one for each time that the layer was called.
      gradients: list of the gradients at its outputs, [V, B, ...].

    Returns:
      A list of tensors.
    """
    vectors = gradients[0].shape[0]
    inputs = [tf.repeat(each[None], vectors, axis=0) for each in inputs]
    flat = [tf.reshape(each, (-1, *each.shape[2:])) for each in (*inputs, *gradients)]
    # TensorFlow logs what it vectorises by a loop of its own, and that one layer after the other is traced.
    level = tf.get_logger().level
    try:
      tf.get_logger().setLevel('ERROR')
      return [tf.reduce_sum(tf.square(each), axis=0) for each in self._vectorised(*flat)]
    finally:
      tf.get_logger().setLevel(level)

  def _gradients(self, example):
    inputs, gradients = example[:len(example) // 2], example[len(example) // 2:]
    with tf.GradientTape(watch_accessed_variables=False) as tape:
      tape.watch(self._variables)
      outputs = [self.layer(each[None]) for each in inputs]
    return tape.gradient(outputs, self._variables, [each[None] for each in gradients], tf.UnconnectedGradients.ZERO)


class _Dense(_Layer):
  """A dense layer, whose gradient is a product: inputs, positions x K, by gradients, positions x units."""

  def recording(self, record):
    """As `_Layer`; the outputs are those before the activation."""
    layer, call, activation = self.layer, self.layer.call, self.layer.activation or tf.identity

    @functools.wraps(call)
    def recorded_call(inputs, **kwargs):
      with modes.replaced([(layer, 'activation', lambda outputs: activation(record(inputs, outputs)))]):
        return call(inputs, **kwargs)

    return layer, 'call', recorded_call

  def floats(self, vectors, inputs, gradients):
    positions, size = sum(math.prod(each.shape[2:-1]) for each in gradients), math.prod(self._variables[0].shape)
    units = gradients[0].shape[-1]
    rows = positions * (size // units + vectors * units)
    return rows * (positions + 1) // 2 if _pairs_are_cheaper(positions, vectors) else rows + vectors * size

  def squares(self, inputs, gradients):
    vectors, examples, *_, units = gradients[0].shape
    rows = tf.concat([self._rows(each) for each in inputs], axis=1)
    gradients = tf.concat([tf.reshape(each, (vectors, examples, -1, units)) for each in gradients], axis=2)
    sums = _pair_squares if _pairs_are_cheaper(rows.shape[1], vectors) else _product_squares
    return [sums(rows, gradients)]

  def _rows(self, inputs):
    """Returns what the kernel is multiplied by, [B, positions, K]."""
    return tf.reshape(inputs, (inputs.shape[0], -1, inputs.shape[-1]))


class _Convolution(_Dense):
  """A convolution over two axes without groups or dilation."""

  def recording(self, record):
    """As `_Dense`; going backward it leaves out the gradient by the kernel, which nobody asks for."""
    layer, convolution_op = self.layer, self.layer.convolution_op
    strides, padding = [1, *layer.strides, 1], layer.padding.upper()

    def recorded_convolution(inputs, kernel):
      kernel = tf.convert_to_tensor(kernel)

      @tf.custom_gradient
      def convolution(images):
        return convolution_op(images, kernel), lambda gradient: tf.raw_ops.Conv2DBackpropInput(
            input_sizes=images.shape, filter=kernel, out_backprop=gradient, strides=strides, padding=padding)

      return record(inputs, convolution(inputs))

    return layer, 'convolution_op', recorded_convolution

  def _rows(self, inputs):
    # Slices and one concatenation take half the time of tf.image.extract_patches.
    (height, width), (down, right) = self.layer.kernel_size, self.layer.strides
    (rows, above), (columns, left) = (
        self._padded(*axis) for axis in zip(inputs.shape[1:3], self.layer.kernel_size, self.layer.strides))
    padded = tf.pad(inputs, [(0, 0), above, left, (0, 0)])
    patches = tf.concat([padded[:, y:y + down * rows:down, x:x + right * columns:right]
                         for y in range(height) for x in range(width)], axis=-1)
    return tf.reshape(patches, (patches.shape[0], rows * columns, -1))

  def _padded(self, length, size, stride):
    """Returns (number of positions along an axis, (zeros before, zeros after))."""
    if self.layer.padding == 'valid':
      return (length - size) // stride + 1, (0, 0)
    positions = -(-length // stride)
    missing = max((positions - 1) * stride + size - length, 0)
    return positions, (missing // 2, missing - missing // 2)


def _kind(layer):
  # Exact types: what is derived from them may compute something else.
  if type(layer) is keras.layers.Dense:  # pylint: disable=unidiomatic-typecheck
    return _Dense
  plain = type(layer) is keras.layers.Conv2D and (  # pylint: disable=unidiomatic-typecheck
      layer.data_format == 'channels_last' and layer.groups == 1 and max(layer.dilation_rate) == 1)
  return _Convolution if plain else _Layer


def _check_rows(layer, inputs, outputs, examples):
  for tensor in (inputs, outputs):
    if not tf.is_tensor(tensor) or tensor.shape.rank < 2 or tensor.shape[0] != examples:
      raise UsageError(f'layer {layer.layer.name!r} has no gradient per example: expected one tensor with {examples} '
                       'rows in and out; curvature=hutchinson needs none')


def _in_parts(layer, passes):
  inputs, gradients = zip(*passes)
  vectors, examples = gradients[0].shape[:2]
  size = max(1, _FLOATS // layer.floats(vectors, inputs, gradients))
  return add_up(layer.squares([each[start:start + size] for each in inputs],
                              [each[:, start:start + size] for each in gradients])
                for start in range(0, examples, size))


def _pairs_are_cheaper(positions, vectors):
  # Multiply-adds per weight and example of `_pair_squares` and `_product_squares`.
  return positions * (positions + 1) / 2 <= vectors * (positions + _MEMORY_COST)


def _product_squares(rows, gradients):
  """Returns [K, units], the sum over v and b of the squared products rows[b]^T gradients[v, b].

  Args:
    rows: [B, positions, K].
    gradients: [V, B, positions, units].
  """
  vectors, _, _, units = gradients.shape
  gradients = tf.transpose(gradients, (1, 2, 0, 3))
  products = tf.matmul(rows, tf.reshape(gradients, (*rows.shape[:2], -1)), transpose_a=True)
  squares = tf.square(tf.math.reduce_euclidean_norm(products, axis=0))  # One pass, where square and sum are two.
  return tf.reduce_sum(tf.reshape(squares, (-1, vectors, units)), axis=1)


def _pair_squares(rows, gradients):
  """As `_product_squares`, by (sum_p r_p g_p)^2 = sum_pq (r_p r_q) (g_p g_q): one product of matrices for all v and b.

  No product of an example is ever in memory, so that few positions, as in dense and late layers, cost little.
  """
  positions, units = rows.shape[1], gradients.shape[3]
  first, second = np.triu_indices(positions)
  row_pairs = tf.gather(rows, first, axis=1) * tf.gather(rows, second, axis=1)
  gradient_pairs = tf.reshape(tf.einsum('vbpu,vbqu->bpqu', gradients, gradients), (-1, positions**2, units))
  gradient_pairs = tf.gather(gradient_pairs, first * positions + second, axis=1)
  # A pair of two positions stands for both orders.
  gradient_pairs *= np.where(first == second, 1, 2)[:, None].astype(np.float32)
  return tf.matmul(tf.reshape(row_pairs, (-1, rows.shape[2])), tf.reshape(gradient_pairs, (-1, units)),
                   transpose_a=True)
