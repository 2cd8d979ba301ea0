"""A pruning method of one's own, judged: bin/sanity_check --pruner=examples.mine:loud_inputs --ratio=0.95 --seeds=5

The method keeps the weights whose inputs are loud: |weight| times the mean size of what the weight is multiplied by
(as in Wanda, Sun et al. 2024), on the scoring batch.
"""

import numpy as np
import tf_keras as keras

import tickets_tf


def loud_inputs(model, images, labels, rng):
  """Scores every prunable weight; higher = keep.

  Args:
    model: a built `tf_keras` model.
    images: float32 [N, height, width, channels], normalised.
    labels: int [N]; not used.
    rng: `numpy.random.Generator` of the run's seed; not used.

  Returns:
    A list of float arrays, one per kernel of `prunable_kernels(model)`, of its shape.
  """
  del labels, rng
  kernels = tickets_tf.prunable_kernels(model)
  inputs = keras.Model(model.inputs, [kernel.layer.input for kernel in kernels])(images, training=False)
  loudness = [np.abs(each).mean(axis=tuple(range(each.ndim - 1))) for each in map(np.asarray, inputs)]
  # The inputs are the last axis but one of convolutions (HWIO) and of dense layers.
  return [np.abs(kernel.variable.numpy()) * loud[:, None] for kernel, loud in zip(kernels, loudness)]
