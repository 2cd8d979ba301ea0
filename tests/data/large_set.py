"""A run on a stand-in for a set larger than memory, in a process of its own: its limit, its network and its death."""

import json
import os
import pathlib
import resource
import signal

import numpy as np
from PIL import Image

from tickets_tf import Settings
from tickets_tf.data import Dataset
from tickets_tf.data import Examples
from tickets_tf.data import StoredImages
from tickets_tf.data import WHITE
from tickets_tf.data import image_files
from tickets_tf.data import load_dataset
from tickets_tf.data.images import decode_files
from tickets_tf.data.stored_files import StoredFiles
from tickets_tf.errors import UsageError

IMAGES, SIDE = 960, 320
BYTES = IMAGES * SIDE * SIDE * 3
ROOM = 260 * 2**20  # bytes that the process may take once it has imported TensorFlow; the images are 281 MiB
NAME = f'{__name__}:pooled'


def pooled(input_shape, num_classes, width=4):
  """A convolution and a classifier on an image of a thirty-second of the size, so that decoding is what costs."""
  import tf_keras as keras
  inputs = keras.Input(input_shape, name='image')
  x = keras.layers.AveragePooling2D(32, name='shrink')(inputs)
  x = keras.layers.Conv2D(width, 3, 2, use_bias=False, name='conv')(x)
  x = keras.layers.GlobalAveragePooling2D(name='pool')(keras.layers.ReLU(name='relu')(x))
  return keras.Model(inputs, keras.layers.Dense(num_classes, name='logits')(x), name='pooled')


def write(root: pathlib.Path) -> pathlib.Path:
  """Writes IMAGES images, few different ones under many names, one in sixty to judge by."""
  rng = np.random.default_rng(0)
  kinds = []
  for kind in range(8):
    kinds.append(root / f'kind_{kind}.bmp')
    coarse = Image.fromarray(rng.integers(0, 256, (4, 4, 3), np.uint8))
    coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(kinds[-1])
  for number in range(IMAGES):
    path = root / 'set' / f'{"train" if number % 60 else "test"}_{number:04}_{number % 8 // 4}.bmp'
    path.parent.mkdir(exist_ok=True)
    os.link(kinds[number % 8], path)
  return root / 'set'


def load(data_dir, image_size, placement):
  """Loads what `write` has written; with known mean and deviation, so that no pass over the images is needed."""
  del image_size
  shape = SIDE, SIDE, 3
  parts = []
  for part in ('train', 'test'):
    found = [image_files.inspect(path) for path in sorted(pathlib.Path(data_dir).glob(f'{part}_*'))]
    stored = placement.in_files(IMAGES, shape)
    images = StoredImages(StoredFiles(found, shape, WHITE)) if stored else decode_files(found, shape)
    parts.append(Examples(images, np.array([int(file.path[-5]) for file in found], np.int32)))
  return Dataset('large', *parts, ('a', 'b'), (0.5, 0.5, 0.5), (0.25, 0.25, 0.25), 'none', 0)


def settings(data_dir, output_dir):
  """Returns the settings of the run."""
  return Settings(
      dataset=f'{__name__}:load', data_dir=str(data_dir), output_dir=str(output_dir), model=NAME, width=4,
      pruner='snip', ratio=0.5, epochs=2, batch_size=8, samples_per_class=4, checkpoint_seconds=0.0,
      progress=False, tensorboard=False, export=False)


def _die_while_reading(checkpoints: pathlib.Path) -> None:
  """Kills this process at the hundredth image that is read after the first checkpoint."""
  read, since = StoredFiles.read, []

  def counting(self, index, crop=None):
    if any(checkpoints.glob('*/checkpoints/*')):
      since.append(index)
    if len(since) >= 100:
      os.kill(os.getpid(), signal.SIGKILL)
    return read(self, index, crop)

  StoredFiles.read = counting


def main(data_dir: str, output_dir: str, dies: bool) -> None:
  """Does the run under a limit of memory, and prints what became of it."""
  import tensorflow as tf

  from tickets_tf.experiment.train import train
  tf.convert_to_tensor(1.0)  # The runtime takes its memory now.
  asked = settings(data_dir, output_dir)
  with open('/proc/self/status', encoding='ascii') as file:
    taken = 1024 * next(int(line.split()[1]) for line in file if line.startswith('VmData'))
  resource.setrlimit(resource.RLIMIT_DATA, (taken + ROOM, taken + ROOM))
  before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
  try:
    load_dataset(f'{__name__}:load', data_dir, images_in='memory')
    refused = ''
  except UsageError as error:
    refused = str(error)
  if dies:
    _die_while_reading(pathlib.Path(output_dir))
  said: list[str] = []
  train(asked, said.append)
  grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
  print(json.dumps({'refused': refused, 'said': said, 'grown': grown}))
