"""The two small networks whose numbers the reference implementation gave, with its weights."""

import pathlib

import numpy as np
import tf_keras as keras

from tickets_tf import models

NETWORKS = {
    'resnet8': lambda: models.resnet((16, 16, 3), 10, depth=8, width=8),
    'vgg6': lambda: models.vgg((32, 32, 3), 10, widths=[16, 'M', 24, 24, 'M', 32, 'M', 32, 'M']),
}


def load(name):
  """Returns (network with the reference's weights, the reference's arrays by key)."""
  with np.load(pathlib.Path(__file__).parent / 'golden' / f'scores_{name}.npz', allow_pickle=False) as stored:
    arrays = dict(stored)
  model = NETWORKS[name]()
  for number, kernel in enumerate(models.prunable_kernels(model)):
    weight, = (arrays[key] for key in arrays if key.startswith(f'w{number:02d}:'))
    bias = [arrays[key] for key in arrays if key.startswith(f'b{number:02d}:')]
    kernel.layer.set_weights([weight, *bias])
  norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
  stored = [arrays[key] for key in arrays if key.startswith('bn:')]
  for layer, rows in zip(norms, stored, strict=True):
    layer.set_weights(list(rows))
  return model, arrays
