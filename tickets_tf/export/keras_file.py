"""A ticket for Keras 3: its network, its weights, and its masks beside them."""

import collections
from collections.abc import Callable
import os
import shutil
import tempfile
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

from tickets_tf import data
from tickets_tf import models
from tickets_tf.errors import UsageError
from tickets_tf.export.folder import ExportFolder
from tickets_tf.models import to_keras3
from tickets_tf.pruning.mask import Mask

_FLAG = '--keras'
_COMPARED = 100  # test images


def write(network: tf_keras.Model, mask: Mask, dataset: data.Dataset, folder: ExportFolder,
          say: Callable[[str], object]) -> None:
  """Writes a trained network for Keras 3: `ticket.keras`, `ticket.weights.h5` and `ticket.masks.npz`.

  The model takes images [N, height, width, channels] with values from 0 to 255 to logits [N, classes]: its first layer
  normalises them. Batch norm is a layer of its own, so that training can go on. The masks are boolean arrays, each
  under the `path` of its weight in the model that Keras 3 loads. That model is compared with the network on test
  images.

  Args:
    network: a functional or sequential network to logits, without wrappers.
    mask: its mask.
    dataset: what it was trained on.
    folder: the folder to write to.
    say: takes lines for the user.

  Raises:
    UsageError: if Keras 3 is missing, or has no twin of a layer, which is named.
  """
  keras = to_keras3.keras3()
  means, stds = (np.asarray(each, np.float64) for each in (dataset.mean, dataset.std))
  normalise = keras.layers.Rescaling((1 / (255 * stds)).tolist(), (-means / stds).tolist(), name='normalise_images')
  rebuilt = to_keras3.rebuild(network, _FLAG, normalise)
  rebuilt.model.save(folder.keras)
  with tempfile.TemporaryDirectory() as local:  # HDF5 cannot end a file that is on a full disk, and crashes.
    rebuilt.model.save_weights(os.path.join(local, folder.keras_weights.name))
    shutil.copyfile(os.path.join(local, folder.keras_weights.name), folder.keras_weights)
  loaded = keras.models.load_model(folder.keras, compile=False)

  def logits(images: tf.Tensor) -> tf.Tensor:
    return network(data.normalise(images, dataset.mean, dataset.std), training=False)

  images = dataset.test.images[:_COMPARED].astype(np.float32)
  difference = to_keras3.check_equal(logits, loaded, images, _FLAG)
  np.savez_compressed(folder.keras_masks, **_masks(network, mask, rebuilt, loaded))
  say(f'{folder.keras.name}, {folder.keras_weights.name}, {folder.keras_masks.name}: the network as trained for Keras '
      f'3; the logits of {len(images)} test images differ by at most {difference:.1e}')


def _masks(network: tf_keras.Model, mask: Mask, rebuilt: to_keras3.Rebuilt, loaded: Any) -> dict[str, Any]:
  """Returns the mask of each kernel by the path of its weight in the loaded model."""
  rows = {id(variable): row for row, variable in enumerate(rebuilt.model.weights)}
  paths = collections.Counter(variable.path for variable in loaded.weights)
  found = {}
  for kernel in models.prunable_kernels(network):
    path = loaded.weights[rows[id(rebuilt.variables[id(kernel.variable)])]].path
    if paths[path] > 1:
      raise UsageError(f'{_FLAG}: two weights are called {path!r} in Keras 3; give the layers of inner models names of '
                       'their own')
    found[path] = mask[kernel.name]
  return found
