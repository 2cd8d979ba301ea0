"""The scores of this package as `bin/benchmark` times them, and a case to score."""

import functools

import numpy as np
import tensorflow as tf
import tf_keras as keras

from tickets_tf import models
from tickets_tf import registry
from tickets_tf import scores
from tickets_tf import seeds
from benchmarks import cases

_IMAGE = (32, 32, 3)


def make_case(name, num_classes, samples_per_class, seed=0):
  """Makes a network with fresh weights and normal noise of CIFAR's size in the place of images.

  The moving statistics are those of the first hundred images, so that inference mode meets activations of the usual
  size.

  Args:
    name: of the network, e.g. `'resnet32'`, of the width that is its own.
    num_classes: number of classes.
    samples_per_class: images of each.
    seed: of everything.

  Returns:
    A `cases.Case`.
  """
  family, depth = registry.MODELS.split(name)
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
                    # As `score_weights` hands them to OBD for one label per example.
                    seeds.generator(seed, 'score', 'obd').random(len(images)))


def prepare(case, score):
  """Returns a function without arguments that scores a case with `score_weights`."""
  return functools.partial(scores.score_weights, _network(case), score, case.images, case.labels)


def prepare_loop(case, score):
  """Returns a function without arguments that computes OBD by a loop over examples, one traced step for all of them."""
  assert score == 'obd'
  model = _network(case)
  variables = [kernel.variable for kernel in models.prunable_kernels(model)]

  @tf.function
  def squares_of(image, number):
    with tf.GradientTape(persistent=True) as tape:
      logs = tf.nn.log_softmax(model(image[None], training=False))[0]
      if case.num_classes > 10:
        cumulative = tf.cumsum(tf.exp(tf.cast(logs, tf.float64)))
        chosen = [(logs[tf.reduce_sum(tf.cast(cumulative[:-1] < number, tf.int32))], 1.0)]
      else:
        chosen = [(log, tf.exp(log)) for log in tf.unstack(logs)]
    gradients = [tape.gradient(log, variables) for log, _ in chosen]
    return [tf.add_n([share * tf.square(each) for (_, share), each in zip(chosen, of_variable)])
            for of_variable in zip(*gradients)]

  def looped():
    total = [tf.zeros_like(variable) for variable in variables]
    for image, number in zip(tf.constant(case.images), case.uniform):
      total = [one + other for one, other in zip(total, squares_of(image, tf.constant(number)))]
    return [(0.5 * variable**2 * each / len(case.images)).numpy() for variable, each in zip(variables, total)]

  return looped


def _network(case):
  model = models.build_model(case.family, case.images.shape[1:], case.num_classes, case.depth, case.width)
  for variable in model.weights:
    variable.assign(case.weights[variable.name.removesuffix(':0')])
  return model
