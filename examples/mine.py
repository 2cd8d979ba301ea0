"""A pruning method of one's own, judged by bin/sanity_check --pruner=examples.mine:loud_inputs."""

import numpy as np
import tickets_tf
import tf_keras as keras


def loud_inputs(model, images, labels, rng):
  """Scores by |weight| times the mean size of its input, as in Wanda (Sun et al. 2024). Higher = keep."""
  kernels = tickets_tf.prunable_kernels(model)
  inputs = keras.Model(model.inputs, [kernel.layer.input for kernel in kernels])(images, training=False)
  loudness = [np.abs(each).mean(axis=tuple(range(each.ndim - 1))) for each in map(np.asarray, inputs)]
  return [np.abs(kernel.variable.numpy()) * loud[:, None] for kernel, loud in zip(kernels, loudness, strict=True)]
