"""Networks of a user's own: what is made right, and what is refused with which line."""

import types

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

import tickets_tf
from tickets_tf.errors import UsageError
from tickets_tf.models import own

L = keras.layers
SHAPE, CLASSES = (8, 8, 3), 5


def made(model, shape=SHAPE):
  return own.classifier(model, 'mine:net', shape, CLASSES)


def images(count=4):
  return np.random.default_rng(1).normal(size=(count, *SHAPE)).astype(np.float32)


def flat(*layers):
  return keras.Sequential([L.Flatten(input_shape=SHAPE), *layers])


def functional(*last):
  x = inputs = keras.Input(SHAPE)
  for layer in (L.Flatten(), L.Dense(CLASSES), *last):
    x = layer(x)
  return keras.Model(inputs, x)


class Subclassed(keras.Model):
  def __init__(self, activation):
    super().__init__()
    self.flatten, self.head = L.Flatten(), L.Dense(CLASSES, activation=activation)

  def call(self, x):
    return self.head(self.flatten(x))


class Hidden(Subclassed):
  def call(self, x):
    return tf.nn.softmax(super().call(x))


@pytest.mark.parametrize('build', [
    lambda: flat(L.Dense(CLASSES, activation='softmax')),
    lambda: flat(L.Dense(CLASSES), L.Softmax()),
    lambda: flat(L.Dense(CLASSES), L.Activation('softmax')),
    lambda: functional(L.Softmax()),
    lambda: functional(L.Activation('softmax')),
    lambda: functional(tf.nn.softmax),
    lambda: functional(L.Activation('softmax', dtype='float32')),
    lambda: keras.Sequential([keras.Input(SHAPE), flat(L.Dense(CLASSES, activation='softmax'))]),
    lambda: Subclassed('softmax'),
])
def test_a_network_that_ends_in_softmax_gives_the_logits_before_it(build, caplog):
  model = build()
  probabilities = model(images()).numpy()
  logits = made(model)(images()).numpy()
  np.testing.assert_allclose(tf.nn.softmax(logits), probabilities, atol=1e-6)
  assert not np.allclose(logits.sum(axis=1), 1)
  assert len(tickets_tf.prunable_kernels(made(model))) == 1


def test_a_network_that_ends_in_sigmoid_gives_the_logits_before_it():
  model = flat(L.Dense(CLASSES, activation='sigmoid'))
  probabilities = model(images()).numpy()
  np.testing.assert_allclose(tf.sigmoid(made(model)(images())), probabilities, atol=1e-6)


@pytest.mark.parametrize('build', [lambda: flat(L.Dense(CLASSES)), lambda: functional(), lambda: Subclassed(None),
                                   lambda: functional(L.ReLU()), lambda: flat(L.Dense(CLASSES, activation='tanh'))])
def test_a_network_that_gives_logits_is_left_as_it_is(build):
  model = build()
  before = model(images()).numpy()
  assert made(model) is model
  np.testing.assert_array_equal(model(images()), before)


def test_a_sequential_that_was_not_told_its_input_is_built():
  model = keras.Sequential([L.Conv2D(4, 3), L.GlobalAveragePooling2D(), L.Dense(CLASSES)])
  assert not model.built
  assert made(model).built and len(tickets_tf.prunable_kernels(model)) == 2


def test_a_subclassed_model_is_built_too():
  assert [kernel.shape for kernel in tickets_tf.prunable_kernels(made(Subclassed(None)))] == [(192, CLASSES)]


def test_an_input_without_a_size_gets_that_of_the_images():
  inputs = keras.Input((None, None, 3))
  model = keras.Model(inputs, L.Dense(CLASSES)(L.GlobalAveragePooling2D()(L.Conv2D(4, 3)(inputs))))
  fixed = made(model)
  assert fixed.input_shape == (None, *SHAPE)
  np.testing.assert_allclose(fixed(images()), model(images()), atol=1e-6)


def two_outputs(as_dictionary=False):
  inputs = keras.Input(SHAPE)
  x = L.Flatten()(inputs)
  outputs = [L.Dense(CLASSES)(x), L.Dense(1)(x)]
  return keras.Model(inputs, dict(zip('ab', outputs, strict=True)) if as_dictionary else outputs)


def like(module, name):
  return type(name, (), {'__module__': module})()


@pytest.mark.parametrize('build, expected', [
    (two_outputs, r'--model=mine:net: it has 2 outputs; expected one of 5 logits'),
    (lambda: two_outputs(True), r'its outputs are a dictionary \(a, b\); expected one output of 5 logits'),
    (lambda: flat(L.Dense(1000)), r'an output of shape \(1000,\) for an image; the data set has 5 classes'),
    (lambda: flat(L.Dense(1, activation='sigmoid')), r'an output of shape \(1,\) for an image'),
    (lambda: keras.Sequential([L.Conv2D(CLASSES, 3, input_shape=SHAPE)]), r'an output of shape \(6, 6, 5\)'),
    (lambda: keras.Sequential([L.Flatten(input_shape=(4, 4, 3)), L.Dense(CLASSES)]),
     r'it does not take images of shape \(8, 8, 3\): '),
    (lambda: Hidden(None), r'it gives probabilities; expected logits, or a last layer whose activation is softmax'),
    (lambda: like('keras.src.models.model', 'Model'), r'a model of Keras 3, .*import tf_keras as keras'),
    (lambda: like('torch.nn.modules.module', 'Module'), r'a PyTorch module; expected a tf_keras model'),
    (lambda: 'model.h5', r"the path 'model.h5' in place of a model; load it first"),
    (lambda: types.SimpleNamespace(), r'expected a tf_keras model, found SimpleNamespace'),
    (lambda: L.Dense(CLASSES), r"expected a tf_keras model, found the layer 'dense"),
])
def test_what_is_no_classifier_is_refused_in_one_line(build, expected):
  with pytest.raises(UsageError, match=expected) as caught:
    made(build())
  assert '\n' not in str(caught.value)


def test_what_is_no_model_is_refused_wherever_one_is_asked_for():
  with pytest.raises(UsageError, match='model: a model of Keras 3'):
    tickets_tf.find_ticket(like('keras.src.models.model', 'Model'), 'random', 0.5)
  with pytest.raises(UsageError, match='model: a PyTorch module'):
    tickets_tf.score_weights(like('torch.nn.modules.module', 'Module'), 'random')


def test_what_cannot_be_used_leaves_no_folder(tmp_path, monkeypatch):
  monkeypatch.syspath_prepend(tmp_path)
  (tmp_path / 'unusable_net.py').write_text(
      'import tf_keras as keras\n\ndef net(input_shape, num_classes):\n'
      '  return keras.Sequential([keras.layers.Flatten(input_shape=input_shape), keras.layers.Dense(1000)])\n')
  settings = tickets_tf.Settings(model='unusable_net:net', train_examples=160, output_dir=str(tmp_path / 'runs'),
                                 progress=False, tensorboard=False)
  with pytest.raises(UsageError, match=r'--model=unusable_net:net: it gives an output of shape \(1000,\)'):
    tickets_tf.train(settings, say=lambda line: None)
  assert not (tmp_path / 'runs').exists()


def test_a_function_of_other_arguments_is_refused(tmp_path, monkeypatch):
  (tmp_path / 'other_arguments.py').write_text('def net(shape, classes): pass')
  monkeypatch.syspath_prepend(tmp_path)
  with pytest.raises(UsageError, match=r"^model 'other_arguments:net': expected a function "
                                       r'f\(input_shape, num_classes\), found f\(shape, classes\)'):
    tickets_tf.build_model('other_arguments:net', SHAPE, CLASSES)
