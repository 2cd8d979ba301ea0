"""SGD as the paper's training uses it, which is not Keras' in two ways."""

import tensorflow as tf
import tf_keras as keras


@keras.utils.register_keras_serializable('tickets_tf')
class SGD(keras.optimizers.SGD):
  """SGD whose weight decay is L2 in the gradient, and whose learning rate is outside the momentum.

      v = momentum * v + (gradient + weight_decay * w)
      w = w - learning_rate * v

  Keras' own `weight_decay` is decoupled from the gradient, and its momentum holds past learning rates, which differs
  where the rate falls. This is Su et al.'s (PyTorch's) update.

  Args:
    learning_rate: a float or schedule.
    momentum: in [0, 1).
    l2: the weight decay, for every trainable parameter.
    **kwargs: those of `keras.optimizers.SGD`.
  """

  def __init__(self, learning_rate=0.1, momentum=0.9, l2=1e-4, name='SGD', jit_compile=False, **kwargs):
    # On GPUs Keras would compile an update by XLA for every variable: minutes for a deep network.
    super().__init__(learning_rate=learning_rate, momentum=momentum, name=name, jit_compile=jit_compile, **kwargs)
    self.l2 = l2

  def update_step(self, gradient, variable):
    velocity = tf.convert_to_tensor(gradient) + self.l2 * variable
    if self.momentum:
      momentum = self.momentums[self._index_dict[self._var_key(variable)]]
      velocity = momentum.assign(self.momentum * momentum + velocity)
    variable.assign_sub(tf.cast(self.learning_rate, variable.dtype) * velocity)

  def get_config(self):
    return {**super().get_config(), 'l2': self.l2}


@keras.utils.register_keras_serializable('tickets_tf')
class Steps(keras.optimizers.schedules.LearningRateSchedule):
  """A learning rate that changes at given steps.

  It is looked up where the step is counted. Keras' `PiecewiseConstantDecay` branches, for which a GPU would hand the
  step to the host in every step.

  Args:
    boundaries: rising list of the first steps of each value but the first.
    values: list of the rates, one more than `boundaries`.
  """

  def __init__(self, boundaries, values):
    super().__init__()
    self.boundaries, self.values = list(boundaries), list(values)

  def __call__(self, step):
    passed = tf.cast(step, tf.int64) >= tf.constant(self.boundaries, tf.int64)
    return tf.gather(tf.constant(self.values, tf.float32), tf.reduce_sum(tf.cast(passed, tf.int64)))

  def get_config(self):
    return {'boundaries': self.boundaries, 'values': self.values}


def learning_rate_schedule(learning_rate, epochs, steps_per_epoch, milestones=(0.5, 0.75), decay=0.1):
  """Returns the learning rate of every step of a training phase.

  Args:
    learning_rate: the rate at the start.
    epochs: length of the phase; its steps are counted from 0.
    steps_per_epoch: steps in an epoch.
    milestones: shares of the epochs after which the rate falls, rounded down to whole epochs; one that would come
      before the first step is left out.
    decay: factor by which it falls.

  Returns:
    A `keras.optimizers.schedules.LearningRateSchedule`.
  """
  falls = [epoch for epoch in (int(epochs * share) for share in milestones) if epoch]
  return Steps([epoch * steps_per_epoch for epoch in falls],
               [learning_rate * decay**index for index in range(len(falls) + 1)])
