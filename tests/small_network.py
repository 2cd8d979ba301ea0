"""The network of tests that ask about runs and not about networks: so small that building it costs little."""

import contextlib

import tf_keras as keras

from tickets_tf import registry

NAME = f'{__name__}:plain'
KNOWN = 'plain_of_tests'


@contextlib.contextmanager
def known():
  """Has the network in the table of networks, as `KNOWN`, for tests that make many runs in one process.

  So it is kept from run to run, with what was compiled for it, as the networks of the package are. One that is named by
  its module is built for each run.
  """
  registry.MODELS._entries[KNOWN] = NAME
  try:
    yield
  finally:
    del registry.MODELS._entries[KNOWN]


def plain(input_shape, num_classes, width=4):
  """Two convolutions with batch norm and a classifier: three kernels where a ResNet8 has ten."""
  x = inputs = keras.Input(input_shape, name='image')
  for index, (filters, stride) in enumerate([(width, 1), (2 * width, 2)], 1):
    x = keras.layers.Conv2D(filters, 3, stride, 'same', use_bias=False, name=f'conv{index}')(x)
    x = keras.layers.BatchNormalization(name=f'norm{index}')(x)
    x = keras.layers.ReLU(name=f'relu{index}')(x)
  x = keras.layers.Dense(num_classes, name='classifier')(keras.layers.GlobalAveragePooling2D(name='pool')(x))
  return keras.Model(inputs, keras.layers.Activation('linear', dtype='float32', name='logits')(x), name='plain')


def wide(input_shape, num_classes, width=24):
  """The same with so many channels that whole vectors of them can be left out."""
  return plain(input_shape, num_classes, width)
