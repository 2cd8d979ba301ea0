"""The pruning schedules of tickets: of a mask that never changes, and of one that changes in training."""

from typing import Any

import tensorflow as tf
import tensorflow_model_optimization as tfmot
import tf_keras as keras

from tickets_tf.pruning.mask_updates import Timing


@keras.utils.register_keras_serializable('tickets_tf')
class TicketSchedule(tfmot.sparsity.keras.PruningSchedule):  # type: ignore[misc]
  """Tells tfmot never to choose a mask of its own.

  Args:
    sparsity: removed share of the layer's weights, in [0, 1], which tfmot's tools report.

  Raises:
    ValueError: if the sparsity is not in [0, 1].
  """

  def __init__(self, sparsity: float = 0.0) -> None:
    if not 0 <= sparsity <= 1:
      raise ValueError(f'sparsity {sparsity}: expected a number from 0 to 1')
    self.sparsity = float(sparsity)

  def __call__(self, step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns (whether to update the mask, sparsity): always False, and the ticket's."""
    del step
    return tf.constant(False), tf.constant(self.sparsity, tf.float32)

  def get_config(self) -> dict[str, Any]:
    """Returns what Keras saves of the schedule."""
    return {'class_name': 'tickets_tf>TicketSchedule', 'config': {'sparsity': self.sparsity}}

  @classmethod
  def from_config(cls, config: dict[str, Any]) -> 'TicketSchedule':
    """Returns the schedule of the inner `'config'` of what `get_config` returned."""
    return cls(**config)


def update_schedule(timing: Timing, first_ratio: float, last_ratio: float) -> tfmot.sparsity.keras.PruningSchedule:
  """Returns tfmot's schedule of a mask that changes in training, cubic as in Zhu and Gupta 2017.

  Args:
    timing: the steps before which the mask changes.
    first_ratio: pruning ratio at the first of them, in [0, 1).
    last_ratio: pruning ratio at the last.
  """
  return tfmot.sparsity.keras.PolynomialDecay(first_ratio, last_ratio, timing.begin, timing.end,
                                              frequency=timing.every)
