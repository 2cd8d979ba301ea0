"""The outputs of a network in inference mode, in a graph where that pays."""

from collections.abc import Callable

import tensorflow as tf
import tf_keras as keras

_KEPT = '_tickets_inference'  # attribute of a network
# Fewer images have gone through the layers one by one before a graph of them is built.
_PAYING = 5000


def classifier(model: keras.Model, images: int) -> Callable[[tf.Tensor], tf.Tensor]:
  """Returns the function from images to logits; the values of the weights and statistics are those of each call.

  A graph joins convolutions with what follows them, and may differ from the layers one by one in the last bits. Which
  of the two it is depends on the number of images alone.

  Args:
    model: a network to logits.
    images: how many images there are to be classified in all.
  """
  if images < _PAYING or model.distribute_strategy.num_replicas_in_sync > 1:
    return lambda some: model(some, training=False)
  if _KEPT not in vars(model):
    # Not by setattr: Keras would look for variables in it.
    vars(model)[_KEPT] = tf.function(lambda some: model(some, training=False), autograph=False, reduce_retracing=True)
  return vars(model)[_KEPT]  # type: ignore[no-any-return]
