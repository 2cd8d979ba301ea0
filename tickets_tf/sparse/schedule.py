"""The pruning schedule of a ticket: its mask is found once and stays."""

import tensorflow as tf
import tensorflow_model_optimization as tfmot
import tf_keras as keras


@keras.utils.register_keras_serializable('tickets_tf')
class TicketSchedule(tfmot.sparsity.keras.PruningSchedule):
  """Tells tfmot never to choose a mask of its own.

  Args:
    sparsity: removed share of the layer's weights, in [0, 1]; what tfmot's tools are told.

  Raises:
    ValueError: where the sparsity is not in [0, 1].
  """

  def __init__(self, sparsity=0.0):
    if not 0 <= sparsity <= 1:
      raise ValueError(f'sparsity {sparsity}: expected a number from 0 to 1')
    self.sparsity = float(sparsity)

  def __call__(self, step):
    """Returns (whether to update the mask, sparsity): never, and that of the ticket."""
    del step
    return tf.constant(False), tf.constant(self.sparsity, tf.float32)

  def get_config(self):
    return {'class_name': 'tickets_tf>TicketSchedule', 'config': {'sparsity': self.sparsity}}

  @classmethod
  def from_config(cls, config):
    return cls(**config)
