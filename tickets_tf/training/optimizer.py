"""SGD as in the paper's training, which differs from Keras' SGD in two ways, and its learning rates."""

from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras


@keras.utils.register_keras_serializable('tickets_tf')
class SGD(keras.optimizers.SGD):  # type: ignore[misc]
  """SGD whose weight decay is L2 in the gradient, and whose learning rate is outside the momentum.

      v = momentum * v + (gradient + weight_decay * w)
      w = w - learning_rate * v

  This is the update of Su et al. (and of PyTorch). Keras' own `weight_decay` is not part of the gradient, and its
  velocity includes the learning rate, which makes a difference when the rate changes.

  Args:
    learning_rate: the rate, or a schedule of it.
    momentum: in [0, 1).
    l2: the weight decay, for every trainable parameter.
    name: the optimizer's name.
    jit_compile: whether XLA compiles the update of each variable.
    **kwargs: those of `keras.optimizers.SGD`.
  """

  def __init__(self, learning_rate: float | keras.optimizers.schedules.LearningRateSchedule = 0.1,
               momentum: float = 0.9, l2: float = 1e-4, name: str = 'SGD', jit_compile: bool = False,
               **kwargs: Any) -> None:
    # jit_compile is off by default. On GPUs it is on in Keras, which takes minutes for a deep network.
    super().__init__(learning_rate=learning_rate, momentum=momentum, name=name, jit_compile=jit_compile, **kwargs)
    self.l2 = l2

  def update_step(self, gradient: tf.Tensor, variable: tf.Variable) -> None:
    """Updates one variable by its gradient; graph code."""
    velocity = tf.convert_to_tensor(gradient) + self.l2 * variable
    if self.momentum:
      momentum = self.momentums[self._index_dict[self._var_key(variable)]]
      velocity = momentum.assign(self.momentum * momentum + velocity)
    variable.assign_sub(tf.cast(self.learning_rate, variable.dtype) * velocity)

  def get_config(self) -> dict[str, Any]:
    """Returns the arguments that make this optimizer again."""
    return {**super().get_config(), 'l2': self.l2}


@keras.utils.register_keras_serializable('tickets_tf')
class Steps(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
  """A learning rate that changes at given steps.

  The device that counts the steps looks the rate up in a table. Keras' `PiecewiseConstantDecay` has branches, for which
  a GPU would send the step's number to the host in every step.

  Args:
    boundaries: the first step of each value but the first, in rising order.
    values: the rates, one more than `boundaries`.
  """

  def __init__(self, boundaries: Sequence[int], values: Sequence[float]) -> None:
    super().__init__()
    self.boundaries, self.values = list(boundaries), list(values)

  def __call__(self, step: int | tf.Tensor) -> tf.Tensor:
    """Returns the rate of a step, counted from 0; graph code."""
    passed = tf.cast(step, tf.int64) >= tf.constant(self.boundaries, tf.int64)
    return tf.gather(tf.constant(self.values, tf.float32), tf.reduce_sum(tf.cast(passed, tf.int64)))

  def get_config(self) -> dict[str, Any]:
    """Returns the arguments that make this schedule again."""
    return {'boundaries': self.boundaries, 'values': self.values}


# From the schedule of a whole training to that of a ticket, by `pruning.rules.RATES`.
RATES: dict[str, Callable[[Steps], Steps]] = {
    'all': lambda schedule: schedule,
    'last': lambda schedule: Steps([], schedule.values[-1:]),
}


def learning_rate_schedule(learning_rate: float, epochs: int, steps_per_epoch: int,
                           milestones: Sequence[float] = (0.5, 0.75), decay: float = 0.1) -> Steps:
  """Returns the learning rate of every step of a training phase.

  Args:
    learning_rate: the rate at the start.
    epochs: length of the phase; its steps are counted from 0. For a phase that stops early, the length of the whole.
    steps_per_epoch: steps in an epoch.
    milestones: shares of the epochs after which the rate falls, rounded down to whole epochs. A milestone at epoch 0 is
      left out.
    decay: factor by which the rate falls.
  """
  falls = [epoch for epoch in (int(epochs * share) for share in milestones) if epoch]
  return Steps([epoch * steps_per_epoch for epoch in falls],
               [learning_rate * decay**index for index in range(len(falls) + 1)])


def forget(optimizer: keras.optimizers.Optimizer, variable: tf.Variable, keep: np.ndarray) -> None:
  """Sets the momentum of some weights of a variable to zero.

  Args:
    optimizer: a built `SGD`, or a `LossScaleOptimizer` around one.
    variable: one of the variables that it trains.
    keep: boolean array of the variable's shape: the weights whose momentum stays.
  """
  inner = getattr(optimizer, 'inner_optimizer', optimizer)
  momentum = inner.momentums[inner._index_dict[inner._var_key(variable)]]
  momentum.assign(tf.where(keep, momentum, tf.zeros_like(momentum)))
