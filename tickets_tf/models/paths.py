"""Which kept weights lie on a path from an input to an output of a network.

The network itself computes this. One image of ones flows through it, with the mask in place of the kernels, without
biases, and with the identity for every activation and normalisation. After every layer each value becomes 1 if it is
above zero, else 0. The gradient is treated in the same way, so no depth can overflow or underflow. A value then says
whether a path from an input arrives, its gradient whether a path leads on to an output. No term is below zero, so terms
cannot cancel, and a weight is on a path if and only if its gradient is above zero.

Paths are those of the network at its input size: a weight that only ever meets padding is on none. A unit without
inputs is a constant, whatever its bias, and no path leads through it.
"""

from collections.abc import Callable
import dataclasses
import functools

import numpy as np
import tensorflow as tf
import tf_keras as keras

from tickets_tf.models.flow import Flow
from tickets_tf.models.flow import is_known
from tickets_tf.models.prunable import prunable_kernels
from tickets_tf.pruning.collapse import Collapse
from tickets_tf.pruning.kernels import Kernel
from tickets_tf.pruning.mask import Mask

_L = keras.layers
_KEPT = '_tickets_paths'  # attribute of a network
_SMALL = 2_000_000  # weights; for a larger network, the copies of its kernels would take much memory


def effective_mask(model: keras.Model, mask: Mask) -> Mask | None:
  """Drops the kept weights that lie on no path from an input to an output of the network.

  Batch norm, activations and pooling keep channels apart. A sum is reached if one of its terms is. Convolutions count
  with their stride, padding and groups, dense layers after `Flatten` unit by unit. In a layer of an unknown kind every
  output is taken to depend on every input: too many weights may be kept there, never too few.

  Args:
    model: a built functional or sequential `tf_keras` model, which may contain others.
    mask: a `Mask` of its `prunable_kernels`.

  Returns:
    A `Mask`, or None if the paths cannot be known: in a subclassed model, or one without a fixed input size.

  Raises:
    UsageError: if the mask does not fit.
  """
  paths = _find_paths(model, mask)
  return paths.mask if paths else None


def live_positions(model: keras.Model, mask: Mask) -> Mask | None:
  """Returns the positions at which a weight is on a path, or would be if it were kept too.

  These are the positions from a unit that an input reaches to one that leads on to an output. Those of them that
  `mask` keeps are its `effective_mask`.

  Args:
    model: a built functional or sequential `tf_keras` model, which may contain others.
    mask: a `Mask` of its `prunable_kernels`.

  Returns:
    A `Mask`, or None as for `effective_mask`.

  Raises:
    UsageError: if the mask does not fit.
  """
  paths = _find_paths(model, mask)
  return paths.live if paths else None


def collapse(model: keras.Model, mask: Mask) -> Collapse:
  """Tells how much of a ticket is connected to its inputs and outputs.

  Args:
    model: a built `tf_keras` model.
    mask: a `Mask` of its `prunable_kernels`.

  Returns:
    A `Collapse`; if the paths cannot be known, see `effective_mask`, all of it but `empty_layers` is None.

  Raises:
    UsageError: if the mask does not fit.
  """
  paths = _find_paths(model, mask)
  if paths is None:
    return Collapse(mask.empty_layers(), connected=None, unreachable_units=None, effective_kept=None,
                    effective_sparsity=None, opaque_layers=None)
  unreachable = {kernel.name: _units_without_weights(kernel, paths.mask[kernel.name])
                 for kernel in prunable_kernels(model)}
  return Collapse(mask.empty_layers(), paths.connected, unreachable, paths.mask.kept, 1 - paths.mask.density,
                  paths.opaque)


def effective_weights(model: keras.Model) -> int | None:
  """Returns how many weights that are not zero lie on a path of such weights; None as for `effective_mask`."""
  present = Mask((kernel.name, np.array(kernel.variable) != 0) for kernel in prunable_kernels(model))
  mask = effective_mask(model, present)
  return mask.kept if mask else None


@dataclasses.dataclass(frozen=True)
class _Paths:
  mask: Mask
  live: Mask
  connected: bool
  opaque: list[str]


@dataclasses.dataclass(eq=False)
class _Kept:
  """What is kept with a network, for the masks that come.

  Attributes:
    flow: lets paths flow through it.
    count: the compiled `_count`.
    mask: the last mask.
    paths: its paths.
  """
  flow: Flow
  count: Callable[[], tuple[tf.Tensor, dict[str, tf.Tensor]]]
  mask: Mask
  paths: _Paths


def _find_paths(model: keras.Model, mask: Mask) -> _Paths | None:
  kernels = prunable_kernels(model)
  mask.check(kernels)
  if not is_known(model):
    return None
  kept: _Kept | None = vars(model).get(_KEPT)
  if kept and kept.mask == mask:
    return kept.paths
  if kept:
    kept.flow.put(mask)
    kept.mask, kept.paths = mask, _paths(mask, kept.flow, *kept.count())
    return kept.paths
  flow = Flow(kernels, mask)
  # The first mask eagerly, since many networks see no other.
  paths = _paths(mask, flow, *_count(model, flow))
  if sum(kernel.size for kernel in kernels) <= _SMALL:
    # Not by setattr: Keras would look for variables in it.
    vars(model)[_KEPT] = _Kept(flow, tf.function(functools.partial(_count, model, flow), autograph=False), mask, paths)
  return paths


def _count(model: keras.Model, flow: Flow) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
  """Returns whether anything arrives, and kernel name -> number of paths; graph code."""
  with tf.GradientTape() as tape:
    outputs = flow.through(model, [tf.ones([1, *each.shape[1:]]) for each in model.inputs])
    total = tf.add_n([tf.reduce_sum(each) for each in outputs])
  return total > 0, tape.gradient(total, flow.weights, unconnected_gradients=tf.UnconnectedGradients.ZERO)


def _paths(mask: Mask, flow: Flow, connected: tf.Tensor, counts: dict[str, tf.Tensor]) -> _Paths:
  # The count of a whole kernel is a scalar.
  live = Mask((name, np.full_like(kept, counts[name].numpy() > 0.5 if name in counts else False))
              for name, kept in mask.items())
  effective = Mask((name, kept & live[name]) for name, kept in mask.items())
  return _Paths(effective, live, bool(connected), flow.opaque)


def _units_without_weights(kernel: Kernel, effective: np.ndarray) -> int:
  return int(np.count_nonzero(~effective.any(axis=_summed_axes(kernel))))


def _summed_axes(kernel: Kernel) -> tuple[int, ...]:
  """Returns the axes of a kernel that its layer sums over: all but those of the layer's outputs."""
  layer, axes = kernel.layer, tuple(range(len(kernel.shape)))
  if isinstance(layer, _L.EinsumDense):
    operands, outputs = layer.equation.split('->')
    return tuple(axis for axis, letter in enumerate(operands.split(',')[1]) if letter not in outputs)
  if isinstance(layer, (_L.Conv1DTranspose, _L.Conv2DTranspose, _L.Conv3DTranspose)):
    return axes[:-2] + axes[-1:]
  if kernel.variable is getattr(layer, 'depthwise_kernel', None):
    return axes[:-2]
  return axes[:-1]
