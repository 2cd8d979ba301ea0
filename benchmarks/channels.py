"""What a step of a convolution costs by its number of channels."""

from collections.abc import Callable
import statistics
import time

import tensorflow as tf
import tf_keras as keras


def cost(channels: list[int], batch_size: int, rounds: int, steps: int, size: int = 16) -> dict[int, float]:
  """Times forward and backward passes of two 3x3 convolutions with batch norm and ReLU between them, in turn.

  Args:
    channels: numbers of channels, the same in and out.
    batch_size: images.
    rounds: measurements of each.
    steps: passes per measurement.
    size: height and width of the images.

  Returns:
    Number of channels -> the time over that of the last of them, the median of the rounds.
  """
  passes = {count: _pass(count, batch_size, size) for count in channels}
  seconds: dict[int, list[float]] = {count: [] for count in channels}
  for _ in range(rounds):
    for count, one in passes.items():
      start = time.perf_counter()
      for _ in range(steps):
        one()
      seconds[count].append(time.perf_counter() - start)
  return {count: statistics.median(one / other for one, other in zip(found, seconds[channels[-1]], strict=True))
          for count, found in seconds.items()}


def _pass(channels: int, batch_size: int, size: int) -> Callable[[], float]:
  images = tf.random.stateless_normal((batch_size, size, size, channels), [0, 0])
  layers = [keras.layers.Conv2D(channels, 3, padding='same', use_bias=False), keras.layers.BatchNormalization(),
            keras.layers.ReLU(), keras.layers.Conv2D(channels, 3, padding='same', use_bias=False)]
  model = keras.Sequential([keras.Input((size, size, channels)), *layers])

  @tf.function(autograph=False)  # type: ignore[untyped-decorator]
  def both_ways() -> tf.Tensor:
    with tf.GradientTape() as tape:
      loss = tf.reduce_sum(model(images, training=True)**2)
    return tf.add_n([tf.reduce_sum(each) for each in tape.gradient(loss, model.trainable_variables)])

  traced = both_ways.get_concrete_function()
  traced()
  return lambda: float(traced())
