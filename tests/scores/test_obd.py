"""OBD against loops over examples and a Hessian's diagonal by brute force."""

import numpy as np
import pytest

import tickets_tf
import tensorflow as tf
import tf_keras as keras
from tickets_tf.errors import UsageError
from tickets_tf.scores import per_example
from tickets_tf.scores.obd import obd

L = keras.layers
TWICE = 'twice'
# Name -> (shape of an example, layers before the classifier).
NETWORKS = {
    'conv': ((7, 7, 2), lambda: [L.Conv2D(4, 3, padding='same', activation='tanh'), L.Conv2D(3, 3, activation='tanh'),
                                 L.Flatten()]),
    'strided conv': ((9, 8, 2), lambda: [L.Conv2D(4, 3, 2, 'same', activation='tanh'), L.Conv2D(3, (2, 3), (1, 2)),
                                         L.Conv2D(3, 1), L.Flatten()]),
    'dilated conv': ((7, 7, 2), lambda: [L.Conv2D(4, 3, dilation_rate=2, activation='tanh'), L.Flatten()]),
    'grouped conv': ((6, 6, 4), lambda: [L.Conv2D(4, 3, groups=2, activation='tanh'), L.Flatten()]),
    'transposed conv': ((4, 4, 2), lambda: [L.Conv2DTranspose(4, 3, strides=2, activation='tanh'), L.Flatten()]),
    'depthwise conv': ((6, 6, 2), lambda: [L.DepthwiseConv2D(3, depth_multiplier=2, activation='tanh'), L.Flatten()]),
    'separable conv': ((6, 6, 2), lambda: [L.SeparableConv2D(4, 3, activation='tanh'), L.Flatten()]),
    'conv 1d': ((9, 2), lambda: [L.Conv1D(4, 3, padding='causal', activation='tanh'), L.Flatten()]),
    'dense': ((5,), lambda: [L.Dense(4, activation='gelu')]),
    'dense on positions': ((4, 3), lambda: [L.Dense(5, activation='softmax'), L.Flatten()]),
    'einsum': ((4, 3), lambda: [L.EinsumDense('abc,cd->abd', (None, 5), activation='tanh'), L.Flatten()]),
    'batch norm': ((6, 6, 2), lambda: [L.Conv2D(4, 3, use_bias=False), L.BatchNormalization(), L.ReLU(), L.Flatten()]),
    'shared': ((5,), lambda: [*[L.Dense(5, activation='tanh', name=TWICE)] * 2]),
}


def build(name, classes=3):
  keras.utils.set_random_seed(1)
  shape, layers = NETWORKS[name]
  model = keras.Sequential([keras.Input(shape), *layers(), L.Dense(classes)])
  rng = np.random.default_rng(2)
  for variable in model.variables:
    variable.assign_add(rng.uniform(0, 0.5, variable.shape))
  images = rng.normal(size=(7, *shape)).astype(np.float32)
  return model, images, np.arange(7) % classes


def looped(model, images, weights_of):
  """0.5 theta^2 h by a loop over examples and classes; `weights_of(probabilities, index)` weighs the classes."""
  kernels = tickets_tf.prunable_kernels(model)
  variables = [kernel.variable for kernel in kernels]
  total = [0] * len(variables)
  for index in range(len(images)):
    with tf.GradientTape(persistent=True) as tape:
      logs = tf.nn.log_softmax(model(images[index:index + 1], training=False))[0]
      logs = tf.unstack(logs)
    weights = weights_of(np.exp(logs), index)
    for log, weight in zip(logs, weights, strict=True):
      gradients = tape.gradient(log, variables)
      total = [each + weight * gradient.numpy()**2 / len(images)
               for each, gradient in zip(total, gradients, strict=True)]
  return [0.5 * variable.numpy()**2 * each for variable, each in zip(variables, total, strict=True)]


@pytest.mark.parametrize('name', NETWORKS)
def test_fisher_agrees_with_a_loop(relative, name):
  model, images, labels = build(name)
  expected = looped(model, images, lambda probabilities, index: probabilities)
  assert relative(tickets_tf.score_weights(model, 'obd', images, labels, chunk=4), expected) < 1e-5


@pytest.mark.parametrize('name', ['conv', 'depthwise conv', 'shared'])
def test_empirical_agrees_with_a_loop(relative, name):
  model, images, labels = build(name)
  expected = looped(model, images, lambda probabilities, index: np.eye(3)[labels[index]])
  assert relative(tickets_tf.score_weights(model, 'obd', images, labels, curvature='empirical'), expected) < 1e-5


def test_both_ways_to_square_products(relative):
  rng = np.random.default_rng(3)
  rows = rng.normal(size=(4, 6, 5)).astype(np.float32)
  gradients = rng.normal(size=(3, 4, 6, 2)).astype(np.float32)
  expected = (np.einsum('bpk,vbpu->vbku', rows, gradients)**2).sum((0, 1))
  for squares in (per_example._pair_squares, per_example._product_squares):
    assert relative([squares(rows, tf.constant(gradients))], [expected]) < 1e-6


@pytest.mark.parametrize('name', ['conv', 'separable conv'])
def test_layers_are_taken_apart_if_memory_is_short(monkeypatch, relative, name):
  model, images, labels = build(name)
  expected = tickets_tf.score_weights(model, 'obd', images, labels)
  sizes = set()
  for kind in (per_example._Layer, per_example._Dense):
    def squares(self, inputs, gradients, whole=kind.squares):
      sizes.add(inputs[0].shape[0])
      return whole(self, inputs, gradients)
    monkeypatch.setattr(kind, 'squares', squares)
  monkeypatch.setattr(per_example, '_FLOATS', 300)
  assert relative(tickets_tf.score_weights(model, 'obd', images, labels), expected) < 1e-6
  assert 7 > min(sizes) >= 1


@pytest.mark.parametrize('options', [{}, {'curvature': 'empirical'}, {'curvature': 'hutchinson', 'samples': 2}])
@pytest.mark.parametrize('classes', [3, 12])
def test_chunks_change_nothing(relative, classes, options):
  model, images, labels = build('batch norm', classes)
  whole, *cut = (tickets_tf.score_weights(model, 'obd', images, labels, chunk=chunk, **options)
                 for chunk in (7, 3, 1))
  assert all(relative(each, whole) < 1e-5 for each in cut)


def test_drawn_labels_approach_the_expectation(monkeypatch, relative):
  model, images, labels = build('conv')
  exact = tickets_tf.score_weights(model, 'obd', images, labels)
  monkeypatch.setattr('tickets_tf.scores.obd._EXACT_CLASSES', 2)
  errors = [relative(tickets_tf.score_weights(model, 'obd', images, labels, samples=samples), exact)
            for samples in (1, 500)]
  assert errors[1] < 0.06 < 0.3 < errors[0]


def test_labels_are_drawn_above_ten_classes_and_follow_the_seed():
  model, images, labels = build('dense', 11)
  one, same, other = (tickets_tf.score_weights(model, 'obd', images, labels, seed=seed) for seed in (0, 0, 1))
  assert all(map(np.array_equal, one, same)) and not np.array_equal(one[0], other[0])
  model, images, labels = build('dense', 10)
  one, other = (tickets_tf.score_weights(model, 'obd', images, labels, seed=seed) for seed in (0, 1))
  assert all(map(np.array_equal, one, other))


def test_fisher_uses_no_labels_and_empirical_does():
  model, images, labels = build('dense')
  for curvature, equal in (('fisher', True), ('empirical', False)):
    one, other = (tickets_tf.score_weights(model, 'obd', images, each, curvature=curvature)
                  for each in (labels, 2 - labels))
    assert all(map(np.array_equal, one, other)) == equal


def diagonal(model, images, labels):
  """The diagonal of the Hessian of the mean cross-entropy by every kernel."""
  variables = [kernel.variable for kernel in tickets_tf.prunable_kernels(model)]
  with tf.GradientTape(persistent=True) as outer:
    with tf.GradientTape() as inner:
      logits = model(images, training=False)
      loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
    gradients = inner.gradient(loss, variables)
  jacobians = [outer.jacobian(gradient, variable, experimental_use_pfor=False)
               for gradient, variable in zip(gradients, variables, strict=True)]
  return [np.diag(np.reshape(jacobian, (np.size(variable), -1))).reshape(variable.shape)
          for jacobian, variable in zip(jacobians, variables, strict=True)]


def test_hutchinson_approaches_the_hessians_diagonal(relative):
  model, images, labels = build('dense')
  variables = [kernel.variable.numpy() for kernel in tickets_tf.prunable_kernels(model)]
  exact = diagonal(model, images, labels)
  assert min(each.min() for each in exact) < 0
  expected = [0.5 * variable**2 * np.maximum(each, 0) for variable, each in zip(variables, exact, strict=True)]
  few, many = (tickets_tf.score_weights(model, 'obd', images, labels, curvature='hutchinson', samples=samples)
               for samples in (4, 400))
  assert relative(many, expected) < 0.2 < relative(few, expected)
  assert min(each.min() for each in many) == 0


def test_kernels_without_a_part_in_the_output():
  inputs = keras.Input((4,))
  used, unused = L.Dense(3, name='used')(inputs), L.Dense(2, name='unused')(inputs)
  model = keras.Model(inputs, used + 0 * tf.reduce_sum(tf.stop_gradient(unused)))
  images = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
  for curvature in ('fisher', 'empirical', 'hutchinson'):
    scores = tickets_tf.score_weights(model, 'obd', images, np.arange(5) % 3, curvature=curvature)
    by_name = {kernel.name: each for kernel, each in zip(tickets_tf.prunable_kernels(model), scores, strict=True)}
    assert by_name['used'].any() and not by_name['unused'].any()


def test_a_single_output_has_no_fisher_information():
  model, images, labels = build('conv', 1)
  assert not any(each.any() for each in tickets_tf.score_weights(model, 'obd', images, labels))


@pytest.mark.parametrize('options, message', [
    ({'curvature': 'kfac'}, "curvature 'kfac': expected one of fisher, empirical, hutchinson"),
    ({'samples': 0}, 'samples 0: expected at least 1'),
    ({'chunk': -1}, 'chunk -1: expected at least 1'),
])
def test_options_that_cannot_be_used(options, message):
  with pytest.raises(UsageError, match=message):
    tickets_tf.score_weights(*build('dense')[:1], 'obd', *build('dense')[1:], **options)


def test_layers_that_mix_examples_are_refused(relative):
  model = keras.Sequential([keras.Input((4, 3)), L.TimeDistributed(L.Dense(4, name='mixing')), L.Flatten(), L.Dense(3)])
  images, labels = np.ones((5, 4, 3), np.float32), np.arange(5) % 3
  with pytest.raises(UsageError, match=r"layer 'mixing' has no gradient per example.*curvature=hutchinson"):
    tickets_tf.score_weights(model, 'obd', images, labels)
  tickets_tf.score_weights(model, 'obd', images, labels, curvature='hutchinson', samples=1)


def test_nothing_is_logged(caplog):
  model, images, labels = build('separable conv')
  tickets_tf.score_weights(model, 'obd', images, labels, chunk=2)
  assert not caplog.records


def test_it_can_be_called_directly():
  model, images, labels = build('dense')
  scores = obd(model, images, labels, np.random.default_rng(0))
  assert all(map(np.array_equal, scores, tickets_tf.score_weights(model, 'obd', images, labels)))


@pytest.mark.parametrize('curvature', ['fisher', 'empirical', 'hutchinson'])
def test_batch_norm_is_not_the_operation_without_a_deterministic_gradient_on_gpus(monkeypatch, relative, curvature):
  model, images, labels = build('batch norm')
  assert relative([model(images, training=False)], [model.predict(images, verbose=0)]) < 1e-5

  def fused_batch_norm(*args, **kwargs):
    raise NotImplementedError

  monkeypatch.setattr(tf.compat.v1.nn, 'fused_batch_norm', fused_batch_norm)
  with pytest.raises(NotImplementedError):
    model(images, training=False)
  assert any(score.any() for score in tickets_tf.score_weights(model, 'obd', images, labels, curvature=curvature))


def test_recurrent_layers_have_no_gradients_per_example():
  model = keras.Sequential([keras.layers.LSTM(4, input_shape=(8, 6)), keras.layers.Dense(5)])
  images, labels = np.ones((5, 8, 6), np.float32), np.arange(5)
  with pytest.raises(UsageError, match=r"curvature 'fisher': lstm.* is recurrent .* expected hutchinson"):
    tickets_tf.score_weights(model, 'obd', images, labels)
  scores = tickets_tf.score_weights(model, 'obd', images, labels, curvature='hutchinson', samples=2)
  assert [score.shape for score in scores] == [(6, 16), (4, 16), (4, 5)]
