"""A training step of this package, as `training.train` compiles it, on a batch that is ready."""

from collections.abc import Callable

import tensorflow as tf
import tf_keras as keras

from benchmarks.training_case import TrainingCase
from tickets_tf import models
from tickets_tf import sparse
from tickets_tf import training
from tickets_tf.experiment import tickets
from tickets_tf.runs.settings import Settings

_SIDE = 512  # of the matrices in `prepare_products`


def prepare_products(case: TrainingCase, steps: int) -> Callable[[], None]:
  """Returns a function that does as many multiplications in products of matrices as `steps` steps have at least.

  A step has three times those of the network's convolutions and dense layers, for the outputs and for the gradients by
  inputs and by weights. Matrices of 512x512 come near what the processor can do at all.
  """
  training.use_threads(case.threads)
  model = models.build_model(case.network, case.image, 10, width=case.width)
  kernels = models.prunable_kernels(model)
  macs = sum(models.multiply_accumulates(kernels, [kernel.size for kernel in kernels], model))
  count = max(1, round(3 * macs * case.batch_size * steps / _SIDE**3))
  matrix = tf.cast(tf.random.normal((_SIDE, _SIDE)), case.dtype)

  @tf.function  # type: ignore[untyped-decorator]
  def products() -> tf.Tensor:
    found = matrix
    for _ in tf.range(count):
      found = tf.matmul(found, matrix) / _SIDE**0.5  # As large as before.
    return found

  return lambda: products().numpy()


def prepare(case: TrainingCase, steps: int) -> Callable[[], None]:
  """Returns a function that trains a random ticket for `steps` steps."""
  training.use_threads(case.threads)
  tf.config.experimental.enable_op_determinism()
  keras.utils.set_random_seed(0)
  if case.dtype != 'float32':
    keras.mixed_precision.set_global_policy(f'mixed_{case.dtype}')
  model = models.build_model(case.network, case.image, 10, width=case.width)
  mask = tickets.find_ticket(model, 'random', case.ratio).mask
  defaults = Settings()
  wrapped = sparse.wrap(model, mask)
  wrapped.compile(training.SGD(defaults.learning_rate, defaults.momentum, defaults.weight_decay),
                  keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=['accuracy'],
                  steps_per_execution=steps)
  batches = iter(tf.data.Dataset.from_tensors(tuple(map(tf.constant, case.batch()))).repeat())
  function = wrapped.make_train_function()
  return lambda: function(batches)['loss'].numpy()
