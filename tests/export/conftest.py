"""A small sparse network on the digits, as the exports get one."""

import numpy as np
import pytest

import tickets_tf
import tf_keras as keras
from tickets_tf import data
from tickets_tf.export import fold
from tickets_tf.export import saved_model
from tickets_tf.export import tflite


@pytest.fixture(scope='session')
def digits():
  return data.load_dataset('digits')


@pytest.fixture(scope='session')
def network(digits):
  """A ResNet8 of width 4 on digits, 90% of it removed, with batch-norm parameters that are not the initial ones."""
  keras.utils.set_random_seed(3)
  rng = np.random.default_rng(0)
  model = tickets_tf.build_model('resnet8', digits.image_shape, 10, width=4)
  model.set_weights(tickets_tf.find_ticket(model, 'random', 0.9).weights)
  for layer in model.layers:
    if isinstance(layer, keras.layers.BatchNormalization):
      gamma, beta, mean = rng.normal(size=(3, *layer.gamma.shape))
      layer.set_weights([gamma, beta, mean, rng.uniform(0.5, 2, layer.gamma.shape)])
  # Larger logits than a fresh classifier gives, for differences to show.
  classifier = model.get_layer('classifier')
  classifier.set_weights([100 * classifier.kernel.numpy(), rng.normal(size=10)])
  return model


@pytest.fixture(scope='session')
def ticket(network, digits, tmp_path_factory):
  """The network as a SavedModel, loaded."""
  folder = tmp_path_factory.mktemp('ticket') / 'saved_model'
  saved_model.write_saved_model(fold.fold_batch_norm(network), digits, folder, {'mask': 'abc', 'secret': 'x'})
  return saved_model.SavedModelClassifier(folder)


@pytest.fixture(scope='session')
def contents(ticket, digits):
  """Every variant as a TFLite file, name -> bytes."""
  return {name: tflite.convert(ticket, variant, digits.train.images[:50]) for name, variant in tflite.VARIANTS.items()}
