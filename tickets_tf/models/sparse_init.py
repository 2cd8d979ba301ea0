"""The scale of a sparse network's weights at its start, by how many of the inputs of each unit are kept."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from tickets_tf.pruning.kernels import Kernel
from tickets_tf.pruning.mask import Mask


def unit_scales(kernels: Sequence[Kernel], mask: Mask) -> dict[str, npt.NDArray[np.float32]]:
  """Returns the factors that give each unit of a sparse network an input of the variance that the dense one has.

  A unit with n inputs of which k are kept has the factor sqrt(n / k), so that its variance of c / n becomes c / k (Evci
  et al. 2022, section 3). They draw the weights of each unit by its k; here the weights that the run has drawn are
  scaled, so that signs and proportions within a unit stay. A network that is drawn by the number of outputs has the
  factor as well: the variance of its inputs is that of the dense network then. A unit that kept nothing has the factor
  1, and so has an embedding, which sums over nothing.

  Args:
    kernels: the network's kernels.
    mask: the ticket's mask.

  Returns:
    Kernel name -> float32 array that can be multiplied with the kernel.
  """
  return {kernel.name: _scales(kernel, mask[kernel.name]) for kernel in kernels}


def scaled(kernels: Sequence[Kernel], weights: Mapping[str, np.ndarray], mask: Mask) -> dict[str, np.ndarray]:
  """Returns weights with each unit scaled by its `unit_scales`, removed weights too; arguments as there.

  Args:
    kernels: the network's kernels.
    weights: kernel name -> array of its shape; other names stay as they are.
    mask: the ticket's mask.
  """
  scales = unit_scales(kernels, mask)
  return {name: (value * scales[name]).astype(value.dtype) if name in scales else value
          for name, value in weights.items()}


def _scales(kernel: Kernel, keep: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
  summed = _summed(kernel)
  if not summed:
    return np.ones([1] * keep.ndim, np.float32)
  kept = keep.sum(axis=summed, keepdims=True)
  every = keep.size // kept.size
  return np.asarray(np.sqrt(every / np.where(kept, kept, every)), np.float32)


def _summed(kernel: Kernel) -> tuple[int, ...]:
  """Returns the axes that one unit sums over."""
  if kernel.kind == 'embedding':
    return ()
  if kernel.depthwise:
    return kernel.places  # Each channel is a unit of its own.
  return kernel.inputs if kernel.kind == 'local' else kernel.places + kernel.inputs
