import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework import kernels

from tickets_tf.data import Examples
from tickets_tf.data import Pipeline
from tickets_tf.training import feed
from tickets_tf.training import make_strategy

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)


@pytest.fixture
def examples():
  rng = np.random.default_rng(0)
  return Examples(rng.integers(0, 256, (30, 6, 7, 3), dtype=np.uint8), rng.integers(0, 10, 30).astype(np.int32))


def pipeline_of(examples, augmentation='crop_flip'):
  return Pipeline(examples, 8, 0, augmentation, 2, MEAN, STD)


@pytest.mark.parametrize('augmentation', ['none', 'crop', 'crop_flip'])
@pytest.mark.parametrize('jit', [False, True])
def test_a_step_makes_the_batch_that_the_host_would(augmentation, jit, examples):
  pipeline = pipeline_of(examples, augmentation)
  fed = feed.Feed(pipeline, examples)
  step = tf.function(fed.batch, jit_compile=jit)
  for drawn, (images, labels) in zip(pipeline.draws(2, 6), pipeline.dataset(2, 6), strict=True):
    found, their = step(drawn)
    # XLA may multiply and add at once.
    np.testing.assert_allclose(found, images, rtol=0, atol=1e-6 if jit else 0)
    np.testing.assert_array_equal(their, labels)


def test_other_examples_take_the_place_of_the_first(examples):
  fed = feed.Feed(pipeline_of(examples), examples)
  step = tf.function(fed.batch)
  first = step({'index': tf.range(30, dtype=tf.int64)})[0]
  fed.put(Examples(255 - examples.images, examples.labels[::-1]))
  second, labels = step({'index': tf.range(30, dtype=tf.int64)})
  expected = np.tile((1 - 2 * np.array(MEAN)) / STD, [30, 1])
  np.testing.assert_allclose((first + second).numpy()[:, 0, 0], expected, rtol=1e-4)
  np.testing.assert_array_equal(labels, examples.labels[::-1])


def test_in_order_is_everything_once(examples):
  fed = feed.Feed(pipeline_of(examples), examples)
  batches = [fed.batch(drawn) for drawn in feed.in_order(30, 8)]
  assert [len(labels) for _, labels in batches] == [8, 8, 8, 6]
  np.testing.assert_array_equal(np.concatenate([labels for _, labels in batches]), examples.labels)
  np.testing.assert_allclose(np.concatenate([images for images, _ in batches]), (examples.images / 255 - MEAN) / STD,
                             rtol=1e-5, atol=1e-5)


def test_nothing_of_a_batch_is_made_on_the_host_of_a_gpu(examples):
  """Every operation between the draw and the batch has a kernel for GPUs at its types."""
  pipeline = pipeline_of(examples)
  fed = feed.Feed(pipeline, examples)
  graph = tf.function(fed.batch).get_concrete_function(pipeline.draws(0, 1).element_spec).graph
  operations = [each for each in graph.get_operations() if each.type not in ('Placeholder', 'Const', 'NoOp')]
  assert {'ResourceGather', 'Pad', 'GatherV2'} <= {each.type for each in operations}
  for operation in operations:
    assert _has_gpu_kernel(operation), f'{operation.type} {[tensor.dtype for tensor in operation.inputs]}'


def _has_gpu_kernel(operation):
  attributes = operation.node_def.attr
  for kernel in kernels.get_registered_kernels_for_op(operation.type).kernel:
    allowed = all(attributes[each.name].type in each.allowed_values.list.type for each in kernel.constraint)
    if kernel.device_type == 'GPU' and allowed:
      return True
  # Shapes and small indices stay on the host by design.
  return all(tensor.dtype == tf.int32 and tensor.shape.num_elements() in (None, 0, 1, 2, 3, 4)
             for tensor in operation.outputs)


def test_every_replica_has_the_examples(examples):
  strategy = make_strategy('mirrored', 2)
  pipeline = pipeline_of(examples)
  with strategy.scope():
    fed = feed.Feed(pipeline, examples)
  fed.put(Examples(255 - examples.images, examples.labels))

  @tf.function
  def step():
    return strategy.run(lambda: fed.batch({'index': tf.range(30, dtype=tf.int64)})[0])

  expected = ((255 - examples.images) / 255 - MEAN) / STD
  for found in strategy.experimental_local_results(step()):
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
