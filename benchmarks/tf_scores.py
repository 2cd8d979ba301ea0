"""The scores of this package, ready to be timed, and a case to score."""

import functools

import numpy as np
import numpy.typing as npt
import tensorflow as tf
import tf_keras as keras

from benchmarks import cases
from benchmarks.fresh import Scoring
from tickets_tf import models
from tickets_tf import registry
from tickets_tf import scores
from tickets_tf import seeds
from tickets_tf.errors import UsageError

_IMAGE = (32, 32, 3)


def make_case(name: str, num_classes: int, samples_per_class: int, seed: int = 0) -> cases.Case:
  """Makes a network with fresh weights, and normal noise of CIFAR's size in place of images.

  The moving statistics are those of the first hundred images, so that activations in inference are of the usual size.

  Args:
    name: of the network, e.g. `'resnet32'`, at its own width.
    num_classes: number of classes.
    samples_per_class: images of each class.
    seed: of all random numbers.
  """
  family, depth = registry.MODELS.split(name)
  if depth is None:
    raise UsageError(f'{name}: expected a network with its depth, as in resnet32')
  keras.utils.set_random_seed(seeds.integer(seed, 'weights'))
  model = models.build_model(name, _IMAGE, num_classes)
  rng = seeds.generator(seed, 'images')
  images = rng.standard_normal((num_classes * samples_per_class, *_IMAGE), dtype=np.float32)
  for layer in model.layers:
    if isinstance(layer, keras.layers.BatchNormalization):
      layer.momentum = 0.0
  model(images[:100], training=True)
  return cases.Case(family, depth, models.prunable_kernels(model)[0].shape[-1], num_classes,
                    {variable.name.removesuffix(':0'): variable.numpy() for variable in model.weights},
                    images, np.arange(len(images)) % num_classes,
                    # The numbers that `score_weights` gives to OBD for drawing one label per example.
                    seeds.generator(seed, 'score', 'obd').random(len(images)))


def prepare(case: cases.Case, score: str) -> Scoring:
  """Returns a function without arguments that scores a case with `score_weights`."""
  return functools.partial(scores.score_weights, _network(case), score, case.images, case.labels)


def prepare_loop(case: cases.Case, score: str) -> Scoring:
  """Returns a function without arguments that computes OBD in a loop over examples, with one traced step for all."""
  assert score == 'obd'
  model = _network(case)
  variables = [kernel.variable for kernel in models.prunable_kernels(model)]

  @tf.function  # type: ignore[untyped-decorator]
  def squares_of(image: tf.Tensor, number: tf.Tensor) -> list[tf.Tensor]:
    with tf.GradientTape(persistent=True) as tape:
      logs = tf.nn.log_softmax(model(image[None], training=False))[0]
      if case.num_classes > 10:
        cumulative = tf.cumsum(tf.exp(tf.cast(logs, tf.float64)))
        chosen = [(logs[tf.reduce_sum(tf.cast(cumulative[:-1] < number, tf.int32))], 1.0)]
      else:
        chosen = [(log, tf.exp(log)) for log in tf.unstack(logs)]
    gradients = [tape.gradient(log, variables) for log, _ in chosen]
    return [tf.add_n([share * tf.square(each) for (_, share), each in zip(chosen, of_variable, strict=True)])
            for of_variable in zip(*gradients, strict=True)]

  def looped() -> list[npt.NDArray[np.floating]]:
    total = [tf.zeros_like(variable) for variable in variables]
    for image, number in zip(tf.constant(case.images), case.uniform, strict=True):
      total = [one + other for one, other in zip(total, squares_of(image, tf.constant(number)), strict=True)]
    return [(0.5 * variable**2 * each / len(case.images)).numpy()
            for variable, each in zip(variables, total, strict=True)]

  return looped


def _network(case: cases.Case) -> keras.Model:
  model = models.build_model(case.family, case.images.shape[1:], case.num_classes, case.depth, case.width)
  for variable in model.weights:
    variable.assign(case.weights[variable.name.removesuffix(':0')])
  return model
