"""Squares of per-example gradients, summed over examples, without a loop over examples.

A kernel's gradient for one example follows from the inputs of its layer and the gradient at the layer's outputs. The
network runs forward once and backward once per vector (a class, or a drawn label) on all examples of a chunk; the rest
is matrix products within each layer. A convolution is a dense layer on patches. Any other layer is differentiated by
itself, vectorised over examples.
"""

from collections.abc import Callable, Sequence
import functools
import math
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from tickets_tf.errors import UsageError
from tickets_tf.pruning.kernels import Kernel
from tickets_tf.scores import modes
from tickets_tf.scores.gradients import add_up

# The most that one layer computes at a time, in floats of 4 bytes: 128 MiB.
_FLOATS = 2**25
# This many multiply-adds take as long as writing and reading one float outside the cache, on two kinds of CPU.
_MEMORY_COST = 50

# f(inputs, outputs) -> outputs: called with each pass through a layer.
_Record = Callable[[Any, tf.Tensor], tf.Tensor]


class SquaredGradients:
  """Sums the squared per-example gradients of a network.

  Args:
    model: network to logits, called in inference mode.
    kernels: kernels with live layers.
  """

  def __init__(self, model: keras.Model, kernels: Sequence[Kernel]) -> None:
    self._model = model
    self._kernels = kernels
    owned: dict[keras.layers.Layer, list[Kernel]] = {}
    for kernel in kernels:
      owned.setdefault(kernel.layer, []).append(kernel)
    self._layers = [_kind(layer)(layer, own) for layer, own in owned.items()]

  def __call__(self, images: np.ndarray, vectors_of: Callable[[tf.Tensor], tf.Tensor]) -> list[tf.Tensor]:
    """Sums the squared gradients of <vector, logits of one example> over vectors and examples.

    Args:
      images: float32 array [B, ...].
      vectors_of: function from logits [B, classes] to vectors [V, B, classes].

    Returns:
      Tensors of the kernels' shapes; zeros for a kernel that takes no part.

    Raises:
      UsageError: if a layer mixes examples or takes anything but one tensor, or no layer is reached.
    """
    tape, calls, logits = self._recorded(images)
    if not calls:
      raise UsageError(f'model {self._model.name!r}: no layer to prune was reached when the model was called. A model '
                       'that keras.models.load_model read as a graph cannot be scored: build it from its code')
    sources = [outputs for _, _, outputs in calls]
    gradients = [tape.gradient(logits, sources, vector, tf.UnconnectedGradients.ZERO)
                 for vector in tf.unstack(vectors_of(logits))]
    del tape
    passes: dict[_Layer, list[tuple[tf.Tensor, tf.Tensor]]] = {layer: [] for layer in self._layers}
    # Not strict: a network with a single output has no vectors, so there are calls but no gradients.
    for (layer, inputs, _), by_outputs in zip(calls, zip(*gradients, strict=True), strict=False):
      passes[layer].append((inputs, tf.stack(by_outputs)))
    del calls, sources, gradients
    squares: dict[str, tf.Tensor] = {}
    for layer, own in passes.items():
      if own:
        squares.update(zip(layer.names, _in_parts(layer, own), strict=True))
      own.clear()
    return [tf.reshape(squares[kernel.name], kernel.shape) if kernel.name in squares else tf.zeros(kernel.shape)
            for kernel in self._kernels]

  def _recorded(self, images: np.ndarray) -> tuple[tf.GradientTape, list['_Call'], tf.Tensor]:
    """Returns a tape of the network on images, the calls of its layers, and the logits."""
    calls: list[_Call] = []
    with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
      def record(layer: _Layer, inputs: Any, outputs: tf.Tensor) -> tf.Tensor:
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

  def __init__(self, layer: keras.layers.Layer, kernels: Sequence[Kernel]) -> None:
    self.layer = layer
    self.names = [kernel.name for kernel in kernels]
    self._variables = [kernel.variable for kernel in kernels]
    self._vectorised = tf.function(lambda *examples: tf.vectorized_map(self._gradients, examples))

  def recording(self, record: _Record) -> modes.Replacement:
    """Returns the replacement that makes the layer pass its inputs and outputs to `record`."""
    call = self.layer.call

    @functools.wraps(call)
    def recorded_call(*args: Any, **kwargs: Any) -> tf.Tensor:
      inputs = args[0] if len(args) == 1 else args
      return record(inputs, call(*args, **kwargs))

    return self.layer, 'call', recorded_call

  def floats(self, vectors: int, inputs: Sequence[tf.Tensor], gradients: Sequence[tf.Tensor]) -> int:
    """Returns how many floats `squares` holds in memory for one example."""
    del inputs, gradients
    return vectors * sum(int(math.prod(variable.shape)) for variable in self._variables)

  def squares(self, inputs: Sequence[tf.Tensor], gradients: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """Returns the squared gradient of every kernel, summed over vectors and examples.

    Args:
      inputs: [B, ...], one for each time that the layer was called.
      gradients: the gradients at its outputs, [V, B, ...].
    """
    vectors = gradients[0].shape[0]
    inputs = [tf.repeat(each[None], vectors, axis=0) for each in inputs]
    flat = [tf.reshape(each, (-1, *each.shape[2:])) for each in (*inputs, *gradients)]
    # TensorFlow warns about operations that it vectorises with a loop, and about tracing one layer after the other.
    level = tf.get_logger().level
    try:
      tf.get_logger().setLevel('ERROR')
      return [tf.reduce_sum(tf.square(each), axis=0) for each in self._vectorised(*flat)]
    finally:
      tf.get_logger().setLevel(level)

  def _gradients(self, example: tuple[tf.Tensor, ...]) -> list[tf.Tensor]:
    # Of one example: `example` has its inputs, then the gradients at its outputs.
    inputs, gradients = example[:len(example) // 2], example[len(example) // 2:]
    with tf.GradientTape(watch_accessed_variables=False) as tape:
      tape.watch(self._variables)
      outputs = [self.layer(each[None]) for each in inputs]
    found: list[tf.Tensor] = tape.gradient(outputs, self._variables, [each[None] for each in gradients],
                                           tf.UnconnectedGradients.ZERO)
    return found


# (layer, inputs, outputs).
_Call = tuple[_Layer, tf.Tensor, tf.Tensor]


class _Dense(_Layer):
  """A dense layer, whose gradient is a product of matrices, [K, positions] by [positions, units]."""

  def recording(self, record: _Record) -> modes.Replacement:
    """As `_Layer`; the outputs are those before the activation."""
    layer, call, activation = self.layer, self.layer.call, self.layer.activation or tf.identity

    @functools.wraps(call)
    def recorded_call(inputs: tf.Tensor, **kwargs: Any) -> tf.Tensor:
      with modes.replaced([(layer, 'activation', lambda outputs: activation(record(inputs, outputs)))]):
        return call(inputs, **kwargs)

    return layer, 'call', recorded_call

  def floats(self, vectors: int, inputs: Sequence[tf.Tensor], gradients: Sequence[tf.Tensor]) -> int:
    """As `_Layer`."""
    positions = sum(int(math.prod(each.shape[2:-1])) for each in gradients)
    size, units = int(math.prod(self._variables[0].shape)), int(gradients[0].shape[-1])
    rows = positions * (size // units + vectors * units)
    return rows * (positions + 1) // 2 if _pairs_are_cheaper(positions, vectors) else rows + vectors * size

  def squares(self, inputs: Sequence[tf.Tensor], gradients: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    """As `_Layer`."""
    vectors, examples, *_, units = gradients[0].shape
    rows = tf.concat([self._rows(each) for each in inputs], axis=1)
    gradients = tf.concat([tf.reshape(each, (vectors, examples, -1, units)) for each in gradients], axis=2)
    sums = _pair_squares if _pairs_are_cheaper(rows.shape[1], vectors) else _product_squares
    return [sums(rows, gradients)]

  def _rows(self, inputs: tf.Tensor) -> tf.Tensor:
    """Returns what the kernel is multiplied by, [B, positions, K]."""
    return tf.reshape(inputs, (inputs.shape[0], -1, inputs.shape[-1]))


class _Convolution(_Dense):
  """A convolution over two axes without groups or dilation."""

  def recording(self, record: _Record) -> modes.Replacement:
    """As `_Dense`; the backward pass leaves out the gradient by the kernel, which is not used."""
    layer, convolution_op = self.layer, self.layer.convolution_op
    strides, padding = [1, *layer.strides, 1], layer.padding.upper()

    def recorded_convolution(inputs: tf.Tensor, kernel: tf.Variable) -> tf.Tensor:
      kernel = tf.convert_to_tensor(kernel)

      @tf.custom_gradient  # type: ignore[untyped-decorator]
      def convolution(images: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        return convolution_op(images, kernel), lambda gradient: tf.raw_ops.Conv2DBackpropInput(
            input_sizes=images.shape, filter=kernel, out_backprop=gradient, strides=strides, padding=padding)

      return record(inputs, convolution(inputs))

    return layer, 'convolution_op', recorded_convolution

  def _rows(self, inputs: tf.Tensor) -> tf.Tensor:
    # Slices and one concatenation take half the time of tf.image.extract_patches.
    (height, width), (down, right) = self.layer.kernel_size, self.layer.strides
    (rows, above), (columns, left) = (
        self._padded(*axis)
        for axis in zip(inputs.shape[1:3], self.layer.kernel_size, self.layer.strides, strict=True))
    padded = tf.pad(inputs, [(0, 0), above, left, (0, 0)])
    patches = tf.concat([padded[:, y:y + down * rows:down, x:x + right * columns:right]
                         for y in range(height) for x in range(width)], axis=-1)
    return tf.reshape(patches, (patches.shape[0], rows * columns, -1))

  def _padded(self, length: int, size: int, stride: int) -> tuple[int, tuple[int, int]]:
    """Returns (number of positions along an axis, (zeros before, zeros after))."""
    if self.layer.padding == 'valid':
      return (length - size) // stride + 1, (0, 0)
    positions = -(-length // stride)
    missing = max((positions - 1) * stride + size - length, 0)
    return positions, (missing // 2, missing - missing // 2)


def _kind(layer: keras.layers.Layer) -> type[_Layer]:
  # Exact types: a class derived from them may compute something else.
  if type(layer) is keras.layers.Dense:  # pylint: disable=unidiomatic-typecheck
    return _Dense
  plain = type(layer) is keras.layers.Conv2D and (  # pylint: disable=unidiomatic-typecheck
      layer.data_format == 'channels_last' and layer.groups == 1 and max(layer.dilation_rate) == 1)
  return _Convolution if plain else _Layer


def _check_rows(layer: _Layer, inputs: Any, outputs: tf.Tensor, examples: int) -> None:
  for tensor in (inputs, outputs):
    if not tf.is_tensor(tensor) or tensor.shape.rank < 2 or tensor.shape[0] != examples:
      raise UsageError(f'layer {layer.layer.name!r} has no gradient per example: expected one tensor with {examples} '
                       'rows in and out; curvature=hutchinson needs none')


def _in_parts(layer: _Layer, passes: Sequence[tuple[tf.Tensor, tf.Tensor]]) -> list[tf.Tensor]:
  # The squares of a layer from (inputs, gradients) of each call, computed in parts that keep to `_FLOATS`.
  inputs, gradients = zip(*passes, strict=True)
  vectors, examples = gradients[0].shape[:2]
  size = max(1, _FLOATS // layer.floats(vectors, inputs, gradients))
  return add_up(layer.squares([each[start:start + size] for each in inputs],
                              [each[:, start:start + size] for each in gradients])
                for start in range(0, examples, size))


def _pairs_are_cheaper(positions: int, vectors: int) -> bool:
  # Compares the multiply-adds per weight and example of `_pair_squares` and `_product_squares`.
  return positions * (positions + 1) / 2 <= vectors * (positions + _MEMORY_COST)


def _product_squares(rows: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
  """Returns [K, units], the sum over v and b of the squared products rows[b]^T gradients[v, b].

  Args:
    rows: [B, positions, K].
    gradients: [V, B, positions, units].
  """
  vectors, _, _, units = gradients.shape
  gradients = tf.transpose(gradients, (1, 2, 0, 3))
  products = tf.matmul(rows, tf.reshape(gradients, (*rows.shape[:2], -1)), transpose_a=True)
  squares = tf.square(tf.math.reduce_euclidean_norm(products, axis=0))  # One pass; square and sum would be two.
  return tf.reduce_sum(tf.reshape(squares, (-1, vectors, units)), axis=1)


def _pair_squares(rows: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
  """As `_product_squares`, by (sum_p r_p g_p)^2 = sum_pq (r_p r_q) (g_p g_q): one product of matrices for all v and b.

  No product of a single example is ever in memory, so few positions, as in dense and late layers, cost little.
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
