"""Masks that change in training: when they do, and what of the optimizer's state changes with them."""

import dataclasses
import pathlib
from collections.abc import Callable
from collections.abc import Mapping
from concurrent import futures

import numpy as np
import tensorflow as tf
import tf_keras as keras

from tickets_tf import sparse
from tickets_tf.models import prunable_kernels
from tickets_tf.pruning.mask import Mask
from tickets_tf.pruning.mask_updates import Timing
from tickets_tf.runs import lines
from tickets_tf.runs.mask_history import MaskChange
from tickets_tf.training.optimizer import forget

# change(step, ratio, network, mask, images, labels) -> the next mask, see `Moving`.
Change = Callable[[int, float, keras.Model, Mask, np.ndarray, np.ndarray], Mask]


@dataclasses.dataclass(frozen=True)
class Moving:
  """How the mask of a training changes.

  Attributes:
    timing: the steps before which it changes.
    first_ratio: the pruning ratio at the first of them, in [0, 1).
    last_ratio: the pruning ratio at the last.
    change: function(step, ratio, network, mask, images, labels) that returns the next mask of a network in training:
      `ratio` is what the schedule asks for, `network` has no wrappers and is left as it was, `images` and `labels` are
      the batch of that step.
  """
  timing: Timing
  first_ratio: float
  last_ratio: float
  change: Change


class UpdateMasks(keras.callbacks.Callback):  # type: ignore[misc]
  """Changes the mask of a network in training, as a tfmot schedule asks.

  Removed weights are set to zero, and the momentum of weights that are removed or come back is set to zero, so that
  zeros stay zeros and weights that come back start at rest. A mask changes before a step and never after the last one,
  so a checkpoint at the end of an epoch has the mask that the epoch was trained with.

  Args:
    moving: how the mask changes.
    network: the network without wrappers; it shares its variables with the model that is trained.
    batch: function from a step to its (images, labels), normalised.
    path: file of the mask history; it is replaced, whole or not at all, after every epoch.
    first_step: number of steps done. Later updates in the file are dropped: a killed run wrote them after its newest
      checkpoint.
    last_step: number of steps of the whole training.

  Attributes:
    schedule: tfmot's schedule of the mask.
    history: the mask updates so far.
  """

  def __init__(self, moving: Moving, network: keras.Model, batch: Callable[[int], tuple[tf.Tensor, tf.Tensor]],
               path: pathlib.Path, first_step: int, last_step: int) -> None:
    super().__init__()
    # The batch's metrics are not used. Without this, Keras would copy them to the host after every batch.
    self._supports_tf_logs = True
    self._moving, self._network, self._batch, self._path = moving, network, batch, path
    self.schedule = sparse.update_schedule(moving.timing, moving.first_ratio, moving.last_ratio)
    self.history = [change for change in lines.read(path, MaskChange) if change.step < first_step]
    steps = tf.range(first_step, last_step, dtype=tf.int64)
    due, ratios = self.schedule(steps)
    self._due = {int(step): float(ratio) for step, ratio in zip(steps[due], tf.broadcast_to(ratios, due.shape)[due],
                                                                strict=True)}
    self._first = 0

  def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
    """Notes the epoch's first step."""
    self._first = epoch * self.params['steps']

  def on_train_batch_begin(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
    """Changes the mask if it is time to."""
    step = self._first + batch
    if step in self._due:
      self._update(step)

  def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
    """Writes the history."""
    lines.write(self._path, self.history)

  def _update(self, step: int) -> None:
    moving, before = self._moving, sparse.mask_of(self.model)
    # The schedule counts in 32 bits; the promised number of weights is that of the ratio itself.
    ratio = moving.last_ratio if step == moving.timing.end else self._due[step]
    images, labels = (each.numpy() for each in self._batch(step))
    # Within the scope of a strategy of several replicas, in which `fit` runs, nothing can be differentiated by their
    # variables. Another thread is in no scope.
    with futures.ThreadPoolExecutor(1) as outside:
      after = outside.submit(moving.change, step, ratio, self._network, before, images, labels).result()
    sparse.set_mask(self.model, after)
    for kernel in prunable_kernels(self._network):
      forget(self.model.optimizer, kernel.variable, before[kernel.name] & after[kernel.name])
    pairs = list(zip(before.arrays, after.arrays, strict=True))
    self.history.append(MaskChange(step, tuple(after.counts),
                                   sum(int(np.count_nonzero(old & ~new)) for old, new in pairs),
                                   sum(int(np.count_nonzero(new & ~old)) for old, new in pairs)))
