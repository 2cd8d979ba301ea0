import numpy as np
import pytest
import tensorflow as tf

from tickets_tf import training
from tickets_tf.training import SGD
from tickets_tf.training import learning_rate_schedule
from tickets_tf.training.optimizer import RATES
from tickets_tf.training.optimizer import forget


@pytest.mark.parametrize('momentum', [0.9, 0.0])
def test_steps_by_hand(momentum):
  rng = np.random.default_rng(0)
  weight = rng.normal(size=(3, 4))
  variable = tf.Variable(weight, dtype=tf.float64)
  schedule = training.learning_rate_schedule(0.1, epochs=4, steps_per_epoch=2, milestones=(0.5,), decay=0.1)
  optimizer = SGD(schedule, momentum, l2=0.05)
  velocity = np.zeros_like(weight)
  for step in range(8):
    gradient = rng.normal(size=weight.shape)
    optimizer.apply_gradients([(tf.constant(gradient), variable)])
    # Su et al.'s update: weight decay inside the gradient, learning rate outside the momentum.
    velocity = momentum * velocity + gradient + 0.05 * weight
    weight = weight - (0.1 if step < 4 else 0.01) * velocity
    np.testing.assert_allclose(variable.numpy(), weight, rtol=1e-5)


def test_weight_decay_falls_on_every_trainable_parameter(small_model, small_batch):
  import tf_keras as keras
  optimizer = SGD(0.5, 0.0, l2=0.1)
  small_model.compile(optimizer, lambda labels, logits: 0.0 * tf.reduce_sum(logits, axis=-1))
  before = [weight.numpy() for weight in small_model.trainable_weights]
  small_model.train_on_batch(*small_batch)
  kinds = set()
  for weight, old in zip(small_model.trainable_weights, before, strict=True):
    np.testing.assert_allclose(weight.numpy(), 0.95 * old, rtol=1e-5, atol=1e-7)
    kinds.add(weight.name.rpartition('/')[2].partition(':')[0])
  assert kinds == {'kernel', 'gamma', 'beta', 'bias'}
  assert isinstance(keras.optimizers.deserialize(keras.optimizers.serialize(optimizer)), SGD)


def test_the_learning_rate_falls_at_the_first_step_of_an_epoch():
  schedule = training.learning_rate_schedule(0.1, epochs=160, steps_per_epoch=10)
  rates = np.array([float(schedule(step)) for step in range(0, 1600)])
  np.testing.assert_allclose(rates[:800], 0.1, rtol=1e-6)
  np.testing.assert_allclose(rates[800:1200], 0.01, rtol=1e-6)
  np.testing.assert_allclose(rates[1200:], 0.001, rtol=1e-6)


def test_one_epoch_keeps_its_learning_rate():
  schedule = training.learning_rate_schedule(0.1, epochs=1, steps_per_epoch=10)
  assert {round(float(schedule(step)), 6) for step in range(10)} == {0.1}


def test_the_step_has_no_branch_on_the_learning_rate_and_no_compilation_of_its_own(monkeypatch):
  monkeypatch.setattr(tf.config, 'list_physical_devices', lambda kind=None: ['GPU:0'])
  optimizer = SGD(training.learning_rate_schedule(0.1, epochs=4, steps_per_epoch=2))
  assert not optimizer.jit_compile, 'Keras would compile the update of every variable'
  variable = tf.Variable(tf.ones(3))
  optimizer.build([variable])
  step = tf.function(lambda: optimizer.apply_gradients([(tf.ones(3), variable)])).get_concrete_function()
  kinds = {operation.type for operation in step.graph.get_operations()}
  assert not kinds & {'If', 'StatelessIf', 'Case', 'StatelessCase', 'Assert'}


def test_momentum_is_forgotten_for_some_weights_alone():
  variables = [tf.Variable([1.0, 2.0, 3.0]), tf.Variable([4.0])]
  optimizer = SGD(0.1)
  optimizer.apply_gradients((variable, variable) for variable in variables)
  before = [momentum.numpy() for momentum in optimizer.momentums]
  forget(optimizer, variables[0], np.array([True, False, True]))
  after = [momentum.numpy() for momentum in optimizer.momentums]
  assert np.array_equal(after[0], before[0] * [1, 0, 1]) and before[0].all() and after[1] == before[1]


def test_the_last_rate_alone():
  schedule = RATES['last'](learning_rate_schedule(0.1, 20, 10))
  assert [float(schedule(step)) for step in (0, 199)] == pytest.approx([0.001, 0.001])
