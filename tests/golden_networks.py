"""The two networks of the reference data, as live models with the reference's weights; see section 8 of the spec."""

import pathlib

import numpy as np

import tickets_tf  # noqa: F401 - before TensorFlow
from tickets_tf import models
import tf_keras as keras

FOLDER = pathlib.Path(__file__).parent / 'golden'
BUILDERS = {
    'resnet8': lambda: models.resnet(depth=8, width=8, input_shape=(16, 16, 3)),
    'vgg6': lambda: models.vgg(widths=[16, 'M', 24, 24, 'M', 32, 'M', 32, 'M'], input_shape=(32, 32, 3)),
}


def load(name):
  """Returns (model, reference): the network called `name` with its weights, and a dictionary of the arrays."""
  with np.load(FOLDER / f'scores_{name}.npz', allow_pickle=False) as stored:
    reference = {key: stored[key] for key in stored.files}
  model = BUILDERS[name]()
  kernels = models.prunable_kernels(model)
  for index, kernel in enumerate(kernels):
    kernel.variable.assign(_only(reference, f'w{index:02d}:'))
    if kernel.layer.use_bias:
      kernel.layer.bias.assign(_only(reference, f'b{index:02d}:'))
  norms = {layer.name: layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)}
  # Each convolution's batch norm has its name, with `norm` for `conv` and `_norm` after `shortcut`.
  names = [kernel.name.replace('conv', 'norm').replace('shortcut', 'shortcut_norm')
           for kernel in kernels if kernel.kind == 'conv']
  rows = [value for key, value in reference.items() if key.startswith('bn:')]
  for norm_name, row in zip(names, rows, strict=True):
    norms[norm_name].set_weights(list(row))
  return model, reference


def layers_of(reference, score):
  """Returns the reference's arrays of one score, a list in the order of the layers."""
  return [reference[key] for key in sorted(reference) if key[:-2] == score and key[-2:].isdigit()]


def _only(reference, prefix):
  value, = (value for key, value in reference.items() if key.startswith(prefix))
  return value
